"""What regions offer and accounts may have: zones, endpoint services, database classes and quotas, where ministack knows less."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from emulator.services.rds_api import Action, Answer, Parameters, one

TARGET = b"ServiceQuotasV20190624.GetServiceQuota"
ZONES = {"us-east-1": 6}  # elsewhere 3
SERVICES = ("backup", "elasticache", "elasticfilesystem-fips", "kms-fips", "rds")
"""Interface endpoints that templates ask for beside those that ministack knows."""

CLASS = re.compile(r"db\.(serverless|[a-z]+[0-9][a-z0-9]*\.(micro|small|medium|large|[0-9]*xlarge))")
QUOTAS: Mapping[tuple[str, str], float] = {("ec2", "L-0263D0A3"): 50.0, ("vpc", "L-F678F1CE"): 500.0}
"""By service and code. AWS gives five of each at first; all tests of a process share one account, and leave VPCs there."""


def install() -> None:
    from ministack.services import ec2, rds

    ec2._VPCE_INTERFACE_SERVICES = (*ec2._VPCE_INTERFACE_SERVICES, *SERVICES)
    ec2._ACTION_MAP["DescribeAvailabilityZones"] = _zones(ec2._ACTION_MAP["DescribeAvailabilityZones"])
    ec2._ACTION_MAP["DescribeVpcEndpointServices"] = _everywhere(ec2._ACTION_MAP["DescribeVpcEndpointServices"])
    rds._ACTION_MAP["DescribeOrderableDBInstanceOptions"] = _orderable


def _letters() -> str:
    from ministack.core.responses import get_region

    return "abcdef"[: ZONES.get(get_region(), 3)]


def _zones(theirs: Action) -> Action:
    def described(p: Parameters) -> Answer:
        from ministack.core.responses import get_region

        status, headers, body = theirs(p)
        text, region = body.decode(), get_region()
        first = re.search(r"<item>.*?</item>", text, re.DOTALL)
        prefix = re.search(r"<zoneId>(.*?)1</zoneId>", text)
        if first is not None and prefix is not None:
            for number, letter in enumerate(_letters()[3:], 4):
                more = first[0].replace(f"{region}a<", f"{region}{letter}<").replace(f"{prefix[1]}1<", f"{prefix[1]}{number}<")
                text = text.replace("</availabilityZoneInfo>", f"{more}</availabilityZoneInfo>")
        return status, headers, text.encode()

    return described


def _everywhere(theirs: Action) -> Action:
    """Endpoints in all zones of a region."""

    def described(p: Parameters) -> Answer:
        from ministack.core.responses import get_region

        status, headers, body = theirs(p)
        last = f"<item>{get_region()}c</item>"
        more = "".join(f"<item>{get_region()}{letter}</item>" for letter in _letters()[3:])
        return status, headers, body.decode().replace(last, last + more).encode()

    return described


def _orderable(p: Parameters) -> Answer:
    from ministack.core.responses import get_region
    from ministack.services import rds

    engine, version, class_ = (one(p, name) for name in ("Engine", "EngineVersion", "DBInstanceClass"))
    zones = "".join(f"<AvailabilityZone><Name>{get_region()}{letter}</Name></AvailabilityZone>" for letter in _letters())
    option = (
        f"<OrderableDBInstanceOption><Engine>{escape(engine)}</Engine><EngineVersion>{escape(version)}</EngineVersion>"
        f"<DBInstanceClass>{escape(class_)}</DBInstanceClass><AvailabilityZones>{zones}</AvailabilityZones>"
        "<MultiAZCapable>true</MultiAZCapable></OrderableDBInstanceOption>"
    )
    name = "DescribeOrderableDBInstanceOptions"
    options = option if CLASS.fullmatch(class_) else ""
    inner = f"<{name}Result><OrderableDBInstanceOptions>{options}</OrderableDBInstanceOptions></{name}Result>"
    answer: Answer = rds._xml(200, f"{name}Response", inner)
    return answer


def quota(asked: Mapping[str, Any]) -> tuple[int, bytes]:
    """What Service Quotas says: ministack has no such service."""
    key = (str(asked.get("ServiceCode")), str(asked.get("QuotaCode")))
    if key not in QUOTAS:
        return 400, json.dumps({"__type": "NoSuchResourceException", "Message": "The request failed"}).encode()
    found = {"ServiceCode": key[0], "QuotaCode": key[1], "Value": QUOTAS[key], "Adjustable": True}
    return 200, json.dumps({"Quota": found}).encode()
