"""Behind a secondary cluster of a global database stands a standby of the primary's server; the two can change roles."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator, postgres
from tests.support.emulator import samples, stacks
from tests.support.emulator.databases import DATABASE, PASSWORD, USER, eventually, key, refused, run, session
from tests.support.emulator.global_database import (
    DUBLIN,
    ENGINE,
    GLOBAL,
    LONDON,
    SCALING,
    described,
    member,
    place,
    primary,
    roles,
    rows,
    secondary,
    switch,
    take_apart,
    world,
)
from tests.support.emulator.replicas import lag

pytestmark = pytest.mark.xdist_group("global database")  # else every worker would set up what they share

REGIONS = (LONDON, DUBLIN)


def arn(name: str, region: str) -> str:
    return f"arn:aws:rds:{region}:123456789012:cluster:{name}"


def writes(aws: Emulator, name: str, region: str) -> bool:
    """Whether the name of the writer leads anywhere; then it is a cluster that takes writes."""
    found = described(aws, name, region)
    assert found["Endpoint"] == found["ReaderEndpoint"].replace(".cluster-ro-", ".cluster-")
    try:
        return run(aws, {"Address": found["Endpoint"], "Port": found["Port"]}, "SELECT pg_is_in_recovery()") == [[False]]
    except pg8000.exceptions.InterfaceError as error:
        if not isinstance(error.__cause__, socket.gaierror):
            raise
        return False


def found_by_a_function(aws: Emulator, name: str, region: str) -> str:
    """Where the name of a writer leads in the process of a function, which lives on; or why it does not."""
    lambdas = aws.client("lambda", region)
    if "asks" not in {one["FunctionName"] for one in lambdas.list_functions()["Functions"]}:
        function(aws, "asks", region, ASKS)
    said = lambdas.invoke(FunctionName="asks", Payload=json.dumps({"host": described(aws, name, region)["Endpoint"]}))
    return str(json.loads(said["Payload"].read()))


def function(aws: Emulator, name: str, region: str, source: str) -> None:
    role = aws.client("iam").create_role(
        RoleName=f"{name}-{region}", AssumeRolePolicyDocument=json.dumps(samples.trust("lambda"))
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", source)
    aws.client("lambda", region).create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role["Role"]["Arn"],
        Handler="handler.handler",
        Code={"ZipFile": packed.getvalue()},
    )


ASKS = """
import socket
def handler(event, context):
    try:
        return socket.getaddrinfo(event["host"], 5432)[0][4][0]
    except socket.gaierror as error:
        return error.strerror
"""
NOBODY = "Name or service not known"


@pytest.fixture(scope="module")
def both(aws: Emulator) -> Iterator[tuple[str, str]]:
    """The ARNs of a primary cluster in London and its secondary in Dublin."""
    assert postgres.find() is not None, postgres.MISSING
    first = primary(aws, "first")
    aws.client("rds", LONDON).create_global_cluster(GlobalClusterIdentifier=GLOBAL, SourceDBClusterIdentifier=first)
    yield first, secondary(aws, "second", GLOBAL)
    take_apart(aws, GLOBAL, ("first", LONDON), ("second", DUBLIN))


def test_a_secondary_has_what_is_written_at_the_primary_and_takes_no_writes(aws: Emulator, both: tuple[str, str]) -> None:
    first, second = place(aws, "first", LONDON), place(aws, "second", DUBLIN)
    assert first["Port"] != second["Port"]
    run(aws, first, "INSERT INTO kept VALUES (2)")
    eventually(lambda: rows(aws, second), [1, 2])
    with session(aws, second) as connection, pytest.raises(pg8000.exceptions.DatabaseError) as refusal:
        connection.run("INSERT INTO kept VALUES (3)")
    assert refusal.value.args[0]["C"] == "25006"  # read_only_sql_transaction
    assert described(aws, "second", DUBLIN)["ReplicationSourceIdentifier"] == both[0]
    assert described(aws, "first", LONDON)["ReadReplicaIdentifiers"] == [both[1]]


def test_the_global_cluster_says_who_writes_who_follows_and_where_the_writer_is(aws: Emulator, both: tuple[str, str]) -> None:
    found = {region: world(aws, region=region) for region in REGIONS}
    assert found[LONDON] == found[DUBLIN]
    one = found[DUBLIN]
    assert one["GlobalClusterArn"] == f"arn:aws:rds::123456789012:global-cluster:{GLOBAL}"
    assert (one["Engine"], one["EngineVersion"]) == tuple(ENGINE.values())
    assert (one["StorageEncrypted"], one["DatabaseName"], one["Status"]) == (True, DATABASE, "available")
    assert one["Endpoint"].startswith(f"{GLOBAL}.global-")
    assert one["Endpoint"].endswith(".global.rds.amazonaws.com")
    assert "FailoverState" not in one
    assert {
        (m["DBClusterArn"], m["IsWriter"], tuple(m["Readers"]), m["GlobalWriteForwardingStatus"], m["SynchronizationStatus"])
        for m in one["GlobalClusterMembers"]
    } == {(both[0], True, (both[1],), "disabled", "connected"), (both[1], False, (), "disabled", "connected")}


@pytest.mark.usefixtures("both")
def test_lag_is_measured_in_the_region_of_the_secondary(aws: Emulator) -> None:
    eventually(lambda: bool(lag(aws, DUBLIN, "AuroraGlobalDBRPOLag", SourceRegion=LONDON)), True)
    assert lag(aws, DUBLIN, "AuroraGlobalDBRPOLag", SourceRegion=LONDON)[0] < 10_000  # milliseconds
    assert lag(aws, LONDON, "AuroraGlobalDBRPOLag", SourceRegion=LONDON) == []


@pytest.mark.usefixtures("both")
def test_scaling_is_kept_and_can_be_changed_in_both_regions(aws: Emulator) -> None:
    for name, region in (("first", LONDON), ("second", DUBLIN)):
        assert described(aws, name, region)["ServerlessV2ScalingConfiguration"] == SCALING
        more = {"MinCapacity": 1.0, "MaxCapacity": 4.0}
        aws.client("rds", region).modify_db_cluster(DBClusterIdentifier=name, ServerlessV2ScalingConfiguration=more)
        assert described(aws, name, region)["ServerlessV2ScalingConfiguration"] == more
        aws.client("rds", region).modify_db_cluster(DBClusterIdentifier=name, ServerlessV2ScalingConfiguration=SCALING)


def test_what_aws_refuses_of_global_databases_is_refused(aws: Emulator, both: tuple[str, str]) -> None:
    london, dublin = aws.client("rds", LONDON), aws.client("rds", DUBLIN)
    alone = primary(aws, "alone", "eu-west-3", ServerlessV2ScalingConfiguration=SCALING)
    third = {"region": "eu-west-3", "name": "third", "of": GLOBAL}
    foreign = key(aws, LONDON)
    paris = aws.client("rds", "eu-west-3")
    less = {"DBClusterParameterGroupName": "less"}
    paris.create_db_cluster_parameter_group(**less, DBParameterGroupFamily="aurora-postgresql15", Description="x")
    fewer = {"ParameterName": "max_connections", "ParameterValue": "20", "ApplyMethod": "pending-reboot"}
    paris.modify_db_cluster_parameter_group(**less, Parameters=[fewer])
    for code, call in (
        ("InvalidDBClusterStateFault", lambda: secondary(aws, **third, **less)),
        (
            "InvalidParameterCombination",
            lambda: london.create_global_cluster(GlobalClusterIdentifier="x", SourceDBClusterIdentifier=both[0], **ENGINE),
        ),
        (
            "DBClusterNotFoundFault",
            lambda: london.create_global_cluster(GlobalClusterIdentifier="x", SourceDBClusterIdentifier="first"),
        ),
        ("InvalidParameterCombination", lambda: secondary(aws, **third, MasterUsername=USER)),
        ("InvalidParameterCombination", lambda: secondary(aws, **third, MasterUserPassword=PASSWORD)),
        ("InvalidParameterCombination", lambda: secondary(aws, **third, DatabaseName=DATABASE)),
        ("InvalidParameterCombination", lambda: secondary(aws, **third, KmsKeyId="")),
        ("KMSKeyNotAccessibleFault", lambda: secondary(aws, **third, KmsKeyId=foreign)),
        ("InvalidParameterValue", lambda: secondary(aws, **third, EngineVersion="15.10")),
        ("GlobalClusterNotFoundFault", lambda: secondary(aws, **{**third, "of": "nowhere"})),
        ("InvalidGlobalClusterStateFault", lambda: london.delete_global_cluster(GlobalClusterIdentifier=GLOBAL)),
        (
            "InvalidGlobalClusterStateFault",
            lambda: london.remove_from_global_cluster(GlobalClusterIdentifier=GLOBAL, DbClusterIdentifier=both[0]),
        ),
        (
            "DBClusterNotFoundFault",
            lambda: london.remove_from_global_cluster(GlobalClusterIdentifier=GLOBAL, DbClusterIdentifier=alone),
        ),
        (
            "InvalidDBClusterStateFault",
            lambda: dublin.delete_db_cluster(DBClusterIdentifier="second", SkipFinalSnapshot=True),
        ),
        (
            "InvalidDBClusterStateFault",
            lambda: dublin.modify_db_cluster(DBClusterIdentifier="second", MasterUserPassword="another-password"),
        ),
        ("InvalidGlobalClusterStateFault", lambda: switch(aws, both[1], region=DUBLIN)),
        ("InvalidGlobalClusterStateFault", lambda: switch(aws, both[1], region=LONDON, lossy=True)),
        ("InvalidGlobalClusterStateFault", lambda: switch(aws, both[0], region=LONDON)),
        ("DBClusterNotFoundFault", lambda: switch(aws, arn("nobody", DUBLIN), region=LONDON)),
        (
            "InvalidParameterCombination",
            lambda: dublin.failover_global_cluster(
                GlobalClusterIdentifier=GLOBAL, TargetDbClusterIdentifier=both[1], AllowDataLoss=True, Switchover=True
            ),
        ),
    ):
        with refused(code):
            call()  # type: ignore[no-untyped-call]
    with refused("InvalidDBClusterStateFault"):  # a cluster without scaling has no serverless instance
        primary(aws, "fixed", "eu-west-3", ServerlessV2ScalingConfiguration={})
    paris.delete_db_instance(DBInstanceIdentifier="alone-1", SkipFinalSnapshot=True)
    for name in ("alone", "fixed"):
        paris.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_a_switchover_exchanges_the_roles_and_loses_nothing_and_another_brings_them_back(
    aws: Emulator, both: tuple[str, str]
) -> None:
    places = {both[0]: place(aws, "first", LONDON), both[1]: place(aws, "second", DUBLIN)}
    expected = rows(aws, places[both[0]])
    assert [writes(aws, "first", LONDON), writes(aws, "second", DUBLIN)] == [True, False]
    for old, new in (both, both[::-1]):
        with session(aws, places[old]) as connection:
            number = max(expected) + 1
            connection.run(f"INSERT INTO kept VALUES ({number})")  # noqa: S608
            expected.append(number)
            answer = switch(aws, new, region=old.split(":")[3])
            assert answer["Status"] == "switching-over"
            assert answer["FailoverState"] == {
                "Status": "pending",
                "FromDbClusterArn": old,
                "ToDbClusterArn": new,
                "IsDataLossAllowed": False,
            }
            eventually(lambda: world(aws)["Status"], "available")
            assert "FailoverState" not in world(aws)
            with pytest.raises((pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError, OSError)):
                connection.run("SELECT 1")
        assert roles(aws) == {new: (True, "connected"), old: (False, "connected")}
        writers = [("first", LONDON, both[0]), ("second", DUBLIN, both[1])]
        for name, region, one in writers:
            assert writes(aws, name, region) is (one == new), "the name of a writer resolves where it writes, and there alone"
            assert found_by_a_function(aws, name, region) == ("127.0.0.1" if one == new else NOBODY)
        run(aws, places[new], f"INSERT INTO kept VALUES ({number + 1})")  # noqa: S608
        expected.append(number + 1)
        eventually(lambda old=old: rows(aws, places[old]), expected)  # type: ignore[misc]
        with pytest.raises(pg8000.exceptions.DatabaseError):
            run(aws, places[old], "INSERT INTO kept VALUES (0)")
    # Names and places stayed.
    assert places == {both[0]: place(aws, "first", LONDON), both[1]: place(aws, "second", DUBLIN)}


def test_what_a_writer_acknowledged_survives_a_switchover(aws: Emulator, both: tuple[str, str]) -> None:
    first, second = place(aws, "first", LONDON), place(aws, "second", DUBLIN)
    acknowledged: list[int] = []

    def write() -> None:
        cut_off = contextlib.suppress(pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError, OSError)
        with cut_off, session(aws, first) as connection:
            for number in range(1000, 100_000):
                connection.run(f"INSERT INTO kept VALUES ({number})")  # noqa: S608
                acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(acknowledged) > 100, True)
    switch(aws, both[1], region=LONDON)
    writer.join()
    aws.settle()
    assert set(acknowledged) <= set(rows(aws, second))
    run(aws, second, "DELETE FROM kept WHERE n >= 1000")
    switch(aws, both[0], region=DUBLIN)
    aws.settle()
    assert max(rows(aws, first)) < 1000


def test_while_the_writer_changes_nothing_else_does(aws: Emulator, both: tuple[str, str]) -> None:
    switch(aws, both[1], region=LONDON)
    with refused("InvalidGlobalClusterStateFault"):
        aws.client("rds", LONDON).remove_from_global_cluster(GlobalClusterIdentifier=GLOBAL, DbClusterIdentifier=both[1])
    aws.settle()
    assert roles(aws)[both[1]] == (True, "connected")
    switch(aws, both[0], region=DUBLIN)
    aws.settle()
    assert roles(aws)[both[0]] == (True, "connected")


def test_a_failover_makes_a_writer_at_once_and_a_secondary_of_the_old_one(aws: Emulator, both: tuple[str, str]) -> None:
    first, second = place(aws, "first", LONDON), place(aws, "second", DUBLIN)
    expected = rows(aws, first)
    eventually(lambda: rows(aws, second), expected)
    answer = switch(aws, both[1], region=DUBLIN, lossy=True)
    assert answer["FailoverState"]["IsDataLossAllowed"] is True
    eventually(lambda: roles(aws)[both[1]][0], True)
    aws.settle()
    assert roles(aws) == {both[1]: (True, "connected"), both[0]: (False, "connected")}
    run(aws, second, "INSERT INTO kept VALUES (100)")
    eventually(lambda: rows(aws, first), [*expected, 100])
    assert place(aws, "first", LONDON) == first
    switch(aws, both[0], region=DUBLIN)
    aws.settle()


def test_a_secondary_lets_nobody_in_without_an_instance_and_is_not_promoted(aws: Emulator) -> None:
    made = primary(aws, "headed")
    aws.client("rds", LONDON).create_global_cluster(GlobalClusterIdentifier="headless", SourceDBClusterIdentifier=made)
    second = secondary(aws, "no-head", "headless", instance=False)
    where = place(aws, "no-head", DUBLIN)
    with pytest.raises((pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError)):
        rows(aws, where)
    with refused("InvalidDBClusterStateFault"):
        switch(aws, second, region=LONDON, name="headless")
    member(aws, "no-head", DUBLIN)
    assert rows(aws, where) == [1]
    # Removed, it is a cluster of its own.
    aws.client("rds", DUBLIN).remove_from_global_cluster(GlobalClusterIdentifier="headless", DbClusterIdentifier=second)
    run(aws, where, "INSERT INTO kept VALUES (2)")
    assert rows(aws, place(aws, "headed", LONDON)) == [1]
    assert "GlobalClusterIdentifier" not in described(aws, "no-head", DUBLIN)
    take_apart(aws, "headless", ("headed", LONDON), ("no-head", DUBLIN))


def test_who_changes_the_writer_needs_the_global_cluster_and_both_clusters(aws: Emulator, both: tuple[str, str]) -> None:
    iam = aws.client("iam")
    arns = {f"arn:aws:rds::123456789012:global-cluster:{GLOBAL}", *both}
    iam.create_user(UserName="operator")
    made = iam.create_access_key(UserName="operator")["AccessKey"]
    operator = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    dublin = aws.client("rds", DUBLIN, **operator)

    def fail_over() -> None:
        dublin.failover_global_cluster(GlobalClusterIdentifier=GLOBAL, TargetDbClusterIdentifier=both[1], AllowDataLoss=True)

    for missing in [*sorted(arns), ""]:
        policy = samples.policy("rds:FailoverGlobalCluster", sorted(arns - {missing}))
        iam.put_user_policy(UserName="operator", PolicyName="all-but-one", PolicyDocument=json.dumps(policy))
        if missing:
            with refused("AccessDenied"):
                fail_over()
        else:
            fail_over()
    aws.settle()
    asked = {call.resource for call in aws.calls() if call.action == "rds:FailoverGlobalCluster" and call.allowed}
    assert asked == arns
    switch(aws, both[0], region=DUBLIN)
    aws.settle()


def template(site: str) -> dict[str, Any]:
    """The cluster of a site as a stack makes it; the primary's with the global cluster, for short."""
    resources = samples.chosen(
        "Key", "Vpc", "SubnetA", "SubnetB", "Group", "OtherGroup", "SubnetGroup", "ClusterParameters", "Cluster"
    )
    resources["SubnetGroup"]["Properties"]["DBSubnetGroupName"] = f"of-{site}"
    resources["ClusterParameters"]["Properties"]["DBClusterParameterGroupName"] = f"of-{site}"
    cluster = resources["Cluster"]["Properties"]
    for name in ("MasterUsername", "MasterUserPassword", "DatabaseName", "MonitoringInterval", "MonitoringRoleArn", "Port"):
        del cluster[name]
    cluster |= {"DBClusterIdentifier": f"stack-{site}", "EngineVersion": ENGINE["EngineVersion"]}
    if site == "primary":
        cluster |= {"MasterUsername": USER, "MasterUserPassword": PASSWORD, "DatabaseName": DATABASE}
        resources["Global"] = {
            "Type": "AWS::RDS::GlobalCluster",
            "Properties": {"GlobalClusterIdentifier": "of-stacks", "SourceDBClusterIdentifier": samples.ref("Cluster")},
        }
    else:
        cluster["GlobalClusterIdentifier"] = "of-stacks"
    resources["Instance"] = {
        "Type": "AWS::RDS::DBInstance",
        "Properties": {
            "DBInstanceIdentifier": f"stack-{site}-1",
            "DBClusterIdentifier": samples.ref("Cluster"),
            "DBInstanceClass": "db.serverless",
            "Engine": ENGINE["Engine"],
        },
    }
    for name in ("Cluster", "Instance"):
        resources[name]["DeletionPolicy"] = "Delete"
    return {"Resources": resources}


SITES = {"primary": LONDON, "recovery": DUBLIN}


def test_stacks_of_two_regions_make_a_global_database_and_take_it_apart_secondary_first(aws: Emulator) -> None:
    for site, region in SITES.items():
        stack = stacks.deploy(aws, f"global-{site}", template(site), region=region)
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    shown = stacks.get(aws, "AWS::RDS::GlobalCluster", "of-stacks", LONDON)
    assert shown["SourceDBClusterIdentifier"] == arn("stack-primary", LONDON)
    assert shown["GlobalEndpoint"]["Address"] == world(aws, "of-stacks")["Endpoint"]
    declared = template("recovery")["Resources"]["Cluster"]["Properties"]
    found = stacks.get(aws, "AWS::RDS::DBCluster", "stack-recovery", DUBLIN)
    kept = {name: value for name, value in declared.items() if not isinstance(value, dict | list)}
    assert stacks.differences({**kept, "ServerlessV2ScalingConfiguration": SCALING}, found) == []
    run(aws, place(aws, "stack-primary", LONDON), "CREATE TABLE kept AS SELECT 1 AS n")
    eventually(
        lambda: run(aws, place(aws, "stack-recovery", DUBLIN), "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"), [[1]]
    )
    # The handlers of AWS do not take a global cluster apart that has more than its source.
    assert stacks.delete(aws, "global-primary", LONDON) == "DELETE_FAILED"
    assert "InvalidGlobalClusterStateFault" in stacks.failures(aws, "global-primary", LONDON)[0]
    assert len(world(aws, "of-stacks")["GlobalClusterMembers"]) == 2
    for site, region in reversed(SITES.items()):
        assert stacks.delete(aws, f"global-{site}", region) == "DELETE_COMPLETE", stacks.failures(aws, f"global-{site}", region)
    for region in REGIONS:
        rds = aws.client("rds", region)
        assert not [one for one in rds.describe_db_clusters()["DBClusters"] if one["DBClusterIdentifier"].startswith("stack-")]
    with refused("GlobalClusterNotFoundFault"):
        world(aws, "of-stacks")


def test_a_stack_that_asks_a_secondary_for_its_writer_is_not_made(aws: Emulator) -> None:
    asking = template("recovery")
    asking["Outputs"] = {"Writer": {"Value": {"Fn::GetAtt": ["Cluster", "Endpoint.Address"]}}}
    derived = template("recovery")
    reader = {"Fn::GetAtt": ["Cluster", "ReadEndpoint.Address"]}
    derived["Outputs"] = {"Writer": {"Value": {"Fn::Join": [".cluster-", {"Fn::Split": [".cluster-ro-", reader]}]}}}
    assert stacks.deploy(aws, "global-primary", template("primary"), region=LONDON)["StackStatus"] == "CREATE_COMPLETE"
    stack = stacks.deploy(aws, "global-recovery", asking, region=DUBLIN)
    assert stack["StackStatus"] != "CREATE_COMPLETE"
    stacks.delete(aws, "global-recovery", DUBLIN)
    stack = stacks.deploy(aws, "global-recovery", derived, region=DUBLIN)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    assert [one["OutputValue"] for one in stack["Outputs"]] == [described(aws, "stack-recovery", DUBLIN)["Endpoint"]]
    for site, region in reversed(SITES.items()):
        assert stacks.delete(aws, f"global-{site}", region) == "DELETE_COMPLETE"


def test_who_takes_the_global_cluster_out_of_a_template_detaches(aws: Emulator) -> None:
    for site, region in SITES.items():
        assert stacks.deploy(aws, f"global-{site}", template(site), region=region)["StackStatus"] == "CREATE_COMPLETE"
    alone = template("recovery")
    del alone["Resources"]["Cluster"]["Properties"]["GlobalClusterIdentifier"]
    stack = stacks.deploy(aws, "global-recovery", alone, region=DUBLIN)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack["Failures"]
    run(aws, place(aws, "stack-recovery", DUBLIN), "CREATE TABLE mine ()")
    assert [*roles(aws, "of-stacks")] == [arn("stack-primary", LONDON)]
    for site, region in reversed(SITES.items()):
        assert stacks.delete(aws, f"global-{site}", region) == "DELETE_COMPLETE"


def test_a_cluster_that_was_detached_by_hand_outlives_its_stack(aws: Emulator) -> None:
    # The handler of AWS takes RemoveFromGlobalCluster's "not found" to be about the cluster.
    for site, region in SITES.items():
        assert stacks.deploy(aws, f"global-{site}", template(site), region=region)["StackStatus"] == "CREATE_COMPLETE"
    rds = aws.client("rds", DUBLIN)
    rds.remove_from_global_cluster(GlobalClusterIdentifier="of-stacks", DbClusterIdentifier=arn("stack-recovery", DUBLIN))
    assert stacks.delete(aws, "global-recovery", DUBLIN) == "DELETE_FAILED"  # its groups are in use
    assert described(aws, "stack-recovery", DUBLIN)["Status"] == "available"
    rds.delete_db_cluster(DBClusterIdentifier="stack-recovery", SkipFinalSnapshot=True)
    for site, region in reversed(SITES.items()):
        assert stacks.delete(aws, f"global-{site}", region) == "DELETE_COMPLETE"
