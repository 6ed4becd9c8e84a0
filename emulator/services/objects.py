"""S3 replication: what a rule selects is written to the other bucket at once, if the role may do all that it takes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from emulator import darkness, permissions

Record = dict[str, Any]

SERVICE = "s3.amazonaws.com"
SSE, SSE_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
# What S3 asks of the role: of the source bucket, of each object there, and of each object at the destination.
OF_BUCKET = ("s3:GetReplicationConfiguration", "s3:ListBucket")
OF_OBJECT = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl")


def replicate(bucket: str, key: str, obj: Record, data: Any, tags: dict[str, str] | None = None) -> None:
    """Writes the replicas of a new object, and marks it with how that went."""
    from ministack.services import s3

    encrypted = obj["preserved_headers"].get(SSE) == "aws:kms"
    outcomes: list[str] = []
    for rule in _rules(bucket, key, tags or {}):
        selected = (rule.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects") or {}
        if encrypted and selected.get("Status") != "Enabled":
            continue  # not selected: it stays here, without a mark
        target = s3._replication_destination(bucket, key, rule, _role(bucket))
        if target is not None and darkness.is_dark(_region(target[0])):
            outcomes.append("PENDING")
        elif target is not None and _may(bucket, key, obj, rule, target[0], tags or {}):
            _write(target, key, obj, data, rule, tags)
            outcomes.append("COMPLETED")
        else:
            outcomes.append("FAILED")
    if outcomes:
        obj["replication_status"] = max(outcomes, key=("COMPLETED", "PENDING", "FAILED").index)


def replicate_delete_marker(bucket: str, key: str) -> None:
    """A delete without a version is replicated where the rule says so; one of a version never is."""
    from ministack.services import s3

    for rule in _rules(bucket, key, None):
        wanted = "Filter" not in rule or (rule.get("DeleteMarkerReplication") or {}).get("Status") == "Enabled"
        target = s3._replication_destination(bucket, key, rule, _role(bucket)) if wanted else None
        if target is None or darkness.is_dark(_region(target[0])):
            continue
        if _role_may(bucket, "s3:ReplicateDelete", f"arn:aws:s3:::{target[0]}/{key}", {}):
            held = target[2]["objects"]
            s3._record_delete_marker(target[0], key, held.get(key))
            held.pop(key, None)


def _role(bucket: str) -> str:
    from ministack.services import s3

    return str(s3._bucket_replication[bucket].get("Role", ""))


def _rules(bucket: str, key: str, tags: dict[str, str] | None) -> Iterator[Record]:
    """The rules that select the object, one per destination: that of the highest priority. ``tags`` of None: a delete marker."""
    from ministack.services import s3

    found = s3._bucket_replication.get(bucket)
    if not found or s3._bucket_versioning.get(bucket) != "Enabled":
        return
    served = set()
    for rule in sorted(found["Rules"], key=lambda one: -one.get("Priority", 0)):
        wanted, destination = s3._replication_rule_tags(rule), rule["Destination"]["Bucket"]
        matches = (not wanted) if tags is None else all(tags.get(name) == value for name, value in wanted.items())
        prefix = s3._replication_rule_prefix(rule)
        if rule["Status"] == "Enabled" and key.startswith(prefix) and matches and destination not in served:
            served.add(destination)
            yield rule


def _may(bucket: str, key: str, obj: Record, rule: Record, target: str, tags: dict[str, str]) -> bool:
    """Whether the role may read the object and write its replica; the first that it may not is on record."""
    source, replica = f"arn:aws:s3:::{bucket}/{key}", f"arn:aws:s3:::{target}/{key}"
    tagged = ("s3:GetObjectVersionTagging", "s3:ReplicateTags") if tags else ()
    asked: list[tuple[str, str, dict[str, str]]] = [
        *((action, f"arn:aws:s3:::{bucket}", {}) for action in OF_BUCKET),
        *((action, source, {}) for action in (*OF_OBJECT, *tagged[:1])),
        *((action, replica, {}) for action in ("s3:ReplicateObject", *tagged[1:])),
    ]
    key_here = obj["preserved_headers"].get(SSE_KEY, "") if obj["preserved_headers"].get(SSE) == "aws:kms" else ""
    if key_here:
        # With a key of the bucket's own S3 has KMS generate one, else encrypt that of the object.
        writing = ("kms:Encrypt", "kms:GenerateDataKey") if _by_bucket_key(target) else ("kms:Encrypt",)
        keys = [(key_here, "kms:Decrypt", bucket, source), *((_replica_key(rule), one, target, replica) for one in writing)]
        for name, action, where, arn in keys:
            region = _region(where)
            found = permissions.key_arn(name, region)
            if found == "":
                return False  # no such key
            if found is not None:
                context = f"arn:aws:s3:::{where}" if _by_bucket_key(where) else arn
                more = {"kms:ViaService": f"s3.{region}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": context}
                asked.append((action, found, {**more, "kms:EncryptionContextKeys": "aws:s3:arn"}))
    return all(_role_may(bucket, action, arn, keys) for action, arn, keys in asked)


def _role_may(bucket: str, action: str, arn: str, keys: dict[str, str]) -> bool:
    return permissions.service_role_may(
        SERVICE, _role(bucket), "s3-replication", action, arn, keys, source_arn=f"arn:aws:s3:::{bucket}"
    )


def _replica_key(rule: Record) -> str:
    return str((rule["Destination"].get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID", ""))


def _region(bucket: str) -> str:
    from ministack.services import s3

    return str(s3.bucket_region(bucket) or "us-east-1")


def _by_bucket_key(bucket: str) -> bool:
    """Whether KMS is told of the bucket rather than of each object."""
    from ministack.services import s3

    return "<BucketKeyEnabled>true<" in (s3._bucket_encryption.get(bucket) or "")


def _write(target: Any, key: str, obj: Record, data: Any, rule: Record, tags: dict[str, str] | None) -> None:
    from ministack.services import s3

    name, _, bucket = target
    replica = copy.deepcopy(obj)
    replica["replication_status"] = "REPLICA"
    replica.pop("version_id", None)
    if rule["Destination"].get("StorageClass"):
        replica["storage_class"] = rule["Destination"]["StorageClass"]
    if replica["preserved_headers"].get(SSE) == "aws:kms":
        replica["preserved_headers"][SSE_KEY] = _replica_key(rule)
        replica["preserved_headers"].pop(BUCKET_KEY, None)
        if _by_bucket_key(name):
            replica["preserved_headers"][BUCKET_KEY] = "true"
    prior = bucket["objects"].get(key)
    bucket["objects"][key] = replica
    version = s3._record_object_version(name, key, prior, replica, data)
    if tags:
        s3._object_tags[(name, key, version)] = dict(tags)
