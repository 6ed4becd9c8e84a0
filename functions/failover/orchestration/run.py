"""One invocation: looks, decides or goes on, acts at most once, and says what came of it.

It may be killed anywhere and invoked again, twice, and two at once: what is real is looked at before every act, the lease lets
one run act at a time, and what it leaves behind is created once. What the journal says has been told already: whoever is killed
between the two tells it twice, never not at all.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from common import metrics
from common.report import FunctionError, say
from common.secret import code

from orchestration import aurora, replica, shared
from orchestration.state import LostLeaseError, State, identity, instant, is_approved, is_recent, now
from orchestration.step import NotLostError, Run, Step
from orchestration.world import MEASURING, World, is_fenced, takes_writes
from protocol.journal import (
    ALARM,
    APPROVAL,
    AWAITING_APPROVAL,
    BEGAN,
    COMPLETED,
    DECIDED,
    DRY,
    ENDED,
    FAILBACK,
    FAILED,
    FAILOVER,
    FENCE_ASKED,
    GIVING_UP,
    MANUAL,
    OPERATOR,
    PROMOTE_ASKED,
    REFUSED,
    REQUESTS,
    SWITCHOVER,
    WAITING,
    WITHDRAWN,
    WRITER_NAMED,
    acted,
    manual,
    step_of,
)
from protocol.metrics import PRIMARY_ACTIVE, PRIMARY_REACHABLE
from protocol.parameters import COOLDOWN, MODE, MOST_LAG, RPO, TOPOLOGY
from protocol.refusals import ACT, BUSY, PASSING, PIECES, WAIT, Decision, Observation, decide
from protocol.steps import AURORA, FENCE, REPLICA, VERIFY
from protocol.topology import AWAY, BROKEN, HOME, LAYER

OPENED = "home-opened"
"""The entry of an execution whose fence was taken off after its end."""

KINDS: Mapping[str, Any] = {AURORA: aurora, REPLICA: replica}
OTHER = {"primary": "recovery", "recovery": "primary"}

DEADLINE = timedelta(hours=4)
"""After so long an execution has failed, unless its promotion was accepted and is not verified: that cannot be taken back, so
it is told and gone on with. What is left to do when it is known who writes has as long again. A person goes on, by the runbook,
A broken topology.
"""

PLANNED = timedelta(minutes=30)
"""After so long a switchover has failed that was not accepted: its primary is well, and waits behind a fence."""

HEARD = timedelta(minutes=2)
"""So long the event of an alarm has to arrive before the clock looks for itself; and two times that are closer are one change."""

PERSISTS = timedelta(minutes=30)
"""So long an alarm's execution looks for the target, before it refuses."""

AGAIN = timedelta(minutes=5)
"""So long the same reason of a step that fails is told once: whoever was away reads it soon after."""

TEXTS = 5
"""So many reasons of one step are told within that time, at most: a text that is another one each time is no news."""

LONGEST = 2000
"""Characters of a reason: an entry of the journal holds 4 KiB."""

MOMENT = timedelta(minutes=1)
"""So long what was seen is of this moment: a run that has just looked need not look twice."""

SEEN = ("evidence", "lag", "looked")
BACK = 50
"""The number of the first step that undoes: above all of those that do."""

EXPIRES = timedelta(hours=24)
"""So long an approval is waited for: what it would approve is another thing a day later."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """What an alarm, the clock and operators invoke."""
    world = World.of_process()
    if event.get("tick"):
        return tick(world)
    if event.get("source") == "aws.cloudwatch":
        return alarmed(world, event)
    if event.get("request") == DRY:
        return dry(world, str(event.get("of", FAILOVER)))
    if event.get("request") in REQUESTS or event.get("approve"):
        return asked(world, event)
    raise FunctionError(f"The event asks for {event.get('request')!r}. Ask for {', '.join((DRY, *REQUESTS))}, or approve.")


def tick(world: World) -> dict[str, Any]:
    """Every minute: says which site writes and whether the primary answers, goes on with what has begun, and tidies up."""
    state = world.store.read()
    answer = _tick(world, state)
    _forget_spent(world, state)
    return answer


def _tick(world: World, state: State) -> dict[str, Any]:
    away = state.topology["site"] == "recovery"
    answer = world.ask_primary(do="probe")
    writes = takes_writes(answer) is True
    reachable = answer is not None and (away or writes)
    metrics.emit(LAYER, {PRIMARY_ACTIVE: 0.0 if away else 1.0, PRIMARY_REACHABLE: float(reachable)})
    if away and writes and not state.returning():
        outcome = "fenced" if _fence_late(world, state) else "not fenced"
        if not state.open():
            return {"outcome": outcome}
    if away and not state.open() and _is_nameless(state):
        _name_writer(world, state)
    if state.topology["state"] == HOME and not state.unresolved("") and (is_fenced(answer) or (writes and _left_shut(state))):
        return _leased(world, HOME, partial(_unfence_home, world))
    if not state.open() and (unheard := _unheard(world, state, writes=writes)):
        _open(world, unheard["execution"], request=FAILOVER, trigger=ALARM, by=world["ALARM_ARN"], since=unheard["since"])
        return begin(world, unheard["execution"])
    for execution in state.open():
        entries = state.journal(execution)
        if DECIDED in entries and not KINDS[world["KIND"]].driven(entries[BEGAN]["request"]):
            return advance(world, execution)
        if DECIDED in entries:
            break
        if APPROVAL in entries or WAITING not in entries:
            return begin(world, execution)
    for execution in state.open():  # last: what acts waits for none of these
        if why := _lapsed(world, state, execution):
            return _leased(world, execution, partial(_lapse, world, execution, why))
    return {"outcome": "nothing to do", "topology": state.topology["state"]}


def _lapsed(world: World, state: State, execution: str) -> str:
    """Why an execution that waits for an approval is to wait no longer; nothing while it is, or where nobody can say."""
    from botocore.exceptions import BotoCoreError, ClientError

    entries = state.journal(execution)
    began = entries[BEGAN]
    if WAITING not in entries or DECIDED in entries:
        return ""
    if now() - instant(began["at"]) > EXPIRES:
        return "Nobody approved it within a day."
    if other := state.superseded(execution):
        return f"The execution {other} has acted and ended meanwhile. Ask again if it must be."
    if began["trigger"] != ALARM:
        return ""
    try:
        over = sorted(one["AlarmName"] for one in world.alarms() if one["StateValue"] == "OK")
    except (BotoCoreError, ClientError) as error:
        say(event="alarms-unknown", error=f"{type(error).__name__}: {error}")
        return ""
    return f"The evidence is over: {' and '.join(over)}. There is nothing to approve." if over else ""


def _lapse(world: World, execution: str, why: str, token: int, state: State) -> dict[str, Any]:  # noqa: ARG001  of what is leased
    if {APPROVAL, DECIDED, ENDED} & state.journal(execution).keys():  # somebody was quicker
        return {"outcome": "busy", "execution": execution, "more": True}
    return _end(world, execution, REFUSED, why)


def _forget_spent(world: World, state: State) -> None:
    """What cannot be forgotten now can be in a minute."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        world.store.forget(state.spent())
    except (BotoCoreError, ClientError) as error:
        say(event="leases-kept", error=f"{type(error).__name__}: {error}")


def _fence_late(world: World, state: State) -> bool:
    """The old primary is back and takes writes: the fence that it could not be given then."""
    token = state.token()[0]
    fenced = world.ask_primary(do="fence", epoch=state.topology["epoch"], token=token)
    world.tell(
        "the old primary is back" if fenced else "the old primary is back and takes writes: it could not be fenced",
        fenced=fenced,
        topology=state.topology,
    )
    return fenced is not None


def _left_shut(state: State) -> list[str]:
    """Executions that fenced home for nothing, and of which no entry says that it was opened: its network may be closed still."""
    found = []
    for execution, entries in state.begun.items():
        if not {FENCE_ASKED, WITHDRAWN, ENDED} <= entries.keys() or entries[DECIDED]["epoch"] <= state.topology["epoch"]:
            continue
        opened = [said for name, said in entries.items() if name == OPENED or step_of(name) == shared.HOME_OPEN]
        if all("failed" in said for said in opened):
            found.append(execution)
    return found


def _unfence_home(world: World, token: int, state: State) -> dict[str, Any]:
    """A fence that was left behind is taken off: at home nothing acts, and a primary that lives is not lost because we shut it.

    Not where what was asked of it has been done after all: then the replica is none any more, and that is told.
    """
    epoch = state.topology["epoch"]
    if state.topology["state"] != HOME or state.unresolved(""):  # somebody acts since
        return {"outcome": "busy"}
    # Of those that no topology tells of; what others have promoted came home with it.
    asked = [one for one in state.begun.items() if PROMOTE_ASKED in one[1] and one[1][DECIDED]["epoch"] > epoch]
    if asked:
        execution, entries = asked[-1]
        run = Run(world, execution, entries[BEGAN], entries, epoch + 1, token)
        if (writes := KINDS[world["KIND"]].writer_site(run)) != "primary":
            what = "its replica is none any more" if writes else "whether its replica was promoted cannot be seen now"
            world.tell(f"the primary is fenced, and {what}", execution=execution)
            return {"outcome": "home is fenced"}
    opened = world.ask_primary(do="unfence", epoch=epoch, token=token)
    said = "and is open again" if opened else "and could not be opened: clients are shut out"
    world.tell(f"the primary was fenced {said}", unfenced=opened, topology=state.topology)
    for execution in _left_shut(state) if opened else ():
        world.store.note(execution, OPENED)
    return {"outcome": "home is open" if opened else "home is fenced"}


def _is_nameless(state: State) -> bool:
    """Whether the recovery site took over when no row named its writer yet, so that clients which ask for a name are shut out."""
    now_, entries = state.topology, state.journal(str(state.topology.get("execution")))
    proofs = [entry for name, entry in entries.items() if step_of(name) == VERIFY]
    return bool(now_.get("writer") and proofs) and WRITER_NAMED not in entries and not any(one.get("writer") for one in proofs)


def _name_writer(world: World, state: State) -> None:
    """Proves it once more, by which the database names itself; under the lease that it knows, so a newer epoch stays."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        said = world.ask(world["PROBE_RECOVERY_ARN"], do="verify", epoch=state.topology["epoch"])
    except (BotoCoreError, ClientError, FunctionError) as error:
        say(event="writer-not-named", error=f"{type(error).__name__}: {error}")
        return
    world.store.note(state.topology["execution"], WRITER_NAMED, writer=said.get("writer"))


def _unheard(world: World, state: State, *, writes: bool) -> dict[str, str]:
    """What the clock is to decide: a change of the alarm whose event never came, or failed, for nothing rests on one message;
    and one that was refused for what is over, while the alarms stand: a backup of the target is no reason to stay in the dark.
    Nothing where there is none.
    """
    if state.topology["state"] != HOME:
        return {}
    found = [one for one in world.alarms() if one["StateValue"] == "ALARM"]
    if len(found) < PIECES:
        return {}
    changed = max(one.get("StateTransitionedTimestamp") or one["StateUpdatedTimestamp"] for one in found)
    if now() - changed < HEARD:
        return {}
    by_alarm = [(one, entries) for one, entries in state.begun.items() if entries[BEGAN]["trigger"] == ALARM]
    heard = [(one, entries) for one, entries in by_alarm if instant(entries[BEGAN]["since"]) > changed - HEARD]
    if not heard:
        return {"execution": identity(world["ALARM_ARN"], changed.isoformat()), "since": changed.isoformat()}
    last, entries = heard[-1]
    refusals = entries[ENDED].get("refusals", ())
    again = PASSING.intersection(refusals) or (BUSY in refusals and KINDS[world["KIND"]].target(world, FAILOVER) == "available")
    if writes or not again:
        return {}
    return {"execution": identity(world["ALARM_ARN"], changed.isoformat() + last), "since": entries[ENDED]["at"]}


def alarmed(world: World, event: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm has changed its state. Whose event comes twice is known by its time."""
    detail, alarm = event["detail"], world["ALARM_ARN"]
    if alarm not in event["resources"] or detail["state"]["value"] != "ALARM":
        return {"outcome": "nothing to do"}
    changed = str(detail["state"]["timestamp"])
    execution = identity(alarm, changed)
    _open(world, execution, request=FAILOVER, trigger=ALARM, by=alarm, since=changed)
    return begin(world, execution)


def asked(world: World, event: Mapping[str, Any]) -> dict[str, Any]:
    """An operator asks for something, approves what waits, or asks for the next act of what has begun."""
    state, execution = world.store.read(), str(event.get("approve") or event.get("execution") or "")
    if not event.get("approve") and (not execution or (MANUAL.fullmatch(execution) and not state.journal(execution))):
        execution = execution or manual(now(), secrets.token_hex(2))
        _open(world, execution, request=event["request"], trigger=OPERATOR, by=str(event.get("by", "")), since=now().isoformat())
        return begin(world, execution)
    entries = state.journal(execution)
    if BEGAN not in entries:
        raise FunctionError(f"There is no execution {execution}. Those that have not ended: {', '.join(state.open()) or 'none'}.")
    if event.get("approve") and DECIDED not in entries and ENDED not in entries:
        world.store.note(execution, APPROVAL, by=str(event.get("by", "")))
    return advance(world, execution) if DECIDED in entries else begin(world, execution)


def _open(world: World, execution: str, **request: Any) -> None:
    """The first entry: what was asked, and what was seen then. What would be lost is a matter of that moment."""
    world.store.note(execution, BEGAN, **_look(world), **request)


def _look(world: World) -> dict[str, Any]:
    seen = list(world.evidence())  # first: to ask how old the data are may take a while
    return {"evidence": seen, "lag": lag(world), "looked": now().isoformat()}


def _look_again(world: World, began: Mapping[str, Any]) -> dict[str, Any]:
    """What is seen now, where what was seen when it began is not of this moment. Where the alarms cannot be read, what they
    said then still counts for a while.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    looked = began.get("looked", began["at"])
    if now() - instant(looked) < MOMENT:
        return {**began, "looked": looked}
    try:
        return {**began, **_look(world)}
    except (BotoCoreError, ClientError):
        if not is_recent(looked):
            raise
        return {**began, "lag": lag(world)}


def lag(world: World) -> float | None:
    """How old the data at the recovery site are, in seconds; None where nobody can say."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return float(world.ask(world["REPLICA_AGE_ARN"], MEASURING)["seconds"])
    except (BotoCoreError, ClientError, FunctionError) as error:
        say(event="lag-unknown", error=f"{type(error).__name__}: {error}")
        return None


def observe(world: World, state: State, execution: str, began: Mapping[str, Any]) -> Observation:
    """What the decision rests on. An alarm's execution asks again next minute where AWS does not say how the target is."""
    from botocore.exceptions import BotoCoreError, ClientError

    kind, since = KINDS[world["KIND"]], state.topology.get("since")
    try:
        target = kind.target(world, began["request"])
    except (BotoCoreError, ClientError) as error:
        if began["trigger"] == ALARM and now() - instant(began["at"]) < PERSISTS:
            raise
        target = f"unknown ({type(error).__name__})"
    planned, entries = began["request"] == SWITCHOVER, state.journal(execution)
    by_alarm = began["request"] == FAILOVER and began["trigger"] == ALARM
    primary = world.ask_primary(do="probe") if planned or by_alarm else None
    shut_by_us = state.topology["state"] == HOME and is_fenced(primary)  # it lives: it is opened again, and not left
    return Observation(
        request=began["request"],
        trigger=began["trigger"],
        mode=state.config(MODE),
        approved=is_approved(entries),
        outdated=APPROVAL in entries and not is_approved(entries),
        evidence=tuple(began["evidence"]),
        lag=began["lag"],
        rpo=float(state.config(RPO)),
        most_lag=float(state.config(MOST_LAG)),
        cooldown=float(state.config(COOLDOWN)),
        target=target,
        topology=state.topology["state"],
        since=(now() - instant(since)).total_seconds() if since else None,
        unresolved=state.unresolved(execution),
        superseded=state.superseded(execution),
        destroying=state.destroying,
        answers=not planned or primary is not None,
        writes=True if by_alarm and shut_by_us else takes_writes(primary),
    )


def dry(world: World, request: str) -> dict[str, Any]:
    """What would follow, and what would be lost. Nothing is written."""
    if request not in REQUESTS:
        raise FunctionError(f"{request!r} is nothing that can be asked for. Ask for {', '.join(REQUESTS)}.")
    began = {"request": request, "trigger": OPERATOR, **_look(world)}
    state = world.store.read()
    decision = decide(observe(world, state, "", began))
    imagined = Run(world, "", began, {}, 0)
    steps = [step.name for step in KINDS[world["KIND"]].steps(request) if step.only(imagined)]
    return {
        "outcome": DRY,
        "would": decision.do,
        "against": list(decision.sentences),
        "steps": steps,
        "lost_seconds": began["lag"] if request == FAILOVER else 0,
        "evidence": began["evidence"],
        "topology": state.topology,
    }


def _leased(world: World, execution: str, act: Callable[[int, State], dict[str, Any]]) -> dict[str, Any]:
    """What one run does while no other can: with its token, and with what is remembered since it has that."""
    token = world.store.take(execution)
    if not token:
        return {"outcome": "busy", "execution": execution, "more": True}
    try:
        return act(token, world.store.read())
    except LostLeaseError as error:
        return {"outcome": "busy", "execution": execution, "why": str(error), "more": True}
    finally:
        world.store.release(token)


def begin(world: World, execution: str) -> dict[str, Any]:
    """Decides about an execution that does not act yet."""
    return _leased(world, execution, partial(_begin, world, execution))


def _begin(world: World, execution: str, token: int, state: State) -> dict[str, Any]:
    entries = state.journal(execution)
    if ENDED in entries or DECIDED in entries:  # another run was quicker
        return {"execution": execution, "more": DECIDED in entries and ENDED not in entries, **_outcome(entries)}
    began = _look_again(world, entries[BEGAN])
    decision = decide(observe(world, state, execution, began))
    if decision.do != ACT:
        return _stand(world, execution, {**entries, BEGAN: began}, decision)
    epoch = state.topology["epoch"] + 1
    world.store.check(token)
    world.tell(f"{began['request']} begins", execution=execution, epoch=epoch, **_lost(began))
    seen = {name: began[name] for name in SEEN}
    world.store.note(execution, DECIDED, epoch=epoch, token=token, home=state.topology["state"], **seen)
    return {"outcome": "begun", "execution": execution, "epoch": epoch, "more": True}


def _outcome(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"outcome": entries[ENDED]["outcome"] if ENDED in entries else "begun"}


def _lost(began: Mapping[str, Any]) -> dict[str, Any]:
    return {"evidence": began["evidence"], "lost_seconds": began["lag"] if began["request"] == FAILOVER else 0, "by": began["by"]}


def _stand(world: World, execution: str, entries: Mapping[str, Mapping[str, Any]], decision: Decision) -> dict[str, Any]:
    """Refuses, or waits for a person; both are told with the reason and with what would be lost."""
    began, why = entries[BEGAN], list(decision.sentences)
    if decision.do == WAIT:
        if WAITING not in entries:
            world.tell(f"{began['request']} waits for an approval", execution=execution, why=why, **_lost(began))
            world.store.note(execution, WAITING, outcome=AWAITING_APPROVAL, why=why)
        return {"outcome": AWAITING_APPROVAL, "execution": execution, "why": why, "more": False}
    ids = [one.id for one in decision.against]
    world.tell(f"{began['request']} refused", execution=execution, why=why, **_lost(began))
    world.store.note(execution, ENDED, outcome=REFUSED, refusals=ids, why=why)
    return {"outcome": REFUSED, "execution": execution, "refusals": ids, "why": why, "more": False}


def advance(world: World, execution: str) -> dict[str, Any]:
    """At most one act of an execution that was decided."""
    return _leased(world, execution, partial(_advance, world, execution))


def _advance(world: World, execution: str, token: int, state: State) -> dict[str, Any]:
    entries = state.journal(execution)
    if ENDED in entries:
        return {"execution": execution, "more": False, **_outcome(entries)}
    decided = entries[DECIDED]
    began = {"looked": decided["at"], **entries[BEGAN], **{name: decided[name] for name in SEEN if name in decided}}
    site = "primary" if began["request"] == FAILBACK else "recovery"
    recorded = state.topology["epoch"] == decided["epoch"]
    run = Run(world, execution, began, entries, decided["epoch"], token, site, recorded)
    verified = run.said(VERIFY)
    if state.destroying and (verified or PROMOTE_ASKED not in entries):
        return _end(world, execution, FAILED, "The environment is being destroyed.")
    if state.destroying:  # a destroy that ends without deleting anything would leave what was promoted unproven
        return {"outcome": "waiting", "execution": execution, "why": "The environment is being destroyed.", "more": False}
    most = PLANNED if began["request"] == SWITCHOVER and not verified else DEADLINE
    waited = now() - instant(str(state.topology["since"] if recorded else decided["at"]))
    kind = KINDS[world["KIND"]]
    if waited > most and not kind.driven(began["request"]):
        writes = kind.writer_site(run)
        if writes == OTHER[site] or (writes and recorded):
            if recorded or _is_settled(run):
                return _give_up(run, most)
            return {"outcome": "waiting", "execution": execution, "step": GIVING_UP, "more": True}
        if not verified and WITHDRAWN not in entries:
            _tell_late(run, waited, most)
    return _next(run)


def _is_settled(run: Run) -> bool:
    """Whether a promotion that was asked for, and of which no answer is known, would have shown by now; nobody asks again."""
    if PROMOTE_ASKED not in run.entries:
        return True
    if GIVING_UP not in run.entries:
        run.world.store.note(run.execution, GIVING_UP)
        return timedelta(0) >= shared.SHOWS
    return now() - instant(run.entries[GIVING_UP]["at"]) >= shared.SHOWS


def _tell_late(run: Run, waited: timedelta, most: timedelta) -> None:
    """A promotion that was accepted cannot be taken back, so it is gone on with; told each time that the bound has passed."""
    entry = f"late-{int(waited / most) if most else 1:03d}"
    if entry in run.entries:
        return
    target, before = run.world["TARGET_ARN" if run.site == "recovery" else "HOME_ARN"], OTHER[run.site]
    fenced = "may be fenced" if FENCE_ASKED in run.entries else "was not fenced by this execution"
    if run.said(FENCE).get("fenced"):
        fenced = "is fenced: nobody writes"
    why = (
        f"The promotion of {target} was asked for, and no write has proven it yet. It is gone on with every minute, and nothing "
        "is given up. Until it is proven no client that honours the epoch writes there, and the topology is the one of before. "
        + f"The {before} site {fenced}."
    )
    run.world.tell(
        f"{run.began['request']}: promotion takes longer than {most}", execution=run.execution, epoch=run.epoch, why=why
    )
    run.world.store.note(run.execution, entry, why=why)


def _next(run: Run) -> dict[str, Any]:
    if not run.recorded and (verified := run.said(VERIFY)):
        _record(run, verified)
    back = _goes_back(run)
    for entry, step in _left(run, back=back):
        here = {"execution": run.execution, "step": step.name, "more": True}
        if back and step.name == shared.HOME_OPEN and run.world.ask_primary(do="probe") is None:
            # It is dark, perhaps for good: whether it is lost is decided anew, and nobody waits for it here.
            return _went_back(
                run, [one.name for at, one in _left(run, back=True) if at >= entry and one.name != shared.REPLICA_OPEN]
            )
        try:
            if step.done is not None and step.done(run):
                run.world.tell(f"{run.began['request']}: {step.name} is done", execution=run.execution, epoch=run.epoch)
                run.world.store.note(run.execution, entry, done=True)
                continue
            run.world.store.check(run.token)
            result = step.act(run)
        except LostLeaseError:
            raise
        except NotLostError as error:
            return _withdraw(run, error.decision)
        except Exception as error:
            return _failed(run, step, entry, error)
        if result is None:
            return {"outcome": "waiting", **here}
        noted = entry if step.done is None else acted(entry)
        if noted not in run.entries:
            run.world.tell(f"{run.began['request']}: {step.name}", execution=run.execution, epoch=run.epoch, did=result)
            run.world.store.note(run.execution, noted, **result)
        if step.name == VERIFY:
            _record(run, result)
        return {"outcome": "acted", "did": result, **here}
    return _went_back(run) if back else _complete(run)


def _withdraw(run: Run, decision: Decision) -> dict[str, Any]:
    """The primary is not lost after all: from here on nothing is promoted, and what was done is undone."""
    said = {"refusals": [one.id for one in decision.against], "why": list(decision.sentences)}
    run.world.tell(f"{run.began['request']} withdrawn", execution=run.execution, **said)
    run.world.store.note(run.execution, WITHDRAWN, **said)
    # What was noted in this very invocation counts as well: a fence was asked for, perhaps.
    entries = {**run.entries, **run.world.store.read().journal(run.execution)}
    return _next(replace(run, entries={WITHDRAWN: {"at": now().isoformat(), **said}, **entries}))


def _goes_back(run: Run) -> bool:
    """Whether it was withdrawn in time: where AWS has promoted nevertheless, only the way on is left."""
    return WITHDRAWN in run.entries and KINDS[run.world["KIND"]].writer_site(run) != run.site


def _went_back(run: Run, left: Sequence[str] = ()) -> dict[str, Any]:
    """It ends as if it had been refused; a primary that is lost later is lost to another execution.

    What is ``left`` waits for a primary that answers; the way to the replica needs none.
    """
    said = run.entries[WITHDRAWN]
    failed = [step_of(name) for name, value in run.entries.items() if name[:2] >= str(BACK) and "failed" in value]
    ends = [f"{' and '.join(failed)} failed: its journal says why."] if failed else []
    if left:
        rest = [name for name in left if name != shared.HOME_OPEN]
        said_of_rest = f" {' and '.join(rest)} is not done: a failback does it, or do it yourself." if rest else ""
        ends.append(f"The primary is silent: {shared.HOME_OPEN} is left until it answers.{said_of_rest}{_open_replica(run)}")
    end = " ".join(ends) or "What this execution had changed is as before."
    return _end(
        run.world, run.execution, REFUSED, f"{' '.join(said['why'])} Nothing was promoted. {end}", refusals=said["refusals"]
    )


def _left(run: Run, *, back: bool = False) -> Iterator[tuple[str, Step]]:
    """The steps that are not done, each with its entry in the journal."""
    kind = KINDS[run.world["KIND"]]
    for number, step in enumerate(*((kind.withdrawal(), BACK) if back else (kind.steps(run.began["request"]), 2))):
        entry = f"{number:02d}-{step.name}"
        if entry not in run.entries and step.only(run):
            yield entry, step


def _failed(run: Run, step: Step, entry: str, error: Exception) -> dict[str, Any]:
    """Told while it is news, and tried again in a minute; told once more when the step's patience is over, and left."""
    from botocore.exceptions import ClientError

    kind = code(error) if isinstance(error, ClientError) else type(error).__name__
    why = f"{kind}: {error}"[:LONGEST]
    kind = re.sub(r"[^A-Za-z0-9]", "", kind)
    moment = now()
    told = [said for name, said in run.entries.items() if name.startswith(f"{entry}-failed-")]
    since = min((instant(said["at"]) for said in told), default=moment)
    left = step.patience is not None and moment - since >= step.patience
    if left or _is_news(why, told, moment):
        run.world.tell(f"{run.began['request']}: {step.name} failed", execution=run.execution, why=why, again=not left)
        run.world.store.note(run.execution, f"{entry}-failed-{kind}" + (f"-{len(told)}" if told else ""), why=why)
    if left:
        run.world.store.note(run.execution, entry, failed=why)
    return {"outcome": "step-failed", "execution": run.execution, "step": step.name, "why": why, "more": True}


def _is_news(why: str, told: Sequence[Mapping[str, Any]], moment: datetime) -> bool:
    """Whether a reason is to be told: another one at once, the same one again every few minutes, and less often as hours pass.

    The journal is read before each act, so that it is not to grow by a line a minute.
    """
    first = min((instant(said["at"]) for said in told), default=moment)
    lately = [said for said in told if moment - instant(said["at"]) < max(AGAIN, (moment - first) / 8)]
    return not any(_gist(said["why"]) == _gist(why) for said in lately) and len(lately) < TEXTS


def _gist(why: str) -> str:
    """A text without what differs from one call to the next: identifiers of requests, times, counts."""
    return re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "0", why.lower())


def _record(run: Run, verified: Mapping[str, Any]) -> None:
    """Says who writes as soon as it can: clients that honour the epoch wait for it. What is left to do may take hours."""
    kind, away = KINDS[run.world["KIND"]], run.site == "recovery"
    seconds = (instant(str(verified["at"])) - instant(run.began["since"])).total_seconds()
    topology = {
        "state": BROKEN if away and run.world["KIND"] == AURORA and aurora.detached(run.world) else AWAY,
        "epoch": run.epoch,
        "site": run.site,
        "writer": _writer(run),
        "since": now().isoformat(),
        "execution": run.execution,
        "evidence": run.began["evidence"],
        "rto_seconds": round(seconds, 3),
        "rpo_seconds": run.began["lag"] if run.began["request"] == FAILOVER else 0,
    }
    say(event="topology", writer_site=kind.writer_site(run), **topology)
    run.world.store.check(run.token)
    run.world.store.create(f"{TOPOLOGY}{run.epoch:08d}", topology)


def _complete(run: Run) -> dict[str, Any]:
    """Every step is done: a topology that is home again says so, and then the journal."""
    run.world.store.check(run.token)
    topology = run.world.store.read().topology
    if run.site == "primary":
        topology = {**topology, "state": HOME, "since": now().isoformat()}
        run.world.store.create(f"{TOPOLOGY}{run.epoch:08d}-home", topology)
    return _end(run.world, run.execution, COMPLETED, "", topology=topology)


def _give_up(run: Run, most: timedelta) -> dict[str, Any]:
    """Leaves the rest to a person: where it is recorded who writes, which stays so, or where nothing was promoted.

    The fence is opened again, and clients may reach the replica again. Where nothing is fenced then, the site that wrote before
    still does, and no topology says otherwise.
    """
    why = f"It was not done after {most}."
    if run.recorded:
        undone = ", ".join(step.name for _, step in _left(run))
        why += f" Who writes is recorded; what is left undone is {undone}. Its journal says why; a failback puts all of it right."
        return _end(run.world, run.execution, FAILED, why, topology=run.world.store.read().topology)
    fenced = FENCE_ASKED in run.entries  # also where nobody said that it was done
    if fenced:
        fenced = run.world.ask_primary(do="unfence", epoch=run.epoch - 1, token=run.token) is None
    shut = _open_replica(run)
    if run.said(acted("capacity")):
        shut += f" The capacity of {run.world['TARGET_ARN']} stays raised: lower it, if nothing is to follow."
    if not fenced:
        all_ = "but for that, all is as it was before" if shut else "all is as it was before"
        return _end(run.world, run.execution, FAILED, f"{why}{shut} Nothing was promoted, nothing is fenced: {all_}.")
    why += f"{shut} Follow the runbook, A broken topology."
    topology = {
        "state": BROKEN,
        "epoch": run.epoch,
        "site": OTHER[run.site],
        "writer": "",
        "since": now().isoformat(),
        "execution": run.execution,
        "evidence": run.began["evidence"],
        "rto_seconds": None,
        "rpo_seconds": None,
    }
    run.world.store.check(run.token)
    run.world.store.create(f"{TOPOLOGY}{run.epoch:08d}", topology)
    why += " No database takes writes of clients that honour the epoch."
    return _end(run.world, run.execution, FAILED, why, topology=topology, fenced=fenced)


def _open_replica(run: Run) -> str:
    """Clients may reach the replica again that was to be promoted; why they cannot, as a sentence, or nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    if run.site != "recovery" or PROMOTE_ASKED not in run.entries:
        return ""
    try:
        shared.open_replica(run)
    except (BotoCoreError, ClientError, FunctionError) as error:
        return f" Clients do not reach the replica: its security group could not be opened ({type(error).__name__}: {error})."
    return ""


def _writer(run: Run) -> str:
    return run.world["TARGET_ARN" if run.site == "recovery" else "HOME_ARN"]


def _end(world: World, execution: str, outcome: str, why: str, **more: Any) -> dict[str, Any]:
    world.tell(outcome, execution=execution, why=why, **more)
    world.store.note(execution, ENDED, outcome=outcome, why=why, **more)
    return {"outcome": outcome, "execution": execution, "why": why, "more": False, **more}
