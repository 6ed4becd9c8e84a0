"""Steps that both kinds of database have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from common.report import FunctionError
from common.secret import code

from orchestration.state import age, is_approved, is_recent
from orchestration.step import A_WHILE, NotLostError, Run, Step
from orchestration.world import HERE, TELLING, in_alarm, is_fenced, takes_writes
from protocol.journal import ALARM, FAILOVER, FENCE_ASKED, PROMOTE_ASKED, WITHDRAWN
from protocol.parameters import AUTO
from protocol.refusals import ACT, LASTING, Observation, decide
from protocol.steps import ACCEPTED, VERIFY
from protocol.topology import AWAY, TAG

ROTATE_AFTER_DAYS = 30
HOME_OPEN, REPLICA_OPEN = "home-open", "replica-open"
"""What a withdrawal does for clients: only the first needs a primary that answers."""

SHOWS = timedelta(minutes=2)
"""So long an accepted promotion may take to show in what RDS describes."""

Answer = Mapping[str, Any] | None


def lossy(run: Run) -> bool:
    return bool(run.began["request"] == FAILOVER)


def by_alarm(run: Run) -> bool:
    return lossy(run) and run.began["trigger"] == ALARM


def check_lost(run: Run, answers: tuple[Answer, ...] = ()) -> None:
    """NotLostError where an alarm's failover is not to fence or promote after all, for what the primary's probe answers now.

    Before a promotion the alarms are looked at anew. An operator's own order stands; so does what was withdrawn and is promoted
    nevertheless, whose old primary must be fenced.
    """
    if not by_alarm(run) or WITHDRAWN in run.entries:
        return
    (answer,) = answers or (run.world.ask_primary(do="probe"),)
    seen = Observation(
        request=FAILOVER,
        trigger=ALARM,
        mode=AUTO,
        approved=is_approved(run.entries),
        # Of the fence it is not asked: alarms that nobody can read are no reason to leave it out.
        evidence=tuple(run.began["evidence"]) if answers else _standing(run),
        rpo=0,
        most_lag=0,
        cooldown=0,
        # Also where nobody was told that it took our fence.
        writes=True if run.entries.get(FENCE_ASKED, {}).get("unsaid") and is_fenced(answer) else takes_writes(answer),
    )
    decision = decide(seen, LASTING)
    if decision.do != ACT:
        raise NotLostError(decision)


def _standing(run: Run) -> tuple[str, ...]:
    """The evidence that is not over. While what was seen is recent, an alarm ends it that says that all is well; what nobody can
    read ends nothing then.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    seen, recent = tuple(run.began["evidence"]), is_recent(run.began["looked"])
    try:
        states = {one["AlarmName"]: one["StateValue"] for one in run.world.alarms(TELLING if recent else HERE)}
    except (BotoCoreError, ClientError):
        if not recent:
            raise
        return seen
    return tuple(one for one in seen if states.get(one) != "OK") if recent else in_alarm(states)


def fence(run: Run) -> dict[str, Any]:
    """The old writer, where it can be reached. That it cannot is told, and stops nothing."""
    seen = run.world.ask_primary(do="probe")
    check_lost(run, (seen,))
    if seen is None:
        return {"fenced": False, "why": "The primary does not answer: it is fenced when it does."}
    # A fence is taken by a database that writes alone: one that could not say so, or was a replica a moment ago, lives.
    unsaid = takes_writes(seen) is None or seen.get("in_recovery") is True
    run.world.store.note(run.execution, FENCE_ASKED, unsaid=unsaid)
    answer = run.world.ask_primary(do="fence", epoch=run.epoch, token=run.token)
    if answer is None:
        raise FunctionError("The primary answers its probe, and its fence failed. Read the log of the probe.")
    if unsaid:
        check_lost(run, ({"writable": True},))
    return answer


def close_way(run: Run) -> dict[str, Any]:
    """Keeps clients from what is to be promoted, until it is verified. That it cannot be done is told, and stops nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    if run.site != "recovery":
        return {}
    try:
        answer = {"way": run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="close").get("group")}
    except (BotoCoreError, ClientError, FunctionError) as error:
        answer = {"way": "not closed", "why": f"{type(error).__name__}: {error}"}
    run.world.store.check(run.token)  # that may have taken a while
    return answer


def way_is_closed(run: Run) -> bool:
    """Whether the verified database could not be opened to clients."""
    return run.said(VERIFY).get("group") == "closed"


def open_way(run: Run) -> dict[str, Any]:
    """Lets clients at the verified database."""
    return run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="unfence", epoch=run.epoch, token=run.token)


def ask_to_promote(run: Run) -> dict[str, Any]:
    """Right before each call that promotes: the primary is asked, the journal knows of it, and clients are kept out.

    One that AWS has accepted needs no second look, for nothing takes it back.
    """
    if not run.said(ACCEPTED):
        check_lost(run)
    run.world.store.note(run.execution, PROMOTE_ASKED, request=run.began["request"])
    return close_way(run)


def withdrawal(as_before: Callable[[Run], bool]) -> tuple[Step, ...]:
    """What a failover has done that promotes nothing after all, undone.

    What was asked for may have been accepted though nobody said so, and may show late; until then a fence stays, and the way to
    the replica is closed.
    """

    def stays(run: Run) -> bool:
        return age(run.entries[WITHDRAWN]["at"]) >= SHOWS and as_before(run)

    def look(run: Run) -> None:
        if age(run.entries[WITHDRAWN]["at"]) < SHOWS:
            return
        shut = "The primary stays fenced, and the" if FENCE_ASKED in run.entries else "The"
        raise FunctionError(
            f"A promotion of {run.world['TARGET_ARN']} was asked for before this was withdrawn, and whether it was accepted "
            f"cannot be seen now. {shut} way to the replica stays closed until it can. Look at its events: a backup ends by "
            "itself."
        )

    def was_asked(run: Run) -> bool:
        return PROMOTE_ASKED in run.entries

    return (
        Step("not-promoted", look, stays, only=was_asked),
        Step(HOME_OPEN, _unfence, patience=A_WHILE, only=lambda run: FENCE_ASKED in run.entries),
        Step(REPLICA_OPEN, open_replica, patience=A_WHILE, only=was_asked),
    )


def open_replica(run: Run) -> dict[str, Any]:
    """Clients may reach the replica again that was to be promoted."""
    return run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="open")


def _unfence(run: Run) -> dict[str, Any]:
    """Clients of a primary that was fenced for nothing are let in again, under the epoch that still is."""
    return run.world.ask(run.world["PROBE_PRIMARY_ARN"], do="unfence", epoch=run.epoch - 1, token=run.token)


def verify(run: Run) -> dict[str, Any]:
    """Begins the epoch at the database that took over, names it as the writer, writes to it, and opens the way to it."""
    probe = run.world["PROBE_RECOVERY_ARN" if run.site == "recovery" else "PROBE_PRIMARY_ARN"]
    return run.world.ask(probe, do="verify", epoch=run.epoch, token=run.token)


def secret_is_promoted(run: Run) -> bool:
    secret = run.world.client("secretsmanager").describe_secret(SecretId=run.world["SECRET_ARN"])
    return secret.get("PrimaryRegion") in (None, run.world["AWS_REGION"])


def promote_secret(run: Run) -> dict[str, Any]:
    """The replica becomes a secret of its own: only that can be rotated."""
    run.world.client("secretsmanager").stop_replication_to_replica(SecretId=run.world["SECRET_ARN"])
    return {"secret": "promoted"}


def rotation_is_on(run: Run) -> bool:
    return bool(run.world.client("secretsmanager").describe_secret(SecretId=run.world["SECRET_ARN"]).get("RotationEnabled"))


def rotate(run: Run) -> dict[str, Any]:
    """On schedule from now on, and at once: the old region may still know the password."""
    run.world.client("secretsmanager").rotate_secret(
        SecretId=run.world["SECRET_ARN"],
        RotationLambdaARN=run.world["ROTATION_ARN"],
        RotationRules={"AutomaticallyAfterDays": ROTATE_AFTER_DAYS},
        RotateImmediately=True,
    )
    return {"rotation": "on"}


def exists(error: Any, *codes: str) -> bool:
    """Whether an error says that what we asked for is there."""
    return code(error) in codes


def tags(run: Run) -> list[dict[str, str]]:
    """Of what stands outside a stack meanwhile."""
    owner = {"System": run.world["SYSTEM"], "Environment": run.world["SUFFIX"], TAG: AWAY}
    return [{"Key": key, "Value": value} for key, value in owner.items()]
