"""Route 53: health checks by the metrics of alarms, failover by health checks, and lists that ministack misreads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator import ACCOUNT, REGION
from emulator.services import metrics

Record = dict[str, Any]

_last: dict[str, bool] = {}  # health of a check when its metric last had data


def install() -> None:
    from ministack.services import route53

    parse = route53._parse_health_check_config
    route53._parse_health_check_config = lambda element: {name: _text(value) for name, value in _lists(element, parse(element))}


def _lists(element: Any, found: Record) -> Iterator[tuple[str, Any]]:
    """Of lists ministack looks for the text one level too deep."""
    from ministack.services import route53

    for name, value in found.items():
        listed = route53._find(element, name) if isinstance(value, list) else None
        yield name, [one.text for one in listed] if listed is not None else value


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def healthy(ref: str) -> bool:
    """Whether a health check is: by the metric of its alarm, not by the alarm's state; or by its children."""
    from ministack.services import route53

    config = route53._health_checks[ref]["config"]
    if config.get("Disabled") == "true":
        return True
    if config["Type"] == "CLOUDWATCH_METRIC":
        good = _by_metric(ref, config)
    elif config["Type"] == "CALCULATED":
        good = sum(healthy(one) for one in config["ChildHealthChecks"]) >= int(config.get("HealthThreshold", 1))
    else:
        good = True  # nothing is reached from here
    inverted: bool = config.get("Inverted") == "true"
    return bool(good) != inverted


def _by_metric(ref: str, config: Record) -> bool:
    from ministack.core.responses import get_account_id, request_scope
    from ministack.services import cloudwatch

    named = config["AlarmIdentifier"]
    with request_scope(get_account_id(), named["Region"]):
        alarm = cloudwatch._alarms.get(named["Name"])
        breaching = None if alarm is None else metrics.breaching(alarm)
    if breaching is None:
        silent = {"Healthy": True, "Unhealthy": False}
        return silent.get(config.get("InsufficientDataHealthStatus", ""), _last.get(ref, True))
    _last[ref] = not breaching
    return not breaching


def resolve(name: str, kind: str) -> Record:
    """What a resolver in a VPC of the zone answers: of records that fail over, the primary as long as it is healthy."""
    from ministack.core.responses import request_scope
    from ministack.services import route53

    with request_scope(ACCOUNT, REGION):
        wanted = f"{name.rstrip('.')}."
        zones = [zone for zone in route53._zones.values() if wanted.endswith(f".{zone['name']}")]
        if not zones:
            return {"error": f"No hosted zone holds {name}."}
        zone = max(zones, key=lambda one: len(one["name"]))
        return {"values": _answer(zone["id"], wanted, kind)}


def _answer(zone: str, name: str, kind: str) -> list[str]:
    from ministack.services import route53

    found = sorted((one for one in route53._records[zone] if (one["Name"], one["Type"]) == (name, kind)), key=_order)
    if not found:
        return []
    # Where nothing is healthy, everything counts as healthy.
    chosen = next((one for one in found if _alive(zone, one)), found[0])
    alias = chosen.get("AliasTarget")
    return _answer(zone, alias["DNSName"], kind) if alias else [str(one) for one in chosen["ResourceRecords"]]


def _order(record: Record) -> int:
    return ("PRIMARY", "SECONDARY").index(record.get("Failover", "PRIMARY"))


def _alive(zone: str, record: Record) -> bool:
    """Whether a record's health check is healthy, and what it is an alias of, if that is to count."""
    from ministack.services import route53

    ref, alias = record.get("HealthCheckId"), record.get("AliasTarget") or {}
    if ref is not None and ref in route53._health_checks and not healthy(ref):
        return False
    targets = [one for one in route53._records[zone] if one["Name"] == alias.get("DNSName")]
    return not alias.get("EvaluateTargetHealth") or not targets or any(_alive(zone, one) for one in targets)
