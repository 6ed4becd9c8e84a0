"""What binds regions is taken apart from whichever side, however often, and also when one side is dark."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chain.cloudformation import end_replication
from chain.cloudformation.stack import StackError, Wait
from chain.destroy import restore_tests, vaults
from emulator import Emulator
from tests.support.chain.proxy import Proxy

SOURCE, TARGET = "eu-west-1", "eu-west-2"


def _file_system(aws: Emulator, region: str) -> str:
    return str(aws.client("efs", region).create_file_system()["FileSystemId"])


@pytest.fixture
def pair(aws: Emulator) -> tuple[str, str]:
    """A source and its replica."""
    source, target = _file_system(aws, SOURCE), _file_system(aws, TARGET)
    aws.client("efs", TARGET).update_file_system_protection(FileSystemId=target, ReplicationOverwriteProtection="DISABLED")
    aws.client("efs", SOURCE).create_replication_configuration(
        SourceFileSystemId=source, Destinations=[{"Region": TARGET, "FileSystemId": target}]
    )
    return source, target


def _wait() -> Wait:
    return Wait(threading.Event())


def test_the_replication_ends_and_the_file_system_can_be_deleted(aws: Emulator, pair: tuple[str, str]) -> None:
    efs = aws.client("efs", SOURCE)
    with pytest.raises(ClientError):
        efs.delete_file_system(FileSystemId=pair[0])
    assert end_replication.files(aws.client, SOURCE, pair[0], _wait())
    assert not end_replication.files(aws.client, SOURCE, pair[0], _wait())
    efs.delete_file_system(FileSystemId=pair[0])


def test_what_is_in_no_replication_or_gone_needs_nothing(aws: Emulator) -> None:
    efs = aws.client("efs", SOURCE)
    alone = _file_system(aws, SOURCE)
    assert not end_replication.files(aws.client, SOURCE, alone, _wait())
    efs.delete_file_system(FileSystemId=alone)
    assert not end_replication.files(aws.client, SOURCE, alone, _wait())


LOOK = "GET /2015-02-01/file-systems/replication-configurations?FileSystemId=fs-1"
"""How the proxy calls the question."""


def _says(status: str) -> Any:
    found = {
        "SourceFileSystemId": "fs-1",
        "SourceFileSystemRegion": SOURCE,
        "Destinations": [{"Status": status, "FileSystemId": "fs-2", "Region": TARGET}],
    }
    return lambda _: (200, json.dumps({"Replications": [found]}))


def test_a_replication_that_is_being_deleted_is_waited_for_and_told_when_it_does_not_end(
    between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain.cloudformation.end_replication.PATIENCE", 0.0)
    between.says[LOOK] = _says("DELETING")
    with pytest.raises(StackError, match="the replication of fs-1 in eu-west-1 is still there after 0 s"):
        end_replication.files(between.clients(), SOURCE, "fs-1", _wait())
    assert not [call for call in between.seen if call.startswith("DELETE")]


def test_a_refusal_is_no_end(between: Proxy) -> None:
    between.says[LOOK] = lambda _: (403, '{"__type": "AccessDeniedException", "message": "no"}')
    with pytest.raises(ClientError, match="AccessDenied"):
        end_replication.files(between.clients(), SOURCE, "fs-1", _wait())


def test_from_the_other_side_the_replication_ends_too_and_when_the_source_is_dark_for_this_side_alone(
    aws: Emulator, pair: tuple[str, str]
) -> None:
    from botocore.exceptions import EndpointConnectionError

    efs = aws.client("efs", TARGET)

    class Dark:
        """A region that nobody reaches."""

        def delete_replication_configuration(self, **_: str) -> None:
            raise EndpointConnectionError(endpoint_url="https://dark")

    def half(service: str, region: str) -> Any:
        return Dark() if region == SOURCE else aws.client(service, region)

    assert end_replication.files(half, TARGET, pair[1], _wait())
    efs.delete_file_system(FileSystemId=pair[1])
    with pytest.raises(EndpointConnectionError):
        end_replication.files(lambda *_: Half(), SOURCE, pair[0], _wait())


class Half:
    """A client that may ask and is not answered where it would change something."""

    def __init__(self) -> None:
        self.describe_replication_configurations = lambda **_: {
            "Replications": [
                {"SourceFileSystemId": "fs", "SourceFileSystemRegion": SOURCE, "Destinations": [{"Status": "ENABLED"}]}
            ]
        }

    def delete_replication_configuration(self, **_: str) -> None:
        from botocore.exceptions import EndpointConnectionError

        raise EndpointConnectionError(endpoint_url="https://dark")


def _global(aws: Emulator, name: str) -> tuple[str, str]:
    """A global database over both regions; the ARNs of its clusters."""
    engine = {"Engine": "aurora-postgresql", "EngineVersion": "15.12"}
    first = aws.client("rds", SOURCE).create_db_cluster(
        DBClusterIdentifier=name, MasterUsername="master", MasterUserPassword="not-a-secret", **engine
    )["DBCluster"]["DBClusterArn"]
    aws.client("rds", SOURCE).create_global_cluster(GlobalClusterIdentifier=f"{name}-global", SourceDBClusterIdentifier=first)
    second = aws.client("rds", TARGET).create_db_cluster(
        DBClusterIdentifier=f"{name}-second", GlobalClusterIdentifier=f"{name}-global", **engine
    )["DBCluster"]["DBClusterArn"]
    return first, second


def test_a_reader_that_no_template_says_joined_is_detached_and_the_rest_left_to_cloudformation(aws: Emulator) -> None:
    first, second = _global(aws, "one")
    regions = (SOURCE, TARGET)
    assert end_replication.databases(aws.client, regions, {"one-global"}, [second], _wait()) == []
    assert end_replication.databases(aws.client, regions, {"other"}, [], _wait()) == []
    assert end_replication.databases(aws.client, regions, {"one-global"}, [], _wait()) == [second]
    assert end_replication.databases(aws.client, regions, {"one-global"}, [], _wait()) == []
    assert not end_replication.cluster(aws.client, regions, first, _wait()), "a member is CloudFormation's"
    aws.client("rds", TARGET).create_db_instance(
        DBInstanceIdentifier="one-reader",
        DBClusterIdentifier="one-second",
        Engine="aurora-postgresql",
        DBInstanceClass="db.r6g.large",
    )
    assert end_replication.cluster(aws.client, regions, second, _wait())
    assert not end_replication.cluster(aws.client, regions, second, _wait())
    assert not aws.client("rds", TARGET).describe_db_clusters()["DBClusters"]


class Restless:
    """An RDS whose global database is busy once, and whose cluster takes its time to become one of its own."""

    def __init__(self) -> None:
        self.there, self.asked, self.states = True, 0, ["promoting", "available"]

    def get_paginator(self, _: str) -> Any:
        members = [{"DBClusterArn": f"arn:aws:rds:{SOURCE}:1:cluster:c", "IsWriter": False}] if self.there else []
        page = {"GlobalClusters": [{"GlobalClusterIdentifier": "g", "GlobalClusterMembers": members}]}
        return type("Pages", (), {"paginate": lambda _: [page]})()

    def remove_from_global_cluster(self, **_: str) -> None:
        self.asked += 1
        if self.asked == 1:
            response: Any = {"Error": {"Code": "InvalidGlobalClusterStateFault", "Message": "busy"}}
            raise ClientError(response, "RemoveFromGlobalCluster")
        self.there = False

    def describe_db_clusters(self, **_: str) -> Any:
        return {"DBClusters": [{"Status": self.states.pop(0) if len(self.states) > 1 else self.states[0]}]}


def test_a_busy_global_database_is_asked_again_and_a_cluster_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    restless = Restless()
    arn = f"arn:aws:rds:{SOURCE}:1:cluster:c"
    assert end_replication.databases(lambda *_: restless, [SOURCE], {"g"}, [], _wait()) == [arn]
    assert (restless.asked, restless.states) == (2, ["available"])
    monkeypatch.setattr("chain.cloudformation.end_replication.PATIENCE", 0.0)
    slow = Restless()
    slow.asked, slow.states = 1, ["promoting"]
    slow.there = True
    with pytest.raises(StackError, match="c is still part of a global database after 0 s"):
        end_replication.databases(lambda *_: slow, [SOURCE], {"g"}, [], _wait())


def test_replicas_of_secrets_that_no_template_names_are_removed(aws: Emulator) -> None:
    manager = aws.client("secretsmanager", SOURCE)
    secret = manager.create_secret(Name="wide", SecretString="x", AddReplicaRegions=[{"Region": TARGET}])["ARN"]
    end_replication.secrets(manager, secret)
    assert not manager.describe_secret(SecretId=secret).get("ReplicationStatus")
    end_replication.secrets(manager, secret)
    manager.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    end_replication.secrets(manager, secret)


class Copying:
    """An AWS Backup that copies for so many questions."""

    def __init__(self, questions: int) -> None:
        self.questions = questions

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **asked: str) -> Any:
        self.questions -= 1
        return [{"CopyJobs": [{"CopyJobId": " ".join(asked.values())}] if self.questions > 0 else []}]


def test_copies_into_a_vault_are_awaited_wherever_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, busy = Copying(0), Copying(4)
    vaults.await_copies([quiet, busy], "arn", _wait())
    assert busy.questions <= 0
    monkeypatch.setattr("chain.destroy.vaults.PATIENCE", -1.0)
    with pytest.raises(StackError, match="2 copies into arn are under way and cannot be stopped; go on when they are done"):
        vaults.await_copies([Copying(9)], "arn", _wait())


def _job(arn: str, plan: str = "rehearsal_dev", source: str = "arn:source") -> dict[str, Any]:
    tested = f"arn:aws:backup:{SOURCE}:123456789012:restore-testing-plan:{plan}-01234567-89ab-cdef-0123-456789abcdef"
    return {"CreatedResourceArn": arn, "SourceResourceArn": source, "CreatedBy": {"RestoreTestingPlanArn": tested}}


def test_what_rehearsed_restores_left_is_found_by_the_plan_and_removed(aws: Emulator) -> None:
    name, home = restore_tests.NAME, f"{SOURCE}:123456789012"
    rds, s3, dynamodb = (aws.client(service, SOURCE) for service in ("rds", "s3", "dynamodb"))
    aurora = {"Engine": "aurora-postgresql"}
    rds.create_db_cluster(DBClusterIdentifier=f"{name}c", MasterUsername="master", MasterUserPassword="not-a-secret", **aurora)
    member = {"DBInstanceIdentifier": f"{name}m", "DBClusterIdentifier": f"{name}c", "DBInstanceClass": "db.r6g.large"}
    rds.create_db_instance(**member, **aurora)
    alone = {"Engine": "postgres", "AllocatedStorage": 20, "MasterUsername": "master", "MasterUserPassword": "not-a-secret"}
    for each in (f"{name}i", "of-another"):
        rds.create_db_instance(DBInstanceIdentifier=each, DBInstanceClass="db.t3.micro", **alone)
    here = {"CreateBucketConfiguration": {"LocationConstraint": SOURCE}}
    s3.create_bucket(Bucket=f"{name}b", **here)
    s3.put_object(Bucket=f"{name}b", Key="k", Body=b"x")
    key = {"AttributeName": "id", "KeyType": "HASH"}
    dynamodb.create_table(
        TableName=f"{name}t",
        KeySchema=[key],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    files, ours = _file_system(aws, SOURCE), _file_system(aws, SOURCE)
    subnet = aws.client("ec2", SOURCE).describe_subnets()["Subnets"][0]["SubnetId"]
    aws.client("efs", SOURCE).create_mount_target(FileSystemId=files, SubnetId=subnet)
    file_system = f"arn:aws:elasticfilesystem:{home}:file-system/"
    jobs = [
        _job(f"arn:aws:rds:{home}:cluster:{name}c"),
        _job(f"arn:aws:rds:{home}:db:{name}i"),
        _job(f"arn:aws:rds:{home}:db:{name}i"),
        _job(f"arn:aws:rds:{home}:db:of-another"),
        _job(f"arn:aws:rds:{home}:db:{name}gone"),
        _job(f"arn:aws:rds:{home}:db:{name}m", plan="rehearsal_dev2"),
        _job(f"arn:aws:s3:::{name}b"),
        _job(f"arn:aws:dynamodb:{home}:table/{name}t"),
        _job(f"{file_system}{files}"),
        _job(f"{file_system}{ours}", source=f"{file_system}{ours}"),
        {"RestoreJobId": "by-hand"},
    ]

    class Backup:
        """What AWS Backup says of its restore jobs."""

        def get_paginator(self, _: str) -> Any:
            return type("Pages", (), {"paginate": lambda _: [{"RestoreJobs": jobs}]})()

    def clients(service: str, region: str) -> Any:
        return Backup() if service == "backup" else aws.client(service, region)

    found = list(restore_tests.look(clients, SOURCE, {"rehearsal_dev"}))
    assert [text for text, _ in found] == [
        f"{SOURCE}  {what} of a rehearsed restore"
        for what in (
            f"database cluster {name}c",
            f"database {name}i",
            f"bucket {name}b",
            f"table {name}t",
            f"file system {files}",
        )
    ]
    for _, step in found:
        step()
    assert list(restore_tests.look(clients, SOURCE, {"rehearsal_dev"})) == []
    assert list(restore_tests.look(clients, SOURCE, ())) == []
    assert [each["DBInstanceIdentifier"] for each in rds.describe_db_instances()["DBInstances"]] == ["of-another"]
    assert {each["FileSystemId"] for each in aws.client("efs", SOURCE).describe_file_systems()["FileSystems"]} >= {ours}
