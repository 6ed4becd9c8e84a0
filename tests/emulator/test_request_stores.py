"""A role that may something with one resource may it with that one only: calls are about the resources that AWS says."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, running
from tests.support.emulator import samples

REGION = "eu-west-2"
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class World:
    """Resources of the calls below, by name."""

    aws: Emulator
    names: dict[str, str]

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.format(**self.names)
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return {key: self.filled(one) for key, one in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running(databases=False) as aws:
        efs, backup, route53 = aws.client("efs", REGION), aws.client("backup", REGION), aws.client("route53")
        names = {"efs": efs.create_file_system(CreationToken="one", Encrypted=True)["FileSystemId"]}
        target = efs.create_file_system(CreationToken="two", Encrypted=True)["FileSystemId"]
        efs.update_file_system_protection(FileSystemId=target, ReplicationOverwriteProtection="DISABLED")
        destination = {"FileSystemId": target, "Region": REGION}
        efs.create_replication_configuration(SourceFileSystemId=names["efs"], Destinations=[destination])
        backup.create_backup_vault(BackupVaultName="vault")
        started = backup.start_backup_job(
            BackupVaultName="vault",
            ResourceArn=f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/{names['efs']}",
            IamRoleArn=f"arn:aws:iam::{ACCOUNT}:role/x",
        )
        names["point"] = started["RecoveryPointArn"]
        ssm = aws.client("ssm", REGION)
        for name in ("/system/dev/config/mode", "/system/dev/config/rpo"):
            ssm.put_parameter(Name=name, Value="x", Type="String")
        aws.client("cloudwatch", REGION).put_metric_alarm(
            AlarmName="stale",
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            ComparisonOperator="LessThanThreshold",
            Threshold=1,
        )
        config = {"Type": "CLOUDWATCH_METRIC", "AlarmIdentifier": {"Name": "stale", "Region": REGION}}
        check = route53.create_health_check(CallerReference="x", HealthCheckConfig=config)
        names["check"] = check["HealthCheck"]["Id"]
        aws.client("s3", REGION).create_bucket(Bucket="trails", CreateBucketConfiguration={"LocationConstraint": REGION})
        aws.client("cloudtrail", REGION).create_trail(Name="trail", S3BucketName="trails")
        aws.client("secretsmanager", "eu-west-1").create_secret(
            Name="replicated", SecretString="x", AddReplicaRegions=[{"Region": REGION}]
        )
        secret = aws.client("secretsmanager", REGION).describe_secret(SecretId="replicated")["ARN"]
        yield World(aws, {**names, "secret": secret})


EFS = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/{{efs}}"
SSM = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/system/dev"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
MODE, RPO = "/system/dev/config/mode", "/system/dev/config/rpo"
PREFIXES = {"efs": "elasticfilesystem"}  # where actions are not named as the client is
# Service, call, arguments, the resources that it takes.
CALLS: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "efs",
        "describe_replication_configurations",
        {"FileSystemId": "{efs}"},
        [EFS],
    ),
    ("efs", "describe_replication_configurations", {}, ["*"]),
    ("efs", "describe_file_system_policy", {"FileSystemId": "{efs}"}, [EFS]),
    (
        "efs",
        "update_file_system_protection",
        {"FileSystemId": "{efs}", "ReplicationOverwriteProtection": "ENABLED"},
        [EFS],
    ),
    (
        "backup",
        "describe_recovery_point",
        {"BackupVaultName": "vault", "RecoveryPointArn": "{point}"},
        ["{point}"],
    ),
    (
        "backup",
        "list_recovery_points_by_backup_vault",
        {"BackupVaultName": "vault"},
        [f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:vault"],
    ),
    (
        "backup",
        "start_copy_job",
        {
            "RecoveryPointArn": "{point}",
            "SourceBackupVaultName": "vault",
            "DestinationBackupVaultArn": f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:vault",
            "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/x",
        },
        ["{point}"],
    ),
    (
        "backup",
        "start_restore_job",
        {"RecoveryPointArn": "{point}", "Metadata": {"file-system-id": "{efs}"}},
        ["{point}"],
    ),
    ("ssm", "get_parameter", {"Name": MODE}, [f"{SSM}/config/mode"]),
    ("ssm", "get_parameter", {"Name": f"{MODE}:1"}, [f"{SSM}/config/mode"]),
    ("ssm", "get_parameters", {"Names": [MODE, RPO]}, [f"{SSM}/config/mode", f"{SSM}/config/rpo"]),
    ("ssm", "get_parameters_by_path", {"Path": "/system/dev/", "Recursive": True}, [SSM]),
    (
        "ssm",
        "put_parameter",
        {"Name": "/system/dev/new", "Value": "x", "Type": "String", "Overwrite": True},
        [f"{SSM}/new"],
    ),
    ("ssm", "delete_parameters", {"Names": ["/system/dev/none"]}, [f"{SSM}/none"]),
    ("cloudwatch", "describe_alarms", {"AlarmNames": ["stale"]}, [f"{ALARM}:stale"]),
    ("cloudwatch", "describe_alarms", {}, [f"{ALARM}:*"]),
    (
        "cloudwatch",
        "set_alarm_state",
        {"AlarmName": "stale", "StateValue": "OK", "StateReason": "x"},
        [f"{ALARM}:stale"],
    ),
    (
        "route53",
        "get_health_check",
        {"HealthCheckId": "{check}"},
        ["arn:aws:route53:::healthcheck/{check}"],
    ),
    (
        "cloudtrail",
        "get_trail_status",
        {"Name": "trail"},
        [f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/trail"],
    ),
    ("secretsmanager", "get_secret_value", {"SecretId": "replicated"}, ["{secret}"]),
]


def session(world: World, service: str, action: str, resources: list[str]) -> Any:
    return caller(world, service, samples.policy(action, resources))


def caller(world: World, service: str, policy: dict[str, Any]) -> Any:
    iam, name = world.aws.client("iam"), f"caller-{uuid.uuid4().hex[:12]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    given = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return world.aws.client(service, REGION, **given)


def refused(call: Any, arguments: dict[str, Any]) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return False


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("put_composite_alarm", {"AlarmName": "both", "AlarmRule": "FALSE"}),
        ("describe_alarms", {"AlarmNames": ["both"], "AlarmTypes": ["CompositeAlarm"]}),
        ("describe_alarms", {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}),
    ],
)
def test_composite_alarms_take_no_scope(world: World, call: str, arguments: dict[str, Any]) -> None:
    api = world.aws.client("cloudwatch", REGION).meta.method_to_api_mapping[call]
    for resources, said in ((["*"], False), ([f"{ALARM}:both", f"{ALARM}:*"], True)):
        assert refused(getattr(session(world, "cloudwatch", f"cloudwatch:{api}", resources), call), arguments) is said


@pytest.mark.parametrize(("service", "call", "arguments", "resources"), CALLS)
def test_a_call_takes_its_resources_and_no_other_ones_will_do(
    world: World, service: str, call: str, arguments: dict[str, Any], resources: list[str]
) -> None:
    given, wanted = world.filled(arguments), world.filled(resources)
    api = world.aws.client(service, REGION).meta.method_to_api_mapping[call]
    action = f"{PREFIXES.get(service, service)}:{api}"
    assert not refused(getattr(session(world, service, action, wanted), call), given)
    others = [f"{one}-another" for one in wanted] if wanted != ["*"] else []
    if len(wanted) > 1:
        assert refused(getattr(session(world, service, action, wanted[:1]), call), given)
    if others:
        assert refused(getattr(session(world, service, action, others), call), given)


def test_a_policy_may_keep_parameters_from_being_written_over(world: World) -> None:
    path = f"{SSM}/over/*"
    never = {"Effect": "Deny", "Action": "ssm:PutParameter", "Resource": path}
    may = samples.policy("ssm:PutParameter", [path])
    may["Statement"] = [*may["Statement"], {**never, "Condition": {"StringEquals": {"ssm:Overwrite": "true"}}}]
    ssm = caller(world, "ssm", may)
    put = {"Name": "/system/dev/over/one", "Value": "x", "Type": "String"}
    assert not refused(ssm.put_parameter, put)
    assert not refused(ssm.put_parameter, {**put, "Name": "/system/dev/over/two", "Overwrite": False})
    assert refused(ssm.put_parameter, {**put, "Overwrite": True})
