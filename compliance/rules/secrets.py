"""Secrets: generated, encrypted, rotated, and never written out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from compliance.rules import kms
from model import Rule
from model.view import TEMPLATE, Resource, is_true

SECRET = ("AWS::SecretsManager::Secret",)
MOST_DAYS = 30
RESOLVED = "{{resolve:secretsmanager:"
LEAST_LENGTH = 32

CREDENTIAL = re.compile(
    r"(?!Generate|Manage).*(password|passwords|passwd|passphrase|authtoken|secretstring|privatekey|accesskey)", re.I
)
"""Names of properties and parameters that hold a credential: they end so. ``GenerateSecretString`` asks for one instead."""

LITERAL = re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----")
"""Texts that are credentials wherever they stand."""


def _generated(secret: Resource) -> tuple[str, bool]:
    asked = secret.get("GenerateSecretString")
    long_enough = secret.get("GenerateSecretString", "PasswordLength") is None or secret.bounded(
        "GenerateSecretString", "PasswordLength", least=LEAST_LENGTH
    )
    return "GenerateSecretString", asked is not None and long_enough and secret.get("SecretString") is None


def _customer_key(secret: Resource) -> tuple[str, bool]:
    return "KmsKeyId", kms.key_of(secret, "KmsKeyId") is not None


def _rotated(secret: Resource) -> tuple[str, bool]:
    return "RotationSchedule.RotationRules", any(
        schedule.certain and secret.is_(_secret_of(schedule)) and _often(schedule)
        for schedule in secret.view.resources("AWS::SecretsManager::RotationSchedule")
    )


def _secret_of(schedule: Resource) -> Resource | None:
    """The secret that a schedule rotates; ``Ref`` of a target attachment is the secret's ARN too."""
    found = schedule.follow("SecretId")
    return found.follow("SecretId") if found and found.type == "AWS::SecretsManager::SecretTargetAttachment" else found


def _often(schedule: Resource) -> bool:
    function = schedule.follow("RotationLambdaARN")
    written = re.fullmatch(r"rate\((\d+) (hour|day)s?\)", str(schedule.get("RotationRules", "ScheduleExpression")))
    days = 0 if written is None else int(written[1]) / (24 if written[2] == "hour" else 1)
    in_time = schedule.bounded("RotationRules", "AutomaticallyAfterDays", least=1, most=MOST_DAYS) or 0 < days <= MOST_DAYS
    return in_time and function is not None and function.type == "AWS::Lambda::Function"


def _replicated(secret: Resource) -> tuple[str, bool]:
    replicas = secret.get("ReplicaRegions") or []
    keys = [kms.key_in(secret, replica.get("KmsKeyId")) for replica in replicas]
    return "ReplicaRegions", bool(keys) and all(key is not None and not _only_here(secret, key) for key in keys)


def _only_here(secret: Resource, key: Resource) -> bool:
    """Whether a key stands in no region but the secret's own."""
    return set(key.regions) <= set(secret.regions)


def _no_clear_credential(template: Resource) -> tuple[str, bool]:
    found = [*_in_parameters(template), *_in_values(template.body.get("Resources", {}), "Resources"), *_in_outputs(template)]
    return (found or ["Resources"])[0], not found


def _in_parameters(template: Resource) -> Iterator[str]:
    """A parameter that holds a credential would put it into a parameter file, whatever ``NoEcho`` hides."""
    for name, parameter in template.body.get("Parameters", {}).items():
        if CREDENTIAL.fullmatch(name) or LITERAL.search(str(parameter.get("Default", ""))):
            yield f"Parameters.{name}"


def _in_outputs(template: Resource) -> Iterator[str]:
    for name, output in template.body.get("Outputs", {}).items():
        if any("{{resolve:" in text or LITERAL.search(text) for text in _texts(output["Value"])):
            yield f"Outputs.{name}"


def _in_values(value: Any, path: str) -> Iterator[str]:
    """The paths of credentials: literals, values of parameters, and secrets resolved where they can be read back."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if CREDENTIAL.fullmatch(key) and not path.endswith(("Resources", "Metadata")):
                if not _only_resolved(item):
                    yield f"{path}.{key}"
            elif not (
                key.lower().endswith("username") and _only_resolved(item)
            ):  # a user name may come from the secret beside it
                yield from _in_values(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _in_values(item, f"{path}.{index}")
    elif isinstance(value, str) and (RESOLVED in value or LITERAL.search(value) or _spells_out(value)):
        yield path


def _only_resolved(value: Any) -> bool:
    """Whether a credential is fetched from Secrets Manager when the stack is deployed; a switch is no credential."""
    if isinstance(value, bool) or is_true(value):
        return True
    texts = list(_texts(value))
    return bool(texts) and any(RESOLVED in text for text in texts) and not any(LITERAL.search(text) for text in texts)


def _spells_out(text: str) -> bool:
    """Whether a JSON text, such as a secret's template, gives a password beside the user name."""
    return re.search(r'"password"\s*:\s*"[^"]', text, re.I) is not None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


generated = Rule(
    "secrets.generated",
    f"Secrets Manager makes the password itself, {LEAST_LENGTH} characters long.",
    "Nobody has ever seen it.",
    "AWS CloudFormation Template Reference, AWS::SecretsManager::Secret GenerateSecretString",
    SECRET,
    _generated,
)
customer_key = Rule(
    "secrets.customer_key",
    "The secret is encrypted with a customer-managed key.",
    "Who may read it is decided by two policies, the secret's and the key's.",
    "AWS Config secretsmanager-using-cmk",
    SECRET,
    _customer_key,
)
rotated = Rule(
    "secrets.rotated",
    f"A function rotates the secret every {MOST_DAYS} days or more often.",
    "A password that leaked does not stay valid.",
    "AWS Security Hub SecretsManager.1, SecretsManager.4",
    SECRET,
    _rotated,
)
replicated = Rule(
    "secrets.replicated",
    "Secrets Manager keeps a replica in another region, under a customer-managed key of that region.",
    "A database that takes over is of no use to those who cannot log in; without a key AWS's own is taken.",
    "AWS Secrets Manager User Guide, Replicate secrets across Regions; API ReplicaRegionType: KmsKeyId",
    SECRET,
    _replicated,
)
no_clear_credential = Rule(
    "secrets.no_clear_credential",
    "No property, parameter or output of the template holds a credential.",
    "Templates, parameter files, stack events and outputs are read by many.",
    "AWS CloudFormation User Guide, Security best practices: don't embed credentials in your templates",
    (TEMPLATE,),
    _no_clear_credential,
)
