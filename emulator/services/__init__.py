"""What the services of ministack lack or drop, one module per service. Each ``install`` changes the module of its service."""

from __future__ import annotations

from collections.abc import Callable

from emulator.services import (
    aurora,
    backup,
    cloudtrail,
    cloudwatch,
    dynamodb,
    ec2,
    events,
    lambda_,
    metrics,
    rds,
    route53,
    tagging,
)

INSTALLERS: tuple[Callable[[], None], ...] = (
    backup.install,
    cloudtrail.install,
    cloudwatch.install,
    dynamodb.install,
    ec2.install,
    events.install,
    lambda_.install,
    metrics.install,
    rds.install,
    aurora.install,  # around the instances of rds
    route53.install,
    tagging.install,
)
