"""HIPAA: the standards and implementation specifications of the Security Rule, 45 CFR 164.308 to 164.316, all of them.

Each id is the paragraph of title 45 of the Code of Federal Regulations that says so. Titles are our words; the rule is that of
the Department of Health and Human Services. "Addressable" is what the rule lets an entity answer in another way, with a reason.
"""

from compliance.profiles import Control, Status
from compliance.rules import (
    alarms,
    aurora_global,
    backup,
    cloudtrail,
    connectivity,
    ec2,
    failover,
    functions,
    iam,
    kms,
    logs,
    policies,
    rds,
    resources,
    s3,
    secrets,
    sns,
)
from model import Profile, System

BEGUN = "The covered entity's to do; templates begin it."
ENTITY = "The covered entity's."
FACILITIES = "Inherited from AWS: its facilities, hardware and media; its Business Associate Addendum is in AWS Artifact."

CONTROLS = (
    Control(
        "164.308(a)(1)(i)", "Security violations are prevented, detected, contained and corrected.", ENTITY, Status.ORGANISATIONAL
    ),
    Control("164.308(a)(1)(ii)(A)", "Risks are analysed.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(1)(ii)(B)", "Risks are managed.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(1)(ii)(C)", "Failures to comply are sanctioned.", ENTITY, Status.ORGANISATIONAL),
    Control(
        "164.308(a)(1)(ii)(D)",
        "Records of activity are reviewed regularly.",
        f"Alarms on the trail. {BEGUN}",
        Status.ORGANISATIONAL,
    ),
    Control("164.308(a)(2)", "One official answers for security.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(3)(i)", "Its people have the access that their work needs, and no more.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(3)(ii)(A)", "Its people are authorised and supervised (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(3)(ii)(B)", "Its people are cleared (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(3)(ii)(C)", "Access ends with employment (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(4)(i)", "Access to health information is authorised.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(4)(ii)(A)", "A clearinghouse within a larger organisation is kept apart.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(4)(ii)(B)", "Access is granted by a procedure (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control(
        "164.308(a)(4)(ii)(C)", "Access is established and changed by a procedure (addressable).", ENTITY, Status.ORGANISATIONAL
    ),
    Control("164.308(a)(5)(i)", "Its people are made aware and trained.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(5)(ii)(A)", "They are reminded (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(5)(ii)(B)", "Malicious software is guarded against (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(5)(ii)(C)", "Attempts to log in are monitored (addressable)."),
    Control("164.308(a)(5)(ii)(D)", "Passwords are created, changed and safeguarded (addressable)."),
    Control("164.308(a)(6)(i)", "Incidents are addressed by policy.", ENTITY, Status.ORGANISATIONAL),
    Control(
        "164.308(a)(6)(ii)",
        "Security incidents are identified and answered.",
        f"They are told to a topic. {BEGUN}",
        Status.ORGANISATIONAL,
    ),
    Control("164.308(a)(7)(i)", "There is a contingency plan.", ENTITY, Status.ORGANISATIONAL),
    Control("164.308(a)(7)(ii)(A)", "Retrievable exact copies of health information are made and kept."),
    Control(
        "164.308(a)(7)(ii)(B)",
        "Lost data can be restored.",
        "Replicas and recovery points; the procedure is the runbook's.",
        Status.ORGANISATIONAL,
    ),
    Control("164.308(a)(7)(ii)(C)", "Critical processes go on in an emergency."),
    Control(
        "164.308(a)(7)(ii)(D)",
        "Contingency plans are tested (addressable).",
        f"Restores are rehearsed. {BEGUN}",
        Status.ORGANISATIONAL,
    ),
    Control(
        "164.308(a)(7)(ii)(E)", "Applications and data are ranked by criticality (addressable).", ENTITY, Status.ORGANISATIONAL
    ),
    Control("164.308(a)(8)", "Security is evaluated periodically.", ENTITY, Status.ORGANISATIONAL),
    Control(
        "164.308(b)(1)",
        "Business associates give assurances.",
        "AWS's is its Business Associate Addendum, in AWS Artifact.",
        Status.ORGANISATIONAL,
    ),
    Control("164.308(b)(3)", "Their assurances are a written contract.", ENTITY, Status.ORGANISATIONAL),
    Control("164.310(a)(1)", "Physical access to facilities is limited.", FACILITIES, Status.INHERITED),
    Control("164.310(a)(2)(i)", "Facilities can be entered in an emergency (addressable).", FACILITIES, Status.INHERITED),
    Control("164.310(a)(2)(ii)", "Facilities are secured (addressable).", FACILITIES, Status.INHERITED),
    Control(
        "164.310(a)(2)(iii)", "Access to facilities is controlled and validated (addressable).", FACILITIES, Status.INHERITED
    ),
    Control("164.310(a)(2)(iv)", "Repairs of facilities are recorded (addressable).", FACILITIES, Status.INHERITED),
    Control("164.310(b)", "The use of workstations is laid down.", ENTITY, Status.ORGANISATIONAL),
    Control("164.310(c)", "Workstations are secured.", ENTITY, Status.ORGANISATIONAL),
    Control("164.310(d)(1)", "Devices and media are controlled as they come and go.", FACILITIES, Status.INHERITED),
    Control("164.310(d)(2)(i)", "Health information is disposed of with what holds it.", FACILITIES, Status.INHERITED),
    Control("164.310(d)(2)(ii)", "Media are cleared before they are used again.", FACILITIES, Status.INHERITED),
    Control("164.310(d)(2)(iii)", "Moves of hardware and media are recorded (addressable).", FACILITIES, Status.INHERITED),
    Control("164.310(d)(2)(iv)", "A copy is made before equipment moves (addressable).", FACILITIES, Status.INHERITED),
    Control("164.312(a)(1)", "Only those who were granted access have it."),
    Control(
        "164.312(a)(2)(i)", "Each user is known by a name of their own.", "Of IAM and of the application.", Status.ORGANISATIONAL
    ),
    Control("164.312(a)(2)(ii)", "Health information can be reached in an emergency."),
    Control("164.312(a)(2)(iii)", "Sessions end after inactivity (addressable).", ENTITY, Status.ORGANISATIONAL),
    Control("164.312(a)(2)(iv)", "Health information is encrypted at rest (addressable)."),
    Control("164.312(b)", "Activity in systems that hold health information is recorded."),
    Control("164.312(c)(1)", "Health information is not altered or destroyed improperly."),
    Control("164.312(c)(2)", "That it was not is shown by a mechanism (addressable)."),
    Control("164.312(d)", "Whoever seeks access is who they claim to be."),
    Control("164.312(e)(1)", "Nobody reads health information on its way."),
    Control("164.312(e)(2)(i)", "Nobody changes it on its way without detection (addressable)."),
    Control("164.312(e)(2)(ii)", "It is encrypted on its way (addressable)."),
    Control("164.314(a)(1)", "Contracts with business associates meet this rule.", ENTITY, Status.ORGANISATIONAL),
    Control("164.314(a)(2)(i)", "They oblige to comply, to bind subcontractors and to report.", ENTITY, Status.ORGANISATIONAL),
    Control("164.314(a)(2)(ii)", "Arrangements between government entities may take their place.", ENTITY, Status.ORGANISATIONAL),
    Control("164.314(a)(2)(iii)", "Subcontractors are bound in turn.", ENTITY, Status.ORGANISATIONAL),
    Control("164.314(b)(1)", "Group health plans bind their sponsors.", ENTITY, Status.ORGANISATIONAL),
    Control(
        "164.314(b)(2)",
        "Plan documents oblige sponsors to safeguard, separate, bind agents and report.",
        ENTITY,
        Status.ORGANISATIONAL,
    ),
    Control("164.316(a)", "There are policies and procedures.", ENTITY, Status.ORGANISATIONAL),
    Control("164.316(b)(1)", "They, and what they ask to be recorded, are written down.", ENTITY, Status.ORGANISATIONAL),
    Control("164.316(b)(2)(i)", "Documentation is kept for six years.", ENTITY, Status.ORGANISATIONAL),
    Control("164.316(b)(2)(ii)", "Documentation is available to whom it concerns.", ENTITY, Status.ORGANISATIONAL),
    Control("164.316(b)(2)(iii)", "Documentation is reviewed and updated.", ENTITY, Status.ORGANISATIONAL),
)


def remark(system: System) -> str:
    """What has to be said of a system that answers these controls."""
    return (
        f"{system.name}: all {len(CONTROLS)} standards and implementation specifications of 45 CFR 164.308 to 164.316 stand "
        "here. HIPAA certifies no system: risk analysis, policies, training and the agreement with AWS are the covered entity's."
    )


ACCESS, EMERGENCY, AT_REST, ACTIVITY, INTEGRITY = (
    "164.312(a)(1)",
    "164.312(a)(2)(ii)",
    "164.312(a)(2)(iv)",
    "164.312(b)",
    "164.312(c)(1)",
)
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
        rds.logins_logged: (ACTIVITY, "164.308(a)(5)(ii)(C)"),
        rds.logs_exported: (ACTIVITY, "164.308(a)(5)(ii)(C)"),
        rds.monitored: (GOES_ON,),
        rds.alarmed: (GOES_ON,),
        aurora_global.accepted: (RESTORED, GOES_ON),
        aurora_global.own_key: (AT_REST,),
        aurora_global.lag_watched: (GOES_ON, INCIDENTS),
        aurora_global.capacity_watched: (GOES_ON,),
        aurora_global.destroyable: (DISPOSED,),
        failover.two_pieces: (GOES_ON, INTEGRITY),
        failover.silence: (GOES_ON, INCIDENTS),
        failover.lag_notifies: (INCIDENTS,),
        failover.delivered: (GOES_ON, INCIDENTS),
        failover.goes_on: (GOES_ON,),
        failover.outside: (GOES_ON,),
        failover.short: (GOES_ON, INTEGRITY),
        failover.configured: (ACCESS,),
        failover.apart: (GOES_ON, EMERGENCY),
        ec2.zones_distinct: (GOES_ON,),
        ec2.ingress_narrow: (ACCESS,),
        ec2.egress_narrow: (ACCESS,),
        ec2.flow_logged: (ACTIVITY,),
        ec2.addresses_private: (ACCESS,),
        ec2.no_gateway: (ACCESS,),
        ec2.no_open_route: (ACCESS,),
        connectivity.endpoints: (ON_THE_WAY[0],),
        policies.endpoint_narrow: (ACCESS,),
        policies.nobody_named: (ACCESS,),
        policies.not_public: (ACCESS,),
        iam.least_privilege: (ACCESS,),
        iam.trusted_service: (ACCESS,),
        functions.in_vpc: (ACCESS,),
        functions.invoked_by_ours: (ACCESS,),
        functions.log_group_first: (ACTIVITY,),
        functions.failures_told: (INCIDENTS,),
        kms.rotated: (AT_REST,),
        kms.delegated: (ACCESS, AT_REST),
        backup.covers: (COPIES,),
        backup.often: (COPIES,),
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
        secrets.generated: (PASSWORDS, "164.312(d)"),
        secrets.rotated: (PASSWORDS,),
        secrets.replicated: (GOES_ON,),
        secrets.customer_key: (PASSWORDS, AT_REST),
        secrets.no_clear_credential: (PASSWORDS,),
        s3.tls_only: ON_THE_WAY,
        s3.not_public: (ACCESS,),
        s3.no_acl: (ACCESS,),
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
        cloudtrail.complete: (ACTIVITY, "164.312(c)(2)"),
        cloudtrail.calls_recorded: (ACTIVITY,),
        cloudtrail.data_events: (ACTIVITY,),
        cloudtrail.retained: (SIX_YEARS,),
        cloudtrail.encrypted: (AT_REST,),
        cloudtrail.delivered: (ACTIVITY,),
        cloudtrail.watched: (ACTIVITY, "164.308(a)(1)(ii)(D)"),
    },
)
