"""Resource Groups Tagging: GetResources for services that ministack leaves out of it.

Roles are not among them: AWS does not list them either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from emulator.services import restoring

Tagged = Iterator[tuple[str, list[dict[str, str]]]]


def install() -> None:
    from ministack.services import tagging

    tagging._COLLECTORS.update(
        backup=_with_tests(tagging._COLLECTORS["backup"]),
        cloudtrail=_trails,
        cloudwatch=_alarms,
        ec2=_network,
        elasticache=_caches,
        logs=_log_groups,
        rds=_databases,
        route53=_names,
        secretsmanager=_secrets,
        ssm=_parameters,
    )


def _with_tests(theirs: Callable[[], Tagged]) -> Callable[[], Tagged]:
    def collect() -> Tagged:
        yield from theirs()
        for arn, tags in restoring.all_tags():
            yield arn, _listed(tags)

    return collect


def _caches() -> Tagged:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import elasticache

    here = f"arn:aws:elasticache:{get_region()}:{get_account_id()}:"
    for arn, tags in list(elasticache._tags.items()):
        if arn.startswith(here):
            yield arn, _listed(tags)


def _names() -> Tagged:
    """Health checks and hosted zones, which are global and listed in one region."""
    from ministack.core.responses import get_region
    from ministack.services import route53

    there = {"healthcheck": route53._health_checks, "hostedzone": route53._zones}
    if get_region() == "us-east-1":
        for (kind, name), tags in list(route53._tags.items()):
            if name in there[kind]:
                yield f"arn:aws:route53:::{kind}/{name}", _listed(tags)


def _parameters() -> Tagged:
    from ministack.services import ssm

    for one in list(ssm._parameters.values()):
        yield one["ARN"], _listed(ssm._tags.get(one["ARN"]))


def _listed(tags: Any) -> list[dict[str, str]]:
    pairs = tags.items() if isinstance(tags, dict) else [(tag["Key"], tag["Value"]) for tag in tags or []]
    return [{"Key": key, "Value": value} for key, value in pairs]


def _network() -> Tagged:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ec2

    # Kind as it stands in an ARN -> where such resources are kept. NAT gateways stay there for a while once deleted.
    kinds = {
        "vpc": ec2._vpcs,
        "subnet": ec2._subnets,
        "internet-gateway": ec2._internet_gateways,
        "route-table": ec2._route_tables,
        "elastic-ip": ec2._addresses,
        "natgateway": {name: one for name, one in ec2._nat_gateways.items() if one["State"] != "deleted"},
        "vpc-flow-log": ec2._flow_logs,
        "vpc-endpoint": ec2._vpc_endpoints,
        "security-group": ec2._security_groups,
    }
    for kind, store in kinds.items():
        for name in list(store):
            if ec2._tags.get(name):
                yield f"arn:aws:ec2:{get_region()}:{get_account_id()}:{kind}/{name}", _listed(ec2._tags[name])


def _databases() -> Tagged:
    from ministack.core.responses import get_region
    from ministack.services import rds

    for arn, tags in list(rds._tags.items()):
        if arn.split(":")[3] == get_region():
            yield arn, _listed(tags)


def _secrets() -> Tagged:
    from ministack.services import secretsmanager

    for secret in list(secretsmanager._secrets.values()):
        if not secret.get("DeletedDate"):
            yield secret["ARN"], _listed(secret.get("Tags"))


def _log_groups() -> Tagged:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import cloudwatch_logs

    for name, group in list(cloudwatch_logs._log_groups.items()):
        yield f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{name}", _listed(group.get("tags"))


def _alarms() -> Tagged:
    from ministack.core.responses import get_region
    from ministack.services import cloudwatch

    for alarm in [*cloudwatch._alarms.values(), *cloudwatch._composite_alarms.values()]:
        yield alarm["AlarmArn"], _listed(cloudwatch._resource_tags.get(alarm["AlarmArn"]))
    if get_region() == "us-east-1":  # dashboards are global, and listed there
        for arn, tags in list(cloudwatch._resource_tags.items()):
            if ":dashboard/" in arn:
                yield arn, _listed(tags)


def _trails() -> Tagged:
    from ministack.services import cloudtrail

    for name in list(cloudtrail._trails):
        arn = cloudtrail._trails[name]["TrailARN"]
        yield arn, _listed(cloudtrail._trail_tags.get(arn))
