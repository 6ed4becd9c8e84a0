"""A dashboard's body: charts two in a row, and the alarms below."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from troposphere import AWSObject

WIDTH, HEIGHT = 12, 6
"""Of a chart, in columns (there are 24) and rows."""


@dataclass(frozen=True)
class Chart:
    """One chart: its title and its metrics, each namespace, name, and dimension names and values by turns."""

    title: str
    metrics: Sequence[Sequence[str]]
    statistic: str = "Average"


def body(charts: Sequence[Chart], alarms: Iterable[AWSObject]) -> str:
    """The JSON with one widget a line, for those who review it; it stands in a ``Sub``."""
    widgets: list[dict[str, Any]] = [
        {
            "type": "metric",
            "x": n % 2 * WIDTH,
            "y": n // 2 * HEIGHT,
            "width": WIDTH,
            "height": HEIGHT,
            "properties": {
                "title": chart.title,
                "region": "${AWS::Region}",
                "view": "timeSeries",
                "period": 60,
                "stat": chart.statistic,
                "metrics": [list(metric) for metric in chart.metrics],
            },
        }
        for n, chart in enumerate(charts)
    ]
    widgets.append(
        {
            "type": "alarm",
            "x": 0,
            "y": (len(charts) + 1) // 2 * HEIGHT,
            "width": 2 * WIDTH,
            "height": 3,
            "properties": {"title": "Alarms", "alarms": ["${" + alarm.title + ".Arn}" for alarm in alarms]},
        }
    )
    return '{"widgets": [\n' + ",\n".join(json.dumps(widget) for widget in widgets) + "\n]}"
