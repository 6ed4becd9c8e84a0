"""Rotating secrets: CloudFormation is content when a schedule exists, whether or not the function has ever worked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from chain.cloudformation.stack import Clients, State, Wait, resources
from chain.environment.graph import Stack
from model.values import Unknown, evaluate, unknown

CALLS = {"FollowRotation": ("secretsmanager:DescribeSecret",)}

SCHEDULE = "AWS::SecretsManager::RotationSchedule"


@dataclass(frozen=True)
class Rotation:
    """Where a secret's rotation stands."""

    secret: str
    function: str
    enabled: bool
    last: datetime | None
    next: datetime | None

    def __str__(self) -> str:
        """One line for an operator."""
        if not self.enabled:
            return f"{self.secret}: rotation is off"
        if self.last is None:
            return f"{self.secret}: never rotated; look into the log group {self.log_group}"
        due = f", next by {self.next:%Y-%m-%d}" if self.next else ""
        return f"{self.secret}: rotated {self.last:%Y-%m-%d %H:%M %Z}{due}"

    @property
    def log_group(self) -> str:
        """Where its function writes."""
        return f"/aws/lambda/{self.function}"


def rotations(stack: Stack, clients: Clients, state: State | None = None) -> Iterator[Rotation]:
    """The rotation of every secret that a schedule in this stack names."""
    if not stack.template.has(SCHEDULE):
        return
    manager = clients("secretsmanager", stack.region)
    for arn in _secrets(stack, clients, state):
        secret = manager.describe_secret(SecretId=arn)
        yield Rotation(
            secret=secret["Name"],
            function=secret.get("RotationLambdaARN", "").rpartition(":")[2],
            enabled=secret.get("RotationEnabled", False),
            last=secret.get("LastRotatedDate"),
            next=secret.get("NextRotationDate"),
        )


def _secrets(stack: Stack, clients: Clients, state: State | None) -> list[str]:
    """Their ARNs: by the stack's parameters where they say, for then nobody need be asked."""
    given = state.parameters if state is not None else {}
    schedules = [resource for resource in stack.template.resources.values() if resource["Type"] == SCHEDULE]
    wired = [
        evaluate(each["Properties"]["SecretId"], lambda name: given.get(name) or Unknown(f"{name} is not given"))
        for each in schedules
    ]
    if not unknown(wired):
        return wired
    found = resources(clients("cloudformation", stack.region), stack.name).values()
    # The physical id of a schedule is its secret's ARN.
    return [each["PhysicalResourceId"] for each in found if each["ResourceType"] == SCHEDULE]


def first(stack: Stack, clients: Clients, wait: Wait, patience: float) -> list[str]:
    """Wait, but no longer than ``patience`` seconds, for the first rotation; a warning for every secret that has none."""
    if not _expected(stack):
        return []
    while late := [rotation for rotation in rotations(stack, clients) if rotation.last is None]:
        if wait.waited >= patience:
            return [
                f"{stack.id}: the secret {rotation.secret} was not rotated within {patience:.0f} s;"
                f" whether its rotation works is unknown. Look into the log group {rotation.log_group}"
                for rotation in late
            ]
        wait()
    return []


def _expected(stack: Stack) -> bool:
    """Whether a schedule of this stack rotates at once, as schedules do unless they are told not to."""
    schedules = [resource for resource in stack.template.resources.values() if resource["Type"] == SCHEDULE]
    return any(resource["Properties"].get("RotateImmediatelyOnUpdate", True) is not False for resource in schedules)
