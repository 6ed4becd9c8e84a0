"""FedRAMP Moderate, thin: the controls for which templates of these systems are evidence, not yet the whole baseline.

The baseline is FedRAMP's selection from NIST SP 800-53 Revision 5. Titles are our words; the controls are NIST's.
"""

from compliance.profiles import Control
from compliance.rules import (
    alarms,
    backup,
    ec2,
    files,
    functions,
    iam,
    kms,
    logs,
    policies,
    rds,
    reach,
    resources,
    s3,
    secrets,
    sns,
    tables,
    trail,
)
from model import Profile, System

WHOLE_BASELINE = 323
"""Controls and enhancements of FedRAMP's Moderate baseline, Revision 5."""

AUTHORISED = "us-"
"""How the names of AWS's regions in the United States begin, GovCloud's too: its FedRAMP authorisations name no others."""

CONTROLS = (
    Control("AC-3", "Access is enforced as it was approved."),
    Control("AC-4", "Information flows only where it may."),
    Control("AC-6", "Least privilege."),
    Control("AU-2", "What is logged is decided.", "Which events matter to the agency is its decision."),
    Control("AU-6", "Audit records are reviewed and reported.", "Alarms begin it; the review is the agency's."),
    Control("AU-9", "Audit information is protected."),
    Control("AU-11", "Audit records are kept as long as they are needed."),
    Control("AU-12", "Audit records are generated."),
    Control("CM-6", "Settings are chosen, and deviations from them found.", "`make drift` finds them."),
    Control("CM-8", "Components are known to their system.", "The templates are the inventory; tags lead back to it."),
    Control("CP-4", "The contingency plan is tested.", "Restores are rehearsed; the plan's own test is the agency's."),
    Control("CP-9", "The system is backed up."),
    Control("CP-9(1)", "Backups are tested for reliability and integrity."),
    Control("CP-9(8)", "Backups are protected by cryptography."),
    Control("CP-10", "The system can be recovered."),
    Control("CP-10(2)", "Transactions are recovered."),
    Control("IA-5", "Authenticators are managed and changed."),
    Control("IA-5(1)", "Passwords are strong, and protected on the way and where they are stored."),
    Control("IA-5(7)", "No authenticator stands in clear in code or configuration."),
    Control("SC-5", "Exhaustion of resources is held off."),
    Control("SC-7", "Boundaries are controlled."),
    Control("SC-7(3)", "Few points of access from outside."),
    Control("SC-7(5)", "Traffic is denied unless it is allowed."),
    Control("SC-8", "What is transmitted stays confidential and whole."),
    Control("SC-8(1)", "Cryptography protects what is transmitted."),
    Control("SC-12", "Keys are established and managed."),
    Control("SC-13", "Cryptography is of the kind that is required.", "KMS's modules are validated; what else is, AWS states."),
    Control("SC-28", "What is stored stays confidential and whole."),
    Control("SC-28(1)", "Cryptography protects what is stored."),
    Control("SI-4", "The system is monitored."),
    Control("SI-4(5)", "Signs of trouble are told to people."),
    Control("SI-7", "Changes to information are detected."),
    Control("SI-12", "Information is kept, and removed, as it should be."),
)


def remark(system: System) -> str:
    """What has to be said of a system that answers these controls: how many there are, and whether an authorisation can hold."""
    thin = (
        f"{len(CONTROLS)} of the {WHOLE_BASELINE} controls of the baseline stand here so far: those to which templates "
        "have something to say. The others are not answered, and policies and procedures are the agency's."
    )
    outside = sorted(region for region in system.regions.values() if not region.startswith(AUTHORISED))
    if not outside:
        return f"{system.name}: controls aligned; an authorisation is the agency's to give. {thin}"
    return (
        f"**{system.name} runs in {', '.join(outside)}: controls aligned, not authorised in this region.** AWS's FedRAMP "
        f"authorisations cover its regions in the United States only, and no template changes that. {thin}"
    )


FEDRAMP_MODERATE = Profile(
    name="fedramp-moderate",
    title="FedRAMP Moderate",
    source="FedRAMP Security Controls Baseline, Moderate, Revision 5, selected from NIST SP 800-53 Revision 5",
    controls={
        resources.tagged: ("CM-8",),
        rds.multi_az: ("CP-10",),
        rds.storage_encrypted: ("SC-28", "SC-28(1)", "CP-9(8)"),
        rds.customer_key: ("SC-12", "SC-28(1)"),
        rds.tls_forced: ("SC-8", "SC-8(1)"),
        rds.backup_retained: ("CP-9", "CP-10(2)"),
        rds.not_public: ("SC-7", "SC-7(3)"),
        rds.isolated: ("AC-4", "SC-7"),
        rds.statements_logged: ("AU-2", "AU-12"),
        rds.logs_exported: ("AU-12",),
        rds.monitored: ("SI-4",),
        rds.alarmed: ("SC-5", "SI-4", "SI-4(5)"),
        rds.slots_bounded: ("SC-5",),
        rds.slots_watched: ("SC-5", "SI-4(5)"),
        ec2.zones_distinct: ("CP-10",),
        ec2.ingress_narrow: ("AC-4", "SC-7(5)"),
        ec2.egress_narrow: ("AC-4", "SC-7(5)"),
        ec2.flow_logged: ("AU-12", "SI-4"),
        reach.endpoints: ("AC-4", "SC-7"),
        reach.peers: ("AC-4",),
        policies.endpoint_narrow: ("AC-4", "AC-6"),
        policies.nobody_named: ("AC-3",),
        policies.not_public: ("AC-3", "SC-7"),
        iam.least_privilege: ("AC-6",),
        iam.trusted_service: ("AC-3",),
        functions.in_vpc: ("SC-7",),
        functions.invoked_by_ours: ("AC-3",),
        functions.log_group_first: ("AU-12",),
        kms.rotated: ("SC-12",),
        kms.delegated: ("AC-6", "SC-12"),
        files.customer_key: ("SC-12", "SC-28", "SC-28(1)"),
        files.tls_only: ("SC-8", "SC-8(1)"),
        files.mounted_only: ("AC-3", "SC-7"),
        files.in_every_zone: ("CP-10",),
        files.alarmed: ("SI-4", "SI-4(5)"),
        tables.recoverable: ("CP-9", "CP-10(2)"),
        tables.customer_key: ("SC-12", "SC-28", "SC-28(1)"),
        tables.alarmed: ("SC-5", "SI-4(5)"),
        backup.covers: ("CP-9",),
        backup.windows: ("CP-9",),
        backup.continuous: ("CP-9",),
        backup.clear_of_windows: ("CP-9",),
        backup.retention_agrees: ("CP-9",),
        backup.expires: ("SI-12",),
        backup.customer_key: ("CP-9(8)", "SC-28(1)"),
        backup.own_key: ("SC-28(1)",),
        backup.own_network: ("SC-7",),
        backup.rehearsed: ("CP-4", "CP-9(1)"),
        backup.restore_failures_told: ("CP-9(1)", "SI-4(5)"),
        backup.failures_told: ("CP-9", "SI-4(5)"),
        backup.absence_told: ("CP-9", "SI-4(5)"),
        secrets.generated: ("IA-5(1)",),
        secrets.rotated: ("IA-5",),
        secrets.customer_key: ("IA-5(1)", "SC-12"),
        secrets.no_clear_credential: ("IA-5(7)",),
        s3.tls_only: ("SC-8", "SC-8(1)"),
        s3.not_public: ("AC-3", "SC-7"),
        s3.customer_key: ("SC-12", "SC-28(1)"),
        s3.versioned: ("SI-7",),
        s3.tidied: ("SI-12",),
        sns.customer_key: ("SC-28(1)",),
        sns.tls_only: ("SC-8", "SC-8(1)"),
        sns.delivers: ("AU-6", "SI-4(5)"),
        sns.subscribed: ("SI-4(5)",),
        alarms.metric_exists: ("SI-4",),
        alarms.evaluable: ("SI-4",),
        alarms.followable: ("SI-4",),
        alarms.silence_is_unhealthy: ("SI-4",),
        logs.retained: ("AU-11", "SI-12"),
        logs.encrypted: ("AU-9", "SC-28(1)"),
        trail.complete: ("AU-2", "AU-9", "AU-12", "SI-7"),
        trail.encrypted: ("AU-9", "SC-28(1)"),
        trail.delivered: ("AU-12",),
        trail.watched: ("AU-6", "SI-4(5)"),
    },
)
