"""The artifacts layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import GetAtt, Ref, s3

from generator.layer import Layer
from generator.parts import policies
from generator.parts.bucket import private_bucket, tidy_rule, tls_only
from generator.parts.key import customer_key
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Artifacts(Layer):
    """The bucket that holds what a region's stacks are made of: function packages, under its own key."""

    name: str = "artifacts"
    kind: str = "bucket-artifacts"
    superseded_for: timedelta = timedelta(days=90)

    def define(self, t: Template) -> None:
        key, alias = customer_key(t, "Key", "artifacts", "Encrypts function packages and deployment records.")
        bucket = private_bucket(t, "Bucket", self.kind, GetAtt(key, "Arn"), [tidy_rule(self.superseded_for.days)])
        policy = s3.BucketPolicy("BucketPolicy", Bucket=Ref(bucket), PolicyDocument=policies.document(*tls_only(bucket)))

        t.section("The key of this bucket, apart from those of the data.", key, alias)
        t.section("The bucket: private, versioned, TLS 1.2 or later only.", bucket, policy)
        t.output("BucketName", Ref(bucket), "Where packages are uploaded before the stacks that name them.")
