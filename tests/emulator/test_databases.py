"""Behind an RDS instance stands a PostgreSQL server that is set up as the instance says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pg8000.native
import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, EmulatorError, postgres
from tests.support.emulator.databases import connect

pytestmark = pytest.mark.xdist_group("databases")  # else every worker would set up what they share

NAME, USER, PASSWORD = "with-server", "master", "the-first-password"


@pytest.fixture(scope="module")
def instance(aws: Emulator) -> Iterator[dict[str, Any]]:
    assert postgres.find() is not None, postgres.MISSING
    rds = aws.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="with-server", DBParameterGroupFamily="postgres15", Description="x")
    parameters = {"log_statement": "all", "rds.force_ssl": "1", "work_mem": "8192", "max_connections": "50"}
    rds.modify_db_parameter_group(
        DBParameterGroupName="with-server",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for name, value in parameters.items()
        ],
    )
    yield rds.create_db_instance(
        DBInstanceIdentifier=NAME,
        DBName="books",
        Engine="postgres",
        DBInstanceClass="db.r6g.large",
        DBParameterGroupName="with-server",
        MasterUsername=USER,
        MasterUserPassword=PASSWORD,
    )["DBInstance"]
    rds.delete_db_instance(DBInstanceIdentifier=NAME, SkipFinalSnapshot=True)


def test_it_answers_where_the_instance_says_over_verified_tls(aws: Emulator, instance: dict[str, Any]) -> None:
    assert instance["Endpoint"]["Address"] == "localhost"
    connection = connect(aws, instance, PASSWORD)
    assert connection.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[True]]
    assert connection.run("SHOW server_version")[0][0].startswith("15.")
    connection.close()


def test_parameters_of_the_group_are_applied(aws: Emulator, instance: dict[str, Any]) -> None:
    connection = connect(aws, instance, PASSWORD)
    shown = {name: connection.run(f"SHOW {name}")[0][0] for name in ("log_statement", "work_mem", "max_connections")}
    assert shown == {"log_statement": "all", "work_mem": "8MB", "max_connections": "50"}
    connection.run("SELECT 'a statement to find'")
    connection.close()
    assert "a statement to find" in aws.database_log(NAME).read_text()
    with pytest.raises(pg8000.exceptions.DatabaseError):
        connect(aws, instance, PASSWORD, tls=False)


def test_a_changed_parameter_is_applied_without_a_restart(aws: Emulator, instance: dict[str, Any]) -> None:
    connection = connect(aws, instance, PASSWORD)
    change = {"ParameterName": "work_mem", "ParameterValue": "16384", "ApplyMethod": "immediate"}
    aws.client("rds").modify_db_parameter_group(DBParameterGroupName="with-server", Parameters=[change])
    connection.close()
    connection = connect(aws, instance, PASSWORD)
    assert connection.run("SHOW work_mem") == [["16MB"]]
    connection.close()


def test_a_new_master_password_is_the_servers_and_is_not_logged(aws: Emulator, instance: dict[str, Any]) -> None:
    # Also after somebody else changed it, whom RDS does not know: a rotation.
    connection = connect(aws, instance, PASSWORD)
    connection.run("ALTER ROLE CURRENT_USER PASSWORD 'set-by-a-rotation'")
    connection.close()
    aws.client("rds").modify_db_instance(
        DBInstanceIdentifier=NAME, MasterUserPassword='it\'s "the" second one', ApplyImmediately=True
    )
    connect(aws, instance, 'it\'s "the" second one').close()
    with pytest.raises(pg8000.exceptions.DatabaseError):
        connect(aws, instance, PASSWORD)
    assert "second one" not in aws.database_log(NAME).read_text()
    aws.client("rds").modify_db_instance(DBInstanceIdentifier=NAME, MasterUserPassword=PASSWORD, ApplyImmediately=True)


def test_another_parameter_group_waits_for_a_restart(aws: Emulator, instance: dict[str, Any]) -> None:
    rds = aws.client("rds")

    def group() -> tuple[str, str]:
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"][0]["DBParameterGroups"]
        return found["DBParameterGroupName"], found["ParameterApplyStatus"]

    assert instance["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"
    rds.create_db_parameter_group(DBParameterGroupName="another", DBParameterGroupFamily="postgres15", Description="x")
    rds.modify_db_instance(DBInstanceIdentifier=NAME, DBParameterGroupName="another", ApplyImmediately=True)
    assert group() == ("another", "pending-reboot")
    rds.reboot_db_instance(DBInstanceIdentifier=NAME)
    assert group() == ("another", "in-sync")
    rds.modify_db_instance(DBInstanceIdentifier=NAME, DBParameterGroupName="another", ApplyImmediately=True)
    assert group() == ("another", "in-sync")


@pytest.mark.parametrize(
    ("family", "suites"),
    [
        ("postgres15", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("postgres16", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("postgres16", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,HIGH"),
    ],
)
def test_suites_that_rds_does_not_take_are_refused(aws: Emulator, family: str, suites: str) -> None:
    rds = aws.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="suites", DBParameterGroupFamily=family, Description="x")
    change = {"ParameterName": "ssl_ciphers", "ParameterValue": suites, "ApplyMethod": "pending-reboot"}
    with pytest.raises(ClientError) as caught:
        rds.modify_db_parameter_group(DBParameterGroupName="suites", Parameters=[change])
    rds.delete_db_parameter_group(DBParameterGroupName="suites")
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_suites_are_chosen_by_the_names_that_rds_takes(aws: Emulator, instance: dict[str, Any]) -> None:
    rds = aws.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="chosen", DBParameterGroupFamily="postgres16", Description="x")
    suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    wanted = {"ssl_ciphers": suites, "ssl_max_protocol_version": "TLSv1.2"}
    changes = [{"ParameterName": name, "ParameterValue": each, "ApplyMethod": "pending-reboot"} for name, each in wanted.items()]
    rds.modify_db_parameter_group(DBParameterGroupName="chosen", Parameters=changes)
    rds.modify_db_instance(DBInstanceIdentifier=NAME, DBParameterGroupName="chosen", ApplyImmediately=True)
    rds.reboot_db_instance(DBInstanceIdentifier=NAME)
    with connect(aws, instance, PASSWORD) as connection:
        assert connection.run("show ssl_ciphers") == [["ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"]]


def test_the_server_goes_with_the_instance(aws: Emulator) -> None:
    rds = aws.client("rds")
    made = rds.create_db_instance(
        DBInstanceIdentifier="short",
        Engine="postgres",
        DBInstanceClass="db.r6g.large",
        MasterUsername=USER,
        MasterUserPassword=PASSWORD,
        DBName="books",
    )["DBInstance"]
    log = aws.database_log("short")
    connect(aws, made, PASSWORD).close()
    rds.delete_db_instance(DBInstanceIdentifier="short", SkipFinalSnapshot=True)
    assert not log.exists()
    with pytest.raises((pg8000.exceptions.InterfaceError, OSError)):
        connect(aws, made, PASSWORD)
    with pytest.raises(EmulatorError, match=r"^No PostgreSQL server stands behind 'short'"):
        aws.database_log("short")


def test_an_automated_backup_outlives_its_instance_where_it_is_told_to(aws: Emulator) -> None:
    rds = aws.client("rds", "eu-west-1")

    def backups() -> dict[str, str]:
        found = rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
        return {backup["DBInstanceIdentifier"]: backup["Status"] for backup in found}

    for name in ("kept", "not-kept"):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.r6g.large",
            Engine="mysql",
            MasterUsername="dbadmin",
            MasterUserPassword="only-for-this-test",
            AllocatedStorage=20,
            BackupRetentionPeriod=7,
        )
    assert backups() == {"kept": "active", "not-kept": "active"}
    kept = rds.describe_db_instances(DBInstanceIdentifier="kept")["DBInstances"][0]["DbiResourceId"]
    rds.delete_db_instance(DBInstanceIdentifier="kept", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    rds.delete_db_instance(DBInstanceIdentifier="not-kept", SkipFinalSnapshot=True)
    assert backups() == {"kept": "retained"}
    rds.delete_db_instance_automated_backup(DbiResourceId=kept)
    assert backups() == {}
