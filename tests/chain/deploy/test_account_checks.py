"""What new stacks need of an account is asked before anything changes, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

import emulator
from chain.cloudformation import reachable_regions
from chain.cloudformation import stack as cfn
from chain.deploy import account_checks, preflight
from chain.deploy.account_checks import Check, Wanted
from chain.environment.exit_codes import NotReadyError
from tests.support.chain.checkout import REGION, Checkout, Clients, get, parameter, ref, sub
from tests.support.chain.deployment import run

ZONES = {"ZoneAId": {"Type": "String", "Default": "use1-az1"}, "ZoneBId": {"Type": "String", "Default": "use1-az9"}}


def lacking(suffix: str) -> dict[str, Any]:
    """Resources none of which this account can have."""
    return {
        "Cluster": {"Type": "AWS::RDS::DBCluster", "Properties": {"Engine": "aurora-postgresql", "EngineVersion": "15.4"}},
        "Writer": {
            "Type": "AWS::RDS::DBInstance",
            "Properties": {
                "Engine": "aurora-postgresql",
                "DBInstanceClass": "db.nonesuch",
                "DBClusterIdentifier": ref("Cluster"),
            },
        },
        "Replica": {"Type": "AWS::RDS::DBInstance", "Properties": {"SourceDBInstanceIdentifier": "arn"}},
        "Cache": {
            "Type": "AWS::ElastiCache::ReplicationGroup",
            "Properties": {"Engine": "redis", "EngineVersion": "99.1"},
        },
        "Endpoint": {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {"ServiceName": sub("com.amazonaws.${AWS::Region}.nonesuch"), "VpcEndpointType": "Interface"},
        },
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": sub("taken-${EnvironmentSuffix}-${AWS::AccountId}")}},
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": sub("gone-${EnvironmentSuffix}")}},
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": ref("AWS::NoValue")}},
        "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": get("Other", "Block")}},
        "Trail": {"Type": "AWS::CloudTrail::Trail", "Properties": {}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"ReservedConcurrentExecutions": 100000}},
        "Unnamed": {"Type": "AWS::S3::Bucket", "Properties": {}},
        "Nameless": {"Type": "AWS::SecretsManager::Secret", "Properties": {}},
        "Value": parameter(f"x{suffix}"),
    }


def test_all_that_is_lacking_is_told_at_once_with_its_remedy_and_nothing_changes(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator
) -> None:
    bucket, secret = f"taken-{checkout.suffix}-123456789012", f"gone-{checkout.suffix}"
    checkout.layer("data", lacking(checkout.suffix), parameters=ZONES)
    aws.client("s3", REGION).create_bucket(Bucket=bucket)
    aws.client("secretsmanager", REGION).create_secret(Name=secret, SecretString="x")
    aws.client("secretsmanager", REGION).delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    with pytest.raises(NotReadyError) as refused:
        run(checkout, clients)
    told = refused.value.findings
    beginnings = (
        f"{REGION} has no Availability Zone use1-az9 for this account. It has use1-az1, ",
        f"RDS in {REGION} does not offer db.nonesuch for aurora-postgresql 15.4. See what it offers: aws rds describe-orderable",
        f"ElastiCache in {REGION} does not offer redis 99.1, which {checkout.id('data')} asks for. It has ",
        f"{REGION} offers no VPC endpoint for com.amazonaws.{REGION}.nonesuch, which {checkout.id('data')} asks for.",
        f"{REGION}: Lambda may run ",
        f"The bucket {bucket}, which {checkout.id('data')} would make, exists in this account",
        f"The secret {secret} in {REGION}, which {checkout.id('data')} would make, is deleted only after 20",
    )
    assert [next((start for start in beginnings if text.startswith(start)), text) for text in told] == list(beginnings)
    assert cfn.describe(clients("cloudformation", REGION), checkout.stack("data")) is None


class Says:
    """A client that gives the same answer to whatever it is asked."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer

    def get_paginator(self, _: str) -> Says:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [self.answer]

    def __getattr__(self, _: str) -> Any:
        return lambda **_: self.answer


def wanted(checkout: Checkout, type_: str, **properties: Any) -> Wanted:
    checkout.layer("data")
    return Wanted(checkout.graph().stacks[0], "Thing", type_, properties)


HERE = Says(AvailabilityZones=[{"ZoneId": f"z{n}", "ZoneName": f"here{n}"} for n in (1, 2)])


def test_a_class_that_lacks_in_a_zone_is_told_with_the_zone() -> None:
    offers = Says(OrderableDBInstanceOptions=[{"AvailabilityZones": [{"Name": "here1"}]}])
    found = list(account_checks.not_orderable("r", offers, ("postgres", "15.19", "db.t4g.micro"), ("z1", "z2", "z3"), HERE))
    assert [text[:65] for text in found] == ["RDS in r does not offer db.t4g.micro for postgres 15.19 in z2. Se"]
    assert list(account_checks.not_orderable("r", offers, ("postgres", "", "db.t4g.micro"), ("z1",), HERE)) == []


def test_an_endpoint_that_lacks_in_a_zone_is_told_with_the_zone(checkout: Checkout) -> None:
    here = Says(ServiceDetails=[{"ServiceName": "s", "AvailabilityZones": ["here2"]}], **HERE.answer)
    interface = wanted(checkout, account_checks.ENDPOINT, ServiceName="s", VpcEndpointType="Interface")
    assert list(account_checks.absent_services("r", here, [interface], ("z1", "z2"))) == [
        "The VPC endpoint of s is not offered in z1. Name other zones"
    ]
    gateway = wanted(checkout, account_checks.ENDPOINT, ServiceName="s", VpcEndpointType="Gateway")
    assert list(account_checks.absent_services("r", here, [gateway], ("z1", "z2"))) == []
    assert list(account_checks.absent_services("r", here, [interface], ("z2",))) == []
    assert list(account_checks.absent_services("r", here, [wanted(checkout, account_checks.ENDPOINT)], ("z1",))) == []


def test_quotas_are_compared_with_what_there_is_and_what_is_to_be_made() -> None:
    quotas = Says(Quota={"Value": 5.0})
    assert list(account_checks.above_quota("r", quotas, 2, lambda: 3, "vpc", "L-1", "VPCs")) == []
    (text,) = account_checks.above_quota("r", quotas, 2, lambda: 4, "vpc", "L-1", "VPCs")
    assert text.startswith("r: 2 VPCs are to be made, 4 are there, and 5 are allowed. Ask for more: aws service-quotas")
    assert text.endswith("--desired-value 6")
    trails = Says(trailList=[{}] * 4)
    assert list(account_checks.too_many_trails("r", trails, 1)) == []
    (text,) = account_checks.too_many_trails("r", trails, 2)
    assert text.startswith("r: 2 trails are to be made, 4 are there, and CloudTrail allows no more than 5.")


@pytest.mark.parametrize(("free", "reserved", "ready_"), [(10, 0, True), (9, 0, False), (110, 10, True), (109, 10, False)])
def test_lambda_must_keep_what_nobody_reserves(checkout: Checkout, free: int, reserved: int, *, ready_: bool) -> None:
    account = Says(AccountLimit={"UnreservedConcurrentExecutions": free})
    more = {"ReservedConcurrentExecutions": reserved} if reserved else {}
    found = list(account_checks.too_little_concurrency("r", account, [wanted(checkout, account_checks.FUNCTION, **more)]))
    assert (found == []) is ready_


def test_a_version_may_be_a_beginning_and_none_is_whatever_there_is(checkout: Checkout) -> None:
    versions = Says(CacheEngineVersions=[{"EngineVersion": "7.1.0"}])
    for given, fits in (
        ({"EngineVersion": "7.1"}, True),
        ({"EngineVersion": "7"}, True),
        ({"EngineVersion": "7.10"}, False),
        ({}, True),
    ):
        asked = wanted(checkout, account_checks.CACHE, Engine="redis", **given)
        assert (list(account_checks.no_such_cache("r", versions, asked)) == []) is fits


class Refuses:
    """A client that refuses everything with one code."""

    class exceptions:  # noqa: N801  as botocore calls it
        class ResourceNotFoundException(Exception):  # noqa: N818
            """The secret is not there."""

    def __init__(self, code: str) -> None:
        self.code = code

    def head_bucket(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "HeadBucket")


def test_a_bucket_that_is_somebody_elses_is_taken_too(checkout: Checkout) -> None:
    bucket = wanted(checkout, account_checks.BUCKET, BucketName="b")
    assert list(account_checks.taken_bucket("r", Refuses("404"), bucket)) == []
    (text,) = account_checks.taken_bucket("r", Refuses("403"), bucket)
    assert "exists where this caller may not look; bucket names are the whole world's" in text
    with pytest.raises(ClientError):
        list(account_checks.taken_bucket("r", Refuses("SlowDown"), bucket))


def test_a_secret_that_stands_is_taken_too(checkout: Checkout, aws: emulator.Emulator) -> None:
    name = f"stands-{checkout.suffix}"
    manager = aws.client("secretsmanager", REGION)
    secret = wanted(checkout, account_checks.SECRET, Name=name)
    assert list(account_checks.taken_secret(REGION, manager, secret)) == []
    manager.create_secret(Name=name, SecretString="x")
    (text,) = account_checks.taken_secret(REGION, manager, secret)
    assert "exists outside of any stack" in text


def test_what_cannot_be_asked_is_said_and_stops_nothing() -> None:
    def denied() -> list[str]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "DescribeTrails")

    def silent() -> list[str]:
        raise ReadTimeoutError(endpoint_url="x")

    found = preflight.gathered([Check("trails in r", denied), Check("secrets in r", silent), Check("zones", lambda: ["one"])])
    assert found.findings == ("one",)
    assert found.unseen == ("trails in r: AccessDenied on DescribeTrails", "secrets in r: ReadTimeoutError")


def test_a_region_that_the_account_has_not_opted_in_to_is_a_finding(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    standing = reachable_regions.look(clients, (REGION,)).standing
    seen = reachable_regions.Seen(standing, {"eu-south-1": "closed"}, frozenset({"eu-south-1"}))
    found = preflight.check(checkout.graph(), clients, seen)
    assert found.findings == (
        "The account has not opted in to eu-south-1: aws account enable-region --region-name eu-south-1, which takes some"
        " minutes",
    )


def test_stacks_that_stand_are_asked_nothing(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    assert list(account_checks.checks(checkout.graph(), clients, reachable_regions.look(clients, (REGION,)))) == []
