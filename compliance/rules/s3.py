"""Buckets: private, encrypted, versioned, over TLS 1.2 or later."""

from __future__ import annotations

from collections.abc import Iterator

from compliance import statements
from compliance.rules import kms
from compliance.statements import Statement
from compliance.view import Resource
from model import Rule

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
