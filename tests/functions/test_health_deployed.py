"""The health package as a deployed function of the emulator: under a role of its own, and no permission too many."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import emulator
from emulator.postgres import MISSING, find
from generator.packages import package
from tests.support import unmeasured

pytestmark = pytest.mark.xdist_group("health deployed")  # else every worker would set up what they share

PASSWORD = "First-password.of_the~master-000"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
BUCKET, TABLE = "dr-backup-bucket", "dr-table"
# What the health function may do, on what.
NEEDED = {
    "secretsmanager:GetSecretValue": "{secret}",
    "dynamodb:PutItem": f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}",
    "dynamodb:GetItem": f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}",
    "dynamodb:DeleteItem": f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}",
    "s3:PutObject": f"arn:aws:s3:::{BUCKET}/health/*",
    "s3:GetObject": f"arn:aws:s3:::{BUCKET}/health/*",
    "s3:DeleteObjectVersion": f"arn:aws:s3:::{BUCKET}/health/*",
}
CHECKED = {"secretsmanager": "secret", "dynamodb": "table", "s3": "bucket"}


@dataclass(frozen=True)
class Deployed:
    """The function ``health`` under the role ``health``."""

    aws: emulator.Emulator
    secret: str

    def allow(self, *actions: str) -> None:
        statements = [{"Effect": "Allow", "Action": one, "Resource": NEEDED[one].format(secret=self.secret)} for one in actions]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.aws.client("iam").put_role_policy(RoleName="health", PolicyName="health", PolicyDocument=policy)

    def invoke(self) -> tuple[str, dict[str, Any]]:
        """Whether Lambda calls it an error, and the answer."""
        self.aws.forget_calls()
        answer = self.aws.client("lambda").invoke(FunctionName="health", Payload=b"{}")
        return answer.get("FunctionError", ""), json.loads(answer["Payload"].read())

    def used(self) -> set[str]:
        return {call.action for call in self.aws.calls() if call.role == "health" and call.allowed and not call.via}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    assert find() is not None, MISSING
    with unmeasured.running() as aws:
        rds, s3 = aws.client("rds"), aws.client("s3")
        rds.create_db_cluster(
            DBClusterIdentifier="dr-aurora",
            Engine="aurora-postgresql",
            DatabaseName="app",
            MasterUsername="app_admin",
            MasterUserPassword=PASSWORD,
        )
        rds.create_db_instance(
            DBInstanceIdentifier="writer",
            DBClusterIdentifier="dr-aurora",
            Engine="aurora-postgresql",
            DBInstanceClass="db.t4g.medium",
        )
        cluster = _available(rds)
        value = {
            "username": "app_admin",
            "password": PASSWORD,
            "dbname": "app",
            "host": cluster["Endpoint"],
            "dbClusterIdentifier": "dr-aurora",
        }
        secret = aws.client("secretsmanager").create_secret(Name="app", SecretString=json.dumps(value))["ARN"]
        aws.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        role = aws.client("iam").create_role(RoleName="health", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        variables = {
            "DB_SECRET_ARN": secret,
            "DB_CLUSTER_ARN": cluster["DBClusterArn"],
            "DYNAMODB_TABLE": TABLE,
            "S3_BUCKET": BUCKET,
            "DATABASE_HOST": cluster["Endpoint"],
            "DATABASE_PORT": str(cluster["Port"]),
        }
        aws.client("lambda").create_function(
            FunctionName="health",
            Runtime="python3.12",
            Handler="handler.handler",
            Role=role,
            Code={"ZipFile": package("health").write(Path(tmp_path_factory.mktemp("out"))).read_bytes()},
            Timeout=60,
            Environment={"Variables": variables},
        )
        yield Deployed(aws, secret)


def _available(rds: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        [cluster] = rds.describe_db_clusters(DBClusterIdentifier="dr-aurora")["DBClusters"]
        if cluster["Status"] == "available" and cluster["DBClusterMembers"]:
            return dict(cluster)
        time.sleep(0.05)
    raise AssertionError("the cluster did not become available in a minute")


def test_deployed_function_reports_all_under_its_own_role(deployed: Deployed) -> None:
    deployed.allow(*NEEDED)
    error, report = deployed.invoke()
    assert not error, report
    assert {name: told["works"] for name, told in report.items()} == {
        "secret": True,
        "database": True,
        "table": True,
        "bucket": True,
    }
    assert deployed.used() == set(NEEDED)


@pytest.mark.parametrize("missing", NEEDED)
def test_every_permission_is_needed_and_what_lacks_it_is_named(deployed: Deployed, missing: str) -> None:
    deployed.allow(*(one for one in NEEDED if one != missing))
    error, answer = deployed.invoke()
    assert error, "Lambda counts it as an error, so that the alarm can fire"
    assert answer["errorMessage"].startswith(f"1 of 4 dependencies fail. {CHECKED[missing.split(':')[0]]}: ")


@pytest.mark.parametrize("name", ["health", "restore_validator"])
def test_package_holds_the_handler_and_what_it_shares(name: str) -> None:
    files = package(name).files
    assert {"handler.py", "common/metrics.py", "common/login.py", "common/rds-global-bundle.pem", "pg8000/native.py"} <= set(
        files
    )
