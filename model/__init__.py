"""The nouns of this project. Every other package may speak them; they import nothing but the standard library and PyYAML."""

from model.cloudformation_yaml import Document, read
from model.control import Deviation, Finding, Profile, Rule
from model.system import BOTH, PRIMARY, RECOVERY, SUFFIX, Disruption, Layer, Objectives, Site, System, address

__all__ = [
    "BOTH",
    "PRIMARY",
    "RECOVERY",
    "SUFFIX",
    "Deviation",
    "Disruption",
    "Document",
    "Finding",
    "Layer",
    "Objectives",
    "Profile",
    "Rule",
    "Site",
    "System",
    "address",
    "read",
]
