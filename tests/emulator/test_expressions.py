"""Alarms on expressions: kept as they are put, evaluated as CloudWatch does, or left alone."""

from typing import Any

import pytest

from emulator import Emulator
from emulator.services.expressions import Series, periods


def _queries(expression: str) -> list[dict[str, Any]]:
    def query(name: str) -> dict[str, Any]:
        metric = {"Namespace": "Sample", "MetricName": name, "Dimensions": [{"Name": "Table", "Value": "orders"}]}
        return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}}

    return [{"Id": "result", "Expression": expression}, query("reads"), query("writes")]


DATA: dict[str, Series] = {"reads": [1, None, 4, None], "writes": [2, 3, 0, None]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("reads", DATA["reads"]),
        ("reads + writes", [3, None, 4, None]),
        ("reads / writes", [0.5, None, None, None]),
        ("writes * 100 - 1", [199, 299, -1, None]),
        ("FILL(reads, 0)", [1, 0, 4, 0]),
        ("SUM([reads, writes])", [3, 3, 4, None]),
        ("SUM([FILL(reads, 0), FILL(writes, 0)])", [3, 3, 4, 0]),
        ("MAX([reads, writes])", [2, 3, 4, None]),
        ("MIN([reads, writes])", [1, 3, 0, None]),
        ("AVG([reads, writes])", [1.5, 3, 2, None]),
        ("IF(reads > 1, writes)", []),
        ("reads ** writes", []),
        ("SUM([deletes])", []),
        ("reads +", []),
    ],
)
def test_an_expression_gives_a_value_for_each_period_or_nothing(expression: str, expected: Series) -> None:
    assert periods(_queries(expression), lambda stat: DATA[stat["Metric"]["MetricName"]]) == expected


def test_a_query_of_a_metric_is_its_own_result() -> None:
    query = {**_queries("reads")[1], "ReturnData": True}
    assert periods([query], lambda stat: DATA[stat["Metric"]["MetricName"]]) == DATA["reads"]


def test_an_alarm_on_an_expression_follows_it_and_is_described_as_it_was_put(aws: Emulator) -> None:
    cloudwatch, queries = aws.client("cloudwatch"), _queries("SUM([FILL(reads, 0), FILL(writes, 0)])")
    cloudwatch.put_metric_alarm(
        AlarmName="both", Metrics=queries, EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=10
    )

    def after(name: str, value: float) -> str:
        dimensions = [{"Name": "Table", "Value": "orders"}]
        cloudwatch.put_metric_data(
            Namespace="Sample", MetricData=[{"MetricName": name, "Value": value, "Dimensions": dimensions}]
        )
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["both"])["MetricAlarms"]
        assert alarm["Metrics"] == queries
        assert not {"MetricName", "Namespace", "Statistic", "Period"} & alarm.keys()
        return str(alarm["StateValue"])

    assert after("reads", 6) == "OK"
    assert after("writes", 5) == "ALARM"
