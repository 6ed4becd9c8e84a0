"""What is remembered: parameters of Systems Manager, each created once and never written again, so that nobody's word is lost.

``PutParameter`` without ``Overwrite`` is the only atomic claim here: who is told that a parameter exists has come second.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from common.report import FunctionError
from common.secret import code

from protocol import journal, lease, parameters, topology
from protocol.journal import APPROVAL, BEGAN, DECIDED, ENDED, FAILBACK, REFUSED
from protocol.lease import LEASE
from protocol.parameters import DESTROYING, LOCK, RELEASED
from protocol.topology import HOME

KEPT = timedelta(minutes=10)
"""So long after its end a lease is kept: who has read the leases before it was taken is over by then, and takes no old number."""

OUTDATED = timedelta(minutes=10)
"""What was looked at longer ago decides nothing any more, nor what was approved then."""

BATCH = 10
"""Parameters that one call deletes, at most."""


class LostLeaseError(FunctionError):
    """Somebody else has the lease: nothing may be done."""


def now() -> datetime:
    return datetime.now(UTC)


def instant(text: str) -> datetime:
    """A time as we and CloudWatch write it."""
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def identity(alarm: str, changed: str) -> str:
    """The execution of one change of an alarm's state: the same however often its event arrives."""
    return hashlib.sha256(f"{alarm}{changed}".encode()).hexdigest()[:16]


def age(at: object) -> timedelta:
    """Of what says when it was."""
    return now() - instant(str(at))


def is_recent(at: object) -> bool:
    return age(at) <= OUTDATED


def is_approved(entries: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a person has approved it, and what was decided then was what she had read."""
    return APPROVAL in entries and (DECIDED in entries or is_recent(entries[APPROVAL]["at"]))


@dataclass(frozen=True)
class State:
    """All parameters of the environment as they were at one time, their names below its path."""

    values: Mapping[str, str]

    def config(self, name: str) -> str:
        found = self.values.get(name)
        if found is None:
            raise FunctionError(f"There is no parameter {name}. Deploy the layer configuration.")
        return found

    @property
    def topology(self) -> dict[str, Any]:
        """The newest; home at epoch 0 where none was recorded."""
        return topology.newest(self.values) or {"state": HOME, "epoch": 0, "site": "primary", "since": None}

    @property
    def destroying(self) -> bool:
        return DESTROYING in self.values

    @cached_property
    def journals(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Execution -> entry -> what it says; read once, for there are years of them."""
        return journal.journals(self.values)

    def journal(self, execution: str) -> dict[str, dict[str, Any]]:
        """Entry -> what it says."""
        return self.journals.get(execution, {})

    @cached_property
    def begun(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The journals of all executions, the oldest first."""
        found = [(entries[BEGAN]["at"], one) for one, entries in self.journals.items() if BEGAN in entries]
        return {one: self.journals[one] for _, one in sorted(found)}

    def open(self) -> list[str]:
        """Executions that have not ended, the oldest first."""
        return [one for one, entries in self.begun.items() if journal.is_open(entries)]

    def returning(self) -> bool:
        """Whether a failback has begun: the primary's database is on its way to be the one that writes."""
        return any(self.journal(one)[BEGAN]["request"] == FAILBACK for one in self.open())

    def unresolved(self, but: str) -> str:
        """Another execution that has begun to act."""
        return next((one for one in self.open() if one != but and DECIDED in self.journal(one)), "")

    def superseded(self, execution: str) -> str:
        """Another execution that has acted and ended since this one began: what this one saw then is no more."""
        began = self.journal(execution).get(BEGAN)
        if began is None:
            return ""
        acted = (one for one in self.begun.items() if one[0] != execution and {DECIDED, ENDED} <= one[1].keys())
        others = (one for one in acted if one[1][ENDED].get("outcome") != REFUSED)  # one that was withdrawn changed nothing
        return next((one for one, entries in others if instant(entries[ENDED]["at"]) > instant(began["at"])), "")

    def token(self) -> tuple[int, dict[str, Any]]:
        """The newest fencing token, and who holds it; 0 where nobody ever did."""
        return lease.newest(self.values)

    def spent(self) -> list[str]:
        """Leases that have been over for long, and their returns: never the newest, whose number the next one follows."""
        newest = self.token()[0]
        locks = {name.removeprefix(LOCK): json.loads(text) for name, text in self.values.items() if name.startswith(LOCK)}
        alive = {number for number, lock in locks.items() if int(number) == newest or instant(lock["expires"]) + KEPT > now()}
        numbered = ((name, name.partition("/")[2]) for name in self.values if name.startswith((LOCK, RELEASED)))
        return sorted(name for name, number in numbered if number not in alive and int(number) < newest)

    def free(self) -> bool:
        ends = lease.ends(self.values)
        return ends is None or ends <= now()


@dataclass(frozen=True)
class Store:
    """The parameters of one environment."""

    ssm: Any
    system: str
    suffix: str

    @property
    def path(self) -> str:
        return parameters.path(self.system, self.suffix)

    def read(self) -> State:
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=self.path, Recursive=True)
        return State({one["Name"][len(self.path) :]: one["Value"] for page in pages for one in page["Parameters"]})

    def create(self, name: str, value: Mapping[str, Any]) -> bool:
        """Whether we were first."""
        from botocore.exceptions import ClientError

        try:
            self.ssm.put_parameter(
                Name=self.path + name,
                Value=json.dumps(value),
                Type="String",
                Tier="Standard",
                Tags=[{"Key": "System", "Value": self.system}, {"Key": "Environment", "Value": self.suffix}],
            )
        except ClientError as error:
            if code(error) != "ParameterAlreadyExists":
                raise
            return False
        return True

    def note(self, execution: str, entry: str, **value: Any) -> bool:
        return self.create(journal.parameter(execution, entry), {"at": now().isoformat(), **value})

    def take(self, execution: str) -> int:
        """A new fencing token, above all others; 0 where somebody holds the lease.

        It may be ours although it was there: a call that got no answer is made again.
        """
        state = self.read()
        if not state.free():
            return 0
        token = state.token()[0] + 1
        lock = {"execution": execution, "expires": (now() + LEASE).isoformat(), "run": secrets.token_hex(8)}
        created = self.create(lease.lock(token), lock) or self.read().token() == (token, lock)
        return token if created else 0

    def check(self, token: int) -> None:
        """Right before every act: nobody has taken a newer token, and this one is not over."""
        ours, newer = (self.path + lease.lock(number) for number in (token, token + 1))
        found = {one["Name"]: one["Value"] for one in self.ssm.get_parameters(Names=[ours, newer])["Parameters"]}
        if set(found) != {ours} or instant(json.loads(found[ours])["expires"]) <= now():
            raise LostLeaseError(f"The lease {token} is over. Nothing was done; whoever holds the newest one goes on.")

    def release(self, token: int) -> None:
        self.create(lease.released(token), {"at": now().isoformat()})

    def forget(self, names: Sequence[str]) -> None:
        """Leases that nobody can hold any more: what is read before each act is not to grow with the hours."""
        for start in range(0, len(names), BATCH):
            self.ssm.delete_parameters(Names=[self.path + name for name in names[start : start + BATCH]])
