"""Backups hold the data as it was, are copied, hinder the delete of their vault, and are restored by tests of restoring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, EmulatorError, postgres
from tests.support.emulator import samples, stacks
from tests.support.emulator.databases import connect, place

pytestmark = pytest.mark.xdist_group("backup")  # else every worker would set up what they share

STACK, ELSEWHERE, PASSWORD = "with-backups", "eu-west-1", "the-first-password"
ROLE = "arn:aws:iam::123456789012:role/backup"
CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:backed-up"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/backed-up"


def template() -> dict[str, Any]:
    names = ("Vpc", "SubnetA", "SubnetB", "Group", "SubnetGroup")
    resources = samples.chosen(*names)
    resources["SubnetGroup"]["Properties"]["DBSubnetGroupName"] = "subnets-of-backups"
    vault = {"BackupVaultName": "vault", "EncryptionKeyArn": samples.att("Key", "Arn")}
    copied = {"DestinationBackupVaultArn": f"arn:aws:backup:{ELSEWHERE}:123456789012:backup-vault:copies"}
    rules = [
        {
            "RuleName": "continuous",
            "TargetBackupVault": samples.ref("Vault"),
            "EnableContinuousBackup": True,
            "Lifecycle": {"DeleteAfterDays": 7},
            "CopyActions": [copied],
        }
    ]
    tested = {
        "RestoreTestingPlanName": samples.ref("Testing"),
        "RestoreTestingSelectionName": "tested",
        "IamRoleArn": ROLE,
        "ProtectedResourceType": "Aurora",
        "ProtectedResourceArns": [CLUSTER],
        "RestoreMetadataOverrides": {
            "dbSubnetGroupName": samples.ref("SubnetGroup"),
            "vpcSecurityGroupIds": {"Fn::Sub": '["${Group}"]'},
        },
        "ValidationWindowHours": 1,
    }
    chosen = {"Algorithm": "LATEST_WITHIN_WINDOW", "IncludeVaults": ["*"], "RecoveryPointTypes": ["SNAPSHOT"]}
    testing = {"RestoreTestingPlanName": "testing", "ScheduleExpression": "cron(0 5 * * ? *)", "RecoveryPointSelection": chosen}
    selection = {"SelectionName": "all", "IamRoleArn": ROLE, "Resources": [CLUSTER, TABLE]}
    pattern = {
        "source": ["aws.backup"],
        "detail-type": ["Backup Job State Change", "Copy Job State Change", "Restore Job State Change"],
    }
    heard = samples.policy("sqs:SendMessage", samples.att("Heard", "Arn"), Principal={"Service": "events.amazonaws.com"})
    more: dict[str, tuple[str, dict[str, Any]]] = {
        "Key": samples.RESOURCES["Key"],
        "Vault": ("AWS::Backup::BackupVault", vault),
        "Plan": ("AWS::Backup::BackupPlan", {"BackupPlan": {"BackupPlanName": "plan", "BackupPlanRule": rules}}),
        "Selection": ("AWS::Backup::BackupSelection", {"BackupPlanId": samples.ref("Plan"), "BackupSelection": selection}),
        "Testing": ("AWS::Backup::RestoreTestingPlan", testing),
        "Tested": ("AWS::Backup::RestoreTestingSelection", tested),
        "Heard": ("AWS::SQS::Queue", {}),
        "HeardPolicy": ("AWS::SQS::QueuePolicy", {"Queues": [samples.ref("Heard")], "PolicyDocument": heard}),
        "Rule": ("AWS::Events::Rule", {"EventPattern": pattern, "Targets": [{"Id": "q", "Arn": samples.att("Heard", "Arn")}]}),
        "Table": (
            "AWS::DynamoDB::Table",
            {
                "TableName": "backed-up",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        ),
        "Cluster": (
            "AWS::RDS::DBCluster",
            {
                "DBClusterIdentifier": "backed-up",
                "DatabaseName": "books",
                "Engine": "aurora-postgresql",
                "MasterUsername": "master",
                "MasterUserPassword": PASSWORD,
                "DBSubnetGroupName": samples.ref("SubnetGroup"),
            },
        ),
        "Writer": (
            "AWS::RDS::DBInstance",
            {"DBClusterIdentifier": samples.ref("Cluster"), "DBInstanceClass": "db.t4g.medium", "Engine": "aurora-postgresql"},
        ),
    }
    resources |= {
        name: {"Type": kind, "DeletionPolicy": "Delete", "Properties": properties} for name, (kind, properties) in more.items()
    }
    return {"Resources": resources}


@pytest.fixture(scope="module")
def ids(aws: Emulator) -> Iterator[dict[str, str]]:
    assert postgres.find() is not None, postgres.MISSING
    stacks.backup_role(aws)
    aws.client("backup", ELSEWHERE).create_backup_vault(BackupVaultName="copies")
    stack = stacks.deploy(aws, STACK, template())
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    yield stacks.physical(aws, STACK)
    purge(aws)
    assert stacks.delete(aws, STACK) == "DELETE_COMPLETE", stacks.failures(aws, STACK)


@pytest.fixture(autouse=True)
def clean(aws: Emulator, ids: dict[str, str]) -> None:
    purge(aws)
    heard(aws, ids)


@pytest.fixture
def opted_in(aws: Emulator) -> None:
    """To Aurora, and to what a table needs to be copied to another region."""
    management = {"DynamoDB": True, "EFS": True}
    preferences = {"ResourceTypeOptInPreference": {"Aurora": True}, "ResourceTypeManagementPreference": management}
    aws.client("backup").update_region_settings(**preferences)


def purge(aws: Emulator) -> None:
    for region, vault in (("us-east-1", "vault"), (ELSEWHERE, "copies")):
        for arn in points(aws, vault, region):
            aws.client("backup", region).delete_recovery_point(BackupVaultName=vault, RecoveryPointArn=arn)


def points(aws: Emulator, vault: str = "vault", region: str = "us-east-1") -> list[str]:
    found = aws.client("backup", region).list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"]
    return [one["RecoveryPointArn"] for one in found]


def start(aws: Emulator, resource: str = CLUSTER) -> dict[str, Any]:
    answer: dict[str, Any] = aws.client("backup").start_backup_job(BackupVaultName="vault", ResourceArn=resource, IamRoleArn=ROLE)
    return answer


def heard(aws: Emulator, ids: dict[str, str]) -> list[dict[str, Any]]:
    sqs, found = aws.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=ids["Heard"], MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=ids["Heard"], ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
    return found


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def session(aws: Emulator, endpoint: dict[str, Any]) -> Any:
    return connect(aws, place(endpoint["Address"], endpoint["Port"]), PASSWORD)


def test_a_job_makes_a_recovery_point_and_says_so(aws: Emulator, ids: dict[str, str]) -> None:
    made = start(aws)
    assert made["RecoveryPointArn"].startswith("arn:aws:rds:us-east-1:123456789012:cluster-snapshot:awsbackup:job-")
    backup = aws.client("backup")
    found = backup.describe_recovery_point(BackupVaultName="vault", RecoveryPointArn=made["RecoveryPointArn"])
    assert (found["ResourceType"], found["Status"], found["ResourceArn"]) == ("Aurora", "COMPLETED", CLUSTER)
    assert backup.describe_backup_vault(BackupVaultName="vault")["NumberOfRecoveryPoints"] == 1
    jobs = backup.list_backup_jobs(ByBackupVaultName="vault", ByState="COMPLETED")["BackupJobs"]
    assert made["BackupJobId"] in [job["BackupJobId"] for job in jobs]
    (event,) = heard(aws, ids)
    assert (event["detail-type"], event["detail"]["state"]) == ("Backup Job State Change", "COMPLETED")
    assert (event["detail"]["backupJobId"], event["detail"]["resourceArn"]) == (made["BackupJobId"], CLUSTER)


def test_a_held_job_runs_until_it_is_stopped(aws: Emulator, ids: dict[str, str]) -> None:
    backup = aws.client("backup")
    aws.hold_backups()
    try:
        job = start(aws)["BackupJobId"]
    finally:
        aws.hold_backups(False)
    assert backup.describe_backup_job(BackupJobId=job)["State"] == "RUNNING"
    assert points(aws) == []
    backup.stop_backup_job(BackupJobId=job)
    assert backup.describe_backup_job(BackupJobId=job)["State"] == "ABORTED"
    assert [event["detail"]["state"] for event in heard(aws, ids)] == ["ABORTED"]
    assert code(backup.stop_backup_job, BackupJobId=job) == "InvalidRequestException"


def test_a_vault_with_a_recovery_point_is_not_deleted(aws: Emulator) -> None:
    backup = aws.client("backup")
    backup.create_backup_vault(BackupVaultName="another")
    arn = backup.start_backup_job(BackupVaultName="another", ResourceArn=TABLE, IamRoleArn=ROLE)["RecoveryPointArn"]
    assert code(backup.delete_backup_vault, BackupVaultName="another") == "InvalidRequestException"
    backup.delete_recovery_point(BackupVaultName="another", RecoveryPointArn=arn)
    missing = code(backup.delete_recovery_point, BackupVaultName="another", RecoveryPointArn=arn)
    assert missing == "ResourceNotFoundException"
    backup.delete_backup_vault(BackupVaultName="another")


@pytest.mark.usefixtures("ids")
def test_what_the_role_of_a_point_may_not_delete_expires_and_stays(aws: Emulator) -> None:
    backup, iam = aws.client("backup"), aws.client("iam")
    arn = start(aws)["RecoveryPointArn"]
    policy = iam.get_role_policy(RoleName="backup", PolicyName="p")["PolicyDocument"]
    iam.delete_role_policy(RoleName="backup", PolicyName="p")
    answer = backup.delete_recovery_point(BackupVaultName="vault", RecoveryPointArn=arn)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    found = backup.describe_recovery_point(BackupVaultName="vault", RecoveryPointArn=arn)
    assert (found["Status"], found["StatusMessage"]) == ("EXPIRED", f"The role {ROLE} may not rds:DeleteDBClusterSnapshot.")
    assert [call.role for call in aws.calls() if call.action == "rds:DeleteDBClusterSnapshot" and not call.allowed] == ["backup"]
    iam.put_role_policy(RoleName="backup", PolicyName="p", PolicyDocument=json.dumps(policy))
    trust = iam.get_role(RoleName="backup")["Role"]["AssumeRolePolicyDocument"]
    iam.update_assume_role_policy(
        RoleName="backup", PolicyDocument=json.dumps(trust).replace("backup.amazonaws", "lambda.amazonaws")
    )
    backup.delete_recovery_point(BackupVaultName="vault", RecoveryPointArn=arn)
    found = backup.describe_recovery_point(BackupVaultName="vault", RecoveryPointArn=arn)
    assert (found["Status"], found["StatusMessage"]) == ("EXPIRED", f"The role {ROLE} cannot be assumed by AWS Backup.")
    iam.update_assume_role_policy(RoleName="backup", PolicyDocument=json.dumps(trust))
    backup.delete_recovery_point(BackupVaultName="vault", RecoveryPointArn=arn)
    assert code(backup.describe_recovery_point, BackupVaultName="vault", RecoveryPointArn=arn) == "ResourceNotFoundException"


def test_a_plan_leaves_out_what_the_account_has_not_opted_in_to(aws: Emulator) -> None:
    backup = aws.client("backup")
    assert not backup.describe_region_settings()["ResourceTypeOptInPreference"]["Aurora"]
    assert [arn for arn in aws.back_up("plan") if ":rds:" in arn] == []
    backup.update_region_settings(ResourceTypeOptInPreference={"Aurora": True})
    assert backup.describe_region_settings()["ResourceTypeOptInPreference"]["Aurora"]
    assert [arn for arn in aws.back_up("plan") if ":rds:" in arn] != []


@pytest.mark.usefixtures("opted_in")
def test_a_plan_that_runs_backs_up_what_it_selects_and_copies_it(aws: Emulator) -> None:
    made = aws.back_up("plan")
    here, there = points(aws), points(aws, "copies", ELSEWHERE)
    assert set(made) == {*here, *there}
    # Continuous for Aurora; of a table a continuous rule makes snapshots, and every copy is one.
    assert [arn for arn in made if ":continuous:" in arn] == ["arn:aws:rds:us-east-1:123456789012:cluster:continuous:backed-up"]
    assert (len(here), len(there)) == (2, 2)
    aws.back_up("plan")
    assert (len(points(aws)), len(points(aws, "copies", ELSEWHERE))) == (3, 4)
    with pytest.raises(EmulatorError, match="There is no backup plan 'none'"):
        aws.back_up("none")


@pytest.mark.usefixtures("opted_in")
def test_only_a_continuous_recovery_point_is_disassociated(aws: Emulator) -> None:
    backup = aws.client("backup")
    continuous = next(arn for arn in aws.back_up("plan") if ":continuous:" in arn)
    snapshot = start(aws)["RecoveryPointArn"]
    refused = code(backup.disassociate_recovery_point, BackupVaultName="vault", RecoveryPointArn=snapshot)
    assert refused == "InvalidRequestException"
    backup.disassociate_recovery_point(BackupVaultName="vault", RecoveryPointArn=continuous)
    assert continuous not in points(aws)


def test_a_test_of_restoring_brings_a_cluster_without_instance_back_as_it_was(aws: Emulator, ids: dict[str, str]) -> None:
    rds, backup = aws.client("rds"), aws.client("backup")
    endpoint = rds.describe_db_instances(DBInstanceIdentifier=ids["Writer"])["DBInstances"][0]["Endpoint"]
    connection = session(aws, endpoint)
    connection.run("CREATE TABLE IF NOT EXISTS rows (one int)")
    connection.run("INSERT INTO rows VALUES (1)")
    start(aws)
    connection.run("INSERT INTO rows VALUES (2)")
    connection.close()
    (job,) = aws.test_restore("testing")
    found = backup.describe_restore_job(RestoreJobId=job)
    assert (found["Status"], found["ValidationStatus"]) == ("COMPLETED", "VALIDATING")
    event = next(event for event in heard(aws, ids) if event["detail-type"] == "Restore Job State Change")
    assert (event["detail"]["restoreJobId"], event["detail"]["status"]) == (job, "COMPLETED")
    assert event["detail"]["createdResourceArn"] == found["CreatedResourceArn"]
    assert event["detail"]["restoreTestingPlanArn"] == found["CreatedBy"]["RestoreTestingPlanArn"]

    name = found["CreatedResourceArn"].rsplit(":", 1)[1]
    restored = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
    assert restored["DBClusterMembers"] == []
    assert [group["VpcSecurityGroupId"] for group in restored["VpcSecurityGroups"]] == [ids["Group"]]
    where = {"Address": restored["Endpoint"], "Port": restored["Port"]}
    assert where != {"Address": endpoint["Address"], "Port": endpoint["Port"]}
    with pytest.raises(Exception, match="pg_hba"):
        session(aws, where)
    rds.create_db_instance(
        DBInstanceIdentifier="validator", DBClusterIdentifier=name, DBInstanceClass="db.t4g.medium", Engine="aurora-postgresql"
    )
    connection = session(aws, where)
    assert connection.run("SELECT one FROM rows") == [[1]]
    connection.close()
    rds.delete_db_instance(DBInstanceIdentifier="validator", SkipFinalSnapshot=True)
    backup.put_restore_validation_result(RestoreJobId=job, ValidationStatus="SUCCESSFUL", ValidationStatusMessage="1 row")
    done = backup.list_restore_jobs(ByRestoreTestingPlanArn=found["CreatedBy"]["RestoreTestingPlanArn"])["RestoreJobs"][-1]
    assert (done["ValidationStatus"], done["DeletionStatus"]) == ("SUCCESSFUL", "SUCCESSFUL")
    assert code(rds.describe_db_clusters, DBClusterIdentifier=name) == "DBClusterNotFoundFault"
    again = code(backup.put_restore_validation_result, RestoreJobId=job, ValidationStatus="FAILED")
    assert again == "InvalidRequestException"


def test_a_cluster_to_which_the_validator_left_an_instance_is_not_removed(aws: Emulator) -> None:
    rds, backup = aws.client("rds"), aws.client("backup")
    start(aws)
    (job,) = aws.test_restore("testing")
    name = backup.describe_restore_job(RestoreJobId=job)["CreatedResourceArn"].rsplit(":", 1)[1]
    rds.create_db_instance(
        DBInstanceIdentifier="left", DBClusterIdentifier=name, DBInstanceClass="db.t4g.medium", Engine="aurora-postgresql"
    )
    backup.put_restore_validation_result(RestoreJobId=job, ValidationStatus="SUCCESSFUL")
    assert backup.describe_restore_job(RestoreJobId=job)["DeletionStatus"] == "FAILED"
    rds.delete_db_instance(DBInstanceIdentifier="left", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


@pytest.mark.usefixtures("opted_in")
def test_a_continuous_recovery_point_that_is_made_again_holds_what_there_is_by_then(aws: Emulator, ids: dict[str, str]) -> None:
    rds, backup = aws.client("rds"), aws.client("backup")
    connection = session(aws, rds.describe_db_instances(DBInstanceIdentifier=ids["Writer"])["DBInstances"][0]["Endpoint"])
    connection.run("CREATE TABLE goes_on (one int)")
    arn = next(arn for arn in aws.back_up("plan") if ":continuous:" in arn)
    connection.run("INSERT INTO goes_on VALUES (1)")
    connection.close()
    assert arn in aws.back_up("plan")
    metadata = {"DBClusterIdentifier": "goes-on", "DBSubnetGroupName": "subnets-of-backups"}
    backup.start_restore_job(RecoveryPointArn=arn, Metadata=metadata, IamRoleArn=ROLE)
    rds.create_db_instance(
        DBInstanceIdentifier="goes-on-1",
        DBClusterIdentifier="goes-on",
        DBInstanceClass="db.t4g.medium",
        Engine="aurora-postgresql",
    )
    endpoint = rds.describe_db_instances(DBInstanceIdentifier="goes-on-1")["DBInstances"][0]["Endpoint"]
    connection = session(aws, endpoint)
    assert connection.run("SELECT one FROM goes_on") == [[1]]
    connection.close()
    rds.delete_db_instance(DBInstanceIdentifier="goes-on-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="goes-on", SkipFinalSnapshot=True)


def test_without_a_subnet_group_nothing_is_restored(aws: Emulator, ids: dict[str, str]) -> None:
    arn, backup = start(aws)["RecoveryPointArn"], aws.client("backup")
    job = backup.start_restore_job(RecoveryPointArn=arn, Metadata={}, IamRoleArn=ROLE)["RestoreJobId"]
    found = backup.describe_restore_job(RestoreJobId=job)
    assert found["Status"] == "FAILED"
    assert "default VPC" in found["StatusMessage"]
    assert heard(aws, ids)[-1]["detail"]["status"] == "FAILED"


def test_a_restored_instance_has_the_data_on_a_timeline_of_its_own(aws: Emulator) -> None:
    rds, backup = aws.client("rds"), aws.client("backup")
    made = rds.create_db_instance(
        DBInstanceIdentifier="single",
        DBName="books",
        Engine="postgres",
        DBInstanceClass="db.r6g.large",
        MasterUsername="master",
        MasterUserPassword=PASSWORD,
        DBSubnetGroupName="subnets-of-backups",
    )["DBInstance"]
    connection = session(aws, made["Endpoint"])
    connection.run("CREATE TABLE kept AS SELECT 1 AS one")
    line = "SELECT timeline_id FROM pg_control_checkpoint()"
    connection.close()
    arn = start(aws, made["DBInstanceArn"])["RecoveryPointArn"]
    metadata = {"DBInstanceIdentifier": "single-again", "DBSubnetGroupName": "subnets-of-backups"}
    job = backup.start_restore_job(RecoveryPointArn=arn, Metadata=metadata, IamRoleArn=ROLE)["RestoreJobId"]
    assert "ValidationStatus" not in backup.describe_restore_job(RestoreJobId=job)
    again = rds.describe_db_instances(DBInstanceIdentifier="single-again")["DBInstances"][0]
    connection = session(aws, again["Endpoint"])
    assert connection.run("SELECT one FROM kept") == [[1]]
    assert connection.run(line) == [[2]]
    connection.close()
    for name in ("single", "single-again"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def test_a_copy_is_restored_in_its_region_with_the_data(aws: Emulator) -> None:
    rds, there, backup = aws.client("rds"), aws.client("rds", ELSEWHERE), aws.client("backup", ELSEWHERE)
    made = rds.create_db_instance(
        DBInstanceIdentifier="to-be-copied",
        DBName="books",
        Engine="postgres",
        DBInstanceClass="db.r6g.large",
        MasterUsername="master",
        MasterUserPassword=PASSWORD,
        DBSubnetGroupName="subnets-of-backups",
    )["DBInstance"]
    connection = session(aws, made["Endpoint"])
    connection.run("CREATE TABLE kept AS SELECT 7 AS seven")
    connection.close()
    arn = start(aws, made["DBInstanceArn"])["RecoveryPointArn"]
    copied = aws.client("backup").start_copy_job(
        RecoveryPointArn=arn,
        SourceBackupVaultName="vault",
        DestinationBackupVaultArn=f"arn:aws:backup:{ELSEWHERE}:123456789012:backup-vault:copies",
        IamRoleArn=ROLE,
    )["CopyJobId"]
    job = aws.client("backup").describe_copy_job(CopyJobId=copied)["CopyJob"]
    assert (job["State"], job["ResourceType"], job["SourceRecoveryPointArn"]) == ("COMPLETED", "RDS", arn)
    vpc = aws.client("ec2", ELSEWHERE).create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws.client("ec2", ELSEWHERE).create_subnet(VpcId=vpc, CidrBlock=f"10.8.{one}.0/24", AvailabilityZone=f"{ELSEWHERE}{zone}")
        for one, zone in enumerate("ab")
    ]
    there.create_db_subnet_group(
        DBSubnetGroupName="there", DBSubnetGroupDescription="x", SubnetIds=[one["Subnet"]["SubnetId"] for one in subnets]
    )
    metadata = {"DBInstanceIdentifier": "from-a-copy", "DBSubnetGroupName": "there"}
    restored = backup.start_restore_job(RecoveryPointArn=job["DestinationRecoveryPointArn"], Metadata=metadata, IamRoleArn=ROLE)[
        "RestoreJobId"
    ]
    arn = backup.describe_restore_job(RestoreJobId=restored)["CreatedResourceArn"]
    assert arn.startswith(f"arn:aws:rds:{ELSEWHERE}:")
    connection = session(aws, there.describe_db_instances(DBInstanceIdentifier="from-a-copy")["DBInstances"][0]["Endpoint"])
    assert connection.run("SELECT seven FROM kept") == [[7]]
    connection.close()
    rds.delete_db_instance(DBInstanceIdentifier="to-be-copied", SkipFinalSnapshot=True)
    there.delete_db_instance(DBInstanceIdentifier="from-a-copy", SkipFinalSnapshot=True)


@pytest.mark.usefixtures("opted_in")
def test_a_plan_names_its_copies_and_why_one_failed(aws: Emulator, ids: dict[str, str]) -> None:
    backup = aws.client("backup")
    backup.update_region_settings(ResourceTypeManagementPreference={"DynamoDB": False, "EFS": True})
    made = aws.back_up("plan")
    told = [event for event in heard(aws, ids) if event["detail-type"] == "Copy Job State Change"]
    states = {event["detail"]["resourceArn"]: event["detail"]["state"] for event in told}
    assert states == {CLUSTER: "COMPLETED", TABLE: "FAILED"}
    event = next(event for event in told if event["detail"]["resourceArn"] == TABLE)
    job = backup.describe_copy_job(CopyJobId=event["detail"]["copyJobId"])["CopyJob"]
    assert "advanced features" in job["StatusMessage"]
    assert job["CreatedBy"]["BackupPlanId"] == ids["Plan"]
    assert backup.describe_backup_job(BackupJobId=job["CreatedByBackupJobId"])["RecoveryPointArn"] in made
    failed = backup.list_copy_jobs(ByState="FAILED", ByResourceArn=TABLE)["CopyJobs"]
    assert job["CopyJobId"] in [one["CopyJobId"] for one in failed]
    assert len(points(aws, "copies", ELSEWHERE)) == 1
