"""What regions offer and accounts may have, as preflight asks for it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator

HERE = "us-east-1"


def test_the_largest_region_has_six_zones_and_endpoints_in_all_of_them(aws: Emulator) -> None:
    zones = aws.client("ec2", HERE).describe_availability_zones()["AvailabilityZones"]
    assert [(each["ZoneId"], each["ZoneName"]) for each in zones][3:] == [
        (f"use1-az{number}", f"{HERE}{letter}") for number, letter in ((4, "d"), (5, "e"), (6, "f"))
    ]
    assert len(aws.client("ec2", "eu-west-1").describe_availability_zones()["AvailabilityZones"]) == 3
    name = f"com.amazonaws.{HERE}.kms-fips"
    filters = [{"Name": "service-name", "Values": [name, "com.amazonaws.us-east-1.nonesuch"]}]
    (found,) = aws.client("ec2", HERE).describe_vpc_endpoint_services(Filters=filters)["ServiceDetails"]
    assert (found["ServiceName"], len(found["AvailabilityZones"])) == (name, 6)


@pytest.mark.parametrize(
    ("class_", "offered"), [("db.t4g.medium", 1), ("db.serverless", 1), ("db.r6g.16xlarge", 1), ("db.t4g", 0)]
)
def test_database_classes_are_orderable_or_none_at_all(aws: Emulator, class_: str, offered: int) -> None:
    rds = aws.client("rds", HERE)
    options = rds.describe_orderable_db_instance_options(Engine="postgres", EngineVersion="15.19", DBInstanceClass=class_)
    assert len(options["OrderableDBInstanceOptions"]) == offered


def test_quotas_that_are_known_have_a_value_and_others_are_refused(aws: Emulator) -> None:
    quotas = aws.client("service-quotas", HERE)
    assert quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-F678F1CE")["Quota"]["Value"] == 500.0
    with pytest.raises(ClientError) as refused:
        quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-0")
    assert refused.value.response["Error"]["Code"] == "NoSuchResourceException"
