"""What a rule is not mapped to: controls whose text its being met does not bear out."""

import pytest

from compliance.profiles.baseline import BASELINE
from compliance.profiles.fedramp_high import FEDRAMP_HIGH
from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from compliance.profiles.hipaa import HIPAA
from compliance.rules import backup, connectivity, ec2, elasticache, failover, iam, s3
from model import Profile, Rule


@pytest.mark.parametrize(
    ("profile", "rule", "control", "why"),
    [
        (HIPAA, connectivity.peers, "164.312(a)(1)", "that a function can connect shows of nobody that they cannot"),
        (HIPAA, connectivity.endpoints, "164.312(a)(1)", "that a function can connect shows of nobody that they cannot"),
        (FEDRAMP_MODERATE, connectivity.peers, "AC-4", "that a flow is possible does not show that others are not"),
        (HIPAA, iam.trusted_service, "164.312(d)", "which service may assume a role says nothing of a person's claim"),
        (HIPAA, failover.apart, "164.308(a)(7)(ii)(B)", "an alarm that stands apart restores no data"),
        (FEDRAMP_HIGH, failover.apart, "CP-6(2)", "what decides on a failover is no storage site"),
        (FEDRAMP_HIGH, failover.silence, "CP-6(2)", "how an alarm takes silence is no storage site"),
        (FEDRAMP_MODERATE, s3.versioned, "SI-7", "a version that is kept detects no change"),
        (BASELINE, ec2.group_name_legal, "A-07", "a name that EC2 takes limits no port"),
        (BASELINE, elasticache.name_legal, "A-13", "a name that fits recovers nothing"),
        (BASELINE, backup.restore_name_legal, "A-13", "a name that AWS Backup takes recovers nothing"),
    ],
)
def test_a_rule_is_no_evidence_of_what_it_does_not_show(profile: Profile, rule: Rule, control: str, why: str) -> None:
    assert control not in profile.controls.get(rule, ()), why
