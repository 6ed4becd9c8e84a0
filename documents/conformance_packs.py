"""The rules of AWS Config's conformance packs for FedRAMP (Moderate) and HIPAA Security, and what answers each of them here.

A pack's rule is answered by rules of ours; or it asks of types that no template declares, which a test holds true; or it asks
the account, or something that the requirements rule out, with the reason. None is open; a rule that is in no table would be
missing from its pack, whose number of rules a test holds. Source: awslabs/aws-config-rules,
aws-config-conformance-packs, Operational-Best-Practices-for-FedRAMP.yaml (commit 241e5b44) and
Operational-Best-Practices-for-HIPAA-Security.yaml (commit 1c527eab). Identifiers are those of AWS's managed rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FEDRAMP, HIPAA = "FedRAMP (Moderate)", "HIPAA Security"
BOTH = (FEDRAMP, HIPAA)


@dataclass(frozen=True)
class Answer:
    """What answers a pack's rule: ``rules`` of ours, ``types`` that no template declares, or a ``reason``."""

    packs: tuple[str, ...]
    rules: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    reason: str = ""

    @property
    def status(self) -> str:
        """``implemented``, ``not applicable``, or ``open`` where nothing answers."""
        return "implemented" if self.rules else "not applicable" if self.types or self.reason else "open"


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """``RULE_OF_AWS: what answers it, and more``, a line each."""
    rows = (line.partition(":") for line in text.strip().splitlines())
    return {name.strip(): tuple(each.strip() for each in rest.split(",")) for name, _, rest in rows}


_IMPLEMENTED: Mapping[tuple[str, ...], str] = {
    BOTH: """
CLOUD_TRAIL_CLOUD_WATCH_LOGS_ENABLED: trail.watched
CLOUD_TRAIL_ENABLED: trail.complete
CLOUD_TRAIL_ENCRYPTION_ENABLED: trail.encrypted
CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED: trail.complete
MULTI_REGION_CLOUD_TRAIL_ENABLED: trail.complete
AURORA_RESOURCES_PROTECTED_BY_BACKUP_PLAN: backup.covers
DB_INSTANCE_BACKUP_ENABLED: rds.backup_retained
DYNAMODB_PITR_ENABLED: tables.recoverable
EFS_ENCRYPTED_CHECK: files.customer_key
ELASTICACHE_REDIS_CLUSTER_AUTOMATIC_BACKUP_CHECK: elasticache.snapshots
IAM_CUSTOMER_POLICY_BLOCKED_KMS_ACTIONS: iam.least_privilege
IAM_INLINE_POLICY_BLOCKED_KMS_ACTIONS: iam.least_privilege
IAM_POLICY_NO_STATEMENTS_WITH_ADMIN_ACCESS: iam.least_privilege
IAM_POLICY_NO_STATEMENTS_WITH_FULL_ACCESS: iam.least_privilege
INCOMING_SSH_DISABLED: ec2.ingress_narrow
RESTRICTED_INCOMING_TRAFFIC: ec2.ingress_narrow
VPC_SG_OPEN_ONLY_TO_AUTHORIZED_PORTS: ec2.ingress_narrow
LAMBDA_FUNCTION_PUBLIC_ACCESS_PROHIBITED: functions.invoked_by_ours
RDS_ENHANCED_MONITORING_ENABLED: rds.monitored
RDS_INSTANCE_PUBLIC_ACCESS_CHECK: rds.not_public
RDS_LOGGING_ENABLED: rds.logs_exported
RDS_MULTI_AZ_SUPPORT: rds.multi_az
RDS_SNAPSHOT_ENCRYPTED: rds.storage_encrypted
RDS_STORAGE_ENCRYPTED: rds.storage_encrypted
S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED: s3.not_public
S3_BUCKET_PUBLIC_READ_PROHIBITED: s3.not_public, policies.not_public
S3_BUCKET_PUBLIC_WRITE_PROHIBITED: s3.not_public, policies.not_public
S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED: s3.customer_key
S3_BUCKET_SSL_REQUESTS_ONLY: s3.tls_only
S3_BUCKET_VERSIONING_ENABLED: s3.versioned
S3_DEFAULT_ENCRYPTION_KMS: s3.customer_key
SNS_ENCRYPTED_KMS: sns.customer_key
BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK: backup.often
CLOUDWATCH_ALARM_ACTION_CHECK: sns.delivers
DYNAMODB_AUTOSCALING_ENABLED: tables.on_demand
NO_UNRESTRICTED_ROUTE_TO_IGW: ec2.no_open_route
SUBNET_AUTO_ASSIGN_PUBLIC_IP_DISABLED: ec2.addresses_private
VPC_FLOW_LOGS_ENABLED: ec2.flow_logged
""",
    (FEDRAMP,): """
CLOUDTRAIL_S3_DATAEVENTS_ENABLED: trail.data_events
CLOUDWATCH_LOG_GROUP_ENCRYPTED: logs.encrypted
CMK_BACKING_KEY_ROTATION_ENABLED: kms.rotated
CW_LOGGROUP_RETENTION_PERIOD_CHECK: logs.retained
DYNAMODB_RESOURCES_PROTECTED_BY_BACKUP_PLAN: backup.covers
EFS_RESOURCES_PROTECTED_BY_BACKUP_PLAN: backup.covers
RDS_RESOURCES_PROTECTED_BY_BACKUP_PLAN: backup.covers
LAMBDA_INSIDE_VPC: functions.in_vpc
""",
    (HIPAA,): """
BACKUP_RECOVERY_POINT_ENCRYPTED: backup.customer_key
CLOUDTRAIL_S3_DATAEVENTS_ENABLED: trail.data_events
DYNAMODB_IN_BACKUP_PLAN: backup.covers
EFS_IN_BACKUP_PLAN: backup.covers
INTERNET_GATEWAY_AUTHORIZED_VPC_ONLY: ec2.no_gateway
RDS_IN_BACKUP_PLAN: backup.covers
RDS_CLUSTER_MULTI_AZ_ENABLED: rds.multi_az
S3_BUCKET_ACL_PROHIBITED: s3.no_acl
S3_VERSION_LIFECYCLE_POLICY_CHECK: s3.tidied
SECRETSMANAGER_ROTATION_ENABLED_CHECK: secrets.rotated
SECRETSMANAGER_USING_CMK: secrets.customer_key
""",
}

_OTHERWISE: Mapping[str, str] = {
    "BACKUP_PLAN_MIN_FREQUENCY_AND_MIN_RETENTION_CHECK": (
        "Seven days are asked, as the requirements ask them; the pack's default is 35, so a plan may fail there."
    ),
    "CLOUDTRAIL_S3_DATAEVENTS_ENABLED": (
        "Asked of buckets that hold data; packages and the trail's own files are left out, and with them the pack's rule fails, "
        "which asks for every bucket of the account. Systems without such a bucket record no calls on objects."
    ),
    "LAMBDA_INSIDE_VPC": (
        "Not asked of the function that decides on a failover: it stands outside of any VPC (failover.outside_of_networks), and "
        "fails there."
    ),
    "CLOUDWATCH_ALARM_ACTION_CHECK": (
        "An action on insufficient data is not asked: what silence means is said by each alarm's TreatMissingData."
    ),
}
"""Where a rule of ours asks something else than the pack's."""

_ABSENT: Mapping[tuple[str, ...], str] = {
    BOTH: """
ACCESS_KEYS_ROTATED: AWS::IAM::User, AWS::IAM::AccessKey
ACM_CERTIFICATE_EXPIRATION_CHECK: AWS::CertificateManager::Certificate
ALB_HTTP_TO_HTTPS_REDIRECTION_CHECK: AWS::ElasticLoadBalancingV2::Listener
ALB_WAF_ENABLED: AWS::ElasticLoadBalancingV2::LoadBalancer
API_GW_ASSOCIATED_WITH_WAF: AWS::ApiGateway::Stage
API_GW_EXECUTION_LOGGING_ENABLED: AWS::ApiGateway::Stage, AWS::ApiGatewayV2::Stage
API_GW_SSL_ENABLED: AWS::ApiGateway::Stage
AUTOSCALING_GROUP_ELB_HEALTHCHECK_REQUIRED: AWS::AutoScaling::AutoScalingGroup
AUTOSCALING_LAUNCH_CONFIG_PUBLIC_IP_DISABLED: AWS::AutoScaling::LaunchConfiguration
CODEBUILD_PROJECT_ENVVAR_AWSCRED_CHECK: AWS::CodeBuild::Project
CODEBUILD_PROJECT_SOURCE_REPO_URL_CHECK: AWS::CodeBuild::Project
DMS_REPLICATION_NOT_PUBLIC: AWS::DMS::ReplicationInstance
EBS_SNAPSHOT_PUBLIC_RESTORABLE_CHECK: AWS::EC2::Volume
EC2_IMDSV2_CHECK: AWS::EC2::Instance
EC2_INSTANCE_MANAGED_BY_SSM: AWS::EC2::Instance
EC2_INSTANCE_NO_PUBLIC_IP: AWS::EC2::Instance
EC2_INSTANCE_PROFILE_ATTACHED: AWS::EC2::Instance
EC2_MANAGEDINSTANCE_ASSOCIATION_COMPLIANCE_STATUS_CHECK: AWS::SSM::Association
EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK: AWS::SSM::PatchBaseline, AWS::EC2::Instance
EC2_RESOURCES_PROTECTED_BY_BACKUP_PLAN: AWS::EC2::Instance
EC2_STOPPED_INSTANCE: AWS::EC2::Instance
ECS_TASK_DEFINITION_USER_FOR_HOST_MODE_CHECK: AWS::ECS::TaskDefinition
ELASTIC_BEANSTALK_MANAGED_UPDATES_ENABLED: AWS::ElasticBeanstalk::Environment
ELASTICSEARCH_ENCRYPTED_AT_REST: AWS::Elasticsearch::Domain
ELASTICSEARCH_IN_VPC_ONLY: AWS::Elasticsearch::Domain
ELASTICSEARCH_LOGS_TO_CLOUDWATCH: AWS::Elasticsearch::Domain
ELASTICSEARCH_NODE_TO_NODE_ENCRYPTION_CHECK: AWS::Elasticsearch::Domain
ELB_CROSS_ZONE_LOAD_BALANCING_ENABLED: AWS::ElasticLoadBalancing::LoadBalancer
ELB_DELETION_PROTECTION_ENABLED: AWS::ElasticLoadBalancingV2::LoadBalancer
ELB_LOGGING_ENABLED: AWS::ElasticLoadBalancing::LoadBalancer, AWS::ElasticLoadBalancingV2::LoadBalancer
ELB_TLS_HTTPS_LISTENERS_ONLY: AWS::ElasticLoadBalancing::LoadBalancer
ELBV2_ACM_CERTIFICATE_REQUIRED: AWS::ElasticLoadBalancingV2::LoadBalancer
EMR_MASTER_NO_PUBLIC_IP: AWS::EMR::Cluster
ENCRYPTED_VOLUMES: AWS::EC2::Volume
INSTANCES_IN_VPC: AWS::EC2::Instance
IAM_USER_NO_POLICIES_CHECK: AWS::IAM::User
IAM_USER_UNUSED_CREDENTIALS_CHECK: AWS::IAM::User
IAM_USER_MFA_ENABLED: AWS::IAM::User
MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS: AWS::IAM::User
OPENSEARCH_LOGS_TO_CLOUDWATCH: AWS::OpenSearchService::Domain
REDSHIFT_BACKUP_ENABLED: AWS::Redshift::Cluster
REDSHIFT_CLUSTER_CONFIGURATION_CHECK: AWS::Redshift::Cluster
REDSHIFT_CLUSTER_PUBLIC_ACCESS_CHECK: AWS::Redshift::Cluster
REDSHIFT_REQUIRE_TLS_SSL: AWS::Redshift::Cluster
SAGEMAKER_ENDPOINT_CONFIGURATION_KMS_KEY_CONFIGURED: AWS::SageMaker::EndpointConfig
SAGEMAKER_NOTEBOOK_INSTANCE_KMS_KEY_CONFIGURED: AWS::SageMaker::NotebookInstance
SAGEMAKER_NOTEBOOK_NO_DIRECT_INTERNET_ACCESS: AWS::SageMaker::NotebookInstance
SSM_DOCUMENT_NOT_PUBLIC: AWS::SSM::Document
VPC_VPN_2_TUNNELS_UP: AWS::EC2::VPNConnection
WAFV2_LOGGING_ENABLED: AWS::WAFv2::WebACL
""",
    (FEDRAMP,): """
API_GW_CACHE_ENABLED_AND_ENCRYPTED: AWS::ApiGateway::Stage
BEANSTALK_ENHANCED_HEALTH_REPORTING_ENABLED: AWS::ElasticBeanstalk::Environment
CODEBUILD_PROJECT_LOGGING_ENABLED: AWS::CodeBuild::Project
EBS_OPTIMIZED_INSTANCE: AWS::EC2::Instance
EBS_RESOURCES_PROTECTED_BY_BACKUP_PLAN: AWS::EC2::Volume
EC2_INSTANCE_DETAILED_MONITORING_ENABLED: AWS::EC2::Instance
EC2_VOLUME_INUSE_CHECK: AWS::EC2::Volume
ECS_TASK_DEFINITION_MEMORY_HARD_LIMIT: AWS::ECS::TaskDefinition
FSX_RESOURCES_PROTECTED_BY_BACKUP_PLAN: AWS::FSx::FileSystem
IAM_GROUP_HAS_USERS_CHECK: AWS::IAM::Group
IAM_USER_GROUP_MEMBERSHIP_CHECK: AWS::IAM::User
REDSHIFT_CLUSTER_KMS_ENABLED: AWS::Redshift::Cluster
""",
    (HIPAA,): """
EBS_IN_BACKUP_PLAN: AWS::EC2::Volume
ECS_CONTAINERS_READONLY_ACCESS: AWS::ECS::TaskDefinition
ELB_ACM_CERTIFICATE_REQUIRED: AWS::ElasticLoadBalancing::LoadBalancer
ELB_PREDEFINED_SECURITY_POLICY_SSL_CHECK: AWS::ElasticLoadBalancing::LoadBalancer
EMR_KERBEROS_ENABLED: AWS::EMR::Cluster
KINESIS_STREAM_ENCRYPTED: AWS::Kinesis::Stream
OPENSEARCH_ENCRYPTED_AT_REST: AWS::OpenSearchService::Domain
OPENSEARCH_HTTPS_REQUIRED: AWS::OpenSearchService::Domain
OPENSEARCH_IN_VPC_ONLY: AWS::OpenSearchService::Domain
OPENSEARCH_NODE_TO_NODE_ENCRYPTION_CHECK: AWS::OpenSearchService::Domain
REDSHIFT_CLUSTER_MAINTENANCESETTINGS_CHECK: AWS::Redshift::Cluster
""",
}

ACCOUNT = "It asks the account or the organisation. Five systems live side by side in one account, so no stack of one may set it."
DESTROYABLE = "Every environment must be destroyable without a manual step (A-03): nothing is locked or protected from deletion."

_REASONS: Mapping[tuple[str, ...], Mapping[str, str]] = {
    BOTH: {
        **dict.fromkeys(
            (
                "EC2_EBS_ENCRYPTION_BY_DEFAULT",
                "GUARDDUTY_ENABLED_CENTRALIZED",
                "IAM_PASSWORD_POLICY",
                "IAM_ROOT_ACCESS_KEY_CHECK",
                "ROOT_ACCOUNT_HARDWARE_MFA_ENABLED",
                "ROOT_ACCOUNT_MFA_ENABLED",
                "S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS_PERIODIC",
                "SECURITYHUB_ENABLED",
                "DYNAMODB_THROUGHPUT_LIMIT_CHECK",
            ),
            ACCOUNT,
        ),
        "S3_BUCKET_DEFAULT_LOCK_ENABLED": DESTROYABLE,
        "S3_BUCKET_LOGGING_ENABLED": (
            "S3 delivers access logs only into a bucket encrypted with keys of its own (SSE-S3), and A-05 asks for "
            "customer-managed keys. Calls on objects of buckets that hold data are in the trail instead (trail.data_events)."
        ),
        "S3_BUCKET_REPLICATION_ENABLED": (
            "Where requirements ask that objects survive their region, they are replicated, and s3.replicated_in_time and its "
            "neighbours judge how. The rest are packages, which the chain uploads anew, and the trail's own files."
        ),
        "KMS_CMK_NOT_SCHEDULED_FOR_DELETION": "A state of a key, not of a template: it waits for deletion after its stack.",
        "RDS_SNAPSHOTS_PUBLIC_PROHIBITED": "A snapshot is shared by a call: CloudFormation has no type that shares one.",
        "VPC_DEFAULT_SECURITY_GROUP_CLOSED": (
            "CloudFormation cannot declare a VPC's default group; whatever is in a VPC of ours names groups of its own."
        ),
        "IAM_NO_INLINE_POLICY_CHECK": (
            "A policy of one role is written in the role: a reviewer reads both at once, and neither outlives the other."
        ),
    },
    (FEDRAMP,): {
        "GUARDDUTY_NON_ARCHIVED_FINDINGS": ACCOUNT,
        "LAMBDA_CONCURRENCY_CHECK": (
            "Lambda keeps 100 of an account's concurrent executions unreserved, and a new account may have ten in all: a "
            "function that reserves any cannot be deployed there. Here one schedule or one secret calls a function at a time."
        ),
        "LAMBDA_DLQ_CHECK": (
            "Not what is lost here: each function reads the present state, and its schedule or Secrets Manager calls it anew, so "
            "a kept event would repeat what was done since. That a call failed is told by an alarm (functions.failures_told)."
        ),
        "RDS_INSTANCE_DELETION_PROTECTION_ENABLED": DESTROYABLE,
    },
    (HIPAA,): {
        "RDS_CLUSTER_DELETION_PROTECTION_ENABLED": DESTROYABLE,
        "BACKUP_RECOVERY_POINT_MANUAL_DELETION_DISABLED": DESTROYABLE,
        "RDS_AUTOMATIC_MINOR_VERSION_UPGRADE_ENABLED": (
            "Versions are literals that are changed by review, at both sites together: Aurora fails over between regions only "
            "where versions agree, and an upgrade that AWS starts would be a difference that no template explains."
        ),
        "S3_EVENT_NOTIFICATIONS_ENABLED": (
            "No part of a system waits for an object's event; who read or changed one is in the trail (trail.data_events)."
        ),
        "AWS_CONFIG_PROCESS_CHECK": "The covered entity's: an assessment of risks, once a year.",
    },
}


def answers() -> tuple[tuple[str, Answer], ...]:
    """Every rule of both packs with its answer, by name; one that the packs answer differently stands twice."""
    found = [
        (name, Answer(packs, rules=to, reason=_OTHERWISE.get(name, "")))
        for packs, text in _IMPLEMENTED.items()
        for name, to in _table(text).items()
    ]
    found += [(name, Answer(packs, types=to)) for packs, text in _ABSENT.items() for name, to in _table(text).items()]
    found += [(name, Answer(packs, reason=why)) for packs, reasons in _REASONS.items() for name, why in reasons.items()]
    return tuple(sorted(found, key=lambda each: (each[0], each[1].packs)))


def document() -> str:
    """``docs/conformance-packs.md``."""
    rows = answers()
    lines = [
        "<!-- Generated by `make build` from documents/conformance_packs.py. Do not edit. -->",
        "# Conformance packs",
        "",
        "Every rule of AWS Config's packs *Operational Best Practices for FedRAMP(Moderate)* and *HIPAA Security*, and what",
        "answers it: rules of this project, types that no template declares, or a reason. None is open.",
        "",
        "| rule of AWS Config | pack | status | answered by |",
        "|---|---|---|---|",
    ]
    for name, one in rows:
        absent = f"No template declares {', '.join(one.types)}." if one.types else ""
        answered = ". ".join(filter(None, (", ".join(one.rules), absent or one.reason)))
        lines.append(f"| {name} | {', '.join(one.packs)} | {one.status} | {answered} |")
    return "\n".join(lines) + "\n"
