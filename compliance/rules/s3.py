"""Buckets: private, encrypted, versioned, over TLS 1.2 or later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compliance import statements
from compliance.rules import kms
from compliance.statements import Statement
from model import Rule
from model.view import Resource

BUCKET = ("AWS::S3::Bucket",)
BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def policies_of(bucket: Resource) -> Iterator[tuple[Resource, Statement]]:
    """Each statement of every policy that is put on the bucket in every environment, with the resource that carries it."""
    for policy in bucket.view.resources("AWS::S3::BucketPolicy"):
        if policy.certain and bucket.is_(policy.follow("Bucket")):
            for statement in statements.of(policy, "PolicyDocument"):
                yield policy, statement


def arns(bucket: Resource) -> tuple[str, ...]:
    """The ways in which a policy may write the bucket's ARN."""
    return f"${{{bucket.layer}.{bucket.id}.Arn}}", f"arn:${{AWS::Partition}}:s3:::{bucket.text('BucketName')}"


def _refused(bucket: Resource, operator: str, key: str, value: str) -> bool:
    """Whether everyone is denied everything on the bucket and its objects under one condition."""
    return any(
        not statement.allows
        and {("*", "*"), ("AWS", "*")}.intersection(statement.principals)
        and statement.covers("s3:*")
        and any({arn, f"{arn}/*"}.issubset(statement.resources) for arn in arns(bucket))
        and [(each.operator, each.key, each.values) for each in statement.conditions] == [(operator, key.lower(), (value,))]
        for _, statement in policies_of(bucket)
    )


def _tls_only(bucket: Resource) -> tuple[str, bool]:
    clear_text = _refused(bucket, "bool", "aws:SecureTransport", "false")
    return "BucketPolicy", clear_text and _refused(bucket, "numericlessthan", "s3:TlsVersion", "1.2")


def _not_public(bucket: Resource) -> tuple[str, bool]:
    return "PublicAccessBlockConfiguration", all(bucket.true("PublicAccessBlockConfiguration", block) for block in BLOCKS)


def _customer_key(bucket: Resource) -> tuple[str, bool]:
    rules = bucket.get("BucketEncryption", "ServerSideEncryptionConfiguration") or []
    return "BucketEncryption", bool(rules) and all(
        _with_key(bucket, rule.get("ServerSideEncryptionByDefault", {})) for rule in rules
    )


def _with_key(bucket: Resource, default: dict[str, object]) -> bool:
    denoted = bucket.view.follow(bucket.layer, default.get("KMSMasterKeyID"))
    by_kms = default.get("SSEAlgorithm") in ("aws:kms", "aws:kms:dsse")
    return by_kms and denoted is not None and denoted.type == kms.KEY and denoted.certain


def _versioned(bucket: Resource) -> tuple[str, bool]:
    return "VersioningConfiguration.Status", bucket.proves(lambda value: value == "Enabled", "VersioningConfiguration", "Status")


def _tidied(bucket: Resource) -> tuple[str, bool]:
    rules = [rule for rule in bucket.get("LifecycleConfiguration", "Rules") or [] if _for_every_object(rule)]
    superseded = any(rule.get("NoncurrentVersionExpiration") or rule.get("NoncurrentVersionExpirationInDays") for rule in rules)
    return "LifecycleConfiguration", superseded and any(rule.get("AbortIncompleteMultipartUpload") for rule in rules)


def _for_every_object(rule: dict[str, object]) -> bool:
    return rule.get("Status") == "Enabled" and not any(rule.get(part) for part in ("Prefix", "TagFilters", "ObjectSizeLessThan"))


def replicas_of(bucket: Resource) -> list[tuple[dict[str, Any], Resource | None]]:
    """The rules by which a bucket is replicated, each with the bucket that takes the replicas, if that is ours."""
    rules = bucket.get("ReplicationConfiguration", "Rules") or []
    return [(rule, bucket.view.follow(bucket.layer, (rule.get("Destination") or {}).get("Bucket"))) for rule in rules]


def _on(part: Any) -> bool:
    return isinstance(part, dict) and part.get("Status") == "Enabled"


def _of_replicas(name: str, test: Callable[[Resource], bool]) -> Callable[[Resource], tuple[str, bool] | None]:
    """Asks ``test`` of a bucket that is replicated, and nothing of any other."""
    return lambda bucket: (name, test(bucket)) if replicas_of(bucket) else None


def _replicated_in_time(bucket: Resource) -> bool:
    return all(_in_time(bucket, rule) for rule, _ in replicas_of(bucket))


def _in_time(bucket: Resource, rule: dict[str, Any]) -> bool:
    there = rule.get("Destination") or {}
    key = bucket.view.follow(bucket.layer, (there.get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID"))
    return (
        _on(rule)
        and not (rule.get("Filter") or {}).get("Prefix")
        and _on(there.get("ReplicationTime"))
        and _on(there.get("Metrics"))
        and _on(rule.get("DeleteMarkerReplication"))
        and _on((rule.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects"))
        and key is not None
        and key.type == kms.KEY
    )


READS = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging")
WRITES = ("s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags")


def _replication_allowed(bucket: Resource) -> bool:
    """Whether the role that S3 replicates with may read here, write there, and use a key for each."""
    role = bucket.follow("ReplicationConfiguration", "Role")
    return role is not None and all(there is not None and _may_replicate(role, bucket, there) for _, there in replicas_of(bucket))


def _may_replicate(role: Resource, here: Resource, there: Resource) -> bool:
    assumed = any(
        each.allows and each.names_service("s3", role.regions) and each.covers("sts:AssumeRole")
        for each in statements.of(role, "AssumeRolePolicyDocument")
    )
    granted = [
        each
        for policy in role.get("Policies") or []
        for each in statements.statements(role.view, role.layer, policy.get("PolicyDocument"))
        if each.allows
    ]

    def may(actions: tuple[str, ...], *resources: str) -> bool:
        return all(any(each.covers(action) and set(resources) & set(each.resources) for each in granted) for action in actions)

    def keyed(action: str, context: Resource) -> bool:
        return any(
            each.covers(action)
            and (condition := each.condition("kms:EncryptionContext:aws:s3:arn")) is not None
            and set(arns(context)) & set(condition.values)
            for each in granted
        )

    return (
        assumed
        and may(("s3:GetReplicationConfiguration", "s3:ListBucket"), *arns(here))
        and may(READS, *(f"{arn}/*" for arn in arns(here)))
        and may(WRITES, *(f"{arn}/*" for arn in arns(there)))
        and keyed("kms:Decrypt", here)
        and keyed("kms:Encrypt", there)
        and all(_versioned(each)[1] for each in (here, there))
    )


def _replication_watched(bucket: Resource) -> bool:
    """Whether failures are watched in this region, where S3 publishes them, and latency in that of the replicas."""
    return all(
        there is not None
        and _rings(bucket, "OperationsFailedReplication", bucket, there, rule)
        and _rings(there, "ReplicationLatency", bucket, there, rule)
        for rule, there in replicas_of(bucket)
    )


def _rings(place: Resource, metric: str, source: Resource, destination: Resource, rule: dict[str, Any]) -> bool:
    for alarm in place.view.resources("AWS::CloudWatch::Alarm"):
        given = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
        if (
            alarm.certain
            and (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/S3", metric)
            and set(place.regions) <= set(alarm.regions)
            and source.is_(alarm.view.follow(alarm.layer, given.get("SourceBucket")))
            and destination.is_(alarm.view.follow(alarm.layer, given.get("DestinationBucket")))
            and given.get("RuleId") == rule.get("Id")
        ):
            return True
    return False


def _replica_kept_alike(bucket: Resource) -> bool:
    name = "LifecycleConfiguration"
    return all(there is not None and there.get(name) == bucket.get(name) for _, there in replicas_of(bucket))


def _no_acl(bucket: Resource) -> tuple[str, bool]:
    owned = bucket.get("OwnershipControls", "Rules") or []
    enforced = bool(owned) and all(rule.get("ObjectOwnership") == "BucketOwnerEnforced" for rule in owned)
    return "OwnershipControls", enforced and bucket.get("AccessControl") is None


no_acl = Rule(
    "s3.no_acl",
    "Access control lists are off: policies alone say who may do what.",
    "A list on one object would let in whom no policy names.",
    "AWS Security Hub S3.12",
    BUCKET,
    _no_acl,
)
replicated_in_time = Rule(
    "s3.replicated_in_time",
    "What is replicated is replicated whole, in 15 minutes: delete markers and encrypted objects too, with metrics.",
    "S3 leaves out delete markers and encrypted objects unless it is told, and promises no time.",
    "Amazon S3 User Guide, Meeting compliance requirements using S3 Replication Time Control; Replicating encrypted objects",
    BUCKET,
    _of_replicas("ReplicationConfiguration", _replicated_in_time),
)
replication_allowed = Rule(
    "s3.replication_allowed",
    "The role that S3 replicates with may read versions here, write them there, and use both keys; both buckets are versioned.",
    "Without one of these every object fails, and S3 does not try it again.",
    "Amazon S3 User Guide, Setting up permissions for live replication; Replicating encrypted objects",
    BUCKET,
    _of_replicas("ReplicationConfiguration.Role", _replication_allowed),
)
replication_watched = Rule(
    "s3.replication_watched",
    "Alarms watch failures in the region of the source, and latency in that of the replica.",
    "Each is published in that region only.",
    "Amazon S3 User Guide, Using S3 Replication metrics",
    BUCKET,
    _of_replicas("ReplicationConfiguration", _replication_watched),
)
replica_kept_alike = Rule(
    "s3.replica_kept_alike",
    "A replica's lifecycle is that of its source.",
    "What a lifecycle does is not replicated: a replica would keep, or lose, what its source does not.",
    "Amazon S3 User Guide, What does Amazon S3 replicate? What isn't replicated",
    BUCKET,
    _of_replicas("LifecycleConfiguration", _replica_kept_alike),
)
tls_only = Rule(
    "s3.tls_only",
    "The bucket refuses requests without TLS, and with TLS before 1.2.",
    "S3 still answers HTTP; only a policy refuses it.",
    "AWS Security Hub S3.5; Amazon S3 User Guide, Amazon S3 condition keys: s3:TlsVersion",
    BUCKET,
    _tls_only,
)
not_public = Rule(
    "s3.not_public",
    "Public access is blocked in all four ways.",
    "No later policy or list can open the bucket by mistake.",
    "AWS Security Hub S3.8",
    BUCKET,
    _not_public,
)
customer_key = Rule(
    "s3.customer_key",
    "Objects are encrypted with a customer-managed key.",
    "Only the owner of the key's policy decides who may decrypt.",
    "AWS Security Hub S3.17",
    BUCKET,
    _customer_key,
)
versioned = Rule(
    "s3.versioned",
    "What is overwritten or deleted can be brought back.",
    "A wrong upload or deletion leaves the version before it.",
    "AWS Security Hub S3.14",
    BUCKET,
    _versioned,
)
tidied = Rule(
    "s3.tidied",
    "Superseded versions and abandoned uploads are removed after a while.",
    "What was deleted would otherwise stay, and be paid for, for ever.",
    "AWS Security Hub S3.10; Amazon S3 User Guide, Managing the lifecycle of objects",
    BUCKET,
    _tidied,
)
