"""Financial audit: what an auditor of a financial services company's system asks to see.

It rests on the AICPA's Trust Services Criteria, because these are the published criteria against which auditors report on
a provider's systems (SOC 2), they speak of systems rather than of one country's law, and the reports of both AWS and the
company's own suppliers are written against them. The categories are Security (the common criteria), Availability,
Confidentiality and Processing Integrity. Titles are our words; the criteria themselves are the AICPA's.
"""

from compliance.profiles import Control, Status
from compliance.rules import alarms, cloudtrail, ec2, functions, iam, kms, logs, policies, rds, s3, secrets, sns
from model import Profile

ORGANISATION = "Organisational: answered by the company, not by templates."
APPLICATION = "Answered by the application that uses the database."

CONTROLS = (
    Control("CC1.1", "Integrity and ethical values.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC1.2", "Oversight by the board.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC1.3", "Structures, reporting lines and authorities.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC1.4", "Competent people.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC1.5", "Accountability for internal control.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC2.1", "Relevant information of good quality for internal control."),
    Control("CC2.2", "Internal communication of objectives and responsibilities.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC2.3", "Communication with external parties.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC3.1", "Objectives clear enough to assess risks.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC3.2", "Risks identified and analysed.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC3.3", "Potential for fraud considered.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC3.4", "Changes that could affect internal control assessed.", ORGANISATION, Status.ORGANISATIONAL),
    Control(
        "CC4.1",
        "Ongoing and separate evaluations of controls.",
        "`make check` and `make drift` repeat this document's questions.",
    ),
    Control(
        "CC4.2", "Deficiencies evaluated and communicated.", "Deviations above, each with its reason; the rest is organisational."
    ),
    Control("CC5.1", "Control activities that mitigate risks.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC5.2", "General control activities over technology.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC5.3", "Policies and procedures.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC6.1", "Logical access to protected information is restricted."),
    Control("CC6.2", "Users are registered and authorised before they get credentials.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC6.3", "Access follows roles, least privilege and segregation of duties."),
    Control("CC6.4", "Physical access.", "Inherited from AWS: its SOC 2 report, in AWS Artifact.", Status.INHERITED),
    Control("CC6.5", "Disposal of physical assets.", "Inherited from AWS: its SOC 2 report, in AWS Artifact.", Status.INHERITED),
    Control("CC6.6", "Protection against threats from outside the system's boundaries."),
    Control("CC6.7", "Transmission and movement of information is restricted and protected."),
    Control(
        "CC6.8",
        "Unauthorised or malicious software is prevented or detected.",
        "Packages are named by the digest of their content.",
    ),
    Control("CC7.1", "Changes to configuration, and new vulnerabilities, are detected."),
    Control("CC7.2", "Anomalies are monitored for and analysed."),
    Control("CC7.3", "Security events are evaluated."),
    Control("CC7.4", "Incidents are responded to.", ORGANISATION, Status.ORGANISATIONAL),
    Control(
        "CC7.5",
        "Recovery from incidents.",
        "Runbooks are generated (docs/operations); following them is the company's.",
        Status.ORGANISATIONAL,
    ),
    Control(
        "CC8.1", "Changes are authorised, tested and documented.", "Templates are reviewed as YAML and deployed as change sets."
    ),
    Control("CC9.1", "Risks of disruption are mitigated.", ORGANISATION, Status.ORGANISATIONAL),
    Control("CC9.2", "Risks of vendors and partners are managed.", ORGANISATION, Status.ORGANISATIONAL),
    Control("A1.1", "Capacity is monitored and managed."),
    Control("A1.2", "Backup and recovery infrastructure."),
    Control("A1.3", "Recovery is tested.", "Drills; their dates and results are organisational."),
    Control("C1.1", "Confidential information is identified and protected."),
    Control("C1.2", "Confidential information is disposed of."),
    Control("PI1.1", "Definitions and specifications of data are communicated.", APPLICATION, Status.ORGANISATIONAL),
    Control("PI1.2", "Inputs are complete and accurate.", APPLICATION, Status.ORGANISATIONAL),
    Control("PI1.3", "Processing is complete, accurate and timely.", APPLICATION, Status.ORGANISATIONAL),
    Control("PI1.4", "Outputs are complete, accurate and timely.", APPLICATION, Status.ORGANISATIONAL),
    Control("PI1.5", "What is stored stays complete and accurate."),
)

FINANCIAL_AUDIT = Profile(
    name="financial-audit",
    title="Financial audit",
    source=(
        "AICPA, TSP Section 100, 2017 Trust Services Criteria for Security, Availability, Processing Integrity, Confidentiality, "
        "and Privacy (with revised points of focus, 2022)"
    ),
    controls={
        rds.multi_az: ("A1.2",),
        ec2.zones_distinct: ("A1.2",),
        rds.backup_retained: ("A1.2", "PI1.5"),
        rds.monitored: ("A1.1",),
        rds.alarmed: ("A1.1", "CC7.2"),
        rds.storage_encrypted: ("CC6.1", "C1.1"),
        rds.customer_key: ("CC6.1", "C1.1"),
        rds.tls_forced: ("CC6.7",),
        rds.not_public: ("CC6.6",),
        rds.isolated: ("CC6.6",),
        rds.statements_logged: ("CC7.2", "PI1.5"),
        rds.logins_logged: ("CC7.2",),
        rds.logs_exported: ("CC2.1", "CC7.2"),
        kms.rotated: ("CC6.1",),
        kms.delegated: ("CC6.3",),
        policies.nobody_named: ("CC6.3",),
        policies.not_public: ("CC6.1", "CC6.6"),
        policies.endpoint_narrow: ("CC6.6", "CC6.7"),
        iam.least_privilege: ("CC6.3",),
        iam.trusted_service: ("CC6.1", "CC6.3"),
        functions.in_vpc: ("CC6.6",),
        functions.invoked_by_ours: ("CC6.1",),
        functions.log_group_first: ("CC7.2",),
        ec2.ingress_narrow: ("CC6.1", "CC6.6"),
        ec2.egress_narrow: ("CC6.6", "CC6.7"),
        ec2.flow_logged: ("CC7.2",),
        secrets.generated: ("CC6.1",),
        secrets.rotated: ("CC6.1",),
        secrets.customer_key: ("CC6.1", "C1.1"),
        secrets.no_clear_credential: ("CC6.1",),
        s3.tls_only: ("CC6.7",),
        s3.not_public: ("CC6.1", "CC6.6"),
        s3.customer_key: ("CC6.1", "C1.1"),
        s3.versioned: ("A1.2", "PI1.5"),
        s3.tidied: ("C1.2",),
        sns.customer_key: ("C1.1",),
        sns.tls_only: ("CC6.7",),
        sns.delivers: ("CC7.2", "CC7.3"),
        sns.subscribed: ("CC7.3",),
        alarms.metric_exists: ("CC7.2",),
        logs.retained: ("CC2.1", "C1.2"),
        logs.encrypted: ("CC6.1", "C1.1"),
        cloudtrail.complete: ("CC2.1", "CC7.1", "CC7.2"),
        cloudtrail.encrypted: ("CC6.1", "C1.1"),
        cloudtrail.delivered: ("CC7.2",),
        cloudtrail.watched: ("CC7.1", "CC7.3"),
    },
)
