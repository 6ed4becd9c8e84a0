"""FedRAMP High, the whole baseline: FedRAMP's selection from NIST SP 800-53 Revision 5.

What Moderate asks, High asks too; beyond it stand here the alternate site, its distance, and cryptography of a validated kind.
Where templates speak to a control its title is in our words; the other titles, and the controls, are NIST's.
"""

from compliance.profiles import fedramp_moderate
from compliance.profiles.fedramp import controls
from compliance.rules import backup, cloudtrail, ec2, elasticache, failover, files, kms, rds, secrets
from model import Profile

SHOWN = {
    **fedramp_moderate.SHOWN,
    "AU-9(3)": ("Cryptography protects the integrity of audit information.", ""),
    "CP-2(5)": ("Essential functions go on while the primary site is gone.", "The plan for it is the agency's."),
    "CP-6": ("There is an alternate site for storage.", ""),
    "CP-6(1)": ("The alternate storage site is apart from the primary one.", "Two regions; how far apart, AWS states."),
    "CP-6(2)": (
        "The alternate storage site serves the recovery objectives.",
        "docs/recovery.md derives time and loss of a failover.",
    ),
    "CP-7": ("There is an alternate site for processing.", "Who moves there, and when, is the agency's plan."),
    "CP-7(1)": ("The alternate processing site is apart from the primary one.", "Two regions; how far apart, AWS states."),
    "CP-7(4)": ("The alternate processing site stands ready to serve.", "What stands there; who is there is the agency's plan."),
    "CP-9(5)": ("Backups are transferred to the alternate storage site.", ""),
    "CP-10(4)": ("Components are restored within their time.", "docs/recovery.md derives the figures; rehearsals measure."),
    "SC-12(1)": ("Keys stay available when their users are lost.", "The account administers them; KMS keeps them."),
    "AU-12(1)": ("Audit records of the whole system stand in one trail, in order of time.", ""),
    "CP-9(2)": ("A sample of backups is restored when the plan is tested.", "The plan's own test is the agency's."),
    "CP-9(3)": ("Copies of critical information are stored apart.", ""),
}
"""The controls to which templates of these systems speak: Moderate's, and what is asked beyond it."""

CONTROLS = controls("fedramp-high", SHOWN)

BEYOND = {
    rds.approved_suites: ("SC-8(1)", "SC-13"),
    rds.replicated_elsewhere: ("CP-6", "CP-6(1)", "CP-7", "CP-7(1)"),
    rds.replica_watched: ("CP-6(2)", "SI-4(5)"),
    rds.multi_az: ("CP-10(4)",),
    files.replicated_elsewhere: ("CP-6", "CP-6(1)"),
    files.replica_watched: ("CP-6(2)", "SI-4(5)"),
    secrets.replicated: ("CP-7",),
    backup.elsewhere: ("CP-6", "CP-6(1)", "CP-9(3)", "CP-9(5)"),
    backup.rehearsed: ("CP-9(2)", "CP-10(4)"),
    elasticache.multi_az: ("CP-10(4)",),
    failover.two_pieces: ("CP-2(5)", "CP-7"),
    failover.silence: ("CP-2(5)", "CP-7"),
    failover.lag_notifies: ("SI-4(5)",),
    failover.delivered: ("CP-2(5)", "CP-7", "SI-4(5)"),
    failover.goes_on: ("CP-7", "CP-10"),
    failover.outside: ("CP-7(4)", "CP-10"),
    failover.short: ("CP-10",),
    failover.configured: ("AC-6",),
    failover.apart: ("CP-7(1)", "CP-7(4)"),
    ec2.fips_reached: ("SC-13",),
    kms.delegated: ("SC-12(1)",),
    cloudtrail.complete: ("AU-9(3)", "AU-12(1)"),
}
"""What rules are evidence for beside the controls of Moderate."""

FEDRAMP_HIGH = Profile(
    name="fedramp-high",
    title="FedRAMP High",
    source="FedRAMP Security Controls Baseline, High, Revision 5, selected from NIST SP 800-53 Revision 5",
    controls={
        rule: fedramp_moderate.FEDRAMP_MODERATE.controls.get(rule, ()) + BEYOND.get(rule, ())
        for rule in (*fedramp_moderate.FEDRAMP_MODERATE.controls, *BEYOND)
    },
)
