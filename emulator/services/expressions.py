"""CloudWatch: alarms on an expression over several metrics, of which ministack keeps nothing."""

from __future__ import annotations

import ast
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Query = Mapping[str, Any]
Series = list[float | None]
"""A value for each period, the newest one first; None where there are no data."""

OF_ONE_METRIC = ("Dimensions", "ExtendedStatistic", "MetricName", "Namespace", "Period", "Statistic", "Unit")

ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
TOGETHER: dict[str, Callable[[list[float]], float]] = {"AVG": statistics.fmean, "MAX": max, "MIN": min, "SUM": sum}


def install() -> None:
    from ministack.services import cloudwatch

    put = cloudwatch._put_metric_alarm
    cloudwatch._put_metric_alarm = lambda params, data, *form, **more: _put(put, params, data, *form, **more)


def _put(theirs: Callable[..., Answer], params: Any, data: Any, *form: Any, **more: Any) -> Answer:
    from ministack.services import cloudwatch

    answer = theirs(params, data, *form, **more)
    if answer[0] < 300 and (data or {}).get("Metrics"):
        alarm = cloudwatch._alarms[data["AlarmName"]]
        for name in OF_ONE_METRIC:
            alarm.pop(name, None)
        alarm["Metrics"] = data["Metrics"]
        cloudwatch._evaluate_alarm(alarm)
    return answer


def periods(queries: Sequence[Query], measured: Callable[[Query], Series]) -> Series:
    """What the query that returns data gives for each period. Nothing, where its expression is none that is known here."""
    series = {query["Id"]: measured(query["MetricStat"]) for query in queries if "MetricStat" in query}
    (returned,) = (query for query in queries if query.get("ReturnData", True))
    if "Expression" not in returned:
        return series[returned["Id"]]
    try:
        return _of(ast.parse(returned["Expression"].strip(), mode="eval").body, series)
    except (KeyError, SyntaxError):
        return []


def _of(node: ast.expr, series: Mapping[str, Series]) -> Series:
    """Arithmetic, FILL with a number, and AVG, MAX, MIN and SUM of an array; KeyError where there is anything else."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return [number for _ in next(iter(series.values()))]
        case ast.Name(id=name):
            return series[name]
        case ast.BinOp(left=left, op=op, right=right):
            return [_both(ARITHMETIC[type(op)], *pair) for pair in zip(_of(left, series), _of(right, series), strict=True)]
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, ast.Constant(value=int() | float() as number)]):
            return [number if value is None else value for value in _of(filled, series)]
        case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=parts)]):
            columns = zip(*(_of(part, series) for part in parts), strict=True)
            return [_together(TOGETHER[name], [value for value in column if value is not None]) for column in columns]
    raise KeyError(ast.unparse(node))


def _both(operation: Callable[[float, float], float], left: float | None, right: float | None) -> float | None:
    by_zero = operation is operator.truediv and not right
    return None if left is None or right is None or by_zero else operation(left, right)


def _together(operation: Callable[[list[float]], float], there: list[float]) -> float | None:
    return operation(there) if there else None
