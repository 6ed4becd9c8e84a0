"""The record of a run for people: as lines, and as a page that draws its timeline with the path that decided how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

ENDINGS = {"created", "updated", "unchanged", "failed", "deleted", "interrupted"}
STYLE = (
    "body{font:14px sans-serif;margin:2em;color:#222}td{padding:2px 8px;white-space:nowrap}"
    ".bar{position:relative;height:14px;width:60vw;background:#f2f2f2}"
    ".bar i{position:absolute;height:14px;background:#8ab;min-width:2px}"
    ".critical i{background:#c60}.failed i{background:#b00}.danger{color:#b00}"
)


@dataclass(frozen=True)
class Span:
    """The work on one stack: seconds since the run began, and how it ended."""

    stack: str
    begins: float
    ends: float
    result: str


def spans(events: Sequence[Mapping[str, Any]]) -> list[Span]:
    """The work on each stack, in the order in which it began; what did not come to an end goes to the last event."""
    start, last = (datetime.fromisoformat(events[index]["at"]) for index in (0, -1))
    begun: dict[str, float] = {}
    done: dict[str, Span] = {}
    for event in events:
        id_, at = event.get("stack", ""), (datetime.fromisoformat(event["at"]) - start).total_seconds()
        if event["kind"] in ("begin", "news") and event.get("status") != "held back":
            begun.setdefault(id_, at)
        result = event.get("result") or event.get("status", "")
        if event["kind"] in ("done", "news") and result in ENDINGS and id_ in begun:
            done[id_] = Span(id_, begun[id_], at, result)
    whole = (last - start).total_seconds()
    return [done.get(id_) or Span(id_, at, whole, "under way") for id_, at in begun.items()]


def critical(found: Sequence[Span], after: Mapping[str, Sequence[str]]) -> list[str]:
    """The stacks that decided how long it took: from the one that ended last back to what each waited for longest."""
    by_id = {span.stack: span for span in found}
    path: list[str] = []
    now = max(found, key=lambda span: span.ends, default=None)
    while now is not None and now.stack not in path:
        path.insert(0, now.stack)
        needs = [by_id[id_] for id_ in after.get(now.stack, ()) if id_ in by_id]
        now = max(needs, key=lambda span: span.ends, default=None)
    return path


def lines(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A record as text: who, what was allowed, what became of each stack, and how it ended."""
    yield from _about(events)
    found = spans(events)
    path = critical(found, _after(events))
    for span in found:
        mark = "  critical path" if span.stack in path else ""
        yield f"{span.begins:8.1f} s  {span.ends - span.begins:8.1f} s  {span.stack}  {span.result}{mark}"
    for event in events:
        if event["kind"] == "news" and event.get("status", "").endswith("failed"):
            yield f"FAILED  {event['stack']}: {event.get('reason', '')}"
    yield _end(events)


def page(events: Sequence[Mapping[str, Any]]) -> str:
    """The same as one page that needs nothing else."""
    found = spans(events)
    path = critical(found, _after(events))
    whole = max((span.ends for span in found), default=0.0) or 1.0
    rows = []
    for span in found:
        kind = "failed" if span.result == "failed" else "critical" if span.stack in path else ""
        left, width = 100 * span.begins / whole, 100 * (span.ends - span.begins) / whole
        bar = f'<div class="bar {kind}"><i style="left:{left:.2f}%;width:{width:.2f}%"></i></div>'
        rows.append(
            f"<tr><td>{escape(span.stack)}</td><td>{bar}</td><td>{span.ends - span.begins:.1f} s</td>"
            f"<td>{escape(span.result)}</td></tr>"
        )
    about = "".join(f"<p>{escape(line)}</p>" for line in _about(events))
    said = escape(" → ".join(path))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(str(events[0].get("env", "")))}</title>'
        f"<style>{STYLE}</style><body><h1>{escape(str(events[0].get('command', '')))}</h1>{about}"
        f"<table>{''.join(rows)}</table><p>Critical path: {said}</p><p>{escape(_end(events))}</p></body></html>"
    )


def _about(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    run = events[0]
    systems = ", ".join(run.get("systems", ())) or "all systems"
    yield f"{run.get('command', '')} of {run.get('env', '')} ({systems}) by {run.get('actor', '')} at {run['at']}"
    if "continues" in run:
        yield f"continues {run['continues']}"
    for event in events:
        if event["kind"] == "approval":
            what = ", ".join(event.get("allowed") or event.get("stacks", ()))
            yield f"allowed: {what}; reason: {event.get('reason') or 'none given'}"
        if event["kind"] == "review":
            yield from (f"danger: {each['danger']}" for each in event["dangers"])


def _after(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    return {each["stack"]: each["after"] for event in events if event["kind"] == "review" for each in event["stacks"]}


def _end(events: Sequence[Mapping[str, Any]]) -> str:
    if events[-1]["kind"] != "end":
        return "It did not come to its end."
    stopped = next((f": {event['reason']}" for event in events if event["kind"] == "stopped"), "")
    return f"It ended with exit code {events[-1]['code']}{stopped}."
