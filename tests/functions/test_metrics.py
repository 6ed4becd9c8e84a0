"""A function publishes what its package is known to publish, and alarms may watch no more than that."""

from __future__ import annotations

import json

import pytest
from common import metrics


def test_a_line_names_the_function_its_metrics_and_their_units(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "it")
    metrics.emit("health", {"Works": 1, "Latency": 2.5}, "table")
    line = json.loads(capsys.readouterr().out)
    (directive,) = line.pop("_aws")["CloudWatchMetrics"]
    assert line == {"FunctionName": "it", "Dependency": "table", "Works": 1, "Latency": 2.5}
    assert directive == {
        "Namespace": "Standby",
        "Dimensions": [["FunctionName", "Dependency"]],
        "Metrics": [{"Name": "Works", "Unit": "Count"}, {"Name": "Latency", "Unit": "Milliseconds"}],
    }


@pytest.mark.parametrize(
    ("package", "name", "of"),
    [("heartbeat", "Works", ""), ("health", "Works", "queue"), ("heartbeat", "HeartbeatWritten", "table")],
)
def test_what_no_alarm_may_watch_is_not_published(package: str, name: str, of: str) -> None:
    with pytest.raises(ValueError, match=f"{package} is not known to publish {name} {of}"):
        metrics.emit(package, {name: 1}, of)
