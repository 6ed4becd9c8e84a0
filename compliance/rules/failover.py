"""Failover: it begins on two pieces of evidence and no fewer, and what detects, decides and acts outlives the primary.

Nothing here goes by a name: the decision is the function that a rule on a composite alarm invokes, and whatever it hangs on is
followed from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from compliance import statements
from compliance.rules import alarms
from model import PRIMARY, RECOVERY, Rule
from model.architecture import alarm_rule, alarms_followed, deciders, metrics_of, sites, sites_named, targets
from model.view import Resource, View
from protocol.lease import LEASE
from protocol.metrics import DIMENSION, NAMESPACE
from protocol.parameters import CONFIG

ALARM, COMPOSITE, FUNCTION = alarms.ALARM, "AWS::CloudWatch::CompositeAlarm", alarms.FUNCTION
EVENTS, QUEUE, TOPIC, PARAMETER = "AWS::Events::Rule", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::SSM::Parameter"
PERMISSION, LOGS = "AWS::Lambda::Permission", "AWS::Logs::LogGroup"

CONFIGURATION = f"/{CONFIG}"
"""What the path of every parameter has that only a deployment may change."""

EVERY_MINUTE = ("rate(1 minute)", "cron(* * * * ? *)")
NAMES_ONLY = ("Environment", "Policies", "Dimensions", "Value")
"""Where the other site may be named: what is acted upon there, and not what is needed for it."""

ALL_OF = re.compile(r'ALARM\("?\$\{\w+(?:\.Arn)?\}"?\)(?: AND ALARM\("?\$\{\w+(?:\.Arn)?\}"?\))*')
WRITES = ("ssm:PutParameter", "ssm:DeleteParameter", "ssm:DeleteParameters")


def mentioned(composite: Resource) -> tuple[Resource, ...]:
    """The alarms that a composite alarm speaks of, however it joins them."""
    return tuple(one for one in alarm_rule(composite)[1] if one is not None and one.type == ALARM)


def pieces(composite: Resource) -> tuple[Resource, ...]:
    """The alarms that must all stand, or none where the composite alarm asks for anything else."""
    text, spoken = alarm_rule(composite)
    found = mentioned(composite)
    return found if ALL_OF.fullmatch(text) and len(found) == len(spoken) else ()


def publisher(alarm: Resource) -> Resource | None:
    """The function that writes what an alarm watches."""
    for each in alarm.get("Dimensions") or []:
        if alarm.get("Namespace") == NAMESPACE and each.get("Name") == DIMENSION:
            return alarms.named(alarm, FUNCTION, each.get("Value"))
    return None


def _invoked(rule: Resource) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    """The functions that an event rule invokes, each with the target that says so."""
    return ((called, target) for called, target in targets(rule) if called.type == FUNCTION)


def decides(function: Resource) -> bool:
    """Whether a function decides on a failover."""
    return any(function.is_(one) for one in deciders(function.view))


def _two_pieces(composite: Resource) -> tuple[str, bool]:
    found = pieces(composite)
    sources = {(one.layer, one.id) for one in map(publisher, found) if one is not None}
    measured = {one.get("MetricName") for one in found}
    return "AlarmRule", len(found) >= 2 and len(sources) == len(measured) == len(found)


def _silence(composite: Resource) -> tuple[str, bool]:
    found = pieces(composite)
    return "AlarmRule", bool(found) and all(
        one.proves(lambda value: value == "breaching", "TreatMissingData") and one.certain for one in found
    )


LAGS = frozenset({"ReplicaLag", "AuroraGlobalDBReplicationLag", "AuroraGlobalDBRPOLag", "AuroraReplicaLag"})
"""What RDS measures of a replica by itself."""


def _only_notifies(alarm: Resource) -> tuple[str, bool] | None:
    if not any(metric.get("MetricName") in LAGS for metric in metrics_of(alarm)):
        return None
    if any(alarm.is_(one) for composite in alarm.view.resources(COMPOSITE) for one in mentioned(composite)):
        return "MetricName", False
    if any(alarm.is_(one) for rule in alarm.view.resources(EVENTS) for one in alarms_followed(rule) if list(_invoked(rule))):
        return "AlarmName", False
    told = [one for name in ("AlarmActions", "OKActions", "InsufficientDataActions") for one in alarm.members(name)]
    return "AlarmActions", all(one is not None and one.type == TOPIC for one in told)


def _delivered(composite: Resource) -> tuple[str, bool]:
    """Whether a rule brings the evidence to a function that lets it, and what does not arrive to where somebody hears of it."""
    return "AlarmName", any(
        _brings(rule, composite, function, target)
        for rule in composite.view.resources(EVENTS)
        if rule.certain and rule.get("State") in (None, "ENABLED") and set(rule.regions) == set(composite.regions)
        for function, target in _invoked(rule)
    )


def _brings(rule: Resource, composite: Resource, function: Resource, target: Mapping[str, Any]) -> bool:
    states = rule.get("EventPattern", "detail", "state", "value")
    kept = rule.view.follow(rule.layer, (target.get("DeadLetterConfig") or {}).get("Arn"))
    return (
        any(composite.is_(one) for one in alarms_followed(rule))
        and states == ["ALARM"]
        and _lets(rule, function)
        and kept is not None
        and kept.type == QUEUE
        and kept.certain
        and _takes(kept, rule)
        and _heard(kept)
    )


def _lets(rule: Resource, function: Resource) -> bool:
    return any(
        permission.certain
        and permission.get("Principal") == "events.amazonaws.com"
        and function.is_(permission.follow("FunctionName"))
        and rule.is_(permission.follow("SourceArn"))
        for permission in rule.view.resources(PERMISSION)
    )


def _takes(queue: Resource, rule: Resource) -> bool:
    """Whether a queue's policy lets EventBridge leave there what a rule could not deliver."""
    return any(
        statement.allows and statement.covers("sqs:SendMessage") and statement.names_service("events", rule.regions)
        for policy in queue.view.resources("AWS::SQS::QueuePolicy")
        if any(queue.is_(one) for one in policy.members("Queues"))
        for statement in statements.of(policy, "PolicyDocument")
    )


def _heard(queue: Resource) -> bool:
    return any(
        alarm.certain
        and alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        and bool(alarm.get("AlarmActions"))
        and any(queue.is_(alarms.named(alarm, QUEUE, each.get("Value"))) for each in alarm.get("Dimensions") or [])
        for alarm in queue.view.resources(alarms.ALARM)
    )


def _of_the_decider(test: Callable[[Resource], tuple[str, bool]]) -> Callable[[Resource], tuple[str, bool] | None]:
    """Asks ``test`` of the function that decides, and nothing of any other."""
    return lambda function: test(function) if decides(function) else None


def _goes_on(function: Resource) -> tuple[str, bool]:
    return "FunctionName", any(
        function.is_(one) and rule.certain and rule.get("State") in (None, "ENABLED") and _lets(rule, function)
        for rule in function.view.resources(EVENTS)
        if rule.get("ScheduleExpression") in EVERY_MINUTE
        for one, _ in _invoked(rule)
    )


def _outside(function: Resource) -> tuple[str, bool]:
    return "VpcConfig", function.get("VpcConfig") is None


def _short(function: Resource) -> tuple[str, bool]:
    return "Timeout", function.bounded("Timeout", least=1, most=LEASE.total_seconds() - 1)


def _configured(function: Resource) -> tuple[str, bool]:
    """Whether the function's role is denied to write what it is told, whatever else it may write there."""
    role = function.follow("Role")
    if role is None:
        return "Role", False
    documents = [policy.get("PolicyDocument") for policy in role.get("Policies") or []]
    found = [each for document in documents for each in statements.statements(role.view, role.layer, document)]
    told = {(one.text("Name") or "").rpartition("/")[0] for one in function.view.resources(PARAMETER)}
    paths = [path for path in told if f"{path}/".endswith(CONFIGURATION)]
    written = [one for one in WRITES if any(each.allows and each.covers(one) for each in found)]
    kept = all(
        any(not each.allows and each.covers(*written) and any(_under(text, path) for text in each.resources) for each in found)
        for path in paths
    )
    return "Role", bool(paths) and kept


def _under(pattern: str | None, path: str) -> bool:
    """Whether a parameter's ARN covers every name below a path."""
    return (pattern or "").endswith((f":parameter{path}/*", f":parameter{path}*"))


def decision(view: View) -> Iterator[Resource]:
    """Everything that detects, decides and controls: what a failover needs while the primary is gone."""
    for composite in view.resources(COMPOSITE):
        yield composite
        for piece in mentioned(composite):
            yield piece
            source = publisher(piece)
            if source is not None:
                yield source
    functions = deciders(view)
    yield from functions
    for rule in view.resources(EVENTS):
        for function, target in _invoked(rule):
            if any(function.is_(one) for one in functions):
                yield rule
                kept = view.follow(rule.layer, (target.get("DeadLetterConfig") or {}).get("Arn"))
                if kept is not None:
                    yield kept
    for function in functions:
        for value in (function.get("Environment", "Variables") or {}).values():
            found = view.follow(function.layer, value)
            if found is not None and found.type == TOPIC:
                yield found
        name = function.text("FunctionName")
        yield from (one for one in view.resources(LOGS) if one.text("LogGroupName") == f"/aws/lambda/{name}")
    if functions:
        yield from (one for one in view.resources(PARAMETER) if CONFIGURATION in (one.text("Name") or ""))


def _apart(one: Resource) -> tuple[str, bool] | None:
    """Whether it stands at the recovery site, alone or as one of two alike, and hangs on nothing of the other site."""
    if not any(one.is_(each) for each in decision(one.view)):
        return None
    stands = sites(one.view, one.layer)
    here = stands == (RECOVERY,) or (one.type == TOPIC and RECOVERY in stands)
    needed = {name: value for name, value in one.properties.items() if name not in NAMES_ONLY}
    topics = [value for value in (one.get("Environment", "Variables") or {}).values() if _is_topic(one, value)]
    return "Sites", here and PRIMARY not in sites_named(one.view, one.layer, [needed, topics])


def _is_topic(one: Resource, value: Any) -> bool:
    found = one.view.follow(one.layer, value)
    return found is not None and found.type == TOPIC


two_pieces = Rule(
    "failover.two_pieces",
    "A composite alarm stands when each of two or more alarms does, on metrics that different functions publish.",
    "Either piece alone is a false alarm away from a failover that loses data; two from one source are one piece.",
    "Amazon CloudWatch API Reference, PutCompositeAlarm: AlarmRule; NIST SP 800-34 Rev. 1, section 4.2.2, Activation criteria",
    (COMPOSITE,),
    _two_pieces,
)
silence = Rule(
    "failover.silence_is_evidence",
    "To every piece of evidence missing data are trouble.",
    "A region that is gone publishes nothing: silence is what its loss looks like from the other one.",
    "Amazon CloudWatch User Guide, Configuring how CloudWatch alarms treat missing data",
    (COMPOSITE,),
    _silence,
)
lag_notifies = Rule(
    "failover.lag_only_notifies",
    "An alarm on a lag that the service measures notifies topics, and neither is evidence nor invokes a function.",
    "A lag is large under load and absent without a source: it says how much a failover would lose, not that one is needed.",
    "Amazon RDS User Guide, Monitoring read replication: ReplicaLag; Amazon Aurora User Guide, AuroraGlobalDBRPOLag",
    (ALARM,),
    _only_notifies,
)
delivered = Rule(
    "failover.evidence_delivered",
    "A rule in the alarm's region brings the evidence to a function, and what does not arrive to a queue that an alarm watches.",
    "EventBridge tries for a day and then drops the event: nobody would have decided, and nobody would know.",
    "Amazon EventBridge User Guide, Using dead-letter queues to process undelivered events",
    (COMPOSITE,),
    _delivered,
)
goes_on = Rule(
    "failover.goes_on",
    "A schedule invokes the function that decides every minute.",
    "It makes one act in each run: what was killed between two goes on by the clock, and asks the primary by it.",
    "AWS Lambda Developer Guide, Invoking a Lambda function on a schedule",
    (FUNCTION,),
    _of_the_decider(_goes_on),
)
outside = Rule(
    "failover.outside_of_networks",
    "The function that decides on a failover stands outside of any VPC.",
    "It calls AWS only; a subnet, a group or an endpoint would be one more thing to lose when it is needed.",
    "AWS Lambda Developer Guide, Giving Lambda functions access to resources in an Amazon VPC",
    (FUNCTION,),
    _of_the_decider(_outside),
)
short = Rule(
    "failover.shorter_than_lease",
    "The function that decides is ended before its lease is.",
    "With the lease over, another run acts: two that act at once could promote and undo each other's work.",
    "AWS Lambda Developer Guide, Configure Lambda function timeout",
    (FUNCTION,),
    _of_the_decider(_short),
)
configured = Rule(
    "failover.configuration_kept",
    "The role of the function that decides is denied to write the configuration that binds it.",
    "A mode that the function can set is none that an operator can rely on.",
    "AWS IAM User Guide, Policy evaluation logic: an explicit deny",
    (FUNCTION,),
    _of_the_decider(_configured),
)
apart = Rule(
    "failover.apart_from_the_primary",
    "What detects, decides and controls stands at the recovery site, and hangs on nothing of the primary.",
    "What needs the region that is lost is lost with it.",
    "AWS Well-Architected Framework, REL11-BP04 Rely on the data plane and not the control plane during recovery",
    (ALARM, COMPOSITE, EVENTS, FUNCTION, LOGS, PARAMETER, QUEUE, TOPIC),
    _apart,
)
