"""Objects are really replicated to a bucket of another region: what the rule selects, and only as the role may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, running
from tests.support.emulator import samples

HERE, THERE = "eu-west-2", "eu-west-1"
SOURCE, TARGET = "objects-source", "objects-target"
ROLE = "arn:aws:iam::123456789012:role/replication"


@dataclass(frozen=True)
class Pair:
    """Two buckets with keys of their own, of which the first replicates."""

    aws: Emulator
    keys: dict[str, str]

    def put(self, key: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.client("s3", HERE).put_object(Bucket=SOURCE, Key=key, Body=key.encode(), **more)
        return found

    def status(self, key: str) -> str | None:
        found = self.aws.client("s3", HERE).head_object(Bucket=SOURCE, Key=key).get("ReplicationStatus")
        return None if found is None else str(found)

    def replica(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.client("s3", THERE).get_object(Bucket=TARGET, Key=key)
        return found

    def names(self) -> list[str]:
        found = self.aws.client("s3", THERE).list_objects_v2(Bucket=TARGET).get("Contents", [])
        return [one["Key"] for one in found]

    def replicate(self, *rules: dict[str, Any]) -> None:
        configuration = {"Role": ROLE, "Rules": list(rules)}
        self.aws.client("s3", HERE).put_bucket_replication(Bucket=SOURCE, ReplicationConfiguration=configuration)

    def rule(self, **more: Any) -> dict[str, Any]:
        """All objects, with delete markers and KMS, within 15 minutes."""
        destination = {
            "Bucket": f"arn:aws:s3:::{TARGET}",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": self.keys[THERE]},
            "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
            "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
        }
        return {
            "ID": "all",
            "Priority": 1,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            **more,
            "Destination": {**destination, **more.get("Destination", {})},
        }

    def allow(self, statements: dict[str, dict[str, Any]]) -> None:
        document = {"Version": "2012-10-17", "Statement": list(statements.values())}
        self.aws.client("iam").put_role_policy(
            RoleName="replication", PolicyName="replication", PolicyDocument=json.dumps(document)
        )

    def statements(self) -> dict[str, dict[str, Any]]:
        """All that the role needs, and no more."""
        of_object = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
        found = {
            "bucket": statement(["s3:GetReplicationConfiguration", "s3:ListBucket"], f"arn:aws:s3:::{SOURCE}"),
            "object": statement(of_object, f"arn:aws:s3:::{SOURCE}/*"),
            "replica": statement(["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], f"arn:aws:s3:::{TARGET}/*"),
        }
        for name, action, region, context in (
            ("decrypt", "kms:Decrypt", HERE, f"arn:aws:s3:::{SOURCE}"),
            ("encrypt", "kms:Encrypt", THERE, f"arn:aws:s3:::{TARGET}/*"),
        ):
            condition = {
                "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
                "StringLike": {"kms:EncryptionContext:aws:s3:arn": context},
            }
            found[name] = statement([action], self.keys[region], Condition=condition)
        return found


def statement(actions: list[str], resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


@pytest.fixture(scope="module")
def emulated() -> Iterator[Emulator]:
    with running(databases=False) as aws:
        yield aws


@pytest.fixture(scope="module")
def buckets(emulated: Emulator) -> Pair:
    keys = {}
    for region, bucket in ((HERE, SOURCE), (THERE, TARGET)):
        s3, kms = emulated.client("s3", region), emulated.client("kms", region)
        key = kms.create_key(Policy=json.dumps(samples.policy("kms:*", Principal=samples.ROOT)))["KeyMetadata"]["Arn"]
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        # The source's bucket has a key of its own within KMS, the destination's asks KMS for each object.
        rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": region == HERE}]
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
        keys[region] = key
    trust = samples.trust("s3")
    trust["Statement"][0]["Condition"] = {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{SOURCE}"}}
    emulated.client("iam").create_role(RoleName="replication", AssumeRolePolicyDocument=json.dumps(trust))
    return Pair(emulated, keys)


@pytest.fixture
def pair(buckets: Pair) -> Pair:
    """With all permissions, and a rule for all objects."""
    buckets.allow(buckets.statements())
    buckets.replicate(buckets.rule())
    return buckets


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_an_object_arrives_with_its_tags_under_the_key_of_the_other_region(pair: Pair) -> None:
    pair.put("a", Tagging="kind=record", Metadata={"one": "1"})
    found = pair.replica("a")
    assert found["Body"].read() == b"a"
    assert (found["ReplicationStatus"], found["SSEKMSKeyId"], found["Metadata"]) == ("REPLICA", pair.keys[THERE], {"one": "1"})
    tags = pair.aws.client("s3", THERE).get_object_tagging(Bucket=TARGET, Key="a")["TagSet"]
    assert tags == [{"Key": "kind", "Value": "record"}]
    source = pair.aws.client("s3", HERE).head_object(Bucket=SOURCE, Key="a")
    assert (source["ReplicationStatus"], source["SSEKMSKeyId"]) == ("COMPLETED", pair.keys[HERE])


def test_all_that_it_takes_is_on_record_and_is_all_that_was_allowed(pair: Pair) -> None:
    pair.aws.forget_calls()
    pair.put("recorded", Tagging="a=b")
    pair.aws.client("s3", HERE).delete_object(Bucket=SOURCE, Key="recorded")
    calls = {(call.action, call.resource) for call in pair.aws.calls() if call.role == "replication" and call.allowed}
    allowed = {action for one in pair.statements().values() for action in one["Action"]}
    assert {action for action, _ in calls} == allowed
    assert ("kms:Decrypt", pair.keys[HERE]) in calls
    assert ("kms:Encrypt", pair.keys[THERE]) in calls


@pytest.mark.parametrize("missing", ["bucket", "object", "replica", "decrypt", "encrypt"])
def test_without_one_of_its_permissions_the_replication_fails(pair: Pair, missing: str) -> None:
    pair.allow({name: one for name, one in pair.statements().items() if name != missing})
    pair.put(f"without-{missing}")
    assert pair.status(f"without-{missing}") == "FAILED"
    assert f"without-{missing}" not in pair.names()


def test_the_key_is_asked_with_the_bucket_or_the_object_as_context(pair: Pair) -> None:
    statements = pair.statements()
    statements["decrypt"]["Condition"]["StringLike"] = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{SOURCE}/*"}
    pair.allow(statements)
    pair.put("wrong-context")
    assert pair.status("wrong-context") == "FAILED"


def test_a_destination_with_a_key_of_its_own_asks_for_one_more(pair: Pair) -> None:
    there = pair.aws.client("s3", THERE)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": pair.keys[THERE]}
    for with_key in (True, False):
        rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": with_key}]
        there.put_bucket_encryption(Bucket=TARGET, ServerSideEncryptionConfiguration={"Rules": rules})
        if with_key:
            pair.put("encrypt-alone")
            statements = pair.statements()
            statements["encrypt"]["Action"].append("kms:GenerateDataKey")
            statements["encrypt"]["Condition"]["StringLike"] = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{TARGET}"}
            pair.allow(statements)
            pair.put("generated")
    assert (pair.status("encrypt-alone"), pair.status("generated")) == ("FAILED", "COMPLETED")
    assert pair.replica("generated")["BucketKeyEnabled"]


def test_a_key_that_is_disabled_replicates_nothing(pair: Pair) -> None:
    kms = pair.aws.client("kms", THERE)
    kms.disable_key(KeyId=pair.keys[THERE])
    pair.put("no-key")
    kms.enable_key(KeyId=pair.keys[THERE])
    assert pair.status("no-key") == "FAILED"


def test_a_role_that_s3_may_not_assume_replicates_nothing(pair: Pair) -> None:
    iam = pair.aws.client("iam")
    trust = iam.get_role(RoleName="replication")["Role"]["AssumeRolePolicyDocument"]
    for other in (
        samples.trust("lambda"),
        {
            **trust,
            "Statement": [{**trust["Statement"][0], "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::another"}}}],
        },
    ):
        iam.update_assume_role_policy(RoleName="replication", PolicyDocument=json.dumps(other))
        pair.put("not-trusted")
        assert pair.status("not-trusted") == "FAILED"
    iam.update_assume_role_policy(RoleName="replication", PolicyDocument=json.dumps(trust))
    pair.put("trusted")
    assert pair.status("trusted") == "COMPLETED"


def test_a_rule_without_kms_leaves_encrypted_objects_where_they_are(pair: Pair) -> None:
    rule = pair.rule()
    del rule["SourceSelectionCriteria"], rule["Destination"]["EncryptionConfiguration"]
    pair.replicate(rule)
    pair.put("encrypted")
    pair.put("not-with-kms", ServerSideEncryption="AES256")
    assert (pair.status("encrypted"), pair.status("not-with-kms")) == (None, "COMPLETED")
    assert "encrypted" not in pair.names()


def test_the_rule_of_the_highest_priority_that_selects_the_object_counts(pair: Pair) -> None:
    tagged = {"And": {"Prefix": "in/", "Tags": [{"Key": "keep", "Value": "yes"}]}}
    pair.replicate(
        pair.rule(ID="low", Priority=1, Filter={"Prefix": "in/"}),
        pair.rule(
            ID="high",
            Priority=2,
            Filter=tagged,
            DeleteMarkerReplication={"Status": "Disabled"},
            Destination={"StorageClass": "GLACIER_IR"},
        ),
        pair.rule(ID="off", Priority=3, Status="Disabled", Destination={"StorageClass": "ONEZONE_IA"}),
    )
    pair.put("in/tagged", Tagging="keep=yes")
    pair.put("in/other")
    pair.put("out")
    assert pair.replica("in/tagged")["StorageClass"] == "GLACIER_IR"
    assert "StorageClass" not in pair.replica("in/other")
    assert (pair.status("out"), "out" in pair.names()) == (None, False)


def test_delete_markers_follow_and_deleted_versions_do_not(pair: Pair) -> None:
    s3 = pair.aws.client("s3", HERE)
    first = pair.put("twice")["VersionId"]
    pair.put("twice")
    s3.delete_object(Bucket=SOURCE, Key="twice", VersionId=first)
    versions = pair.aws.client("s3", THERE).list_object_versions(Bucket=TARGET, Prefix="twice")["Versions"]
    assert len(versions) == 2
    s3.delete_object(Bucket=SOURCE, Key="twice")
    assert "twice" not in pair.names()
    pair.replicate(pair.rule(DeleteMarkerReplication={"Status": "Disabled"}))
    pair.put("stays")
    s3.delete_object(Bucket=SOURCE, Key="stays")
    assert "stays" in pair.names()


def test_without_its_permission_no_delete_marker_follows(pair: Pair) -> None:
    statements = pair.statements()
    statements["replica"]["Action"].remove("s3:ReplicateDelete")
    pair.allow(statements)
    pair.put("kept")
    pair.aws.client("s3", HERE).delete_object(Bucket=SOURCE, Key="kept")
    assert "kept" in pair.names()


def test_what_was_uploaded_in_parts_or_copied_is_replicated_too(pair: Pair) -> None:
    s3 = pair.aws.client("s3", HERE)
    upload = s3.create_multipart_upload(Bucket=SOURCE, Key="parts")["UploadId"]
    etag = s3.upload_part(Bucket=SOURCE, Key="parts", UploadId=upload, PartNumber=1, Body=b"one part")["ETag"]
    parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=SOURCE, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.copy_object(Bucket=SOURCE, Key="copied", CopySource=f"{SOURCE}/parts")
    assert {pair.replica(key)["Body"].read() for key in ("parts", "copied")} == {b"one part"}
    assert pair.replica("parts")["SSEKMSKeyId"] == pair.keys[THERE]


def test_a_configuration_that_s3_refuses_is_refused(pair: Pair) -> None:
    s3 = pair.aws.client("s3", HERE)
    s3.create_bucket(Bucket="without-versions", CreateBucketConfiguration={"LocationConstraint": HERE})
    for bucket, rule in (
        ("without-versions", pair.rule()),
        (SOURCE, pair.rule(Destination={"Bucket": "arn:aws:s3:::without-versions"})),
        (SOURCE, pair.rule(Destination={"Bucket": "arn:aws:s3:::does-not-exist"})),
        (SOURCE, pair.rule(Destination={"Bucket": f"arn:aws:s3:::{SOURCE}"})),
        (SOURCE, {name: one for name, one in pair.rule().items() if name != "DeleteMarkerReplication"}),
        (SOURCE, {name: one for name, one in pair.rule().items() if name != "Priority"}),
    ):
        configuration = {"Role": ROLE, "Rules": [rule]}
        refused = code(s3.put_bucket_replication, Bucket=bucket, ReplicationConfiguration=configuration)
        assert refused == "InvalidRequest", rule
    suspended = {"Status": "Suspended"}
    assert code(s3.put_bucket_versioning, Bucket=SOURCE, VersioningConfiguration=suspended) == "InvalidBucketState"


def test_a_target_that_lost_its_versions_or_is_gone_fails_the_object(pair: Pair) -> None:
    there = pair.aws.client("s3", THERE)
    there.put_bucket_versioning(Bucket=TARGET, VersioningConfiguration={"Status": "Suspended"})
    pair.put("suspended")
    there.put_bucket_versioning(Bucket=TARGET, VersioningConfiguration={"Status": "Enabled"})
    assert pair.status("suspended") == "FAILED"


def test_what_cannot_be_sent_yet_is_pending(pair: Pair) -> None:
    pair.put("deleted")
    pair.aws.darken(THERE)
    pair.put("pending")
    pair.aws.client("s3", HERE).delete_object(Bucket=SOURCE, Key="deleted")
    assert pair.status("pending") == "PENDING"
    pair.aws.lighten(THERE)
    assert ("pending" in pair.names(), "deleted" in pair.names()) == (False, True)


def test_configurations_by_id_are_kept_listed_and_forgotten_with_the_bucket(emulated: Emulator) -> None:
    s3 = emulated.client("s3")
    for _ in range(2):
        s3.create_bucket(Bucket="numbered")
        assert "MetricsConfigurationList" not in s3.list_bucket_metrics_configurations(Bucket="numbered")
        assert code(s3.get_bucket_metrics_configuration, Bucket="numbered", Id="a") == "NoSuchConfiguration"
        s3.put_bucket_metrics_configuration(Bucket="numbered", Id="a", MetricsConfiguration={"Id": "a"})
        assert s3.get_bucket_metrics_configuration(Bucket="numbered", Id="a")["MetricsConfiguration"] == {"Id": "a"}
        s3.delete_bucket(Bucket="numbered")
