"""What a reviewer reads above a resource and in Metadata."""

from compliance import annotate
from compliance.rules import rds
from tests.support.compliance.deviations import DEVIATIONS, FOUND


def test_the_line_above_a_resource_names_its_controls_and_deviations() -> None:
    lines = annotate.evidence(FOUND, DEVIATIONS)
    assert lines["data", "Permission"] == "Evidence for A-06, CC6.1."
    assert lines["data", "Parameters"] == "Deviates from LG-05, see Metadata."
    assert lines["data", "Instance"].startswith("Evidence for A-03, A-05, A-07, A-08, A-13, A1.1, A1.2, C1.1, CC")
    assert lines["data", "Instance"].endswith(". Deviates from A-13, A1.2, see Metadata.")


def test_a_resource_that_nothing_is_asked_of_has_no_line() -> None:
    assert ("network", "Table") not in annotate.evidence(FOUND, DEVIATIONS)


def test_metadata_maps_controls_to_resources_and_deviations_to_reasons() -> None:
    document = annotate.metadata(FOUND, DEVIATIONS, "data")
    assert document["Evidence"]["A-06"] == ["ClockInvokes", "FunctionRole", "MonitoringRole", "Permission", "SecretPolicy"]
    assert document["Deviations"] == [
        {
            "From": "rds.multi_az",
            "Controls": ["A-13", "A1.2"],
            "Resource": "Instance",
            "Reason": "One zone is enough for tests.",
        },
        {"From": "LG-05", "Resource": "Parameters", "Reason": "Asked for."},
    ]


def test_metadata_of_a_layer_without_deviations_lists_none() -> None:
    assert "Deviations" not in annotate.metadata(FOUND, DEVIATIONS, "network")


def test_metadata_is_the_same_whatever_the_order_of_findings() -> None:
    assert str(annotate.metadata(FOUND, DEVIATIONS, "data")) == str(annotate.metadata(FOUND[::-1], DEVIATIONS, "data"))


def test_an_unmet_rule_is_evidence_of_nothing() -> None:
    only = [finding for finding in FOUND if finding.rule is rds.multi_az]
    assert annotate.metadata(only, DEVIATIONS, "data")["Evidence"] == {}


def test_controls_stand_in_the_order_of_their_catalogues() -> None:
    assert annotate.in_order(["CC6.10", "A1.2", "A-10", "CC6.2", "A-05", "CC6.2"]) == ("A-05", "A-10", "A1.2", "CC6.2", "CC6.10")
    paragraphs = ["164.312(e)(2)(i)", "164.312(a)(2)(iv)", "164.312(e)(1)", "164.308(a)(7)(ii)(B)", "164.308(a)(7)(ii)(A)"]
    assert annotate.in_order(paragraphs) == tuple(sorted(paragraphs))
    assert annotate.in_order(["SC-28(1)", "CP-10", "CP-9(8)", "SC-28", "CP-9", "AC-6"]) == (
        "AC-6",
        "CP-9",
        "CP-9(8)",
        "CP-10",
        "SC-28",
        "SC-28(1)",
    )
