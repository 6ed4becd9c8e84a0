"""A system: what is protected, where, how fast it must come back, and in which layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from model.control import Deviation, Profile

Site = str
"""Where a stack stands: ``primary`` or ``recovery`` (NIST SP 800-34 Rev. 1: alternate site). A system maps it to a region."""

PRIMARY: Site = "primary"
RECOVERY: Site = "recovery"
BOTH = (PRIMARY, RECOVERY)


SUFFIX = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What an environment suffix looks like; 2 to 16 characters, for the limits in ``types.yaml``."""


class Disruption(StrEnum):
    """What an objective is held against."""

    APPLICATION = "corruption or human error"
    INSTANCE = "instance"
    ZONE = "zone"
    REGION = "region"
    CREDENTIAL = "lost credential"


@dataclass(frozen=True)
class Objectives:
    """How much may be lost (``rpo``) and for how long the system may be away (``rto``)."""

    rpo: timedelta
    rto: timedelta


class Layer(Protocol):
    """One template: resources that live, change and are owned together."""

    @property
    def name(self) -> str: ...

    @property
    def sites(self) -> tuple[Site, ...]: ...

    @property
    def optional(self) -> bool | str: ...

    def define(self, t: Any) -> None: ...


@dataclass(frozen=True, kw_only=True)
class System:
    """One protected workload.

    ``prefix`` is the first word of its resource names, empty or ending in a hyphen. ``objectives`` may be empty: then the
    recovery figures are published and held against nothing.
    """

    name: str
    title: str
    serves: str
    regions: Mapping[Site, str]
    profile: Profile
    layers: tuple[Layer, ...]
    prefix: str = ""
    objectives: Mapping[Disruption, Objectives] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()


def address(site: Site, wire: str) -> tuple[Site, str, str]:
    """The site, layer and output that ``wire`` means to a stack at ``site``: ``layer.Output`` there, or ``site:layer.Output``."""
    named, _, rest = wire.rpartition(":")
    layer, _, output = rest.partition(".")
    return named or site, layer, output
