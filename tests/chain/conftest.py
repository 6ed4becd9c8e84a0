"""What stands between the chain and AWS, or in its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import emulator
from tests.support.chain.cloud import Cloud, cloud
from tests.support.chain.proxy import Proxy, proxy


@pytest.fixture
def sky() -> Iterator[Cloud]:
    """An empty CloudFormation of our own."""
    with cloud() as running:
        yield running


@pytest.fixture
def between(aws: emulator.Emulator) -> Iterator[Proxy]:
    """A proxy before the emulator."""
    with proxy(aws.endpoint) as running:
        yield running
