"""Every rule of every module of compliance/rules, in the order of their ids."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from compliance import rules
from model import Rule


def all_rules() -> tuple[Rule, ...]:
    modules = [import_module(f"{rules.__name__}.{found.name}") for found in pkgutil.iter_modules(rules.__path__)]
    return tuple(sorted((each for module in modules for each in vars(module).values() if isinstance(each, Rule)), key=_id))


def _id(rule: Rule) -> str:
    return rule.id
