"""What the architecture of a system is, by its templates: what waits for what, what is copied where, what watches what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model import BOTH, PRIMARY, RECOVERY, Document, Site, read
from model.architecture import alarm_rule, copies, copies_by, fed_by, followers, is_copy, source_of, watches, where
from model.view import Resource, View

ROOT = Path(__file__).parents[2]
REGIONS = {PRIMARY: "eu-west-1", RECOVERY: "eu-west-2"}


def _view(system: str) -> View:
    return View({path.stem: read(path.read_text()) for path in sorted((ROOT / "templates" / system).glob("*.yaml"))})


def _layer(
    resources: Mapping[str, Any], *sites: Site, imports: Mapping[str, str] | None = None, packages: bool = False, **outputs: Any
) -> Document:
    """One template; ``sites`` are where it stands, outputs are given by name."""
    layer = {
        "Sites": {site: REGIONS[site] for site in sites or (PRIMARY,)},
        "Imports": imports or {},
        "Packages": ["x"] * packages,
    }
    offered = {name: {"Value": value} for name, value in outputs.items()}
    return {"Metadata": {"Layer": layer}, "Resources": dict(resources), "Outputs": offered}


def _of(type_: str, **properties: Any) -> Document:
    return {"Type": f"AWS::{type_}", "Properties": properties}


def _ref(name: str) -> Document:
    return {"Ref": name}


def _ends(view: View, how: str) -> set[tuple[str, str]]:
    return {
        (".".join(edge.source[1:]) + f"@{edge.source[0]}", ".".join(edge.target[1:]) + f"@{edge.target[0]}")
        for edge in copies(view)
        if edge.how == how
    }


def _resource(view: View, layer: str, title: str) -> Resource:
    found = view.resource(layer, title)
    assert found is not None
    return found


def test_a_stack_waits_for_what_feeds_it_at_its_own_site_or_at_the_one_named_and_for_the_bucket_of_its_packages() -> None:
    layers = {
        "artifacts": _layer({}, *BOTH),
        "a": _layer({}, *BOTH),
        "b": _layer({}, *BOTH, imports={"P": "a.Out", "Q": "a.Other", "R": "primary:a.Out"}, packages=True),
    }
    assert fed_by(layers) == {
        **{(site, layer): () for layer in ("artifacts", "a") for site in BOTH},
        (PRIMARY, "b"): ((PRIMARY, "a"), (PRIMARY, "artifacts")),
        (RECOVERY, "b"): ((RECOVERY, "a"), (PRIMARY, "a"), (RECOVERY, "artifacts")),
    }


def test_copies_lead_from_the_source_to_the_replica() -> None:
    federal = _view("federal-records")
    assert _ends(federal, "read replica") == {("database.Instance@primary", "database-replica.Instance@recovery")}
    assert _ends(federal, "replication of files") == {("files.FileSystem@primary", "files-replica.FileSystem@recovery")}
    assert _ends(federal, "copies of recovery points") == {
        ("vault.Vault@primary", "vault.Vault@recovery"),
        ("vault.Vault@recovery", "vault.Vault@primary"),
    }
    healthcare = _view("healthcare")
    assert _ends(healthcare, "global database") == {("aurora.Cluster@primary", "aurora-secondary.Cluster@recovery")}
    assert _ends(healthcare, "replication of objects") == {("objects.Bucket@primary", "objects-replica.Bucket@recovery")}
    assert _ends(healthcare, "recovery points") == {("aurora.Cluster@primary", "vault.Vault@primary")}
    assert _ends(healthcare, "replica of the secret") == {("secrets.DatabaseSecret@primary", "secrets.DatabaseSecret@recovery")}


def test_what_names_another_site_stands_there_and_what_is_off_or_cannot_be_followed_is_no_copy() -> None:
    named = {
        "One": ({"Fn::Sub": "${AwayName}"}, "Enabled"),
        "Two": (_ref("Given"), "Enabled"),
        "Three": ("by-hand", "Enabled"),
        "Off": (_ref("AwayName"), "Disabled"),
    }
    buckets = {
        name: _of("S3::Bucket", ReplicationConfiguration={"Rules": [{"Status": status, "Destination": {"Bucket": value}}]})
        for name, (value, status) in named.items()
    }
    view = View(
        {
            "away": _layer({"Bucket": _of("S3::Bucket")}, RECOVERY, Name=_ref("Bucket")),
            "home": _layer(buckets, imports={"AwayName": "recovery:away.Name", "Given": "recovery:away.Missing"}),
        }
    )
    assert _ends(view, "replication of objects") == {("home.One@primary", "away.Bucket@recovery")}
    assert [one.layer for one in followers(_resource(view, "home", "One"))] == ["away"]
    assert is_copy(_resource(view, "away", "Bucket"))
    assert not is_copy(_resource(view, "home", "One"))


def test_a_value_of_a_layer_at_both_sites_denotes_the_resource_of_the_asking_site() -> None:
    view = View(
        {"keys": _layer({"Key": _of("KMS::Key")}, *BOTH, Arn=_ref("Key")), "a": _layer({}, *BOTH, imports={"K": "keys.Arn"})}
    )
    key = _resource(view, "keys", "Key")
    assert [where(key, "a", _ref("K"), site) for site in BOTH] == [(site, "keys", "Key") for site in BOTH]


def _backed_up(plan: Document, selection: Document) -> View:
    vaults = {"Hourly": _of("Backup::BackupVault"), "Daily": _of("Backup::BackupVault")}
    away = _layer({"Vault": _of("Backup::BackupVault")}, RECOVERY, Arn=_ref("Vault"))
    resources = {"Plan": plan, "Bucket": _of("S3::Bucket"), "Selection": selection, **vaults}
    return View({"away": away, "backup": _layer(resources, imports={"Away": "recovery:away.Arn"})})


def _plan(*rules: Document) -> Document:
    return _of("Backup::BackupPlan", BackupPlan={"BackupPlanRule": list(rules)})


def _selection(plan: Any) -> Document:
    return _of("Backup::BackupSelection", BackupPlanId=plan, BackupSelection={"Resources": [_ref("Bucket")]})


def test_each_rule_of_a_plan_keeps_and_copies_from_its_own_vault() -> None:
    copied = {"TargetBackupVault": _ref("Daily"), "CopyActions": [{"DestinationBackupVaultArn": _ref("Away")}]}
    view = _backed_up(_plan({"TargetBackupVault": _ref("Hourly")}, copied), _selection(_ref("Plan")))
    assert _ends(view, "recovery points") == {
        ("backup.Bucket@primary", "backup.Hourly@primary"),
        ("backup.Bucket@primary", "backup.Daily@primary"),
    }
    assert _ends(view, "copies of recovery points") == {("backup.Daily@primary", "away.Vault@recovery")}


@pytest.mark.parametrize(("vault", "plan"), [("by-hand", _ref("Plan")), (_ref("Daily"), "by-hand")])
def test_a_backup_whose_vault_or_plan_is_unknown_leads_nowhere(vault: Any, plan: Any) -> None:
    assert list(copies(_backed_up(_plan({"TargetBackupVault": vault}), _selection(plan)))) == []


@pytest.mark.parametrize("region", ["eu-west-2", {"Fn::Select": [3, {"Fn::Split": [":", _ref("Key")]}]}])
def test_a_secret_is_copied_to_the_region_that_it_names_with_or_without_a_key(region: Any) -> None:
    secret = _of("SecretsManager::Secret", ReplicaRegions=[{"Region": region}, {"Region": "eu-west-1"}, {"Region": "elsewhere"}])
    away = _layer({"Key": _of("KMS::Key")}, RECOVERY, Arn=_ref("Key"))
    view = View({"away": away, "home": _layer({"Secret": secret}, imports={"Key": "recovery:away.Arn"})})
    assert _ends(view, "replica of the secret") == {("home.Secret@primary", "home.Secret@recovery")}


@pytest.mark.parametrize(
    ("type_", "name", "follows"),
    [
        ("RDS::DBInstance", "SourceDBInstanceIdentifier", True),
        ("RDS::DBInstance", "SourceDBClusterIdentifier", True),
        ("RDS::DBCluster", "ReplicationSourceIdentifier", True),
        ("RDS::DBCluster", "SourceDBClusterIdentifier", False),  # what it was restored from
    ],
)
def test_a_database_is_a_copy_of_what_it_follows_and_not_of_what_it_was_restored_from(
    type_: str, name: str, follows: bool
) -> None:
    kind = "RDS::DBCluster" if "Cluster" in name or "Replication" in name else "RDS::DBInstance"
    view = View({"a": _layer({"Source": _of(kind), "Copy": _of(type_, **{name: _ref("Source")})})})
    source, copy = (_resource(view, "a", title) for title in ("Source", "Copy"))
    assert bool(copies_by(copy.type, copy.properties)) is is_copy(copy) is follows
    assert source.is_(source_of(copy)) is follows
    assert [one.id for one in followers(source)] == (["Copy"] if follows else [])
    foreign = View({"a": _layer({"Copy": _of(type_, **{name: "by-hand"})})})
    assert is_copy(_resource(foreign, "a", "Copy")) is follows
    assert source_of(_resource(foreign, "a", "Copy")) is None


def test_an_alarm_watches_what_its_dimensions_refer_to_or_name_in_its_own_region() -> None:
    def alarm(value: Any) -> Document:
        return _of("CloudWatch::Alarm", Dimensions=[{"Name": "FunctionName", "Value": value}])

    function = _of("Lambda::Function", FunctionName={"Fn::Sub": "f-${EnvironmentSuffix}"})
    spelt = {"Fn::Join": ["-", ["f", _ref("EnvironmentSuffix")]]}
    query = {"MetricStat": {"Metric": alarm(_ref("Function"))["Properties"]}}
    here = {"Function": function, "Referred": alarm(_ref("Function")), "Spelt": alarm(spelt), "Other": alarm("g"),
            "Calculated": _of("CloudWatch::Alarm", Metrics=[query, {"Expression": "a"}])}  # fmt: skip
    view = View({"here": _layer(here), "there": _layer({"Function": function, "Spelt": alarm(spelt)}, RECOVERY)})

    def watchers(layer: str, dimension: str = "") -> list[str]:
        one = _resource(view, layer, "Function")
        alarms = view.resources("AWS::CloudWatch::Alarm")
        return [f"{each.layer}.{each.id}" for each in alarms if watches(each, one, dimension)]

    assert watchers("here") == watchers("here", "FunctionName") == ["here.Referred", "here.Spelt", "here.Calculated"]
    assert watchers("here", "TableName") == []
    assert watchers("there") == ["there.Spelt"]


def test_a_composite_alarm_speaks_of_alarms_by_name_by_arn_and_under_other_names() -> None:
    text = "ALARM(${One}) AND ALARM(${Two.Arn}) AND ALARM(${Given}) AND ALARM(${Missing})"
    alarms = {name: _of("CloudWatch::Alarm") for name in ("One", "Two", "Three")}

    def spoken(rule: Any) -> tuple[str, list[str]]:
        view = View({"a": _layer({**alarms, "Both": _of("CloudWatch::CompositeAlarm", AlarmRule=rule)})})
        said, found = alarm_rule(_resource(view, "a", "Both"))
        return said, [one.id if one is not None else "" for one in found]

    assert spoken({"Fn::Sub": [text, {"Given": _ref("Three")}]}) == (text, ["One", "Two", "Three", ""])
    assert spoken({"Fn::Sub": "ALARM(${One})"}) == ("ALARM(${One})", ["One"])
    assert spoken("ALARM(by-hand)") == ("", [])
