"""FedRAMP High, thin: the controls for which templates of these systems are evidence, not yet the whole baseline.

What Moderate asks, High asks too; beyond it stand here the alternate site, its distance, and cryptography of a validated kind.
The baseline is FedRAMP's selection from NIST SP 800-53 Revision 5. Titles are our words; the controls are NIST's.
"""

from compliance.profiles import Control, fedramp_moderate
from compliance.rules import backup, ec2, elasticache, files, kms, rds, secrets, trail
from model import Profile

WHOLE_BASELINE = 410
"""Controls and enhancements of FedRAMP's High baseline, Revision 5."""

CONTROLS = (
    *fedramp_moderate.CONTROLS,
    Control("AU-9(3)", "Cryptography protects the integrity of audit information."),
    Control("CP-6", "There is an alternate site for storage."),
    Control("CP-6(1)", "The alternate storage site is apart from the primary one.", "Two regions; how far apart, AWS states."),
    Control("CP-6(2)", "The alternate storage site serves the recovery objectives.", "Failing over to it is not built yet."),
    Control("CP-7", "There is an alternate site for processing.", "Who moves there, and when, is the agency's plan."),
    Control("CP-7(1)", "The alternate processing site is apart from the primary one.", "Two regions; how far apart, AWS states."),
    Control("CP-9(5)", "Backups are transferred to the alternate storage site."),
    Control("CP-10(4)", "Components are restored within their time.", "Rehearsals measure it; no figure is derived yet."),
    Control("SC-12(1)", "Keys stay available when their users are lost.", "The account administers them; KMS keeps them."),
)

BEYOND = {
    rds.approved_suites: ("SC-8(1)", "SC-13"),
    rds.replicated_elsewhere: ("CP-6", "CP-6(1)", "CP-7", "CP-7(1)"),
    rds.replica_watched: ("CP-6(2)", "SI-4(5)"),
    rds.multi_az: ("CP-10(4)",),
    files.replicated_elsewhere: ("CP-6", "CP-6(1)"),
    files.replica_watched: ("CP-6(2)", "SI-4(5)"),
    secrets.replicated: ("CP-7",),
    backup.elsewhere: ("CP-6", "CP-6(1)", "CP-9(5)"),
    backup.rehearsed: ("CP-10(4)",),
    elasticache.multi_az: ("CP-10(4)",),
    ec2.fips_reached: ("SC-13",),
    kms.delegated: ("SC-12(1)",),
    trail.complete: ("AU-9(3)",),
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
