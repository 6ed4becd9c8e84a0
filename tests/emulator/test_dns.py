"""Records that fail over answer by their health checks, and these by the metric of an alarm."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from emulator import Emulator, EmulatorError, running

REGION = "eu-west-2"


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with running(databases=False) as emulator:
        yield emulator


def measure(aws: Emulator, value: float, name: str = "active") -> None:
    aws.client("cloudwatch", REGION).put_metric_data(Namespace="Standby", MetricData=[{"MetricName": name, "Value": value}])


def alarm(aws: Emulator, name: str = "active") -> None:
    """In ALARM where the metric is below one."""
    aws.client("cloudwatch", REGION).put_metric_alarm(
        AlarmName=name,
        Namespace="Standby",
        MetricName=name,
        Statistic="Minimum",
        Period=60,
        EvaluationPeriods=1,
        ComparisonOperator="LessThanThreshold",
        Threshold=1,
    )


def check(aws: Emulator, alarmed: str, **more: Any) -> str:
    config = {
        "Type": "CLOUDWATCH_METRIC",
        "AlarmIdentifier": {"Name": alarmed, "Region": REGION},
        "InsufficientDataHealthStatus": "LastKnownStatus",
        **more,
    }
    made = aws.client("route53").create_health_check(CallerReference=str(uuid.uuid4()), HealthCheckConfig=config)
    return str(made["HealthCheck"]["Id"])


def calculated(aws: Emulator, children: list[str], threshold: int) -> str:
    config = {"Type": "CALCULATED", "ChildHealthChecks": children, "HealthThreshold": threshold}
    made = aws.client("route53").create_health_check(CallerReference=str(uuid.uuid4()), HealthCheckConfig=config)
    assert made["HealthCheck"]["HealthCheckConfig"]["ChildHealthChecks"] == children
    return str(made["HealthCheck"]["Id"])


@pytest.fixture(scope="module")
def zone(aws: Emulator) -> str:
    vpc = aws.client("ec2", REGION).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = aws.client("route53").create_hosted_zone(
        Name="dns.internal",
        CallerReference="dns",
        HostedZoneConfig={"Comment": "", "PrivateZone": True},
        VPC={"VPCRegion": REGION, "VPCId": vpc},
    )
    return str(made["HostedZone"]["Id"])


def put(aws: Emulator, zone: str, name: str, **more: Any) -> None:
    record = {"Name": f"{name}.dns.internal", "Type": "CNAME", **more}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": record}]
    aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def pair(aws: Emulator, zone: str, name: str, primary: str) -> None:
    for kind, more in (("PRIMARY", {"HealthCheckId": primary}), ("SECONDARY", {})):
        value = [{"Value": f"{kind.lower()}.example.com"}]
        put(aws, zone, name, SetIdentifier=kind, Failover=kind, TTL=5, ResourceRecords=value, **more)


PRIMARY, SECONDARY = ("primary.example.com",), ("secondary.example.com",)


def test_a_name_fails_over_with_the_metric_and_comes_back(aws: Emulator, zone: str) -> None:
    alarm(aws)
    pair(aws, zone, "writer", check(aws, "active"))
    assert aws.resolve("writer.dns.internal") == PRIMARY
    measure(aws, 0)
    assert aws.resolve("writer.dns.internal") == SECONDARY


def test_the_metric_counts_and_not_the_state_of_the_alarm(aws: Emulator, zone: str) -> None:
    alarm(aws, "forced")
    measure(aws, 1, "forced")
    pair(aws, zone, "forced", check(aws, "forced"))
    aws.client("cloudwatch", REGION).set_alarm_state(AlarmName="forced", StateValue="ALARM", StateReason="test")
    assert aws.resolve("forced.dns.internal") == PRIMARY


@pytest.mark.parametrize(("silent", "expected"), [("Healthy", PRIMARY), ("Unhealthy", SECONDARY), ("LastKnownStatus", PRIMARY)])
def test_without_data_a_health_check_is_what_it_says(aws: Emulator, zone: str, silent: str, expected: tuple[str, ...]) -> None:
    alarm(aws, "never")
    pair(aws, zone, f"never-{silent.lower()}", check(aws, "never", InsufficientDataHealthStatus=silent))
    assert aws.resolve(f"never-{silent.lower()}.dns.internal") == expected


def test_a_calculated_check_counts_its_children_and_others_are_turned_round_or_off(aws: Emulator, zone: str) -> None:
    for name, value in (("good", 1), ("bad", 0)):
        alarm(aws, name)
        measure(aws, value, name)
    good, bad, never = check(aws, "good"), check(aws, "bad"), check(aws, "good", Inverted=True)
    for name, ref, expected in (
        ("one-of-two", calculated(aws, [good, bad], 1), PRIMARY),
        ("both", calculated(aws, [good, bad], 2), SECONDARY),
        ("inverted", never, SECONDARY),
        ("disabled", check(aws, "bad", Disabled=True), PRIMARY),
    ):
        pair(aws, zone, name, ref)
        assert aws.resolve(f"{name}.dns.internal") == expected, name


def test_an_alias_follows_what_it_names(aws: Emulator, zone: str) -> None:
    alarm(aws, "aliased")
    measure(aws, 0, "aliased")
    ref = check(aws, "aliased")
    put(
        aws,
        zone,
        "target",
        TTL=5,
        ResourceRecords=[{"Value": "primary.example.com"}],
        SetIdentifier="one",
        Weight=1,
        HealthCheckId=ref,
    )
    put(aws, zone, "spare", TTL=5, ResourceRecords=[{"Value": "secondary.example.com"}])
    short = zone.rsplit("/", 1)[-1]
    for kind, target in (("PRIMARY", "target"), ("SECONDARY", "spare")):
        alias = {"HostedZoneId": short, "DNSName": f"{target}.dns.internal.", "EvaluateTargetHealth": True}
        put(aws, zone, "alias", SetIdentifier=kind, Failover=kind, AliasTarget=alias)
    assert aws.resolve("alias.dns.internal") == SECONDARY
    assert aws.resolve("alias.dns.internal", "A") == ()
    with pytest.raises(EmulatorError, match="No hosted zone holds"):
        aws.resolve("elsewhere.example.com")
