"""The role with which Enhanced Monitoring writes the operating system's metrics of database instances."""

from __future__ import annotations

from awacs import logs as log_actions
from awacs.aws import ArnLike
from troposphere import Sub, iam

from generator.names import Space
from generator.parts import policies
from generator.template import Explained, Template

GROUP = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:RDS*"


def monitoring_role(t: Template, kind: str, instances: str) -> iam.Role:
    """The role ``role-<kind>-monitoring``, for instances whose names match ``instances``."""
    return iam.Role(
        "MonitoringRole",
        RoleName=t.named(f"role-{kind}-monitoring", Space.ACCOUNT),
        AssumeRolePolicyDocument=policies.trust(
            policies.service("monitoring.rds"),
            policies.THIS_ACCOUNT,
            ArnLike("aws:SourceArn", Sub("arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:db:" + instances)),
        ),
        Policies=[
            iam.Policy(
                PolicyName="write-os-metrics",
                PolicyDocument=policies.document(
                    policies.allow(
                        "MakeTheLogGroupOfTheAccount",
                        [log_actions.CreateLogGroup, log_actions.PutRetentionPolicy],
                        [Explained(Sub(GROUP), "The account's group RDSOSMetrics, which AWS names and all instances share.")],
                    ),
                    policies.allow(
                        "WriteOsMetrics",
                        [
                            log_actions.CreateLogStream,
                            log_actions.DescribeLogStreams,
                            log_actions.GetLogEvents,
                            log_actions.PutLogEvents,
                        ],
                        [Sub(GROUP + ":log-stream:*")],
                    ),
                ),
            )
        ],
    )
