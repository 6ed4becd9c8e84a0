"""HIPAA, thin: the standards and specifications of the Security Rule for which templates of these systems are evidence.

Each id is the paragraph of title 45 of the Code of Federal Regulations that says so. Titles are our words; the rule is that of
the Department of Health and Human Services. "Addressable" is what the rule lets an entity answer in another way, with a reason.
"""

from compliance.profiles import Control
from compliance.rules import (
    alarms,
    backup,
    ec2,
    functions,
    iam,
    kms,
    logs,
    policies,
    rds,
    reach,
    resources,
    s3,
    secondaries,
    secrets,
    sns,
    trail,
)
from model import Profile, System

ENTITY = "The covered entity's to do; templates begin it."

CONTROLS = (
    Control("164.308(a)(1)(ii)(D)", "Records of activity are reviewed regularly.", f"Alarms on the trail. {ENTITY}"),
    Control("164.308(a)(5)(ii)(C)", "Attempts to log in are monitored (addressable)."),
    Control("164.308(a)(5)(ii)(D)", "Passwords are created, changed and safeguarded (addressable)."),
    Control("164.308(a)(6)(ii)", "Security incidents are identified and answered.", f"They are told to a topic. {ENTITY}"),
    Control("164.308(a)(7)(ii)(A)", "Retrievable exact copies of health information are made and kept."),
    Control(
        "164.308(a)(7)(ii)(B)", "Lost data can be restored.", "Replicas and recovery points; the procedure is the runbook's."
    ),
    Control("164.308(a)(7)(ii)(C)", "Critical processes go on in an emergency."),
    Control("164.308(a)(7)(ii)(D)", "Contingency plans are tested (addressable).", f"Restores are rehearsed. {ENTITY}"),
    Control(
        "164.308(b)(1)", "Business associates give assurances.", "AWS's is its Business Associate Addendum, in AWS Artifact."
    ),
    Control("164.310(a)(1)", "Physical access to facilities is limited.", "Inherited from AWS."),
    Control("164.310(d)(2)(i)", "Health information is disposed of with what holds it."),
    Control("164.312(a)(1)", "Only those who were granted access have it."),
    Control("164.312(a)(2)(i)", "Each user is known by a name of their own.", "Of IAM and of the application."),
    Control("164.312(a)(2)(iv)", "Health information is encrypted at rest (addressable)."),
    Control("164.312(b)", "Activity in systems that hold health information is recorded."),
    Control("164.312(c)(1)", "Health information is not altered or destroyed improperly."),
    Control("164.312(c)(2)", "That it was not is shown by a mechanism (addressable)."),
    Control("164.312(d)", "Whoever seeks access is who they claim to be."),
    Control("164.312(e)(1)", "Nobody reads health information on its way."),
    Control("164.312(e)(2)(i)", "Nobody changes it on its way without detection (addressable)."),
    Control("164.312(e)(2)(ii)", "It is encrypted on its way (addressable)."),
    Control("164.316(b)(2)(i)", "Documentation is kept for six years."),
)


def remark(system: System) -> str:
    """What has to be said of a system that answers these controls."""
    return (
        f"{system.name}: {len(CONTROLS)} standards and specifications of 45 CFR 164.308 to 164.316 stand here, those to which "
        "templates have something to say. HIPAA certifies no system: risk analysis, policies, training and the agreement with "
        "AWS are the covered entity's."
    )


ACCESS, AT_REST, ACTIVITY, INTEGRITY = "164.312(a)(1)", "164.312(a)(2)(iv)", "164.312(b)", "164.312(c)(1)"
ON_THE_WAY = ("164.312(e)(1)", "164.312(e)(2)(i)", "164.312(e)(2)(ii)")
COPIES, RESTORED, GOES_ON, TESTED = (f"164.308(a)(7)(ii)({letter})" for letter in "ABCD")
PASSWORDS, INCIDENTS, DISPOSED, SIX_YEARS = (
    "164.308(a)(5)(ii)(D)",
    "164.308(a)(6)(ii)",
    "164.310(d)(2)(i)",
    "164.316(b)(2)(i)",
)

HIPAA = Profile(
    name="hipaa",
    title="HIPAA Security Rule",
    source="45 CFR Part 164, Subpart C (Security Standards for the Protection of Electronic Protected Health Information)",
    controls={
        resources.destroyable: (DISPOSED,),
        rds.multi_az: (GOES_ON,),
        rds.storage_encrypted: (AT_REST,),
        rds.customer_key: (AT_REST,),
        rds.tls_forced: ON_THE_WAY,
        rds.backup_retained: (COPIES, RESTORED),
        rds.not_public: (ACCESS,),
        rds.isolated: (ACCESS,),
        rds.statements_logged: (ACTIVITY,),
        rds.logs_exported: (ACTIVITY, "164.308(a)(5)(ii)(C)"),
        rds.monitored: (GOES_ON,),
        rds.alarmed: (GOES_ON,),
        secondaries.accepted: (RESTORED, GOES_ON),
        secondaries.own_key: (AT_REST,),
        secondaries.lag_watched: (GOES_ON, INCIDENTS),
        secondaries.capacity_watched: (GOES_ON,),
        secondaries.destroyable: (DISPOSED,),
        ec2.zones_distinct: (GOES_ON,),
        ec2.ingress_narrow: (ACCESS,),
        ec2.egress_narrow: (ACCESS,),
        ec2.flow_logged: (ACTIVITY,),
        reach.endpoints: (ACCESS,),
        reach.peers: (ACCESS,),
        policies.endpoint_narrow: (ACCESS,),
        policies.nobody_named: (ACCESS,),
        policies.not_public: (ACCESS,),
        iam.least_privilege: (ACCESS,),
        iam.trusted_service: (ACCESS, "164.312(d)"),
        functions.in_vpc: (ACCESS,),
        functions.invoked_by_ours: (ACCESS,),
        functions.log_group_first: (ACTIVITY,),
        kms.rotated: (AT_REST,),
        kms.delegated: (ACCESS, AT_REST),
        backup.covers: (COPIES,),
        backup.windows: (COPIES,),
        backup.continuous: (COPIES,),
        backup.retention_agrees: (COPIES,),
        backup.elsewhere: (COPIES,),
        backup.expires: (DISPOSED,),
        backup.customer_key: (AT_REST,),
        backup.own_key: (AT_REST,),
        backup.own_network: (ACCESS,),
        backup.rehearsed: (TESTED,),
        backup.restore_failures_told: (TESTED, INCIDENTS),
        backup.failures_told: (COPIES, INCIDENTS),
        backup.absence_told: (COPIES, INCIDENTS),
        secrets.generated: (PASSWORDS,),
        secrets.rotated: (PASSWORDS,),
        secrets.replicated: (GOES_ON,),
        secrets.customer_key: (PASSWORDS, AT_REST),
        secrets.no_clear_credential: (PASSWORDS,),
        s3.tls_only: ON_THE_WAY,
        s3.not_public: (ACCESS,),
        s3.customer_key: (AT_REST,),
        s3.versioned: (INTEGRITY,),
        s3.tidied: (DISPOSED,),
        s3.replicated_in_time: (COPIES,),
        s3.replication_allowed: (COPIES,),
        s3.replication_watched: (COPIES, INCIDENTS),
        s3.replica_kept_alike: (COPIES, DISPOSED),
        sns.customer_key: (AT_REST,),
        sns.tls_only: ON_THE_WAY,
        sns.delivers: (INCIDENTS,),
        sns.subscribed: (INCIDENTS,),
        alarms.metric_exists: (INCIDENTS,),
        alarms.evaluable: (INCIDENTS,),
        alarms.followable: (GOES_ON,),
        alarms.silence_is_unhealthy: (GOES_ON,),
        logs.retained: (ACTIVITY,),
        logs.encrypted: (AT_REST,),
        trail.complete: (ACTIVITY, "164.312(c)(2)"),
        trail.data_events: (ACTIVITY,),
        trail.retained: (SIX_YEARS,),
        trail.encrypted: (AT_REST,),
        trail.delivered: (ACTIVITY,),
        trail.watched: (ACTIVITY, "164.308(a)(1)(ii)(D)"),
    },
)
