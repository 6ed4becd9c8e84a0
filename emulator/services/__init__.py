"""What the services of ministack lack or drop, one module per service. Each ``install`` changes the module of its service."""

from __future__ import annotations

from collections.abc import Callable

from emulator.services import cloudtrail, cloudwatch, ec2, lambda_, rds, tagging

INSTALLERS: tuple[Callable[[], None], ...] = (
    cloudtrail.install,
    cloudwatch.install,
    ec2.install,
    lambda_.install,
    rds.install,
    tagging.install,
)
