"""The table of test_rules for failover: two pieces of evidence, and a decision that outlives the primary."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def _of(title: str, layer: str = "failover") -> str:
    return f"{layer}/Resources/{title}/Properties"


BOTH, STALE, UNREACHABLE, EVIDENCE = _of("Both"), _of("Stale"), _of("Unreachable"), _of("Evidence")
FUNCTION, READER, CLOCK, QUEUE, MODE = _of("Function"), _of("Reader"), _of("Clock"), _of("Undelivered"), _of("Mode")
GROUP, WAITS = _of("Group"), _of("UndeliveredWaits")
TARGET, KEPT = f"{EVIDENCE}/Targets/0", f"{_of('UndeliveredPolicy')}/PolicyDocument/Statement/0"
GRANTED = f"{_of('Role')}/Policies/0/PolicyDocument/Statement"
LAG = _of("BehindPrimary", "second")
ELSEWHERE = ("failover/Metadata/Layer/Sites", {"primary": "us-east-1"})
BEHIND = ("failover/Metadata/Layer/Imports/Behind", "second.BehindName")
NAMED = ("second/Outputs/BehindName", {"Value": ref("BehindPrimary")})
FOREIGN_KEY = ("failover/Metadata/Layer/Imports/BaseKeyArn", "primary:base.KeyArn")
FOREIGN_TOPIC = ("failover/Metadata/Layer/Imports/BaseTopicArn", "primary:base.TopicArn")


def joined(text: str, **given: Any) -> tuple[str, Any]:
    return (f"{BOTH}/AlarmRule", {"Fn::Sub": [text, given]})


ON_THE_LAG = (f"{EVIDENCE}/EventPattern/resources", [ref("Behind")])
SHORT_NAMES = {"Fn::Sub": "ALARM(${Stale}) AND ALARM(${Unreachable.Arn})"}
ANOTHERS = "arn:aws:ssm:us-west-2:1:parameter/small/another/config/*"
ANOTHER_PIECE = joined('ALARM("${Old}") AND ALARM("${Unreachable}") AND ALARM("${Lag}")', Old=ref("Stale"), Lag=ref("Behind"))

BREAKS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: then the rule is unmet
    ("failover.two_pieces", "failover.Both", [joined('ALARM("${Old}") OR ALARM("${Unreachable}")', Old=ref("Stale"))]),
    ("failover.two_pieces", "failover.Both", [joined('ALARM("${Old}") AND NOT ALARM("${Unreachable}")', Old=ref("Stale"))]),
    ("failover.two_pieces", "failover.Both", [joined('ALARM("${Old}")', Old=ref("Stale"))]),
    ("failover.two_pieces", "failover.Both", [joined('ALARM("${Old}") AND ALARM("${Stale}")', Old=ref("Stale"))]),
    ("failover.two_pieces", "failover.Both", [joined('ALARM("${Old}") AND ALARM("${Nobody}")', Old=ref("Stale"))]),
    ("failover.two_pieces", "failover.Both", [joined('ALARM("${Old}") AND ALARM("${Evidence}")', Old=ref("Stale"))]),
    ("failover.two_pieces", "failover.Both", [(f"{BOTH}/AlarmRule", "ALARM(stale-dev) AND ALARM(unreachable-dev)")]),
    # two alarms of one source, or on what no function of ours measures
    ("failover.two_pieces", "failover.Both", [(f"{STALE}/Dimensions/0/Value", ref("Function"))]),
    ("failover.two_pieces", "failover.Both", [(f"{STALE}/MetricName", "PrimaryReachable")]),
    ("failover.two_pieces", "failover.Both", [(f"{STALE}/Namespace", "AWS/RDS")]),
    ("failover.two_pieces", "failover.Both", [(f"{STALE}/Dimensions", GONE)]),
    ("failover.two_pieces", "failover.Both", [ANOTHER_PIECE, BEHIND, NAMED]),
    ("failover.silence_is_evidence", "failover.Both", [(f"{STALE}/TreatMissingData", "notBreaching")]),
    ("failover.silence_is_evidence", "failover.Both", [(f"{UNREACHABLE}/TreatMissingData", GONE)]),
    ("failover.silence_is_evidence", "failover.Both", [("failover/Resources/Stale/Condition", "Sometimes")]),
    ("failover.silence_is_evidence", "failover.Both", [(f"{BOTH}/AlarmRule", GONE)]),
    ("failover.lag_only_notifies", "second.BehindPrimary", [ANOTHER_PIECE, BEHIND, NAMED]),
    (
        "failover.lag_only_notifies",
        "second.BehindPrimary",
        [joined('ALARM("${Old}") OR ALARM("${Lag}")', Old=ref("Stale"), Lag=ref("Behind")), BEHIND, NAMED],
    ),
    ("failover.lag_only_notifies", "second.BehindPrimary", [ON_THE_LAG, BEHIND, NAMED]),
    ("failover.lag_only_notifies", "second.BehindPrimary", [(f"{LAG}/AlarmActions", ["arn:aws:lambda:us-west-2:1:function:x"])]),
    ("failover.lag_only_notifies", "second.BehindPrimary", [(f"{LAG}/InsufficientDataActions", [ref("Cluster")])]),
    ("failover.evidence_delivered", "failover.Both", [("failover/Resources/Evidence/Condition", "Sometimes")]),
    ("failover.evidence_delivered", "failover.Both", [(f"{EVIDENCE}/State", "DISABLED")]),
    ("failover.evidence_delivered", "failover.Both", [(f"{EVIDENCE}/EventPattern/resources", [ref("Stale")])]),
    ("failover.evidence_delivered", "failover.Both", [(f"{EVIDENCE}/EventPattern/source", ["aws.rds"])]),
    ("failover.evidence_delivered", "failover.Both", [(f"{EVIDENCE}/EventPattern/detail/state/value", ["ALARM", "OK"])]),
    ("failover.evidence_delivered", "failover.Both", [(f"{TARGET}/Arn", ref("BaseTopicArn"))]),
    ("failover.evidence_delivered", "failover.Both", [(f"{TARGET}/DeadLetterConfig", GONE)]),
    ("failover.evidence_delivered", "failover.Both", [("failover/Resources/Undelivered/Condition", "Sometimes")]),
    ("failover.evidence_delivered", "failover.Both", [("failover/Resources/EvidenceInvokes", GONE)]),
    ("failover.evidence_delivered", "failover.Both", [(f"{KEPT}/Effect", "Deny")]),
    ("failover.evidence_delivered", "failover.Both", [(f"{KEPT}/Action", "sqs:ReceiveMessage")]),
    ("failover.evidence_delivered", "failover.Both", [("failover/Resources/UndeliveredWaits", GONE)]),
    ("failover.evidence_delivered", "failover.Both", [(f"{WAITS}/AlarmActions", GONE)]),
    ("failover.goes_on", "failover.Function", [("failover/Resources/Clock", GONE)]),
    ("failover.goes_on", "failover.Function", [(f"{CLOCK}/ScheduleExpression", "rate(5 minutes)")]),
    ("failover.goes_on", "failover.Function", [(f"{CLOCK}/State", "DISABLED")]),
    ("failover.goes_on", "failover.Function", [("failover/Resources/ClockInvokes", GONE)]),
    ("failover.outside_of_networks", "failover.Function", [(f"{FUNCTION}/VpcConfig", {"SubnetIds": ref("NetworkSubnetIds")})]),
    ("failover.shorter_than_lease", "failover.Function", [(f"{FUNCTION}/Timeout", 150)]),
    ("failover.shorter_than_lease", "failover.Function", [(f"{FUNCTION}/Timeout", GONE)]),
    ("failover.configuration_kept", "failover.Function", [(f"{GRANTED}/2", GONE)]),
    ("failover.configuration_kept", "failover.Function", [(f"{GRANTED}/2/Effect", "Allow")]),
    (
        "failover.configuration_kept",
        "failover.Function",
        [(f"{GRANTED}/2/Resource", ANOTHERS)],
    ),
    ("failover.configuration_kept", "failover.Function", [(f"{GRANTED}/1/Action", ["ssm:PutParameter", "ssm:DeleteParameter"])]),
    ("failover.configuration_kept", "failover.Function", [(f"{FUNCTION}/Role", "arn:aws:iam::1:role/x")]),
    ("failover.configuration_kept", "failover.Function", [("failover/Resources/Mode", GONE)]),
    ("failover.apart_from_the_primary", "failover.Both", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Stale", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Reader", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Function", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Evidence", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Clock", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Undelivered", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Mode", [ELSEWHERE]),
    ("failover.apart_from_the_primary", "failover.Group", [FOREIGN_KEY]),
    ("failover.apart_from_the_primary", "failover.Stale", [FOREIGN_TOPIC]),
    ("failover.apart_from_the_primary", "failover.Function", [FOREIGN_TOPIC]),
    (
        "failover.apart_from_the_primary",
        "failover.Function",
        [(f"{FUNCTION}/Code/S3Bucket", {"Fn::Sub": "${PlatformClusterArn}-bucket"})],
    ),
    ("failover.apart_from_the_primary", "base.Topic", [("base/Metadata/Layer/Sites", {"primary": "us-east-1"})]),
    # the other functions stay inside
    ("functions.in_vpc", "failover.Function", [(f"{EVIDENCE}/EventPattern/resources", [ref("Stale")])]),
]

BEARS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: the rule is still met
    (
        "failover.two_pieces",
        "failover.Both",
        [(f"{BOTH}/AlarmRule", SHORT_NAMES)],
    ),
    ("failover.lag_only_notifies", "second.BehindPrimary", [(f"{LAG}/AlarmActions", GONE)]),
    ("failover.configuration_kept", "failover.Function", [(f"{GRANTED}/2/Action", ["ssm:*"])]),
]
