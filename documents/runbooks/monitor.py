"""What is watched: every alarm with its meaning and a first command, dashboards, log groups, metric filters; and who is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from documents.runbooks.chain import BEFORE
from documents.runbooks.facts import Facts, Resource
from documents.runbooks.log_search import search
from documents.runbooks.page import Section, Shell, command, shell, word

SIGNS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}
ALARM, FILTER, DASHBOARD, GROUP = (
    "AWS::CloudWatch::Alarm",
    "AWS::Logs::MetricFilter",
    "AWS::CloudWatch::Dashboard",
    "AWS::Logs::LogGroup",
)


def sections(facts: Facts) -> Iterator[Section]:
    """Monitor, each alarm, and the subscription."""
    yield _overview(facts)
    alarms = facts.all(ALARM)
    if alarms:
        yield Section(
            "Alarms", (*_history(facts, alarms[0]), *(part for one in alarms for part in _alarm(facts, one))), (BEFORE,)
        )
    if facts.all("AWS::SNS::Topic"):
        yield _subscription(facts)


def _overview(facts: Facts) -> Section:
    parts: list[str | Shell] = [
        "What is in alarm, and since when:",
        shell(
            command(
                "aws cloudwatch describe-alarms --state-value ALARM --output table",
                "--query \"MetricAlarms[?ends_with(AlarmName,'-$ENV')].[AlarmName,StateUpdatedTimestamp,StateReason]\"",
            )
        ),
    ]
    boards = [facts.name(one) for one in facts.all(DASHBOARD)]
    if boards:
        parts += [
            f"The same as pictures: {', '.join(f'dashboard `{_plain(name, facts)}`' for name in boards)} in the CloudWatch "
            "console.",
            shell(
                *(
                    f"aws cloudwatch get-dashboard --dashboard-name {word(name)} --query DashboardName --output text"
                    for name in boards
                )
            ),
        ]
    rows = [
        f"| `{_plain(facts.name(one), facts)}` | {facts.text(one.layer, one.properties.get('RetentionInDays', 'never ends'))} "
        f"| `{one.layer}` |"
        for one in facts.all(GROUP)
    ]
    parts += [
        "\n".join(["| log group | days kept | layer |", "|---|---|---|", *rows]),
        "Whether they are all there, and what they hold:",
    ]
    parts.append(
        shell(
            "aws logs describe-log-groups --output text"
            " --query \"logGroups[?contains(logGroupName,'-$ENV')].[logGroupName,retentionInDays,storedBytes]\""
        )
    )
    filters = facts.all(FILTER)
    if filters:
        rows = [
            f"| `{_plain(facts.text(one.layer, one.properties['FilterName']), facts)}` "
            f"| `{_plain(facts.text(one.layer, one.properties['LogGroupName']), facts)}` "
            f"| `{_plain(facts.text(one.layer, change['MetricNamespace']), facts)}` `{change['MetricName']}` |"
            for one in filters
            for change in one.properties["MetricTransformations"]
        ]
        parts += [
            "Metric filters turn lines of a log into numbers that alarms see:",
            "\n".join(["| filter | reads | writes |", "|---|---|---|", *rows]),
        ]
    return Section("Monitor", tuple(parts), (BEFORE,))


def _history(facts: Facts, one: Resource) -> Iterator[str | Shell]:
    yield "The mail names the alarm. When it changed its state, and why:"
    yield shell(
        f"ALARM={word(facts.name(one))}",
        command(
            'aws cloudwatch describe-alarm-history --alarm-name "$ALARM" --history-item-type StateUpdate',
            "--max-items 10 --query 'AlarmHistoryItems[].[Timestamp,HistorySummary]' --output text",
        ),
    )


def _plain(name: str, facts: Facts) -> str:
    """A name as a table shows it."""
    return name.replace("$ENV", "<suffix>").replace("$AWS_DEFAULT_REGION", facts.region)


def _alarm(facts: Facts, one: Resource) -> Iterator[str | Shell]:
    given = one.properties
    yield f"### {one.title}\n\n`{_plain(facts.name(one), facts)}`. {facts.text(one.layer, given['AlarmDescription'])}"
    yield _condition(facts, one)
    commands = tuple(_first(facts, one))
    if commands:
        yield shell(*commands)


def _condition(facts: Facts, one: Resource) -> str:
    given = one.properties
    term = f"{given['EvaluationPeriods']} × {given.get('Period', 60)} s"
    sign = SIGNS.get(given["ComparisonOperator"], given["ComparisonOperator"])
    limit = facts.text(one.layer, given.get("Threshold", "its band"))
    if limit.startswith("$("):
        limit = "the environment's value (`" + limit[2:-1].split()[-1] + "`)"
    metric = (
        f"`{given['MetricName']}` of `{_plain(facts.text(one.layer, given['Namespace']), facts)}`"
        if "MetricName" in given
        else "a formula"
    )
    return f"In alarm when {metric} is {sign} {limit} for {term}. First look:"


def _first(facts: Facts, one: Resource) -> Iterator[str]:
    """The first commands: the metric itself, or, where it counts lines of a log, those lines; then the thing that is watched."""
    given = one.properties
    if "MetricName" not in given:
        return
    namespace = facts.text(one.layer, given["Namespace"])
    for each in facts.all(FILTER):
        for change in each.properties["MetricTransformations"]:
            if (facts.text(each.layer, change["MetricNamespace"]), change["MetricName"]) == (namespace, given["MetricName"]):
                yield search(facts.text(each.layer, each.properties["LogGroupName"]), each.properties["FilterPattern"], 60)
                return
    period = int(given.get("Period", 60))
    minutes = max(60, 2 * period * int(given["EvaluationPeriods"]) // 60)
    dimensions = {item["Name"]: facts.text(one.layer, item["Value"]) for item in given.get("Dimensions", ())}
    yield command(
        f"aws cloudwatch get-metric-statistics --namespace {word(namespace)} --metric-name {given['MetricName']}",
        *(
            ["--dimensions " + " ".join(word(f"Name={name},Value={value}") for name, value in dimensions.items())]
            if dimensions
            else []
        ),
        f"--statistics {given.get('Statistic', 'Maximum')} --period {max(60, period)}",
        f'--start-time "$(ago {minutes})" --end-time "$(ago 0)"',
        f"--query 'sort_by(Datapoints,&Timestamp)[].[Timestamp,{given.get('Statistic', 'Maximum')}]' --output text",
    )
    yield from _thing(dimensions)


def _thing(dimensions: Mapping[str, Any]) -> Iterator[str]:
    """What the thing behind the metric says of itself."""
    if "FunctionName" in dimensions:
        yield search(f"/aws/lambda/{dimensions['FunctionName']}", "?ERROR ?Error ?Traceback ?Task", 60)
    if "DBInstanceIdentifier" in dimensions:
        yield command(
            f"aws rds describe-events --source-type db-instance --source-identifier {word(dimensions['DBInstanceIdentifier'])}",
            "--duration 360 --query 'Events[].[Date,Message]' --output text",
        )
    if "DBClusterIdentifier" in dimensions:
        yield command(
            f"aws rds describe-events --source-type db-cluster --source-identifier {word(dimensions['DBClusterIdentifier'])}",
            "--duration 360 --query 'Events[].[Date,Message]' --output text",
        )


def _subscription(facts: Facts) -> Section:
    (topic,) = facts.all("AWS::SNS::Topic")[:1]
    arn = facts.output("AWS::SNS::Topic")
    subscribed = facts.all("AWS::SNS::Subscription")
    parameter = facts.text(subscribed[0].layer, subscribed[0].properties["Endpoint"]) if subscribed else ""
    named = (
        f"The address is the parameter `{parameter[2:-1].split()[-1]}` of the layer `{topic.layer}`. "
        if parameter.startswith("$(")
        else ""
    )
    return Section(
        "Confirm the e-mail subscription",
        (
            f"Until somebody follows the link in the mail, **nobody hears an alarm**. {named}Who is subscribed; "
            "`PendingConfirmation` is nobody:",
            shell(
                f"TOPIC={arn}",
                'aws sns list-subscriptions-by-topic --topic-arn "$TOPIC" --query '
                "'Subscriptions[].[Endpoint,SubscriptionArn]' --output text",
            ),
            "A link is good for three days. A new mail to the same address, then its link, then a test that must arrive:",
            shell(
                "ADDRESS=operator@example.org",
                'aws sns subscribe --topic-arn "$TOPIC" --protocol email --notification-endpoint "$ADDRESS"',
                f'aws sns publish --topic-arn "$TOPIC" --subject "Test: {facts.system.name} $ENV" --message "Nothing to do. '
                'Say that you got this."',
            ),
        ),
        (BEFORE,),
    )
