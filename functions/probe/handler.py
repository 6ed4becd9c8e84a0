"""Asks this site's database whether it can be written to, and fences it: the only way that a failover has to speak PostgreSQL.

``{"do": "probe"}`` writes as a client would. ``fence`` keeps clients from a database that is to write no more, ``unfence`` lets
them in again, ``verify`` begins the epoch at a database that was promoted, names it as the writer, proves it by a write and opens
the way to it, which ``close`` has shut before the promotion. ``adopt`` writes into the secret where the promoted database is, and
``open`` lets clients at one that is a replica again. Each may be killed anywhere and done again, and two at once do no harm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from common import clients, database, epoch, site
from common.database import Connection, Server
from common.environment import needed
from common.report import FunctionError, say
from pg8000.exceptions import DatabaseError

from protocol.epoch import LOCK, TABLE, Epoch

APPLICATION = "standby-probe"
READ_ONLY = "25006"  # PostgreSQL's error code for a write in a transaction that must not write
OWN_TABLE = "CREATE TABLE IF NOT EXISTS dr_probe (id integer PRIMARY KEY CHECK (id = 1), ts timestamptz NOT NULL)"
ABSENT = "SELECT to_regclass('dr_probe') IS NULL"
WRITE = "INSERT INTO dr_probe (id, ts) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET ts = excluded.ts RETURNING ts"
ANY = -1  # in the place of a token that the event does not give: below all others, and as good as the one that is known
OTHERS = (
    "backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid() "
    # Two runs do not end each other, and nobody ends a session of AWS's own.
    "AND NOT (usename = session_user AND application_name = :application) "
    "AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = usename)"
)
END = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {OTHERS}"  # noqa: S608  our own text
QUIET = 3  # looks in a row that find nobody: who was logging in at the first one shows up by the last
PAUSE = 0.1  # seconds between two looks
PATIENCE = 10.0  # seconds until sessions that do not end are a failure


class RefusedError(FunctionError):
    """The database has heard of something newer, or is the one that writes."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """What a failover invokes."""
    do = str(event.get("do"))
    if do not in DONE:
        raise FunctionError(f"The event asks to {do!r}. Ask to {', '.join(DONE)}.")
    report = DONE[do](event)
    say(event="probe", do=do, **report)
    return report


def probe(event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001  it says no more than what to do
    """Whether a client can write here, by writing as one."""
    return site.asked(APPLICATION, _probe)


def fence(event: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps clients out, first on the network, then in the database; ends whoever is in it, last.

    A failing network does not save the database from its fence, nor a database that does not answer the network from its own:
    what was not done is told when all else has been. One that refuses the fence keeps its network, too.
    """
    wanted = Epoch(_number(event, "epoch"), _number(event, "token"), _here())
    closed: list[str] = []

    def shut(connection: Connection) -> dict[str, Any]:
        now = epoch.read(connection)
        _check(now, wanted if wanted.token != ANY else replace(wanted, token=now.token), _may_fence)
        closed.append(_steer(closed=True))
        return _fence(connection, wanted)

    try:
        report = site.asked(APPLICATION, shut)
    except RefusedError:
        raise
    except FunctionError:
        if not closed:
            _steer(closed=True)
        raise
    if why := closed[0]:
        raise FunctionError(f"The database is fenced at epoch {wanted.number}, its security group is not: {why}")
    return {**report, "group": "closed"}


def unfence(event: Mapping[str, Any]) -> dict[str, Any]:
    """Lets clients in again, first into the database, then on the network; the epoch is that of the newest topology."""
    wanted = Epoch(_number(event, "epoch"), _number(event, "token"), writer=_own_name())
    report = site.asked(APPLICATION, lambda connection: _begin(connection, wanted, own_fence=True))
    why = _steer(closed=False)
    if why:
        raise FunctionError(f"The database is open at epoch {wanted.number}, its security group is not: {why}")
    return {**report, "group": "open"}


def verify(event: Mapping[str, Any]) -> dict[str, Any]:
    """Begins the epoch at the promoted database, takes off the fence that it has inherited, and proves it by a write.

    Then clients are let in. That they could not be is told and no failure: who writes is not to wait for the network.
    """
    wanted = Epoch(_number(event, "epoch"), _number(event, "token"), writer=_own_name())
    site.asked(APPLICATION, lambda connection: _begin(connection, wanted, own_fence=False))
    report = site.asked(APPLICATION, _probe)  # in a session of its own, as a client has it
    if not report["writable"]:
        raise FunctionError(f"{_here()} took epoch {wanted.number} and takes no write: {report}. Look at the database's events.")
    why = _steer(closed=False)
    return {"verified": True, **report, **({"group": "closed", "why": why} if why else {"group": "open"})}


def adopt(event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001  it says no more than what to do
    """The secret says where this site's database is, and which password opens it: it was a replica and named the other site's."""
    return site.adopt(APPLICATION, _check_writer)


def open_group(event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001  it says no more than what to do
    """Lets clients at a database that is a replica, which no word of ours can reach; one that writes is unfenced instead."""
    return _steer_replica(closed=False, instead="Unfence it, if it is to write.")


def close_group(event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001  it says no more than what to do
    """Keeps clients from a replica that is to be promoted, until it is verified; one that writes is fenced instead."""
    return _steer_replica(closed=True, instead="Fence it, if it is to write no more.")


DONE: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "probe": probe,
    "fence": fence,
    "unfence": unfence,
    "verify": verify,
    "adopt": adopt,
    "open": open_group,
    "close": close_group,
}


def _probe(connection: Connection) -> dict[str, Any]:
    recovers = bool(connection.scalar("SELECT pg_is_in_recovery()"))
    now = epoch.read(connection)
    found: dict[str, Any] = {
        "epoch": now.number,
        "fenced": now.fenced is not None,
        "writer": now.writer,
        "in_recovery": recovers,
    }
    try:
        at = connection.scalar("SELECT clock_timestamp()") if recovers else _write(connection)
        return {"writable": not recovers, **found, "at": at.isoformat()}
    except DatabaseError as error:
        if database.sqlstate(error) != READ_ONLY:
            raise
        return {"writable": False, **found, "at": datetime.now(UTC).isoformat()}


def _write(connection: Connection) -> datetime:
    if connection.scalar(ABSENT):  # IF NOT EXISTS asks for the right to create even where it creates nothing
        connection.run(OWN_TABLE)
    at: datetime = connection.scalar(WRITE)
    return at


def _fence(connection: Connection, wanted: Epoch) -> dict[str, Any]:
    """Read only for all who come, then the epoch for those that honour it, then the end of those that are here already."""
    _check_writer(connection)
    _change(connection, wanted, "SET default_transaction_read_only = on", _may_fence)
    deadline, quiet, ended = time.monotonic() + PATIENCE, 0, 0
    while quiet < QUIET:
        others = int(connection.run(END, application=APPLICATION)[0][0])
        ended, quiet = ended + others, 0 if others else quiet + 1
        if time.monotonic() > deadline:
            raise FunctionError(f"{others} sessions did not end within {PATIENCE:g} seconds. Fence again.")
        time.sleep(PAUSE)
    return {"fenced": True, "epoch": wanted.number, "ended": ended}


def _begin(connection: Connection, wanted: Epoch, *, own_fence: bool) -> dict[str, Any]:
    _check_writer(connection)
    may = _may_unfence if own_fence else _may_verify
    _change(connection, wanted, "RESET default_transaction_read_only", may)
    return {"fenced": False, "epoch": wanted.number}


def _check_writer(connection: Connection) -> None:
    if connection.scalar("SELECT pg_is_in_recovery()"):
        raise FunctionError(f"{_here()} is a replica: it takes no write, and no fence. Ask the probe of the site that writes.")


def _change(connection: Connection, wanted: Epoch, setting: str, refuse: Callable[[Epoch, Epoch], str]) -> None:
    """Setting and epoch in one transaction: there is no state between them in which this could be killed."""
    connection.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")  # also behind the fence
    connection.run("BEGIN")
    connection.run(f"SELECT pg_advisory_xact_lock({LOCK})")
    connection.run(TABLE)
    now = epoch.read(connection, hold=True)
    if wanted.token == ANY:
        wanted = replace(wanted, token=now.token)
    _check(now, wanted, refuse)
    name = str(connection.scalar("SELECT quote_ident(current_database())"))
    connection.run(f"ALTER DATABASE {name} {setting}")
    epoch.write(connection, wanted)
    connection.run("COMMIT")


def _check(now: Epoch, wanted: Epoch, refuse: Callable[[Epoch, Epoch], str]) -> None:
    """RefusedError where what is wanted is older than what is there, or is not for this database."""
    why = refuse(now, wanted)
    # Only a newer lease takes an epoch back: of a failover that was given up after its fence.
    back = refuse is _may_unfence and wanted.token > now.token
    if wanted.token < now.token or (wanted.number < now.number and not back):
        why = f"it has heard of epoch {now.number} by token {now.token} already"
    if why:
        raise RefusedError(
            f"{_here()} refuses epoch {wanted.number} by token {wanted.token}: {why}. Nothing was changed; read the topology."
        )


def _may_fence(now: Epoch, wanted: Epoch) -> str:
    writes = now.number == wanted.number > 0 and now.fenced is None
    return "it is the database that writes in this epoch" if writes else ""


def _may_unfence(now: Epoch, wanted: Epoch) -> str:  # noqa: ARG001  of the signature of those that refuse
    return ""


def _may_verify(now: Epoch, wanted: Epoch) -> str:
    own = now.fenced == _here() and now.number == wanted.number
    return "it is the database that was fenced for it; unfence it, if it is to write again" if own else ""


def _steer(*, closed: bool) -> str:
    """Lets the clients' rule of the database's group name the clients, or the databases themselves, among which are no clients.

    The rule is changed and not removed: it stays the one that its stack knows. Sessions that stand are not cut by it. What went
    wrong is returned, not raised.
    """
    environment = dict(os.environ)
    own, theirs = (needed(environment, name) for name in ("DATABASE_GROUP_ID", "CLIENT_GROUP_ID"))
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "ReferencedGroupId": own if closed else theirs,
        "Description": "Fenced: no client" if closed else needed(environment, "CLIENT_RULE_DESCRIPTION"),
    }
    change = {"SecurityGroupRuleId": needed(environment, "CLIENT_RULE_ID"), "SecurityGroupRule": rule}
    try:
        clients.client("ec2").modify_security_group_rules(GroupId=own, SecurityGroupRules=[change])
    except Exception as error:  # of botocore, which is loaded where it is used alone
        return f"{type(error).__name__}: {clients.said(error)}"
    return ""


def _steer_replica(*, closed: bool, instead: str) -> dict[str, Any]:
    if not site.asked(APPLICATION, lambda connection: bool(connection.scalar("SELECT pg_is_in_recovery()"))):
        raise FunctionError(f"{_here()} is no replica, so its group stays as it is. {instead}")
    state, why = "closed" if closed else "open", _steer(closed=closed)
    if why:
        raise FunctionError(f"The security group of {_here()} is not {state}: {why}")
    return {"group": state}


def _own_name() -> str:
    """How the row and the topology name the database of this site: by its ARN, which a failback keeps and no two have."""
    return needed(dict(os.environ), "DATABASE_ARN")


def _here() -> str:
    return str(Server.of(os.environ))


def _number(event: Mapping[str, Any], name: str) -> int:
    if name == "token" and name not in event:
        return ANY
    value = event.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FunctionError(f"The event's {name} is {value!r}. Give a whole number from 0 on.")
    return value
