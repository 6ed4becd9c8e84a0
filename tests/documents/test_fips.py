"""Which endpoints are validated is what botocore names, and nothing that a pattern would make up."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from documents import fips
from generator.systems.federal_records import FEDERAL_RECORDS
from generator.systems.ledger import LEDGER
from model.calls import Calls

TEMPLATE = {
    "Resources": {"Key": {"Type": "AWS::KMS::Key"}, "Files": {"Type": "AWS::EFS::FileSystem"}, "Db": {"Type": "AWS::RDS::X"}}
}


@pytest.mark.parametrize(
    ("service", "region", "host"),
    [
        ("kms", "eu-west-2", "kms-fips.eu-west-2.amazonaws.com"),
        ("elasticfilesystem", "eu-west-1", "elasticfilesystem-fips.eu-west-1.amazonaws.com"),
        ("rds", "eu-west-2", None),
        ("rds", "us-east-1", "rds-fips.us-east-1.amazonaws.com"),
        ("secretsmanager", "eu-west-2", None),
        ("iam", "eu-west-2", "iam-fips.amazonaws.com"),
        ("kms", "mars-north-1", None),
    ],
)
def test_an_endpoint_is_the_one_that_is_named_for_its_region(service: str, region: str, host: str | None) -> None:
    assert fips.endpoint(service, region) == host


def test_services_are_called_as_their_endpoints_are() -> None:
    assert fips.services_of(TEMPLATE) == {"kms", "elasticfilesystem", "rds"}


def test_the_page_has_a_row_for_each_service_and_says_where_there_is_none() -> None:
    deploys = [
        Calls("LookAround", ("tag:GetResources",)),
        Calls("ReadQuotas", ("servicequotas:ListServiceQuotas",), "AWS::EC2::VPC"),
    ]
    page = fips.document([(FEDERAL_RECORDS, {"any": TEMPLATE}), (LEDGER, {"other": {}})], deploys)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert rows[0] == "| service | eu-west-1 | eu-west-2 |"
    assert "| kms | `kms-fips.eu-west-1.amazonaws.com` | `kms-fips.eu-west-2.amazonaws.com` |" in rows
    assert "| rds | none | none |" in rows
    assert "| tagging | none | none |" in rows
    assert "servicequotas" not in page  # asked only where a network is made
    assert "For federal-records:" in page


def test_every_service_of_the_committed_page_is_known_to_botocore() -> None:
    data = json.loads((files("botocore") / "data/endpoints.json").read_text("utf-8"))
    known = data["partitions"][0]["services"]
    page = Path("docs/fips.md").read_text()
    services = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")][1:]
    assert {"kms", "rds", "elasticache", "tagging"} <= set(services) <= set(known)
