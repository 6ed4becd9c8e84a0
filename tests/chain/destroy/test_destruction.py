"""Destroy: in order, with full buckets, from any point, and with an audit that finds what is left."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

import emulator
from chain.cli import text as show
from chain.cloudformation import stack as cfn
from chain.cloudformation.account import Caller
from chain.cloudformation.stack import StackError, StackEvent, State
from chain.destroy import orphans
from chain.destroy.buckets import count, empty
from chain.destroy.destruction import StackToDelete, _reversed, destroy, survey
from chain.environment.templates import load
from chain.run.run import Run
from tests.support.chain.checkout import GATE, REGION, Checkout, Clients, Heard, parameter, ref, sub
from tests.support.chain.cloud import ACCOUNT
from tests.support.chain.deployment import change_set, run
from tests.support.chain.destruction import look, take_down
from tests.support.chain.proxy import Proxy, fault
from tests.support.chain.resources import bucket, fill
from tests.support.chain.waiting import in_background, open_gate, until


def test_everything_goes_in_reverse_order_with_full_buckets(checkout: Checkout, clients: Clients) -> None:
    checkout.layer(
        "keys", {"Key": {"Type": "AWS::KMS::Key", "Properties": {"PendingWindowInDays": 7}}}, outputs={"Id": ref("Key")}
    )
    checkout.layer("files", bucket("files"), imports={"KeysId": "keys.Id"}, outputs={"Name": ref("Bucket")})
    checkout.layer("reader", imports={"FilesName": "files.Name"})
    run(checkout, clients)
    name = f"files-{checkout.suffix}"
    fill(clients, name)
    found = look(checkout, clients)
    assert found.objects == {name: "4"}
    text = "\n".join(show.doomed(found))
    assert f"bucket {name}, 4 objects and versions" in text
    assert f"3 stacks of shop with the suffix {checkout.suffix} in us-east-1." in text
    heard = Heard()
    result = take_down(checkout, clients, heard)
    assert heard.order("deleted") == [checkout.id(layer) for layer in ("reader", "files", "keys")]
    assert result.failed == {}
    assert result.left == ()
    (key,) = result.pending
    assert ":key/" in key[0]
    assert key[1] is not None
    lines = list(show.destroyed(result, "make destroy"))
    assert lines[-1] == "3 stacks deleted; left: 1 KMS keys (waiting period)."
    again = take_down(checkout, clients)
    assert (again.deleted, again.left) == ((), ())


def test_what_was_given_an_output_of_another_site_goes_before_it(checkout: Checkout, clients: Clients) -> None:
    recovery = {"recovery": "us-west-2"}
    checkout.layer("target", sites=recovery, outputs={"Id": "t"})
    checkout.layer("source", imports={"Target": "recovery:target.Id"}, outputs={"Id": "s"})
    checkout.layer("replica", sites=recovery, imports={"Source": "primary:source.Id"})
    run(checkout, clients)
    heard = Heard()
    assert take_down(checkout, clients, heard).failed == {}
    assert [id_.split("/")[1] for id_ in heard.order("deleted")] == [
        checkout.stack(layer) for layer in ("replica", "source", "target")
    ]


def test_the_replication_of_a_file_system_ends_before_its_stack_is_deleted(checkout: Checkout, clients: Clients) -> None:
    unprotected = {"FileSystemProtection": {"ReplicationOverwriteProtection": "DISABLED"}}
    for layer, region, given in (("source", REGION, {}), ("target", "us-west-2", unprotected)):
        resources = {"Files": {"Type": "AWS::EFS::FileSystem", "Properties": {"Encrypted": True, **given}}}
        sites = {"primary" if region == REGION else "recovery": region}
        checkout.layer(layer, resources, sites=sites, outputs={"Id": ref("Files")})
    run(checkout, clients)
    ids = {
        region: cfn.describe(clients("cloudformation", region), checkout.stack(layer)).outputs["Id"]  # type: ignore[union-attr]
        for layer, region in (("source", REGION), ("target", "us-west-2"))
    }
    clients("efs", REGION).create_replication_configuration(
        SourceFileSystemId=ids[REGION], Destinations=[{"Region": "us-west-2", "FileSystemId": ids["us-west-2"]}]
    )
    heard = Heard()
    result = take_down(checkout, clients, heard)
    assert (result.failed, len(result.deleted)) == ({}, 2)
    assert f"replication of {ids[REGION]}" in {news.reason for news in heard if news.status == "stopped"}


def test_a_bucket_that_fills_again_is_emptied_again(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("files", bucket("busy"))
    run(checkout, clients)
    written = []

    def write_late(_: str) -> None:
        if not written:  # what still writes does so between the emptying and the deletion
            clients("s3", REGION).put_object(Bucket=f"busy-{checkout.suffix}", Key="late", Body=b"x")
            written.append(True)

    between.says["DeleteStack"] = write_late
    heard = Heard()
    result = take_down(checkout, between.clients(), heard)
    assert result.deleted == (checkout.id("files"),)
    assert ("Bucket", "DELETE_FAILED") in {(news.resource, news.status) for news in heard}


def test_a_deletion_that_fails_twice_names_the_blocker_and_goes_on_elsewhere(
    checkout: Checkout, clients: Clients, between: Proxy
) -> None:
    checkout.layer("base", outputs={"Name": "x"})
    checkout.layer("files", bucket("stuck"), imports={"BaseName": "base.Name"})
    checkout.layer("other")
    run(checkout, clients)
    name = f"stuck-{checkout.suffix}"
    between.says["DeleteStack"] = lambda _: clients("s3", REGION).put_object(Bucket=name, Key="late", Body=b"x") and None
    heard = Heard()
    result = take_down(checkout, between.clients(), heard)
    assert result.deleted == (checkout.id("other"),)
    assert result.held == {checkout.id("base"): (checkout.id("files"),)}
    failure = result.failed[checkout.id("files")]
    assert (failure.resource, failure.type, failure.status) == ("Bucket", "AWS::S3::Bucket", "DELETE_FAILED")
    lines = "\n".join(show.destroyed(result, "make destroy ENV=x"))
    assert f"FAILED  {checkout.id('files')} (DELETE_FAILED)" in lines
    assert f"holds back: {checkout.id('base')}" in lines
    assert "go on with: make destroy ENV=x" in lines
    assert heard.order("failed") == [checkout.id("files")]

    assert set(take_down(checkout, clients).deleted) == {checkout.id("files"), checkout.id("base")}, "run again, it ends"


def test_a_layer_that_no_longer_exists_is_found_by_its_tags(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("keys", outputs={"Name": "x"})
    gone = checkout.layer("gone", imports={"KeysName": "keys.Name"}, packages=())
    run(checkout, clients)
    gone.unlink()
    heard = Heard()
    take_down(checkout, clients, heard)
    assert heard.order("deleted") == [checkout.id("gone"), checkout.id("keys")]


def test_other_systems_and_environments_stay(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    checkout.layer("data", system="bank")
    run(checkout, clients)
    other = Checkout(checkout.root, f"{checkout.suffix}x")
    run(other, clients)
    templates = load(checkout.root / "templates", ["shop"])
    found = survey(templates, checkout.suffix, clients, ACCOUNT)
    destroy(found, templates, Run(clients, report=Heard(), caller=Caller(ACCOUNT, "", ())), patience=0)
    cloudformation = clients("cloudformation", REGION)
    assert cfn.describe(cloudformation, checkout.stack("data")) is None
    assert cfn.describe(cloudformation, checkout.stack("data", "bank")) is not None
    assert cfn.describe(cloudformation, other.stack("data")) is not None


def test_a_stack_that_is_not_ours_is_named_and_stays(checkout: Checkout, clients: Clients) -> None:
    path = checkout.layer("data")
    given = [{"ParameterKey": "EnvironmentSuffix", "ParameterValue": checkout.suffix}]
    clients("cloudformation", REGION).create_stack(
        StackName=checkout.stack("data"), TemplateBody=path.read_text(), Parameters=given
    )
    found = look(checkout, clients)
    assert (found.stacks, found.foreign) == ((), (checkout.id("data"),))
    assert f"{checkout.id('data')}  is not ours (its tags say otherwise) and stays" in list(show.doomed(found))


def test_a_change_set_that_was_never_executed_goes_too_unless_it_is_not_ours(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    change_set(checkout, clients, f"{cfn.PREFIX}killed")
    assert take_down(checkout, clients).deleted == (checkout.id("data"),)
    change_set(checkout, clients, "theirs")
    assert look(checkout, clients).foreign == (checkout.id("data"),)


def test_a_stack_that_moves_is_waited_for(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("slow", GATE)
    made = in_background(lambda: run(checkout, clients))
    cloudformation = clients("cloudformation", REGION)
    until(lambda: (state := cfn.describe(cloudformation, checkout.stack("slow"))) and state.status == "CREATE_IN_PROGRESS")
    found = look(checkout, clients)
    heard = Heard()
    templates = load(checkout.root / "templates")
    gone = in_background(
        lambda: destroy(found, templates, Run(clients, report=heard, caller=Caller(ACCOUNT, "", ())), patience=0)
    )
    until(lambda: heard.order("CREATE_IN_PROGRESS"))
    open_gate(clients, checkout.stack("slow"))
    made()
    assert gone().deleted == (checkout.id("slow"),)


def test_two_runs_at_once_both_end_clean(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    runs = [in_background(lambda: take_down(checkout, clients)) for _ in range(2)]
    assert [result().failed for result in runs] == [{}, {}]


def test_stacks_of_different_commits_that_need_each_other_go_all_the_same(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("one", outputs={"Out": "x"})
    checkout.layer("two", imports={"OneOut": "one.Out"}, outputs={"Out": "y"})
    run(checkout, clients)
    checkout.layer("two", {"Value": parameter("two", "new")}, outputs={"Out": "y"})
    run(checkout, clients)
    checkout.layer("one", {"Value": parameter("one", ref("TwoOut"))}, imports={"TwoOut": "two.Out"}, outputs={"Out": "x"})
    run(checkout, clients)
    found = look(checkout, clients)
    tangled = [
        each.__class__(**{**each.__dict__, "needs": frozenset(other.id for other in found.stacks) - {each.id}})
        for each in found.stacks
    ]
    result = destroy(
        found.__class__(**{**found.__dict__, "stacks": tuple(tangled)}),
        load(checkout.root / "templates"),
        Run(clients, report=Heard(), caller=Caller(ACCOUNT, "", ())),
        patience=0,
    )
    assert len(result.deleted) == 2


def test_packages_put_the_artifacts_bucket_last(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("artifacts", bucket("artifacts"), outputs={"BucketName": ref("Bucket")})
    checkout.layer("function", packages=("p.zip",))
    (checkout.root / "out").mkdir()
    (checkout.root / "out" / "p.zip").write_bytes(b"x")
    run(checkout, clients)
    heard = Heard()
    take_down(checkout, clients, heard)
    assert heard.order("deleted") == [checkout.id("function"), checkout.id("artifacts")]


def test_trails_and_rotation_are_stopped_first(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    secret = {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Name": sub("s-${EnvironmentSuffix}"), "SecretString": "x"},
        },
    }
    checkout.layer("secrets", secret)
    run(checkout, clients)
    found = look(checkout, clients)
    (each,) = found.stacks
    arn = each.of("AWS::SecretsManager::Secret")[0]
    extra = (("Schedule", "AWS::SecretsManager::RotationSchedule", arn), ("Trail", "AWS::CloudTrail::Trail", "trail-no-such"))
    loud = each.__class__(**{**each.__dict__, "resources": (*each.resources, *extra)})
    between.says["CancelRotateSecret"] = lambda _: (200, "{}")
    heard = Heard()
    changed = found.__class__(**{**found.__dict__, "stacks": (loud,)})
    between.says["StopLogging"] = lambda _: (200, "{}")
    destroy(
        changed,
        load(checkout.root / "templates"),
        Run(between.clients(), report=heard, caller=Caller(ACCOUNT, "", ())),
        patience=0,
    )
    assert [news.reason for news in heard if news.status == "stopped"] == ["trail trail-no-such", f"rotation of {arn}"]
    assert between.seen.index("StopLogging") < between.seen.index("CancelRotateSecret") < between.seen.index("DeleteStack")

    between.says["StopLogging"] = lambda _: (400, '{"__type": "TrailNotFoundException", "message": "no such trail"}')
    heard.clear()
    destroy(
        changed,
        load(checkout.root / "templates"),
        Run(between.clients(), report=heard, caller=Caller(ACCOUNT, "", ())),
        patience=0,
    )
    assert [news.reason for news in heard if news.status == "stopped"] == [f"rotation of {arn}"]
    between.says["StopLogging"] = lambda _: (400, '{"__type": "AccessDeniedException", "message": "no"}')
    with pytest.raises(clients("cloudtrail", REGION).exceptions.ClientError, match="AccessDeniedException"):
        destroy(
            changed,
            load(checkout.root / "templates"),
            Run(between.clients(), report=Heard(), caller=Caller(ACCOUNT, "", ())),
            patience=0,
        )


def database() -> dict[str, Any]:
    """A function, a database and a log group by name; none is made here, for only their names matter."""
    return {
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": sub("work-${EnvironmentSuffix}")}},
        "Database": {"Type": "AWS::RDS::DBInstance", "Properties": {"DBInstanceIdentifier": sub("rds-${EnvironmentSuffix}")}},
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": sub("/flow/${Other}/${EnvironmentSuffix}")}},
        "Nameless": {"Type": "AWS::Lambda::Function", "Properties": {}},
        "Far": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": {"Fn::GetAtt": ["Function", "Arn"]}}},
    }


DELETED = (
    "<DeleteDBInstanceAutomatedBackupResponse><DeleteDBInstanceAutomatedBackupResult/></DeleteDBInstanceAutomatedBackupResponse>"
)


def test_late_logs_and_retained_backups_are_swept(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("database", database())
    checkout.layer("far", sites={"recovery": "us-west-2"})
    suffix = checkout.suffix
    logs = clients("logs", REGION)
    ours = [f"/aws/lambda/work-{suffix}", f"/aws/rds/instance/rds-{suffix}/postgresql"]
    theirs = [
        f"/aws/lambda/work-{suffix}x",
        f"/aws/lambda/healthcare-work-{suffix}",
        f"/aws/rds/instance/rds-{suffix}x/postgresql",
    ]
    for name in ours + theirs:
        logs.create_log_group(logGroupName=name)
    backups = [(f"rds-{suffix}", "retained", "db-1"), (f"rds-{suffix}", "active", "db-2"), ("another", "retained", "db-3")]
    listed = "".join(
        f"<DBInstanceAutomatedBackup><DBInstanceIdentifier>{name}</DBInstanceIdentifier><Status>{status}</Status>"
        f"<DbiResourceId>{id_}</DbiResourceId></DBInstanceAutomatedBackup>"
        for name, status, id_ in backups
    )
    operation = "DescribeDBInstanceAutomatedBackups"
    result = f"<{operation}Result><DBInstanceAutomatedBackups>{listed}</DBInstanceAutomatedBackups></{operation}Result>"
    between.says[operation] = lambda _: (200, f"<{operation}Response>{result}</{operation}Response>")
    deleted: list[str] = []
    between.says["DeleteDBInstanceAutomatedBackup"] = lambda body: deleted.append(body) or (200, DELETED)
    found = look(checkout, between.clients())
    assert set(found.leftovers) == {
        *(f"us-east-1  log group {name}" for name in ours),
        f"us-east-1  automated backup of rds-{suffix}",
    }
    assert f"us-east-1  automated backup of rds-{suffix}  is left from before" in list(show.doomed(found))
    swept = take_down(checkout, between.clients()).swept
    assert set(swept) == set(found.leftovers)
    assert [body for body in deleted if "DbiResourceId=db-1" in body] == deleted
    assert len(deleted) == 1
    remaining = {
        group["logGroupName"] for page in logs.get_paginator("describe_log_groups").paginate() for group in page["logGroups"]
    }
    assert remaining >= set(theirs)
    assert not remaining & set(ours)


def test_logs_that_come_late_of_a_layer_that_no_longer_exists_are_swept_too(checkout: Checkout, clients: Clients) -> None:
    name = f"/late/{checkout.suffix}"
    gone = checkout.layer("gone", {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}}})
    checkout.layer("data")
    run(checkout, clients)
    gone.unlink()

    class Late(Heard):
        def __call__(self, news: StackEvent) -> None:
            if (news.stack, news.status) == (checkout.id("gone"), "deleted"):
                clients("logs", REGION).create_log_group(logGroupName=name)

    assert take_down(checkout, clients, Late()).swept == (f"us-east-1  log group {name}",)


def test_what_is_left_is_listed_and_ends_the_wait_when_it_is_gone(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    tags = [{"Key": "System", "Value": "shop"}, {"Key": "Environment", "Value": checkout.suffix}]
    topic = clients("sns", REGION).create_topic(Name=f"left-{checkout.suffix}", Tags=tags)["TopicArn"]
    key = clients("kms", REGION).create_key(Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags])[
        "KeyMetadata"
    ]
    result = take_down(checkout, clients)
    assert set(result.left) == {f"us-east-1  {topic}", f"us-east-1  {key['Arn']}"}, (
        "a key that is not in its waiting period is left"
    )
    assert list(show.destroyed(result, "again"))[-2].endswith("left: 2 things above, and nothing.")
    clients("kms", REGION).schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    threading.Timer(0.5, lambda: clients("sns", REGION).delete_topic(TopicArn=topic)).start()
    patient = take_down(checkout, clients, patience=20)
    assert patient.left == ()
    assert [arn for arn, _ in patient.pending] == [key["Arn"]]
    stop = threading.Event()
    stop.set()
    topic = clients("sns", REGION).create_topic(Name=f"left-{checkout.suffix}", Tags=tags)["TopicArn"]
    assert orphans.audit(clients, REGION, ["shop"], checkout.suffix, cfn.Wait(stop), 20).left == (topic,)


GHOSTS = {
    "natgateway/nat-1": (
        "DescribeNatGateways",
        "<natGatewaySet><item><state>{}</state></item></natGatewaySet>",
        "deleted",
        "available",
    ),
    "vpc-endpoint/vpce-1": (
        "DescribeVpcEndpoints",
        "<vpcEndpointSet><item><state>{}</state></item></vpcEndpointSet>",
        "Deleted",
        "available",
    ),
}


@pytest.mark.parametrize("resource", GHOSTS)
def test_what_ec2_still_shows_after_its_deletion_is_not_left(between: Proxy, resource: str) -> None:
    operation, text, gone, there = GHOSTS[resource]
    arn = f"arn:aws:ec2:us-east-1:{ACCOUNT}:{resource}"
    between.says["GetResources"] = lambda _: (200, f'{{"ResourceTagMappingList": [{{"ResourceARN": "{arn}"}}]}}')
    for state, left in ((gone, ()), (there, (arn,))):
        between.says[operation] = lambda _, state=state: (200, f"<R>{text.format(state)}</R>")  # type: ignore[misc]
        found = orphans.audit(between.clients(), REGION, ["shop"], "dev", cfn.Wait(threading.Event()), 0)
        assert found.left == left


def test_what_the_tagging_api_names_for_too_long_is_not_left(between: Proxy) -> None:
    arns = [f"arn:aws:kms:us-east-1:{ACCOUNT}:key/none", f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/none/1"]
    listed = ", ".join(f'{{"ResourceARN": "{arn}"}}' for arn in arns)
    between.says["GetResources"] = lambda _: (200, f'{{"ResourceTagMappingList": [{listed}]}}')
    found = orphans.audit(between.clients(), REGION, ["shop"], "dev", cfn.Wait(threading.Event()), 0)
    assert (found.left, found.pending) == ((), ())


def test_buckets_are_counted_up_to_a_bound_and_may_be_gone(
    clients: Clients, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = clients("s3", REGION)
    name = f"count-{checkout.suffix}"
    assert count(s3, name) == "0"
    empty(s3, name)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    monkeypatch.setattr("chain.destroy.buckets.MOST", 0)
    assert count(s3, name) == "more than 0"


def test_an_emptied_bucket_holds_no_unfinished_upload_either(clients: Clients, checkout: Checkout) -> None:
    s3 = clients("s3", REGION)
    name = f"emptied-{checkout.suffix}"
    s3.create_bucket(Bucket=name)
    fill(clients, name)
    empty(s3, name)
    assert count(s3, name) == "0"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)


def test_a_bucket_that_refuses_is_told(clients: Clients, checkout: Checkout, between: Proxy) -> None:
    name = f"refuse-{checkout.suffix}"
    clients("s3", REGION).create_bucket(Bucket=name)
    clients("s3", REGION).put_object(Bucket=name, Key="k", Body=b"x")
    error = "<Error><Key>k</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    between.says[f"POST /{name}?delete"] = lambda _: (200, f"<DeleteResult>{error}</DeleteResult>")
    with pytest.raises(StackError, match=f"AccessDenied on deleting k from {name}: no"):
        empty(between.clients()("s3", REGION), name)
    for path in (f"GET /{name}?versions", f"GET /{name}?uploads"):
        between.says = {path: lambda _: (403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")}
        with pytest.raises(clients("s3", REGION).exceptions.ClientError, match="AccessDenied"):
            empty(between.clients()("s3", REGION), name)
    between.says = {f"GET /{name}?versions": lambda _: (403, "<Error><Code>AccessDenied</Code></Error>")}
    with pytest.raises(clients("s3", REGION).exceptions.ClientError, match="AccessDenied"):
        count(between.clients()("s3", REGION), name)


def test_an_interrupt_starts_no_further_deletion(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    stop = threading.Event()
    stop.set()
    heard = Heard()
    result = destroy(
        look(checkout, clients),
        load(checkout.root / "templates"),
        Run(clients, report=heard, caller=Caller(ACCOUNT, "", ()), stop=stop),
        patience=0,
    )
    assert list(result.failed) == heard.order("interrupted") == [checkout.id("data")]
    assert heard.order("failed") == []
    assert cfn.describe(clients("cloudformation", REGION), checkout.stack("data")) is not None
    assert fault("x")[0] == 400


BACKS_UP = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def backed_up(checkout: Checkout, clients: Clients) -> None:
    """A file system, a vault in each of two regions, and a plan whose role made a recovery point and a copy of it."""
    sites = {"primary": REGION, "recovery": "us-west-2"}
    checkout.layer("files", {"Files": {"Type": "AWS::EFS::FileSystem", "Properties": {}}}, outputs={"Id": ref("Files")})
    vault = {"Type": "AWS::Backup::BackupVault", "Properties": {"BackupVaultName": sub("vault-${EnvironmentSuffix}")}}
    checkout.layer("vault", {"Vault": vault}, sites=sites, outputs={"Name": ref("Vault")})
    role = {"RoleName": sub("backing-${EnvironmentSuffix}"), "AssumeRolePolicyDocument": BACKS_UP}
    rule = {
        "RuleName": "daily",
        "TargetBackupVault": ref("VaultName"),
        "CopyActions": [
            {
                "DestinationBackupVaultArn": sub(
                    "arn:aws:backup:us-west-2:${AWS::AccountId}:backup-vault:vault-${EnvironmentSuffix}"
                )
            }
        ],
    }
    selected = {
        "SelectionName": sub("selection-${EnvironmentSuffix}"),
        "IamRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "Resources": [sub("arn:aws:elasticfilesystem:us-east-1:${AWS::AccountId}:file-system/${FilesId}")],
    }
    plan = {"BackupPlanName": sub("plan-${EnvironmentSuffix}"), "BackupPlanRule": [rule]}
    checkout.layer(
        "backup",
        {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Plan": {"Type": "AWS::Backup::BackupPlan", "Properties": {"BackupPlan": plan}},
            "Selection": {
                "Type": "AWS::Backup::BackupSelection",
                "Properties": {"BackupPlanId": ref("Plan"), "BackupSelection": selected},
            },
        },
        imports={"VaultName": "vault.Name", "FilesId": "files.Id"},
    )
    run(checkout, clients)


def points(checkout: Checkout, clients: Clients, region: str) -> list[str]:
    """The states of what a vault holds."""
    listed = clients("backup", region).list_recovery_points_by_backup_vault(BackupVaultName=f"vault-{checkout.suffix}")
    return [each["Status"] for each in listed["RecoveryPoints"]]


def test_vaults_of_all_regions_are_emptied_while_the_role_stands_that_made_what_they_hold(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator
) -> None:
    backed_up(checkout, clients)
    aws.opt_in()
    assert len(aws.back_up(f"plan-{checkout.suffix}")) == 2
    assert points(checkout, clients, REGION) == points(checkout, clients, "us-west-2") == ["COMPLETED"]
    heard = Heard()
    result = take_down(checkout, clients, heard)
    assert {id_: str(error) for id_, error in result.failed.items()} == {}
    assert f"backups of selection-{checkout.suffix}" in {news.reason for news in heard if news.status == "stopped"}
    order = [id_.split("/")[1].removesuffix(f"-{checkout.suffix}") for id_ in heard.order("deleted")]
    assert order.index("shop-backup") < order.index("shop-vault")


def test_points_whose_role_was_taken_away_are_called_expired_and_the_environment_is_not_green(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator
) -> None:
    backed_up(checkout, clients)
    aws.opt_in()
    aws.back_up(f"plan-{checkout.suffix}")
    clients("iam", REGION).delete_role(RoleName=f"backing-{checkout.suffix}")
    result = take_down(checkout, clients)
    assert set(result.failed) == {checkout.id("backup")}
    said = str(result.failed[checkout.id("backup")])
    assert "are EXPIRED" in said
    assert f"role/backing-{checkout.suffix}" in said
    assert "iam:CreateServiceLinkedRole" in said
    document = json.dumps(BACKS_UP)
    clients("iam", REGION).create_role(RoleName=f"backing-{checkout.suffix}", AssumeRolePolicyDocument=document)
    assert take_down(checkout, clients).failed == {}, "the remedy that it names helps"


def test_a_vault_goes_after_the_clusters_whose_own_backups_it_may_hold() -> None:
    def doomed(layer: str, type_: str, needs: frozenset[str] = frozenset(), system: str = "shop") -> StackToDelete:
        state = State(
            "arn:aws:cloudformation:us-east-1:1:stack/x/y",
            f"{system}-{layer}",
            "CREATE_COMPLETE",
            "",
            {},
            {},
            {},
            datetime.now(UTC),
        )
        return StackToDelete(system, REGION, state, ((layer, type_, layer),), needs)

    stacks = [
        doomed("vault", "AWS::Backup::BackupVault"),
        doomed("aurora", "AWS::RDS::DBCluster"),
        doomed("backup", "AWS::Backup::BackupPlan", frozenset({f"{REGION}/shop-vault", f"{REGION}/shop-aurora"})),
        doomed("aurora", "AWS::RDS::DBCluster", system="other"),
    ]
    after = _reversed(stacks)
    assert after[f"{REGION}/shop-vault"] == {f"{REGION}/shop-aurora", f"{REGION}/shop-backup"}
    assert after[f"{REGION}/shop-aurora"] == {f"{REGION}/shop-backup"}
    assert after[f"{REGION}/other-aurora"] == set()
