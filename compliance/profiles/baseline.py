"""The baseline: what this project's requirements ask of every system alike, A-03 to A-10."""

from compliance.profiles import Control
from compliance.rules import alarms, ec2, functions, iam, kms, logs, policies, rds, resources, s3, secrets, sns, trail
from model import Profile

CONTROLS = (
    Control(
        "A-03", "Everything can be destroyed without a manual step.", "The order of destruction is the chain's: `make destroy`."
    ),
    Control(
        "A-04",
        "No credential in code, template, parameter file, output or log.",
        "Logs: the rotation function's tests read them.",
    ),
    Control("A-05", "Encrypted at rest under rotated customer-managed keys, and in transit over TLS 1.2 or later."),
    Control("A-06", "Least privilege: named actions, exact resources, conditions."),
    Control("A-07", "Only the ports and peers that are needed, group to group, outward too."),
    Control("A-08", "Monitoring on every component: alarms, log groups with retention and key, a topic that delivers."),
    Control("A-09", "Outputs for key identifiers; never a secret value."),
    Control(
        "A-10",
        "Tags for cost tracking on everything that can be tagged.",
        "The chain tags every stack with System, Layer, Site, Environment and the parameter file's tags, and CloudFormation "
        "passes them on; a rule asks only those types that they may not reach.",
    ),
)

BASELINE = Profile(
    name="baseline",
    title="What holds for all systems",
    source="requirements of this project, A-03 to A-10",
    controls={
        resources.destroyable: ("A-03",),
        resources.nothing_retained: ("A-03",),
        rds.destroyable: ("A-03",),
        secrets.no_clear_credential: ("A-04", "A-09"),
        secrets.generated: ("A-04",),
        secrets.rotated: ("A-04",),
        kms.rotated: ("A-05",),
        rds.storage_encrypted: ("A-05",),
        rds.customer_key: ("A-05",),
        rds.tls_forced: ("A-05",),
        s3.customer_key: ("A-05",),
        s3.tls_only: ("A-05",),
        secrets.customer_key: ("A-05",),
        sns.customer_key: ("A-05",),
        sns.tls_only: ("A-05",),
        logs.encrypted: ("A-05", "A-08"),
        trail.encrypted: ("A-05",),
        iam.least_privilege: ("A-06",),
        iam.trusted_service: ("A-06",),
        kms.delegated: ("A-06",),
        policies.nobody_named: ("A-06",),
        policies.not_public: ("A-06",),
        policies.endpoint_narrow: ("A-06", "A-07"),
        functions.invoked_by_ours: ("A-06",),
        s3.not_public: ("A-06",),
        ec2.ingress_narrow: ("A-07",),
        ec2.egress_narrow: ("A-07",),
        ec2.group_name_legal: ("A-07",),
        rds.not_public: ("A-07",),
        rds.isolated: ("A-07",),
        alarms.metric_exists: ("A-08",),
        sns.delivers: ("A-08",),
        logs.retained: ("A-08",),
        ec2.flow_logged: ("A-08",),
        functions.log_group_first: ("A-08",),
        rds.logs_exported: ("A-08",),
        rds.monitored: ("A-08",),
        rds.alarmed: ("A-08",),
        trail.delivered: ("A-08",),
        resources.tagged: ("A-10",),
    },
)
