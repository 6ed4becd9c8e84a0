"""The objects layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from awacs import kms as key_actions
from awacs import s3 as actions
from awacs.aws import Statement, StringEquals, StringLike
from troposphere import GetAtt, Ref, Select, Split, Sub, iam, s3

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.bucket import private_bucket, tls_only
from generator.template import Explained, Template

IN_TIME = 15
"""Minutes of S3 Replication Time Control: S3 knows no others."""

REPLICATION_RULE = "replicate-everything"
"""Part of the dimensions of the rule's metrics."""


@dataclass(frozen=True, kw_only=True)
class Objects(Layer):
    """A versioned bucket: what is overwritten or deleted can be brought back for a while.

    Objects go to Intelligent-Tiering after ``tiered_after``, old versions to Glacier after ``archive_after``, each where it is
    said; old versions are gone after ``superseded_for``. ``replicate_to`` is the layer, with its site, whose bucket takes a
    replica of every object under that site's key; lifecycles are not replicated, so both layers must say the same.

    Objects whose keys begin with a word and a slash may be ``short_lived``: who writes them removes them, and what is left is
    gone after that time.
    """

    name: str = "objects"
    kind: str = "bucket"
    tiered_after: timedelta | None = None
    archive_after: timedelta | None = timedelta(days=30)
    superseded_for: timedelta = timedelta(days=90)
    replicate_to: str = ""
    short_lived: Mapping[str, timedelta] = field(default_factory=dict)

    def define(self, t: Template) -> None:
        key = t.output_of("keys.ObjectsKeyArn")
        bucket = private_bucket(t, "Bucket", self.kind, key, [self._old(), *self._left()])
        policy = s3.BucketPolicy("BucketPolicy", Bucket=Ref(bucket), PolicyDocument=policies.document(*tls_only(bucket)))
        if self.replicate_to:
            role = self._replicated(t, bucket)
            t.section("With which role S3 replicates: out of this bucket and its key, into the other and its key.", role)
        t.section("The bucket: private, versioned, TLS 1.2 or later only.", bucket, policy)
        t.output("BucketName", Ref(bucket), "The bucket.")
        t.output("BucketArn", GetAtt(bucket, "Arn"), "The bucket.")

    def _old(self) -> s3.LifecycleRule:
        moved: dict[str, Any] = {}
        if self.tiered_after is not None:
            moved["Transitions"] = [
                s3.LifecycleRuleTransition(StorageClass="INTELLIGENT_TIERING", TransitionInDays=self.tiered_after.days)
            ]
        if self.archive_after is not None:
            moved["NoncurrentVersionTransitions"] = [
                s3.NoncurrentVersionTransition(StorageClass="GLACIER", TransitionInDays=self.archive_after.days)
            ]
        return s3.LifecycleRule(
            Id="ArchiveThenRemoveOldVersions" if self.archive_after is not None else "TierThenRemoveOldVersions",
            Status="Enabled",
            AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=7),
            **moved,
            NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=self.superseded_for.days),
            ExpiredObjectDeleteMarker=True,
        )

    def _left(self) -> list[s3.LifecycleRule]:
        return [
            s3.LifecycleRule(
                Id=f"RemoveWhatIsLeftOf{word.capitalize()}",
                Status="Enabled",
                Prefix=f"{word}/",
                ExpirationInDays=time.days,
                NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=time.days),
            )
            for word, time in self.short_lived.items()
        ]

    def _replicated(self, t: Template, bucket: s3.Bucket) -> iam.Role:
        """Give the bucket its replication, and return the role for it, which names the bucket before it is there."""
        site = self.replicate_to.rpartition(":")[0]
        replica_arn = t.output_of(f"{self.replicate_to}.BucketArn")
        replica_key = t.output_of(f"{site}:keys.ObjectsKeyArn")
        role = iam.Role(
            "ReplicationRole",
            RoleName=t.named("role-replication", Space.ACCOUNT),
            AssumeRolePolicyDocument=Explained(
                policies.trust(policies.service("s3")),
                "S3 documents no source condition for the role that it replicates with.",
            ),
            Policies=[
                iam.Policy(
                    PolicyName="replicate",
                    PolicyDocument=policies.document(*self._replication_statements(t, replica_arn, replica_key)),
                )
            ],
        )
        minutes = s3.ReplicationTimeValue(Minutes=Explained(IN_TIME, "S3 Replication Time Control knows no other time."))
        bucket.ReplicationConfiguration = s3.ReplicationConfiguration(
            Role=GetAtt(role, "Arn"),
            Rules=[
                s3.ReplicationConfigurationRules(
                    Id=REPLICATION_RULE,
                    Priority=1,
                    Status="Enabled",
                    Filter=s3.ReplicationRuleFilter(Prefix=""),
                    SourceSelectionCriteria=s3.SourceSelectionCriteria(
                        SseKmsEncryptedObjects=s3.SseKmsEncryptedObjects(Status="Enabled")
                    ),
                    DeleteMarkerReplication=s3.DeleteMarkerReplication(Status="Enabled"),
                    Destination=s3.ReplicationConfigurationRulesDestination(
                        Bucket=replica_arn,
                        EncryptionConfiguration=s3.EncryptionConfiguration(ReplicaKmsKeyID=replica_key),
                        ReplicationTime=s3.ReplicationTime(Status="Enabled", Time=minutes),
                        Metrics=s3.Metrics(Status="Enabled", EventThreshold=minutes),
                    ),
                )
            ],
        )
        return role

    def _replication_statements(self, t: Template, replica_arn: Ref, replica_key: Ref) -> list[Statement]:
        """What S3 may do to replicate. An object's encryption context is its bucket's ARN, or its own where it was written so."""
        source = "arn:${AWS::Partition}:s3:::" + t.name(self.kind, Space.PARTITION)
        here, objects_here = Sub(source), Sub(source + "/*")
        objects_there = Sub("${" + replica_arn.data["Ref"] + "}/*")

        def through_s3(region: Sub, *context: Sub | Ref) -> list[Any]:
            return [
                StringEquals("kms:ViaService", region),
                StringLike("kms:EncryptionContext:aws:s3:arn", list(context)),
            ]

        this_region = Sub("s3.${AWS::Region}.amazonaws.com")
        that_region = Sub("s3.${Region}.amazonaws.com", Region=Select(3, Split(":", replica_key)))
        return [
            policies.allow("ReadHowItIsReplicated", [actions.GetReplicationConfiguration, actions.ListBucket], [here]),
            policies.allow(
                "ReadVersions",
                [actions.GetObjectVersionAcl, actions.GetObjectVersionForReplication, actions.GetObjectVersionTagging],
                [objects_here],
            ),
            policies.allow(
                "WriteReplicas", [actions.ReplicateDelete, actions.ReplicateObject, actions.ReplicateTags], [objects_there]
            ),
            policies.allow(
                "ReadUnderTheKeyOfThisRegion",
                [key_actions.Decrypt],
                [t.output_of("keys.ObjectsKeyArn")],
                *through_s3(this_region, here, objects_here),
            ),
            policies.allow(
                "WriteUnderTheKeyOfTheOtherRegion",
                [key_actions.Encrypt, key_actions.GenerateDataKey],
                [replica_key],
                *through_s3(that_region, replica_arn, objects_there),
            ),
        ]
