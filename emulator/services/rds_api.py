"""What the modules of RDS share: parameters of its calls, and settings of databases that ministack does not keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

Parameters = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Answer]
Record = dict[str, Any]


def wrap(actions: dict[str, Action], ours: Mapping[str, Callable[[Action, Parameters], Answer]]) -> None:
    """Each of ours stands around the action of that name, which it takes first."""
    for name, function in ours.items():
        actions[name] = _around(function, actions[name])


def _around(function: Callable[[Action, Parameters], Answer], theirs: Action) -> Action:
    return lambda p: function(theirs, p)


def one(p: Parameters, name: str) -> str:
    value = p.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def true(p: Parameters, name: str) -> bool:
    return one(p, name).lower() == "true"


def several(p: Parameters, prefix: str) -> list[str]:
    found = [
        (int(match[1]), one(p, name))
        for name in p
        if (match := re.fullmatch(re.escape(prefix) + r"\.(?:[A-Za-z]+\.)?(\d+)", name))
    ]
    return [value for _, value in sorted(found)]


def error(code: str, message: str, status: int = 400) -> Answer:
    from ministack.services import rds

    answer: Answer = rds._error(code, escape(message), status)
    return answer


def answer(action: str, kind: str, xml: str) -> Answer:
    """What ``action`` says of a resource of ``kind``."""
    from ministack.services import rds

    inner = f"<{action}Result><{kind}>{xml}</{kind}></{action}Result>"
    made: Answer = rds._xml(200, f"{action}Response", inner)
    return made


def keep(record: Record, p: Parameters, names: Mapping[str, str]) -> Record:
    """Keeps what ministack does not: parameter -> element of the description. All that is kept so far."""
    kept: Record = record.setdefault("_kept", {})
    kept.update({element: one(p, name) for name, element in names.items() if one(p, name)})
    return kept


def keep_exports(record: Record, p: Parameters) -> None:
    """The logs that go to CloudWatch, at first or after a change."""
    change = "CloudwatchLogsExportConfiguration"
    enable = [*several(p, "EnableCloudwatchLogsExports"), *several(p, f"{change}.EnableLogTypes")]
    disable = several(p, f"{change}.DisableLogTypes")
    record["_exports"] = [log for log in record.get("_exports", []) if log not in (*disable, *enable)] + enable


def described(xml: str, record: Record, more: Mapping[str, str] | None = None) -> str:
    """The description with what we keep, and with ``more``, which is XML: an element stands once."""
    kept = {element: escape(value) for element, value in record.get("_kept", {}).items()}
    exports = "".join(f"<member>{escape(log)}</member>" for log in record.get("_exports", []))
    for element, inner in {**kept, "EnabledCloudwatchLogsExports": exports, **(more or {})}.items():
        ours = f"<{element}>{inner}</{element}>"
        xml, replaced = re.subn(rf"<{element}>.*?</{element}>|<{element}/>", ours.replace("\\", r"\\"), xml, flags=re.DOTALL)
        if not replaced:
            xml += ours
    return xml


def parameters(groups: Any, name: str) -> dict[str, str]:
    """Those that a parameter group sets."""
    group = groups.get(name) or {}
    return {name: str(one["ParameterValue"]) for name, one in group.get("Parameters", {}).items()}
