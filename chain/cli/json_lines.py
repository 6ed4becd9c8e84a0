"""What a command that changes no stack has found or done, as lines of JSON: ``--json`` of all but deploy and destroy.

Each line has a ``kind``; ``lines.schema.json`` says what belongs to it. What may be null is always there, although the schema
does not require it. What is told a person besides goes to standard error.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from chain.changes.template_diff import text
from chain.run import record

FORECAST = ("would", "against", "lost_seconds", "evidence", "steps")
"""What the failover function says of itself in a dry run."""

if TYPE_CHECKING:
    from chain.changes.guard import Danger
    from chain.changes.review import Review
    from chain.deploy.plan import Step
    from chain.deploy.preflight import Found
    from chain.deploy.status import Status
    from chain.drift import Drift
    from chain.environment.graph import Graph
    from chain.failover.topology import Record
    from chain.run.lock import Found as Held


def plan(graph: Graph, steps: Sequence[Step], judged: Review, found: Sequence[Danger], allowed: Collection[str]) -> Iterator[str]:
    """One per danger and stack."""
    for danger in found:
        yield _line("danger", danger=str(danger), allowed=danger.is_allowed(allowed))
    for step in steps:
        properties = [
            {"resource": each.resource, "path": one.path, "before": text(one.before), "after": text(one.after)}
            for each in step.differences
            for one in each.properties
        ]
        yield _line(
            "step",
            stack=step.stack.id,
            action=step.action,
            unknown=list(step.unknown),
            note=step.note,
            changes=[record.shown(change) for change in step.changes],
            properties=properties,
        )
    yield from (_line("gone", stack=orphan.id) for orphan in judged.orphans)
    yield from (_line("left out", stack=each.stack, reason=each.reason) for each in graph.left_out)


def ready(found: Found) -> Iterator[str]:
    """One per thing that a deployment would stumble over, and one per thing that could not be asked."""
    yield from (_line("not ready", reason=reason) for reason in found.findings)
    yield from (_line("not checked", reason=reason) for reason in found.unseen)


def dark(regions: Mapping[str, str]) -> Iterator[str]:
    """One per region that does not answer, and why."""
    yield from (_line("dark", region=region, reason=reason) for region, reason in regions.items())


def status(graph: Graph, states: Sequence[Status]) -> Iterator[str]:
    """One per stack, whether it stands or not, and one per region that does not answer."""
    yield from dark({each.stack.region: each.unseen[0] for each in states if each.state is None and each.unseen})
    for each in states:
        yield _line(
            "stack",
            stack=each.stack.id,
            system=each.stack.template.system,
            layer=each.stack.template.layer,
            site=each.stack.site,
            region=each.stack.region,
            name=each.stack.name,
            status=each.state.status if each.state else None,
            updated=each.state.updated.isoformat() if each.state else None,
            outputs=dict(each.state.outputs) if each.state else {},
            rotations=[
                {**asdict(one), **{name: at.isoformat() if at else None for name, at in (("last", one.last), ("next", one.next))}}
                for one in each.rotations
            ],
            waits=list(each.unconfirmed),
            stale=[asdict(one) for one in each.stale],
            left=[asdict(one) for one in each.left],
            unseen=list(each.unseen),
        )
    yield from (_line("left out", stack=each.stack, reason=each.reason) for each in graph.left_out)


def topology(known: Sequence[Record], silent: Sequence[str] = ()) -> Iterator[str]:
    """One per system that can fail over: who writes, and what is under way; and one per system of which nothing is known."""
    for each in known:
        yield _line(
            "topology",
            system=each.place.system,
            region=each.place.region,
            **asdict(each.topology),
            executions=[
                {"execution": one.id, "request": one.request, "acts": one.acts, "waits": one.waits}
                for one in each.executions
                if one.is_open
            ],
            destroying=each.destroying,
        )
    yield from (_line("not checked", reason=reason) for reason in silent)


def forecast(answer: Mapping[str, Any], request: str) -> str:
    """What a failover or a failback would do, and what would be lost."""
    return _line("forecast", request=request, **{name: answer[name] for name in FORECAST})


def execution(answer: Mapping[str, Any]) -> str:
    """How a failover or a failback ended."""
    why = answer.get("why") or []
    said = [why] if isinstance(why, str) else list(why)
    return _line("execution", execution=answer.get("execution"), outcome=answer.get("outcome"), why=said)


def drift(found: Drift, held: Collection[str] = (), outside: Sequence[str] = ()) -> Iterator[str]:
    """One per difference and per property that was not read; the figures last. A failover explains what is in ``held`` stacks."""
    for kind, several in (("difference", found.differences), ("not read", found.not_read)):
        for each in several:
            at: dict[str, Any] = {"stack": each.stack, "resource": each.resource, "type": each.type, "path": each.path.path}
            if kind == "difference":
                at |= {"declared": each.path.declared, "found": each.path.found, "explained": each.stack in held}
            yield _line(kind, **at, reason=each.path.reason)
    yield from (_line("outside", resource=arn) for arn in outside)
    yield from (_line("absent", stack=id_) for id_ in found.absent)
    yield from (_line("unseen", stack=id_, reason=why) for id_, why in found.unseen.items())
    yield _line("drift", declared=found.declared, read=found.read, different=len(found.differences))


def locks(held: Sequence[Held]) -> Iterator[str]:
    """One per lock, as it was found."""
    for each in held:
        holder = each.holder
        yield _line(
            "lock",
            system=each.system,
            region=each.region,
            bucket=each.bucket,
            holder=holder.caller,
            machine=holder.machine.partition("/")[0],
            process=holder.process,
            since=holder.since,
            silent=each.silent,
            stale=each.is_stale,
            dead=holder.is_dead,
        )


def unlocked(one: Held) -> str:
    """A lock that was taken away."""
    return _line("unlocked", system=one.system, region=one.region, bucket=one.bucket)


def _line(kind: str, **data: Any) -> str:
    return json.dumps({"kind": kind, **data}, sort_keys=True, default=str)
