"""The guard of what cannot be got back: what a plan would lose, shorten, weaken or open, each thing to be allowed by its name.

It judges the difference between the template that a stack was last given and the committed one, and what CloudFormation says
of its change set. It changes nothing and calls nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chain.changes import permission_diff
from chain.changes.template_diff import Difference, Later, text
from chain.cloudformation.stack import Change
from model.architecture import SOURCES
from model.resource_types import resource_type
from model.values import is_function

SHORTER = "would shorten a retention"
FEWER = "would drop a replica"

LESS = {
    "BackupRetentionPeriod": SHORTER,
    "MinRetentionDays": SHORTER,
    "NumCacheClusters": FEWER,
    "NumNodeGroups": "would drop a shard",
    "PendingWindowInDays": SHORTER,
    "RecoveryPeriodInDays": SHORTER,
    "RecoveryWindowInDays": SHORTER,
    "ReplicasPerNodeGroup": FEWER,
    "SnapshotRetentionLimit": SHORTER,
}
"""Numbers of which less is worse, and none is least, and what becomes of less."""

FOREVER = {
    "DeleteAfterDays",
    "Days",
    "ExpirationInDays",
    "MaxRetentionDays",
    "NoncurrentDays",
    "NoncurrentVersionExpirationInDays",
    "RetentionInDays",
    "Years",
}
"""Numbers of which less is worse, and none is for ever."""

ON = {
    "AtRestEncryptionEnabled": "encryption",
    "AutomaticFailoverEnabled": "a replica",
    "BlockPublicAcls": "access",
    "BlockPublicPolicy": "access",
    "DeletionProtection": "protection against deletion",
    "DeletionProtectionEnabled": "protection against deletion",
    "EnableContinuousBackup": "recovery to a point in time",
    "EnableIAMDatabaseAuthentication": "access",
    "EnableKeyRotation": "the key",
    "EnableLogFileValidation": "the trail",
    "Encrypted": "encryption",
    "IgnorePublicAcls": "access",
    "IncludeGlobalServiceEvents": "the trail",
    "IsLogging": "the trail",
    "IsMultiRegionTrail": "the trail",
    "MultiAZ": "a replica",
    "MultiAZEnabled": "a replica",
    "PointInTimeRecoveryEnabled": "recovery to a point in time",
    "RestrictPublicBuckets": "access",
    "SSEEnabled": "encryption",
    "StorageEncrypted": "encryption",
    "TransitEncryptionEnabled": "encryption",
}
"""Switches that are better on, and what they are for."""

ENABLED = {"AWS::KMS::Key": "the key", "AWS::RDS::EventSubscription": "what operators are told of"}
"""What a resource is for whose own switch is called no more than Enabled, and is on where nothing is said."""

OFF = {"BypassPolicyLockoutSafetyCheck", "DeleteAutomatedBackups", "MapPublicIpOnLaunch", "PubliclyAccessible"}
"""Switches that are better off."""

KEYS = {
    "EncryptionKeyArn",
    "KMSKeyId",
    "KMSMasterKeyID",
    "KMSMasterKeyId",
    "KmsKeyId",
    "KmsMasterKeyId",
    "PerformanceInsightsKMSKeyId",
    "ReplicaKmsKeyID",
    "SSEAlgorithm",
    "SSEType",
    "TransitEncryptionMode",
}
"""What says by which key, or how, something is encrypted."""

STATES = {
    "BackupPolicy.Status": ("ENABLED",),
    "VersioningConfiguration.Status": ("Enabled",),
    "ReplicationOverwriteProtection": ("ENABLED", "REPLICATING"),
}
"""Words that must not be given up."""

COPIES = {"CopyActions", "Regions", "Replicas", "ReplicaRegions", "ReplicationConfiguration", "BackupPlanRule"}
"""Lists of what holds data a second time."""

KEEPING = {"Retain": 3, "RetainExceptOnCreate": 2, "Snapshot": 2, "Delete": 1}
"""What becomes of a resource's data when it goes, the safest first."""


@dataclass(frozen=True)
class Danger:
    """One thing that cannot be got back, and why; ``final`` if no permission makes it right."""

    stack: str  # id
    layer: str
    resource: str  # logical id
    type: str
    what: str
    final: bool = False

    def is_allowed(self, allowed: Collection[str]) -> bool:
        """Whether somebody has named it, and that opens it."""
        return not self.final and self.is_named(allowed)

    def is_named(self, allowed: Collection[str]) -> bool:
        """Whether somebody has named it: by its logical id, or by layer and logical id where two layers share one."""
        return bool({self.resource, f"{self.layer}.{self.resource}"} & set(allowed))

    def __str__(self) -> str:
        return f"{self.stack}: {self.resource} ({self.type}) {self.what}"


def dangers(stack: str, layer: str, found: Iterable[Difference]) -> list[Danger]:
    """What the differences of a stack would cost."""
    found = tuple(found)
    fresh = {each.resource for each in found if each.action == "Add"}
    said = (
        Danger(stack, layer, each.resource, each.type, what)
        for each in found
        for what in (*_lost(each), *_weaker(each), *permission_diff.opened(each, fresh))
    )
    return list(dict.fromkeys(said))


def by_change_set(stack: str, layer: str, changes: Sequence[Change]) -> list[Danger]:
    """What CloudFormation itself says that a change set would cost."""
    going = replaced(changes)
    found = []
    for change in changes:
        if not resource_type(change.type).holds or change.resource not in going:
            continue
        if change.action == "Remove":
            found.append(Danger(stack, layer, change.resource, change.type, "would be deleted"))
        else:
            how = "would" if going[change.resource] else "may"
            found.append(Danger(stack, layer, change.resource, change.type, f"{how} be replaced{_why(change)}"))
    return found


def replaced(changes: Sequence[Change]) -> dict[str, bool]:
    """The resources that a change set removes or replaces, and whether that is certain."""
    moved = {change.resource for change in changes if change.replacement in ("True", "Conditional") or change.action != "Modify"}
    moved |= {f"{change.resource}.{name}" for change in changes for name in change.properties}
    return {
        change.resource: change.action == "Remove" or change.replacement == "True"
        for change in changes
        if change.action == "Remove"
        or change.replacement == "True"
        or (change.replacement == "Conditional" and not change.causes <= _unmoved(change, moved))
    }


def gone(stack: str, layer: str, resources: Iterable[tuple[str, str]]) -> list[Danger]:
    """What the removal of a whole stack would cost; ``resources`` are logical ids and types."""
    return [
        Danger(stack, layer, name, type_, "would be deleted with its stack, whose layer is gone")
        for name, type_ in resources
        if resource_type(type_).holds
    ]


def refused(found: Iterable[Danger], allowed: Collection[str]) -> list[Danger]:
    """Those dangers that nobody has allowed."""
    return [danger for danger in found if not danger.is_allowed(allowed)]


def sentences(found: Sequence[Danger], allowed: Collection[str]) -> Iterator[str]:
    """What is shown first of all."""
    for danger in found:
        yield f"{'ALLOWED' if danger.is_allowed(allowed) else 'REFUSED'}  {danger}"
    shut = dict.fromkeys(danger.resource for danger in found if danger.final and danger.is_named(allowed))
    if shut:
        yield f"ALLOW='{' '.join(shut)}' does not open this: what is final is refused whatever is allowed."
    needed = dict.fromkeys(danger.resource for danger in refused(found, allowed) if not danger.final)
    if needed:
        yield f"This cannot be undone. To have it all the same, name each: ALLOW='{' '.join(needed)}' REASON='why'"


def _unmoved(change: Change, moved: set[str]) -> set[str]:
    """Causes that change nothing: names and ARNs of resources that stay what they are, and attributes that no changed property
    gives."""
    return {cause for cause in change.causes if cause and not set(_given_by(cause)) & moved}


def _given_by(cause: str) -> Iterator[str]:
    """What a cause may rest on: the resource, and those of its properties that its attribute bears the names of."""
    resource, *names = cause.split(".")
    yield resource
    yield from (f"{resource}.{name}" for name in names)


def _why(change: Change) -> str:
    return f", for {', '.join(change.properties)} cannot change in place" if change.properties else ""


def _lost(each: Difference) -> Iterator[str]:
    if not resource_type(each.type).holds:
        return
    if each.action == "Remove":
        yield "would be deleted"
    if each.action == "Modify":
        fixed = [one for one in each.properties if one.replaces and not one.is_later]
        if fixed:
            how = "; ".join(f"{one.path} cannot change in place ({text(one.before)} -> {text(one.after)})" for one in fixed)
            yield f"would be replaced: {how}"


def _weaker(each: Difference) -> Iterator[str]:
    if each.action == "Remove" and each.type == "AWS::SecretsManager::RotationSchedule":
        yield "would no longer rotate the secret"
    for one in each.properties:
        yield from _walk(one.path, one.path.rpartition(".")[2].partition("[")[0], one.before, one.after)
        if one.path == "Enabled" and each.type in ENABLED and not _is_off(one.before) and _is_off(one.after):
            yield f"would weaken {ENABLED[each.type]}: {one.path} {text(one.before)} -> {text(one.after)}"


def _walk(path: str, name: str, before: Any, after: Any) -> Iterator[str]:
    """What gets worse from one value to the other, at any depth."""
    if before == after or isinstance(after, Later):
        return
    if name in COPIES and before and _count(after) < _count(before):
        yield f"would drop a copy: {path} had {_count(before)}, and would have {_count(after)}"
        return
    if isinstance(before, dict) and isinstance(after, dict | None) and not is_function(before):
        for key, value in before.items():
            yield from _walk(f"{path}.{key}", key, value, (after or {}).get(key))
        before = {}
    if isinstance(after, dict) and isinstance(before, dict | None) and not is_function(after):
        for key in after.keys() - (before or {}).keys():
            yield from _walk(f"{path}.{key}", key, None, after[key])
        return
    if isinstance(before, list) and isinstance(after, list | None):
        for index, value in enumerate(before):
            other = after[index] if after and index < len(after) else None
            yield from _walk(f"{path}[{index}]", name, value, other)
        return
    what = _leaf(path, name, before, after)
    if what:
        yield f"{what}: {path} {text(before)} -> {text(after)}"


def _leaf(path: str, name: str, before: Any, after: Any) -> str:
    if name in LESS and _number(after, 0.0) < _number(before, 0.0):
        return LESS[name]
    if name in FOREVER and _number(after, float("inf")) < _number(before, float("inf")):
        return SHORTER
    if name in ON and _is_on(before) and not _is_on(after):
        return f"would weaken {ON[name]}"
    if name in OFF and _is_on(after) and not _is_on(before):
        return "would open or lose what was safe"
    if name in KEYS and before is not None:
        return "would change how it is encrypted"
    if any(name in names for names in SOURCES.values()) and before is not None and after is None:
        return "would end being a replica"
    if name in ("DeletionPolicy", "UpdateReplacePolicy") and KEEPING.get(str(after), 1) < KEEPING.get(str(before), 1):
        return "would be kept less safely"
    for place, good in STATES.items():
        if f".{path}".endswith(f".{place}") and before in good and after not in good:
            return "would give up what protects it"
    return ""


def _is_on(value: Any) -> bool:
    return str(value).lower() == "true"


def _is_off(value: Any) -> bool:
    return str(value).lower() == "false"


def _number(value: Any, absent: float) -> float:
    try:
        return absent if value is None else float(value)
    except (TypeError, ValueError):
        return absent


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else int(value is not None)
