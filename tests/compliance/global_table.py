"""The table of test_rules for what stands in two regions: global databases, replicated objects, and the trail of data."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def region_of(name: str) -> dict[str, Any]:
    return {"Fn::Select": [3, {"Fn::Split": [":", ref(name)]}]}


def _of(layer: str, title: str) -> str:
    return f"{layer}/Resources/{title}/Properties"


WHOLE, SECONDARY = _of("whole", "Whole"), _of("second", "Cluster")
SOURCE, REPLICA = _of("whole", "Source"), _of("second", "Replica")
REPLICATION = f"{SOURCE}/ReplicationConfiguration/Rules/0"
ROLE = "whole/Resources/ReplicationRole/Properties"
GRANTED = f"{ROLE}/Policies/0/PolicyDocument/Statement"
TRAIL, KEPT = _of("base", "Trail"), _of("base", "Bucket")
OBJECTS, FUNCTIONS = (f"{TRAIL}/AdvancedEventSelectors/{n}/FieldSelectors" for n in (1, 2))
LATE, FAILED = _of("second", "ObjectsLate"), _of("whole", "ObjectsFailed")
BEHIND = _of("second", "BehindPrimary")
UNCOPIED = (f"{_of('platform', 'Continuous')}/BackupPlan/BackupPlanRule/0/CopyActions", GONE)


def expiring(days: Any) -> dict[str, Any]:
    return {
        "Id": "keep",
        "Status": "Enabled",
        "ExpirationInDays": days,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


BREAKS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: then the rule is unmet
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/EngineVersion", "15.18")]),
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/Engine", GONE)]),
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/MasterUsername", "admin")]),
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/DatabaseName", "app")]),
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/SourceRegion", GONE)]),
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/SourceRegion", region_of("WholeId"))]),
    ("secondaries.accepted", "second.Cluster", [(f"{SECONDARY}/GlobalClusterIdentifier", "another")]),
    ("secondaries.accepted", "second.Cluster", [(f"{WHOLE}/SourceDBClusterIdentifier", GONE)]),
    ("secondaries.own_key", "second.Cluster", [(f"{SECONDARY}/KmsKeyId", GONE)]),
    ("secondaries.own_key", "second.Cluster", [(f"{SECONDARY}/KmsKeyId", "arn:aws:kms:us-west-2:1:key/1")]),
    (
        "secondaries.own_key",
        "second.Cluster",
        [(f"{SECONDARY}/KmsKeyId", ref("BaseKeyArn")), ("second/Metadata/Layer/Imports/BaseKeyArn", "primary:base.KeyArn")],
    ),
    ("secondaries.lag_watched", "whole.Whole", [("second/Resources/BehindPrimary", GONE)]),
    ("secondaries.lag_watched", "whole.Whole", [("whole/Resources/BehindSecond/Condition", "Sometimes")]),
    ("secondaries.lag_watched", "whole.Whole", [(f"{BEHIND}/MetricName", "AuroraGlobalDBReplicationLag")]),
    ("secondaries.lag_watched", "whole.Whole", [(f"{BEHIND}/Dimensions/0/Value", "us-east-1")]),
    ("secondaries.lag_watched", "whole.Whole", [(f"{SECONDARY}/GlobalClusterIdentifier", GONE)]),
    ("secondaries.lag_watched", "whole.Whole", [(f"{WHOLE}/SourceDBClusterIdentifier", "elsewhere")]),
    ("secondaries.capacity_watched", "second.Cluster", [("second/Resources/Capacity", GONE)]),
    ("secondaries.capacity_watched", "second.Cluster", [("second/Resources/Capacity/Condition", "Sometimes")]),
    ("secondaries.destroyable", "whole.Whole", [(f"{WHOLE}/DeletionProtection", True)]),
    ("secondaries.destroyable", "whole.Whole", [("whole/Resources/Whole/DeletionPolicy", "Snapshot")]),
    ("rds.alarmed", "second.Cluster", [("second/Resources/BusiestCpu/Properties/Statistic", "Average")]),
    ("backup.elsewhere", "platform.Continuous", [UNCOPIED, (f"{SECONDARY}/GlobalClusterIdentifier", GONE)]),
    ("backup.elsewhere", "platform.Continuous", [UNCOPIED, ("second/Metadata/Layer/Sites", {"recovery": "us-east-1"})]),
    ("backup.covers", "platform.Continuous", [(f"{SECONDARY}/GlobalClusterIdentifier", GONE)]),
    # metrics of two regions
    ("alarms.metric_exists", "second.BehindPrimary", [(f"{BEHIND}/Dimensions/0/Value", "us-east-1")]),
    ("alarms.metric_exists", "second.BehindPrimary", [("second/Metadata/Layer/Sites", {"recovery": "us-east-1"})]),
    ("alarms.metric_exists", "second.BehindPrimary", [(f"{BEHIND}/Dimensions/0/Value", region_of("WholeSourceName"))]),
    ("alarms.metric_exists", "second.ObjectsLate", [(f"{LATE}/Dimensions/2/Value", "another-rule")]),
    ("alarms.metric_exists", "second.ObjectsLate", [(f"{LATE}/Dimensions/2", GONE)]),
    # objects
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/Status", "Disabled")]),
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/Filter/Prefix", "some/")]),
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/DeleteMarkerReplication", GONE)]),
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/SourceSelectionCriteria", GONE)]),
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/Destination/ReplicationTime/Status", "Disabled")]),
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/Destination/Metrics", GONE)]),
    ("s3.replicated_in_time", "whole.Source", [(f"{REPLICATION}/Destination/EncryptionConfiguration", GONE)]),
    ("s3.replication_allowed", "whole.Source", [(f"{SOURCE}/ReplicationConfiguration/Role", "arn:aws:iam::1:role/x")]),
    (
        "s3.replication_allowed",
        "whole.Source",
        [(f"{ROLE}/AssumeRolePolicyDocument/Statement/0/Principal/Service", "lambda.amazonaws.com")],
    ),
    ("s3.replication_allowed", "whole.Source", [(f"{GRANTED}/0/Action", "s3:ListBucket")]),
    ("s3.replication_allowed", "whole.Source", [(f"{GRANTED}/1/Resource", "arn:aws:s3:::another/*")]),
    ("s3.replication_allowed", "whole.Source", [(f"{GRANTED}/2/Action", ["s3:ReplicateObject", "s3:ReplicateTags"])]),
    ("s3.replication_allowed", "whole.Source", [(f"{GRANTED}/3", GONE)]),
    ("s3.replication_allowed", "whole.Source", [(f"{GRANTED}/4/Condition", GONE)]),
    ("s3.replication_allowed", "whole.Source", [(f"{GRANTED}/4/Effect", "Deny")]),
    ("s3.replication_allowed", "whole.Source", [(f"{REPLICA}/VersioningConfiguration/Status", "Suspended")]),
    ("s3.replication_allowed", "whole.Source", [(f"{REPLICATION}/Destination/Bucket", "arn:aws:s3:::another")]),
    ("s3.replication_watched", "whole.Source", [("second/Resources/ObjectsLate", GONE)]),
    ("s3.replication_watched", "whole.Source", [("whole/Resources/ObjectsFailed/Condition", "Sometimes")]),
    ("s3.replication_watched", "whole.Source", [(f"{LATE}/MetricName", "OperationsFailedReplication")]),
    ("s3.replication_watched", "whole.Source", [(f"{FAILED}/Dimensions/2/Value", "another")]),
    (
        "s3.replication_watched",
        "whole.Source",
        [("second/Metadata/Layer/Sites", {"recovery": "eu-west-1"}), (f"{LATE}/Dimensions/0/Value", "x")],
    ),
    ("s3.replica_kept_alike", "whole.Source", [(f"{REPLICA}/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration", GONE)]),
    # the trail
    ("trail.data_events", "base.Trail", [(f"{TRAIL}/AdvancedEventSelectors", GONE)]),
    ("trail.data_events", "base.Trail", [(f"{OBJECTS}/2/StartsWith", ["arn:aws:s3:::source-"])]),
    ("trail.data_events", "base.Trail", [(f"{OBJECTS}/1/Equals", ["AWS::DynamoDB::Table"])]),
    ("trail.calls_recorded", "base.Trail", [(f"{FUNCTIONS}/2/StartsWith", ["arn:aws:lambda:us-east-1:1:function:another-"])]),
    ("trail.calls_recorded", "base.Trail", [(f"{FUNCTIONS}/2/StartsWith", [{"Fn::GetAtt": ["Topic", "Arn"]}] * 2)]),
    ("trail.calls_recorded", "base.Trail", [("data/Metadata/Layer/Sites", {"primary": "us-east-1", "recovery": "eu-west-1"})]),
    ("trail.retained", "base.Trail", [(f"{KEPT}/LifecycleConfiguration/Rules/0", expiring(365))]),
    ("trail.retained", "base.Trail", [(f"{KEPT}/LifecycleConfiguration/Rules/0", expiring(ref("Days")))]),
    ("trail.retained", "base.Trail", [(f"{TRAIL}/S3BucketName", "another")]),
]

BEARS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: the rule is still met
    ("backup.elsewhere", "platform.Continuous", [UNCOPIED]),
    ("trail.retained", "base.Trail", [(f"{KEPT}/LifecycleConfiguration/Rules/0", expiring(2557))]),
    (
        "trail.retained",
        "base.Trail",
        [
            (f"{KEPT}/LifecycleConfiguration/Rules/0", expiring(ref("Days"))),
            ("base/Parameters/Days", {"Type": "Number", "MinValue": 2192}),
        ],
    ),
]
