"""What is found before the first call that changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import deploy
import emulator
from chain.cloudformation import stack as cfn
from chain.deploy.preflight import opt_ins
from chain.environment.exit_codes import Exit, InputError, NotReadyError
from tests.support import unmeasured
from tests.support.chain import two_regions
from tests.support.chain.checkout import Checkout, get, ref, sub
from tests.support.chain.deployment import run
from tests.support.chain.two_regions import AWAY, HOME


@pytest.fixture
def fresh() -> Iterator[emulator.Emulator]:
    """An account of its own, for its settings are changed."""
    with unmeasured.running(databases=False) as running:
        yield running


def backed_up(checkout: Checkout, resources: list[Any], sites: dict[str, str] = two_regions.PRIMARY, **more: Any) -> None:
    """A plan that backs these up; cluster, table and bucket stand beside it."""
    checkout.layer(
        "data",
        {
            "Cluster": {"Type": "AWS::RDS::DBCluster", "Properties": {}},
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
        },
        sites=sites,
        outputs={"ClusterArn": get("Cluster", "DBClusterArn"), "TableArn": get("Table", "Arn"), "Topic": ref("Topic")},
    )
    checkout.layer("objects", {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {}}}, sites=sites)
    selection = {"SelectionName": "all", "IamRoleArn": "arn:aws:iam::1:role/x", **({"Resources": resources} if resources else {})}
    checkout.layer(
        "backup",
        {
            "Plan": {"Type": "AWS::Backup::BackupPlan", "Properties": {}},
            "Selection": {
                "Type": "AWS::Backup::BackupSelection",
                "Properties": {"BackupPlanId": ref("Plan"), "BackupSelection": selection},
            },
        },
        sites=sites,
        imports={"ClusterArn": "data.ClusterArn", "TableArn": "data.TableArn", "Topic": "data.Topic"},
        **more,
    )


def test_a_type_that_is_not_opted_in_is_told_with_the_command_and_nothing_changes(
    checkout: Checkout, fresh: emulator.Emulator
) -> None:
    backed_up(checkout, [ref("ClusterArn"), ref("TableArn")], two_regions.SITES)
    with pytest.raises(NotReadyError) as refused:
        run(checkout, fresh.client)
    command = "Nothing here changes the account's setting; this does: aws backup update-region-settings"
    assert refused.value.findings == tuple(
        sentence
        for region in (HOME, AWAY)
        for sentence in (
            f"AWS Backup in {region} is not opted in to Aurora, which shop backs up: its jobs would leave it out without an"
            f" error. {command} --region {region} --resource-type-opt-in-preference Aurora=true",
            f"AWS Backup in {region} does not manage DynamoDB fully, which shop backs up: recovery points would bear the key of"
            f" the table and could not be copied. {command} --region {region}"
            " --resource-type-management-preference DynamoDB=true",
        )
    )
    for region in (HOME, AWAY):
        assert cfn.sweep(fresh.client("cloudformation", region)) == {}
        assert not fresh.client("backup", region).describe_region_settings()["ResourceTypeOptInPreference"]["Aurora"]
    # The settings of an account are its owner's; here they are made by the words of the command.
    for region in (HOME, AWAY):
        fresh.client("backup", region).update_region_settings(
            ResourceTypeOptInPreference={"Aurora": True}, ResourceTypeManagementPreference={"DynamoDB": True}
        )
    assert list(opt_ins(checkout.graph(), fresh.client)) == []


def types(checkout: Checkout) -> set[str]:
    """The types that are asked for."""
    off = {"ResourceTypeOptInPreference": {}, "ResourceTypeManagementPreference": {}}

    class Nothing:
        """An account that is opted in to nothing."""

        def describe_region_settings(self) -> dict[str, Any]:
            return off

    return {
        text.split("opted in to ")[1].split(",")[0] for text in opt_ins(checkout.graph(), lambda *_: Nothing()) if "opted" in text
    }


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ([ref("ClusterArn")], {"Aurora"}),
        ([sub("${TableArn}")], {"DynamoDB", "Aurora", "S3"}),
        (["arn:aws:rds:eu-west-1:123456789012:cluster:other"], {"DynamoDB", "Aurora", "S3"}),
        ([ref("Topic")], {"DynamoDB", "Aurora", "S3"}),
        ([], {"DynamoDB", "Aurora", "S3"}),
    ],
)
def test_what_a_selection_names_is_traced_and_what_cannot_be_traced_is_everything(
    checkout: Checkout, resources: list[Any], asked: set[str]
) -> None:
    backed_up(checkout, resources)
    assert types(checkout) == asked


def test_a_resource_beside_its_selection_is_traced_too(checkout: Checkout) -> None:
    selection = {"SelectionName": "all", "IamRoleArn": "arn:aws:iam::1:role/x", "Resources": [get("Files", "Arn")]}
    checkout.layer(
        "all",
        {
            "Files": {"Type": "AWS::EFS::FileSystem", "Properties": {}},
            "Instance": {"Type": "AWS::RDS::DBInstance", "Properties": {}},
            "Selection": {"Type": "AWS::Backup::BackupSelection", "Properties": {"BackupSelection": selection}},
        },
    )
    assert types(checkout) == {"EFS"}


def test_plan_status_and_deploy_say_that_the_account_is_not_ready(
    checkout: Checkout, fresh: emulator.Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backed_up(checkout, [ref("ClusterArn")])
    for name, value in fresh.environment.items():
        monkeypatch.setenv(name, value)
    codes = {}
    for command in ("plan", "status", "deploy"):
        codes[command] = deploy.main([command, "--env", checkout.suffix], checkout.root)
        said = "".join(capsys.readouterr())
        assert f"AWS Backup in {HOME} is not opted in to Aurora" in said
    assert codes == {"plan": Exit.NOT_READY, "status": Exit.OK, "deploy": Exit.NOT_READY}
    assert said.endswith(f"Nothing was changed. When this is settled: make deploy ENV={checkout.suffix}\n")


def test_one_zone_under_two_names_is_refused(checkout: Checkout) -> None:
    zones = {f"Zone{letter}Id": {"Type": "String"} for letter in "ABC"}
    checkout.layer("network", parameters=zones, sites=two_regions.SITES)
    checkout.values(
        {
            "network": {"ZoneAId": "euw1-az1", "ZoneBId": "euw1-az2", "ZoneCId": "euw1-az3"},
            "recovery:network": {"ZoneAId": "euw2-az1", "ZoneBId": "euw2-az2", "ZoneCId": "euw2-az1"},
        }
    )
    with pytest.raises(InputError) as refused:
        checkout.graph()
    assert refused.value.problems == (
        f"parameters/shop/{checkout.suffix}.yaml: recovery:network.ZoneAId and ZoneCId are both euw2-az1;"
        " name different zones, or what should outlive the loss of one does not",
    )


def test_a_region_that_is_dark_is_not_asked_for_its_settings(checkout: Checkout) -> None:
    backed_up(checkout, [ref("ClusterArn")])
    assert list(opt_ins(checkout.graph(), lambda *_: None, {HOME})) == []
