"""cfn-lint over every template, once per region that it is deployed to and with an environment's values.

Results are kept by content: cfn-lint's version, the template, the region and the values. What was clean stays clean.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from model import Document

EXAMPLES = {
    "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:example",
    "KeyArn": "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
    "FileSystemArn": "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-12345678",
    "AccessPointArn": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-12345678901234567",
    "ClusterArn": "arn:aws:rds:us-east-1:123456789012:cluster:aurora-dev",
    "InstanceArn": "arn:aws:rds:us-east-1:123456789012:db:rds-dev",
    "DatabaseArn": "arn:aws:rds:us-east-1:123456789012:db:rds-dev",
    "UserArn": "arn:aws:elasticache:us-east-1:123456789012:user:user-dev",
    "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/table-dev",
    "BucketArn": "arn:aws:s3:::bucket",
    "VaultArn": "arn:aws:backup:us-east-1:123456789012:backup-vault:vault-dev",
    "PlanArn": "arn:aws:backup:us-east-1:123456789012:restore-testing-plan:plan_dev-00000000",
    "RoleArn": "arn:aws:iam::123456789012:role/role",
    "SecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:secret-AbCdEf",
    "BucketName": "bucket",
    "Endpoint": "database.us-east-1.rds.amazonaws.com",
    "Identifier": "rds-dev",
    "Port": "5432",
    "AWS::EC2::VPC::Id": "vpc-12345678",
    "AWS::EC2::SecurityGroup::Id": "sg-12345678",
    "List<AWS::EC2::AvailabilityZone::Name>": ["us-east-1a", "us-east-1b", "us-east-1c"],
    "List<AWS::EC2::Subnet::Id>": ["subnet-12345678", "subnet-22345678", "subnet-32345678"],
}
"""A value of the right shape for what the chain passes on: by the parameter's type, or by how its name ends."""


@dataclass(frozen=True)
class Job:
    """One template in one region with one set of values."""

    path: str
    text: str
    region: str
    values: tuple[tuple[str, object], ...]

    @property
    def key(self) -> str:
        """The digest under which its result is kept."""
        content = json.dumps([version("cfn-lint"), asdict(self)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def job(path: str, text: str, template: Document, region: str, given: Mapping[str, object]) -> Job:
    """The job of a template: ``given`` are its values; what the chain would pass on gets an example."""
    parameters = template["Parameters"]
    imports = template["Metadata"]["Layer"]["Imports"]
    values = {name: _example(name, parameters[name]["Type"]) for name in imports} | dict(given)
    return Job(path, text, region, tuple(sorted((name, _listed(value)) for name, value in values.items())))


def lint(jobs: Iterable[Job], cache: Path) -> list[str]:
    """What cfn-lint finds, a line each; templates that were clean before are not judged again."""
    cache.mkdir(parents=True, exist_ok=True)
    pending = [one for one in jobs if not (cache / one.key).exists()]
    if not pending:
        return []
    problems: list[str] = []
    # A judgement makes so many objects that the usual thresholds have all of them looked at again and again: half of its time.
    seldom = (100_000, 50, 50)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(pending)), initializer=gc.set_threshold, initargs=seldom) as pool:
        for one, found in zip(pending, pool.map(judge, pending), strict=True):
            problems += found
            if not found:
                (cache / one.key).touch()
    return problems


def judge(one: Job) -> list[str]:
    """cfn-lint's findings on one job, informational ones included."""
    from cfnlint.api import ManualArgs
    from cfnlint.api import lint as cfn_lint

    values = {name: list(value) if isinstance(value, tuple) else value for name, value in one.values}
    arguments = ManualArgs(parameters=[values], regions=[one.region], include_checks=["I"])
    found = cfn_lint(one.text, None, [one.region], arguments)
    return [f"{one.path}:{match.linenumber}: {one.region}: {match.rule.id} {match.message}" for match in found]


def _example(name: str, type_: str) -> object:
    for ending, value in EXAMPLES.items():
        if ending == type_ or name.endswith(ending):
            return value
    return "example"


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
