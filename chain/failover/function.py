"""Failover and failback on an operator's word: asks the function of the recovery region, follows what it does, and says so.

Nothing here needs the primary region, but for a failback that makes instances anew: this is done here, with the operator's own
permissions, by the function's own code, for its role may delete nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chain.cloudformation import stack as cfn
from chain.cloudformation.end_replication import answer as answered
from chain.cloudformation.stack import Clients, StackError, Wait
from chain.environment.exit_codes import Exit, NotReadyError
from chain.environment.templates import Template
from chain.failover import file_failback
from chain.failover.file_failback import End, Files
from chain.failover.topology import Place, Record, read, remember
from protocol.journal import (
    AWAITING_APPROVAL,
    BEGAN,
    COMPLETED,
    DECIDED,
    DRIFT_FREE,
    ENDED,
    REFUSED,
    manual,
    parameter,
    step_of,
)
from protocol.refusals import ACT, REFUSE, WAIT
from protocol.steps import FENCE, REPLICA, WRITES_STOPPED
from protocol.topology import LAYER

CALLS = {
    "AskForAFailover": ("lambda:GetFunctionConfiguration", "lambda:InvokeFunction"),
    "LookAtInstances": ("rds:DescribeDBInstances",),
}

DIFFERS = "differs"
"""How a failback stays open that has done everything, and is not what is declared: run again, it looks again."""

ENDS = {COMPLETED: Exit.OK, REFUSED: Exit.REFUSED, AWAITING_APPROVAL: Exit.WAITING, DIFFERS: Exit.DRIFT}
"""How an execution ends, and the exit code of that; any other end is a failure."""

ERRORS = 5  # invocations in a row that may fail
SILENCE = 120.0
"""Seconds after which whoever watches is told again what is waited for, and why."""

UNLIKE = (
    "The primary site writes, and what differs from its template stands above: so it is not recorded as home. Put that right, and"
    " run this again."
)

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Function:
    """The failover function as it is deployed."""

    place: Place
    name: str
    environment: Mapping[str, str]
    client: Any

    @property
    def makes_anew(self) -> bool:
        """Whether a failback deletes and makes instances."""
        return self.environment.get("KIND") == REPLICA

    def ask(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Invoke it."""
        answer = self.client.invoke(FunctionName=self.name, Payload=json.dumps(event))
        said = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise StackError(f"{self.name}: {(said or {}).get('errorMessage', said)}")
        return dict(said)

    def here(self, root: Path, ours: Mapping[str, str]) -> Ask:
        """The same code in a process of this machine, with the operator's permissions; ``ours`` is what only they reach."""
        sources = root / "functions"
        program = "import json, sys; from handler import handler; print(json.dumps(handler(json.load(sys.stdin), None)))"
        environment = {
            **os.environ,
            **self.environment,
            **ours,
            "AWS_REGION": self.place.region,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "PYTHONPATH": os.pathsep.join(map(str, (sources / LAYER, sources, root))),
        }

        def ask(event: Mapping[str, Any]) -> dict[str, Any]:
            command = [sys.executable, "-c", program]
            ended = subprocess.run(
                command, input=json.dumps(event), env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
            )
            if ended.returncode:
                raise StackError(f"{self.name}, run here: {ended.stderr.strip().splitlines()[-1]}")
            return dict(json.loads(ended.stdout.splitlines()[-1]))

        return ask


def named() -> str:
    """A new execution's name, in the form that the function takes."""
    return manual(datetime.now(UTC), secrets.token_hex(4))


def find(clients: Clients, place: Place) -> Function:
    """The function, by the output of its stack."""
    name = f"{place.system}-{LAYER}-{place.suffix}"
    state = cfn.describe(clients("cloudformation", place.region), name)
    if state is None or "FunctionName" not in state.outputs:
        raise NotReadyError([f"{place.region}/{name} does not stand, so nothing can fail over: deploy it first"])
    client, function = clients("lambda", place.region), state.outputs["FunctionName"]
    variables = client.get_function_configuration(FunctionName=function).get("Environment", {}).get("Variables", {})
    return Function(place, function, variables, client)


def forecast(answer: Mapping[str, Any], request: str) -> Iterator[str]:
    """What the function says it would do, and what would be lost."""
    would = {ACT: "would begin", WAIT: "would wait for an approval", REFUSE: "would be refused"}[answer["would"]]
    yield f"The {request} {would}."
    yield from (f"    against it: {sentence}" for sentence in answer["against"])
    lost = answer["lost_seconds"]
    yield f"    data lost: {'nobody can say how much' if lost is None else f'up to {lost:.0f} s' if lost else 'none'}"
    yield f"    evidence: {' and '.join(answer['evidence']) or 'none'}"
    fences = bool({FENCE, WRITES_STOPPED} & set(answer["steps"]))
    yield f"    fences: {'the site that writes now, where it can be reached' if fences else 'nothing itself; the service does'}"
    yield f"    steps: {', '.join(answer['steps'])}"


def outlook(answer: Mapping[str, Any]) -> Exit:
    """The exit code of a dry run: that of the request."""
    return {ACT: Exit.OK, WAIT: Exit.WAITING, REFUSE: Exit.REFUSED}[str(answer["would"])]


@dataclass
class Follower:
    """Follows one execution to its end: asks for act after act, and says what was done."""

    clients: Clients
    place: Place
    say: Say
    ask: Ask
    pause: Callable[[], Callable[[], None]]
    files: Files | None = None
    is_as_declared: Callable[[], bool] = lambda: True
    told: set[str] = field(default_factory=set)
    errors: int = 0
    clock: Callable[[], float] = time.monotonic
    heard: float = -SILENCE
    """When we last said something."""

    def follow(self, execution: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        """How it ended; ``answer`` is what was said when it was asked for."""
        pause, seen = self.pause(), -1
        while True:
            entries = self._tell(execution)
            if not answer.get("more") or ENDED in entries:
                return {**answer, **entries.get(ENDED, {}), "execution": execution}
            stopped = next((entries[name] for name in entries if step_of(name) == WRITES_STOPPED), None)
            if self.files is not None and DECIDED in entries:  # before the next act: none may let clients write in between
                moves = self.files.follow() if stopped is None else self.files.come_home(datetime.fromisoformat(stopped["at"]))
                for text in moves:
                    self.say(f"  files  {text}")
            if answer.get("step") == DRIFT_FREE and DRIFT_FREE not in entries:
                if not self.is_as_declared():
                    return {**answer, "execution": execution, "outcome": DIFFERS, "why": UNLIKE}
                remember(self.clients, self.place, parameter(execution, DRIFT_FREE), {"at": datetime.now(UTC).isoformat()})
            self._remind(answer)
            if len(self.told) > seen:
                pause, seen = self.pause(), len(self.told)
            else:
                pause()
            answer = self._asked({"execution": execution, "request": entries.get(BEGAN, {}).get("request", "")})

    def _asked(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One invocation; one that fails is made again, for it repeats nothing that is done."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self.ask(event)
        except (BotoCoreError, ClientError, StackError) as error:
            self.errors += 1
            if self.errors > ERRORS:
                raise
            self.say(f"  {error}; asked again")
            return {"more": True}
        self.errors = 0
        return answer

    def _remind(self, answer: Mapping[str, Any]) -> None:
        """What is waited for, and why, where nothing else was said for a while: nobody is to guess whether it hangs."""
        if answer.get("step") and self.clock() - self.heard >= SILENCE:
            self.say(f"  {answer['step']}: {answer.get('why') or 'is waited for; look at the events of the databases'}")
            self.heard = self.clock()

    def _tell(self, execution: str) -> Mapping[str, Mapping[str, Any]]:
        """Say what the journal has and has not been told; the journal."""
        record = read(self.clients, self.place)
        entries = next((one.entries for one in record.executions if one.id == execution), {})
        for name in sorted(entries, key=lambda name: (str(entries[name].get("at", "")), name)):
            if name not in self.told and not name.endswith("-told"):
                said = {key: value for key, value in entries[name].items() if key != "at" and key != "topology"}
                self.heard = self.clock()
                self.say(f"  {entries[name].get('at', '')}  {name}  {json.dumps(said, default=str) if said else ''}".rstrip())
            self.told.add(name)
        return entries


def ended(answer: Mapping[str, Any], record: Record, again: str) -> Iterator[str]:
    """How it ended, and what is to be done next."""
    outcome, execution = str(answer.get("outcome", "")), answer.get("execution")
    why = answer.get("why") or ()
    yield f"{execution}: {outcome}"
    yield from (f"    {sentence}" for sentence in ([why] if isinstance(why, str) else why))
    if outcome == AWAITING_APPROVAL:
        yield f"To approve it: {again} APPROVE={execution}"
    yield f"{record.place.system}-{record.place.suffix} is {record.topology}"


def code(answer: Mapping[str, Any]) -> Exit:
    """The exit code of an execution's end."""
    return ENDS.get(str(answer.get("outcome")), Exit.FAILED)


def foreign(function: Function, clients: Clients) -> str:
    """Why a failback is not ours to make, by the tags of the primary's database; nothing where it is, or nobody can say."""
    from botocore.exceptions import HTTPClientError

    arn, place = function.environment.get("HOME_ARN", ""), function.place
    if not function.makes_anew or not arn:
        return ""
    rds = clients("rds", arn.split(":")[3])
    try:
        found = answered(("DBInstanceNotFound",), rds.describe_db_instances, DBInstanceIdentifier=arn.rpartition(":")[2])
    except HTTPClientError:
        return ""  # the function will find its region dark, and refuse
    tags = {tag["Key"]: tag["Value"] for tag in found["DBInstances"][0].get("TagList", ())} if found else None
    if tags is None or (tags.get("System"), tags.get("Environment")) == (place.system, place.suffix):
        return ""
    return (
        f"{arn} is not of {place.system}-{place.suffix}: a failback would delete it and make it anew, and it is somebody else's."
        f" Nothing was done. Its owner makes a replica of {function.environment.get('TARGET_ARN')}, promotes it and gives its"
        " ARN; the runbook says how."
    )


def secret_of(templates: Sequence[Template], function: Function, clients: Clients) -> dict[str, str]:
    """Where a failback takes the password: to the secret of the primary site, where that is a stack's of ours."""
    name, place = function.environment.get("SECRET_ARN", "").rpartition(":")[2], function.place
    for template in templates:
        if name and template.has("AWS::SecretsManager::Secret") and "primary" in template.sites:
            cloudformation = clients("cloudformation", template.sites["primary"])
            state = cfn.describe(cloudformation, f"{place.system}-{template.layer}-{place.suffix}")
            for each in cfn.resources(cloudformation, state.id).values() if state is not None else ():
                if each.get("PhysicalResourceId", "").endswith(f":secret:{name}"):
                    return {"SECRET_HOME_ARN": each["PhysicalResourceId"]}
    return {}


def files_of(templates: Sequence[Template], function: Function, clients: Clients) -> Files | None:
    """The files that a failback brings home; None where there are none of ours."""
    away = function.environment.get("FILE_SYSTEM_ID")
    if not away:
        return None
    place = function.place
    return file_failback.of(templates, place.system, place.suffix, clients, End(away, place.region), patiently())


def patiently() -> Wait:
    """A pause between two invocations."""
    from threading import Event

    return Wait(Event())
