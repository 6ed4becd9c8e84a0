"""A system at two regions: wires across, values of a site, sources that must not be exchanged, and taking it apart."""

from __future__ import annotations

import json
import time
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

import emulator
from chain.cli import text as show
from chain.cloudformation import stack as cfn
from chain.cloudformation.account import Caller
from chain.cloudformation.durations import Durations
from chain.deploy.deployment import Result
from chain.deploy.plan import plan
from chain.destroy import restore_tests
from chain.destroy.destruction import destroy, remove
from chain.environment.exit_codes import NotReadyError
from chain.environment.templates import load
from chain.run.run import Run
from tests.support.chain import two_regions
from tests.support.chain.checkout import Checkout, Clients, Heard, parameter, sub
from tests.support.chain.cloud import ACCOUNT
from tests.support.chain.deployment import run
from tests.support.chain.destruction import look, take_down
from tests.support.chain.proxy import Proxy, fault
from tests.support.chain.two_regions import AWAY, HOME, fail_over

GIVEN = f"arn:aws:rds:{HOME}:123456789012:db:agency"


def actions(result: Result) -> dict[str, str]:
    """What was done, by region and layer."""
    assert not result.failed, {id_: str(error) for id_, error in result.failed.items()}
    return {id_: done.action for id_, done in result.done.items()}


def test_a_value_changed_at_one_site_changes_one_stack(checkout: Checkout, clients: Clients) -> None:
    two_regions.network(checkout)
    checkout.layer(
        "notes",
        {"Value": parameter("notes", {"Ref": "Note"})},
        parameters={"Note": {"Type": "String", "Default": "x"}},
        sites=two_regions.SITES,
        imports={"Vpc": "network.Id", "Other": "primary:network.Id"},
    )
    done = actions(run(checkout, clients))
    assert sorted(done.values()) == ["created"] * 4
    blocks = {
        region: clients("ec2", region).describe_vpcs(
            VpcIds=[run(checkout, clients).done[f"{region}/{checkout.stack('network')}"].outputs["Id"]]
        )["Vpcs"][0]["CidrBlock"]
        for region in (HOME, AWAY)
    }
    assert blocks == {HOME: "10.0.0.0/16", AWAY: "10.1.0.0/16"}
    checkout.values({"recovery:network": {"VpcCidr": "10.1.0.0/16"}, "recovery:notes": {"Note": "y"}})
    steps = {step.stack.id: step.action for step in plan(Run(clients, checkout.graph()))}
    changed = f"{AWAY}/{checkout.stack('notes')}"
    assert {id_ for id_, action in steps.items() if action != "none"} == {changed}
    done = actions(run(checkout, clients))
    assert {id_ for id_, action in done.items() if action != "unchanged"} == {changed}
    name = f"/notes/{checkout.suffix}"
    values = {region: clients("ssm", region).get_parameter(Name=name)["Parameter"]["Value"] for region in (HOME, AWAY)}
    assert values == {HOME: "x", AWAY: "y"}


def test_packages_come_into_the_bucket_of_each_region(checkout: Checkout, clients: Clients) -> None:
    two_regions.everything(checkout)
    actions(run(checkout, clients))
    for region in (HOME, AWAY):
        bucket = f"artifacts-{region}-{checkout.suffix}"
        assert clients("s3", region).get_object(Bucket=bucket, Key="work-1.zip")["Body"].read() == b"code"


def exchange(checkout: Checkout, clients: Clients, given: bool) -> str:
    """Give or take away the source of the replica that stands; what is said."""
    checkout.values({"replica": {"SourceDatabaseArn": GIVEN}} if given else {})
    before = {name: state.status for name, state in cfn.sweep(clients("cloudformation", AWAY)).items()}
    with pytest.raises(NotReadyError) as refused:
        run(checkout, clients)
    assert {name: state.status for name, state in cfn.sweep(clients("cloudformation", AWAY)).items()} == before
    (finding,) = refused.value.findings
    return finding


def test_naming_another_source_for_a_replica_that_stands_is_refused(checkout: Checkout, clients: Clients) -> None:
    two_regions.replica(checkout)
    assert len(actions(run(checkout, clients))) == 2
    said = exchange(checkout, clients, given=True)
    stands = f"arn:aws:rds:{HOME}:123456789012:db:source-{checkout.suffix}"
    assert said == (
        f"{AWAY}/{checkout.stack('replica')}: SourceDatabaseArn is given as {GIVEN}, but the stack stands with {stands}. That"
        " would replace Instance with a new one and the data with it. Put the value back as it was, or begin another environment"
    )
    checkout.values({"replica": {"SourceDatabaseArn": stands}})  # the same source by its name is no exchange
    assert actions(run(checkout, clients)) == {f"{AWAY}/{checkout.stack('replica')}": "unchanged"}


def test_taking_the_source_of_a_replica_that_stands_away_is_refused(checkout: Checkout, clients: Clients) -> None:
    two_regions.replica(checkout)
    rds = clients("rds", HOME)
    rds.create_db_instance(
        DBInstanceIdentifier=f"agency-{checkout.suffix}",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        BackupRetentionPeriod=1,
        **two_regions.CREDENTIALS,
    )
    arn = rds.describe_db_instances(DBInstanceIdentifier=f"agency-{checkout.suffix}")["DBInstances"][0]["DBInstanceArn"]
    checkout.values({"replica": {"SourceDatabaseArn": arn}})
    graph = checkout.graph()
    assert [stack.template.layer for stack in graph.stacks] == ["replica"]
    (out,) = graph.left_out
    assert out.stack == f"{HOME}/{checkout.stack('database')}"
    assert str(out) == f"{checkout.stack('database')} at primary: optional, and nothing here is wired to it"
    actions(run(checkout, clients))
    said = exchange(checkout, clients, given=False)
    assert (
        f"SourceDatabaseArn is no longer given, and would come from primary:database.Arn, but the stack stands with {arn}."
        in said
    )
    checkout.values({"replica": {"SourceDatabaseArn": arn}})
    assert set(actions(run(checkout, clients)).values()) == {"unchanged"}


def test_what_binds_the_regions_is_taken_apart_first(checkout: Checkout, clients: Clients) -> None:
    two_regions.everything(checkout)
    actions(run(checkout, clients))
    clients("s3", HOME).put_object(Bucket=f"objects-{checkout.suffix}", Key="k", Body=b"x")
    fail_over(checkout, clients)
    back_up(checkout, clients)
    heard = Heard()
    result = take_down(checkout, clients, heard)
    assert {id_: str(error) for id_, error in result.failed.items()} == {}
    assert result.left == ()
    assert f"{AWAY}  secret secret-{checkout.suffix}" in result.swept
    stopped = [news.reason for news in heard if news.status == "stopped"]
    arns = [reason.rpartition(":")[2] for reason in stopped if ":cluster:" in reason]
    assert arns == [f"aurora-{checkout.suffix}"], "the reader of now, which no template says joined"
    gone(checkout, clients)


def back_up(checkout: Checkout, clients: Clients) -> None:
    """A recovery point in the vault of each region, one a copy of the other."""
    backup, vault = clients("backup", HOME), f"vault-{checkout.suffix}"
    file_system = clients("efs", HOME).describe_file_systems()["FileSystems"][0]["FileSystemArn"]
    role = backup_role(clients, f"role-{checkout.suffix}")
    point = backup.start_backup_job(BackupVaultName=vault, ResourceArn=file_system, IamRoleArn=role)["RecoveryPointArn"]
    there = f"arn:aws:backup:{AWAY}:123456789012:backup-vault:{vault}"
    backup.start_copy_job(RecoveryPointArn=point, SourceBackupVaultName=vault, DestinationBackupVaultArn=there, IamRoleArn=role)
    for region in (HOME, AWAY):
        assert clients("backup", region).list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"]


def backup_role(clients: Clients, name: str) -> str:
    """A role with which recovery points are made, and deleted."""
    trust = {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    return str(clients("iam", HOME).create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


def gone(checkout: Checkout, clients: Clients) -> None:
    """Nothing of the environment is anywhere."""
    for region in (HOME, AWAY):
        assert not [name for name in cfn.sweep(clients("cloudformation", region)) if name.endswith(f"-{checkout.suffix}")]
        for service, operation, key in (
            ("efs", "describe_file_systems", "FileSystems"),
            ("rds", "describe_db_clusters", "DBClusters"),
            ("rds", "describe_global_clusters", "GlobalClusters"),
            ("rds", "describe_db_instances", "DBInstances"),
            ("secretsmanager", "list_secrets", "SecretList"),
        ):
            left = getattr(clients(service, region), operation)()[key]
            assert not [each for each in left if checkout.suffix in str(each)], (region, operation)
    assert not [b for b in clients("s3", HOME).list_buckets()["Buckets"] if checkout.suffix in b["Name"]]


@pytest.mark.parametrize("delay", [0.6, 0.9, 1.3, 2.0, 3.0])
def test_killed_at_any_moment_and_run_again_two_regions_converge(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator, delay: float
) -> None:
    two_regions.everything(checkout)
    for command in (("deploy", "--rotation-wait", "0"), ("destroy", "--yes")):
        process = checkout.command(command[0], "--env", checkout.suffix, *command[1:], environment=aws.environment)
        time.sleep(delay)
        process.kill()
        process.communicate(timeout=30)
        again = checkout.command(command[0], "--env", checkout.suffix, *command[1:], environment=aws.environment)
        shown, said = again.communicate(timeout=120)
        assert again.returncode == 0, shown + said
        if command[0] == "deploy":
            fail_over(checkout, clients)
    gone(checkout, clients)


def test_a_survey_shows_what_a_failover_left_without_a_stack(checkout: Checkout, clients: Clients) -> None:
    two_regions.secret(checkout)
    actions(run(checkout, clients))
    clients("secretsmanager", AWAY).stop_replication_to_replica(SecretId=f"secret-{checkout.suffix}")
    checkout.layer("other", {"Value": parameter("other", sub("${AWS::Region}"))}, sites=two_regions.SITES)
    text = f"{AWAY}  secret secret-{checkout.suffix}  is left from before"
    assert text in list(show.doomed(look(checkout, clients)))
    assert take_down(checkout, clients).left == ()


def rehearsal(checkout: Checkout) -> None:
    """A plan of restore testing at the primary site."""
    plan = {
        "RestoreTestingPlanName": {"Fn::Join": ["_", {"Fn::Split": ["-", sub("rehearsal-${EnvironmentSuffix}")]}]},
        "ScheduleExpression": "cron(0 10 ? * MON *)",
        "RecoveryPointSelection": {
            "Algorithm": "LATEST_WITHIN_WINDOW",
            "IncludeVaults": ["*"],
            "RecoveryPointTypes": ["SNAPSHOT"],
        },
    }
    checkout.layer(
        "rehearsal", {"Plan": {"Type": "AWS::Backup::RestoreTestingPlan", "Properties": plan}}, sites=two_regions.PRIMARY
    )


def test_what_a_rehearsed_restore_left_goes_before_the_stacks(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    two_regions.network(checkout)
    rehearsal(checkout)
    actions(run(checkout, clients))
    rds, name = clients("rds", HOME), f"{restore_tests.NAME}{checkout.suffix}"
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        **two_regions.CREDENTIALS,
    )
    plan = f"rehearsal_{checkout.suffix.replace('-', '_')}-01234567-89ab-cdef-0123-456789abcdef"
    job = {
        "CreatedResourceArn": f"arn:aws:rds:{HOME}:123456789012:db:{name}",
        "CreatedBy": {"RestoreTestingPlanArn": f"arn:aws:backup:{HOME}:123456789012:restore-testing-plan:{plan}"},
    }
    between.says["GET /restore-jobs/"] = lambda _: (200, json.dumps({"RestoreJobs": [job]}))
    found = look(checkout, between.clients())
    assert f"{HOME}  database {name} of a rehearsed restore" in found.leftovers
    between.says["GET /restore-jobs/"] = lambda _: (403, '{"__type": "AccessDeniedException", "message": "no"}')
    result = destroy(
        found,
        load(checkout.root / "templates"),
        Run(between.clients(), report=Heard(), caller=Caller(ACCOUNT, "", ())),
        patience=0,
    )
    assert set(result.failed) == {f"{HOME}/{checkout.stack('network')}"}, "its network waits, no more"
    between.says["GET /restore-jobs/"] = lambda _: (200, json.dumps({"RestoreJobs": [job]}))
    heard = Heard()
    assert take_down(checkout, between.clients(), heard).failed == {}
    assert [news.reason for news in heard if news.status == "removing"] == [f"{HOME}  database {name} of a rehearsed restore"]
    assert not [each for each in rds.describe_db_instances()["DBInstances"] if each["DBInstanceIdentifier"] == name]


def test_a_global_database_that_cannot_be_read_holds_back_its_clusters_only(
    checkout: Checkout, clients: Clients, between: Proxy
) -> None:
    two_regions.network(checkout)
    two_regions.aurora(checkout)
    two_regions.objects(checkout)
    actions(run(checkout, clients))
    between.says["DescribeGlobalClusters"] = lambda _: fault("AccessDenied")
    bucket = f"objects-{checkout.suffix}"
    between.says[f"DELETE /{bucket}?replication"] = lambda _: (403, "<Error><Code>AccessDenied</Code></Error>")
    result = take_down(checkout, between.clients())
    layers = ("aurora", "global", "aurora-secondary", "objects")
    assert {id_.split("/")[1] for id_ in result.failed} == {checkout.stack(layer) for layer in layers} - {
        checkout.stack(layer) for layer in ("aurora", "global")
    }
    assert {id_.split("/")[1] for id_ in result.held} >= {checkout.stack("global"), checkout.stack("aurora")}
    assert take_down(checkout, clients).failed == {}


def test_a_cluster_that_was_detached_by_hand_and_a_secret_with_more_replicas_go_too(checkout: Checkout, clients: Clients) -> None:
    two_regions.network(checkout)
    two_regions.aurora(checkout)
    two_regions.secret(checkout)
    actions(run(checkout, clients))
    second = f"arn:aws:rds:{AWAY}:123456789012:cluster:aurora-second-{checkout.suffix}"
    clients("rds", AWAY).remove_from_global_cluster(
        GlobalClusterIdentifier=f"global-{checkout.suffix}", DbClusterIdentifier=second
    )
    clients("secretsmanager", HOME).replicate_secret_to_regions(
        SecretId=f"secret-{checkout.suffix}", AddReplicaRegions=[{"Region": "us-east-1"}]
    )
    heard = Heard()
    result = take_down(checkout, clients, heard)
    assert ({id_: str(error) for id_, error in result.failed.items()}, result.left) == ({}, ())
    assert second in [news.reason for news in heard if news.status == "removing"]
    gone(checkout, clients)


def test_a_stack_that_replicates_is_not_removed_before_that_has_ended(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator
) -> None:
    two_regions.files(checkout)
    actions(run(checkout, clients))
    name = checkout.stack("files")
    state = cfn.sweep(clients("cloudformation", HOME))[name]

    def refused(service: str, region: str) -> Any:
        def refuse(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteReplicationConfiguration")

        client = aws.client(service, region)
        client.meta.events.register("before-call.efs.DeleteReplicationConfiguration", refuse)
        return client

    ended = remove([("shop", HOME, state)], checkout.suffix, Run(refused, report=Heard(), stop=Event(), durations=Durations()))
    assert list(ended.failed) == [f"{HOME}/{name}"]
    assert cfn.sweep(clients("cloudformation", HOME))[name].status == state.status
