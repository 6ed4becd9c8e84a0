"""Calls to AWS that one statement of a person's policy allows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Calls:
    """What is called for one purpose, which gives the statement its Sid, and what that is bound to.

    That is what templates make of the type ``on`` under a name that holds one of ``named``, or ``arns``, which may hold {region},
    {system} and, of the type, {name}. With neither it is everything: AWS defines no resource. Where no template uses the type
    there is no statement.
    """

    sid: str
    actions: tuple[str, ...]
    on: str = ""
    kinds: tuple[str, ...] = ()  # of the type's ARNs; nothing: all
    named: tuple[str, ...] = ("",)
    arns: tuple[str, ...] = ()  # instead of the type's own
    reviewer: bool = False  # whoever only looks may do so too
    here: bool = False  # at the site that decides alone
    passed_to: str = ""  # the service that a role is passed to
    through: tuple[str, ...] = ()  # the services that use a key
