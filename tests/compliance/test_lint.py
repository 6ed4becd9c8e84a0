"""cfn-lint judges each template in each region with an environment's values, and is not asked twice."""

from pathlib import Path

import pytest

from compliance.lint import Job, job, judge, lint
from model import read

INSTANCE = """\
Metadata: {Layer: {Imports: {NetworkDatabaseSubnetIds: network.DatabaseSubnetIds, KeysLogsKeyArn: keys.LogsKeyArn, Odd: a.Odd}}}
Parameters:
  EnvironmentSuffix: {Type: String}
  Class: {Type: String, Default: db.r6g.large}
  NetworkDatabaseSubnetIds: {Type: 'List<AWS::EC2::Subnet::Id>'}
  KeysLogsKeyArn: {Type: String}
  Odd: {Type: String}
Resources:
  Group:
    Type: AWS::RDS::DBSubnetGroup
    Properties: {DBSubnetGroupDescription: !Ref Odd, SubnetIds: !Ref NetworkDatabaseSubnetIds}
  Instance:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      DBInstanceIdentifier: !Sub rds-${EnvironmentSuffix}
      DBInstanceClass: !Ref Class
      DBSubnetGroupName: !Ref Group
      Engine: postgres
      EngineVersion: '@version'
      AllocatedStorage: '100'
      BackupRetentionPeriod: 7
      StorageEncrypted: true
      KmsKeyId: !Ref KeysLogsKeyArn
"""


def _job(version: str = "15.19", region: str = "us-east-1", size: str = "!Ref Class", **values: object) -> Job:
    text = INSTANCE.replace("@version", version).replace("!Ref Class", size)
    return job("templates/x.yaml", text, read(text), region, {"EnvironmentSuffix": "dev", **values})


def test_a_sound_template_has_no_findings() -> None:
    assert judge(_job()) == []


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (_job(version="15.2"), "W3691"),
        (_job(region="eu-central-2", size="db.r3.large"), "E3"),
        (_job(EnvironmentSuffix="PROD_1"), "W1031"),
        (_job(Typo="x"), "E2900"),
    ],
)
def test_what_aws_would_refuse_in_a_region_with_these_values_is_found(one: Job, rule: str) -> None:
    assert any(f" {rule}" in finding and finding.startswith("templates/x.yaml:") for finding in judge(one)), judge(one)


def test_a_clean_result_is_kept_and_a_finding_is_not(tmp_path: Path) -> None:
    clean, deprecated = _job(), _job(version="15.2")
    assert len(lint([clean, deprecated], tmp_path)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [clean.key]
    assert len(lint([clean, deprecated], tmp_path)) == 1
    assert lint([clean], tmp_path) == []


def test_a_result_is_kept_for_its_text_region_and_values_only() -> None:
    keys = {_job().key, _job(version="15.18").key, _job(region="eu-west-1").key, _job(Class="db.r6g.xlarge").key}
    assert len(keys) == 4
    assert _job().key == _job().key
