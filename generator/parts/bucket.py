"""A private, encrypted, versioned bucket, and the statements that every bucket policy begins with."""

from __future__ import annotations

from awacs.aws import Statement
from troposphere import GetAtt, Sub, s3

from generator.names import Space
from generator.parts import policies
from generator.template import Template


def private_bucket(
    t: Template, title: str, kind: str, key_arn: object, rules: list[s3.LifecycleRule], *, bucket_key: object = True
) -> s3.Bucket:
    """A bucket that nobody outside the account can reach, encrypted with ``key_arn``; ``rules`` say how long objects stay.

    A ``bucket_key`` saves calls to KMS, but replaces the encryption context of the writer by the bucket's ARN.
    """
    return s3.Bucket(
        title,
        DeletionPolicy="Delete",
        UpdateReplacePolicy="Delete",
        BucketName=t.named(kind, Space.PARTITION),
        VersioningConfiguration=s3.VersioningConfiguration(Status="Enabled"),
        BucketEncryption=s3.BucketEncryption(
            ServerSideEncryptionConfiguration=[
                s3.ServerSideEncryptionRule(
                    BucketKeyEnabled=bucket_key,
                    ServerSideEncryptionByDefault=s3.ServerSideEncryptionByDefault(
                        SSEAlgorithm="aws:kms", KMSMasterKeyID=key_arn
                    ),
                )
            ]
        ),
        PublicAccessBlockConfiguration=s3.PublicAccessBlockConfiguration(
            BlockPublicAcls=True, BlockPublicPolicy=True, IgnorePublicAcls=True, RestrictPublicBuckets=True
        ),
        OwnershipControls=s3.OwnershipControls(Rules=[s3.OwnershipControlsRule(ObjectOwnership="BucketOwnerEnforced")]),
        LifecycleConfiguration=s3.LifecycleConfiguration(Rules=rules),
    )


def tidy_rule(noncurrent_days: int) -> s3.LifecycleRule:
    """Remove what nobody reads any more: abandoned uploads and superseded versions."""
    return s3.LifecycleRule(
        Id="RemoveWhatIsSuperseded",
        Status="Enabled",
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=7),
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=noncurrent_days),
    )


def tls_only(bucket: s3.Bucket) -> tuple[Statement, ...]:
    """The statements that refuse clear text and old TLS."""
    both = [GetAtt(bucket, "Arn"), Sub("${" + bucket.title + ".Arn}/*")]
    return policies.deny_clear_text("s3", both), policies.deny_old_tls(both)
