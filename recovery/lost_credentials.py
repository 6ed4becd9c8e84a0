"""A lost credential: others know it, or nobody does any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from model import Disruption
from model.view import Resource
from recovery.data_stores import place
from recovery.paths import Reach, Strategy, Way
from recovery.template_times import Sight, number
from recovery.terms import Chain, Phase, Term

STEPS = 4
"""Secrets Manager calls a rotation function once for each of createSecret, setSecret, testSecret and finishSecret."""


def leaks(sight: Sight) -> Iterator[Way]:
    """Each rotated credential, replaced at once."""
    for rotation in sight.view.resources("AWS::SecretsManager::RotationSchedule"):
        secret, function = rotation.follow("SecretId"), rotation.follow("RotationLambdaARN")
        if secret is None or function is None:
            continue
        yield from _rotated(sight, rotation, secret, function)


def _rotated(sight: Sight, rotation: Resource, secret: Resource, function: Resource) -> Iterator[Way]:
    each = number(function, "Timeout")
    typical = STEPS * sight.times["lambda.start"].typical
    turned = Term(
        Phase.ACT,
        "the password is replaced",
        typical,
        None if each.worst is None else max(typical, timedelta(seconds=STEPS * each.worst)),
        (place(function, "Timeout"),),
        "lambda.start",
        reckoned=f"{STEPS} steps of {each.typical:g} s at most",
    )
    days = number(rotation, "RotationRules", "AutomaticallyAfterDays")
    known = Reach(timedelta(days=days.typical), place(rotation, "RotationRules.AutomaticallyAfterDays"))
    kept = Term(Phase.LOSS, "nothing: what was done with it is a corruption", timedelta(), timedelta(), (place(secret),))
    time = (
        sight.term(Phase.DECIDE, "person.decides"),
        sight.term(Phase.ACT, "person.acts"),
        turned,
        sight.term(Phase.REDIRECT, "client.reconnect"),
    )
    yield Way(
        disruption=Disruption.CREDENTIAL,
        subject=place(secret),
        region=rotation.regions[0],
        mechanism="The secret is rotated at once; sessions that are open are ended",
        strategy=Strategy.ROTATION,
        time=Chain(time),
        loss=Chain((kept,)),
        reach=known,
    )
