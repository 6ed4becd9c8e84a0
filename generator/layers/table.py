"""The table layer."""

from dataclasses import dataclass

from troposphere import GetAtt, Ref, dynamodb

from generator.layer import Layer
from generator.template import Explained, Template


@dataclass(frozen=True, kw_only=True)
class Table(Layer):
    """A DynamoDB table on demand, restorable to any second of the last 35 days, under a key of its own."""

    name: str = "table"

    def define(self, t: Template) -> None:
        table = dynamodb.Table(
            "Table",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            TableName=t.named("table"),
            AttributeDefinitions=[dynamodb.AttributeDefinition(AttributeName="id", AttributeType="S")],
            KeySchema=[dynamodb.KeySchema(AttributeName="id", KeyType="HASH")],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification=dynamodb.SSESpecification(
                SSEEnabled=True, SSEType="KMS", KMSMasterKeyId=t.output_of("keys.TableKeyArn")
            ),
            PointInTimeRecoverySpecification=dynamodb.PointInTimeRecoverySpecification(PointInTimeRecoveryEnabled=True),
            TimeToLiveSpecification=Explained(
                dynamodb.TimeToLiveSpecification(AttributeName="expires", Enabled=True),
                "An item may say, in seconds since 1970, when nobody needs it any more.",
            ),
            DeletionProtectionEnabled=False,
        )
        t.section("The table: its point-in-time recovery is its own, AWS Backup's does not cover DynamoDB.", table)
        t.output("TableName", Ref(table), "The table.")
        t.output("TableArn", GetAtt(table, "Arn"), "The table.")
