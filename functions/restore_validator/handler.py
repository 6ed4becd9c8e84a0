"""Asks what AWS Backup's restore testing has restored whether it is any good, says so, and measures how long it took.

A restored cluster of Aurora has no instance. One is added, asked, and deleted before AWS Backup is told the result, for a cluster
with an instance cannot be removed. Every step does one thing and finds out from the services what comes next: the function may be
killed anywhere, be invoked twice at once, or run out of time, and go on when it is invoked again with the same event.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from common import clients, database, login, metrics
from common import secret as secrets
from common.database import Connection, Server
from common.environment import needed
from common.report import FunctionError, say
from common.secret import CURRENT, PENDING, PREVIOUS, Credential

from protocol.metrics import RESTORE_SECONDS, RESTORE_VALID

APPLICATION = "standby-restore-validator"
SUCCESSFUL, FAILED = "SUCCESSFUL", "FAILED"
ENDED = (SUCCESSFUL, FAILED, "TIMED_OUT")
KIND = "Aurora"  # as AWS Backup calls it
PAUSE = 15.0  # seconds between two looks at what is not ready
RESERVE = 100.0  # seconds of the function's time that a step may take: a login, a few queries, some calls
PATIENCE = 1800.0  # seconds after which what is not ready or not reachable counts as no good; an instance takes about 600
TABLES = 100  # as many of a database are read, the biggest first
READING = 20.0  # seconds for reading them
STARTED, RESULT = "ValidationStarted", "ValidationResult"  # tags: of our instance, and of the restored cluster
NOT_IN_A_TAG = re.compile(r"[^\w .:/=+@-]")  # RDS takes no other characters in a tag's value
TAG_LENGTH = 256

# The tables that this user may read: a statement for each.
OWN_TABLES = f"""
SELECT format('SELECT 1 FROM %I.%I LIMIT 1', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY c.relpages DESC, n.nspname, c.relname
LIMIT {TABLES}
"""  # noqa: S608  a number of our own


class NotYetError(FunctionError):
    """What was restored is not ready, or not within reach; it may be in a while."""


class UselessError(FunctionError):
    """What was restored is no good, and waiting will not change that."""


@dataclass(frozen=True)
class Job:
    """A restore job of AWS Backup. ``seconds`` is how long it took."""

    id: str
    resource: str
    validation: str
    completed: datetime
    seconds: float

    @classmethod
    def read(cls, client: Any, job: str) -> Job:
        """The job, if it is one of restore testing that has come to its end: only such a one may be given an instance."""
        answer = client.describe_restore_job(RestoreJobId=job)
        if not answer.get("CreatedBy", {}).get("RestoreTestingPlanArn"):
            raise FunctionError(f"The restore job {job} is none of a restore testing plan: what it restored is left alone.")
        if answer["Status"] != "COMPLETED":
            raise FunctionError(f"The restore job {job} is {answer['Status']}: there is nothing to validate.")
        if answer["ResourceType"] != KIND:
            raise FunctionError(f"The restore job {job} restored {answer['ResourceType']}, and only {KIND} is validated here.")
        completed = answer["CompletionDate"]
        return cls(
            job,
            answer["CreatedResourceArn"],
            answer.get("ValidationStatus", ""),
            completed,
            (completed - answer["CreationDate"]).total_seconds(),
        )

    @property
    def name(self) -> str:
        """The name of what was restored."""
        return re.split(r"[:/]", self.resource)[-1]


@dataclass(frozen=True)
class Verdict:
    """What there is to report; ``seconds`` from the restore's beginning until what it restored was of use."""

    good: bool
    seconds: float
    said: str

    def remembered(self) -> str:
        """As the value of a tag."""
        return NOT_IN_A_TAG.sub(" ", f"{SUCCESSFUL if self.good else FAILED} {self.seconds:.0f} {self.said}")[:TAG_LENGTH].strip()

    @classmethod
    def recalled(cls, tags: list[dict[str, str]]) -> Verdict | None:
        """Out of the tag."""
        value = _tag(tags, RESULT)
        if value is None:
            return None
        status, seconds, said = value.split(" ", 2)
        return cls(status == SUCCESSFUL, float(seconds), said)


@dataclass(frozen=True)
class Step:
    """What one step came to: it did something, or ``waits``, or there is nothing ``left`` to do; a ``failure`` is also raised."""

    said: str
    waits: bool = False
    left: bool = True
    failure: bool = False


@dataclass(frozen=True)
class Rehearsal:
    """A restore job and what is needed to validate it."""

    environment: Mapping[str, str]
    client: Callable[[str], Any]
    job: Job

    def report(self, verdict: Verdict) -> Step:
        """Tells CloudWatch, and AWS Backup once."""
        from botocore.exceptions import ClientError

        self._measure(verdict)  # first: of a job that is reported nobody measures anything, and to say a time twice does no harm
        backup, said = self.client("backup"), verdict.said[:1000]
        status = SUCCESSFUL if verdict.good else FAILED
        try:
            backup.put_restore_validation_result(RestoreJobId=self.job.id, ValidationStatus=status, ValidationStatusMessage=said)
        except ClientError as error:
            # Another run was quicker, or the window has ended. Anything else is not ours to decide.
            if secrets.code(error) != "InvalidRequestException" or Job.read(backup, self.job.id).validation not in ENDED:
                raise
            return Step("somebody else has reported", left=False)
        return Step(f"reported {status}: {said}", left=False, failure=not verdict.good)

    def _measure(self, verdict: Verdict) -> None:
        took = {RESTORE_SECONDS: round(verdict.seconds, 1)} if verdict.good else {}
        metrics.emit("restore_validator", {RESTORE_VALID: int(verdict.good), **took})


def handler(event: Mapping[str, Any], context: Any) -> dict[str, str]:
    """What EventBridge invokes with a Restore Job State Change; waits while it has time, else does the next step only."""
    client = cache(clients.client)
    job = str(event["detail"]["restoreJobId"])
    left = context.get_remaining_time_in_millis() / 1000 - RESERVE if context else 0.0
    until = time.monotonic() + left
    before = ""
    while True:
        step = _step(Rehearsal(dict(os.environ), client, Job.read(client("backup"), job)))
        if step.said != before:
            say(event="restore", job=job, did=step.said)
        before = step.said
        if step.failure:
            raise FunctionError(f"The restore job {job} has {step.said}")
        if not step.left or context is None:
            return {"job": job, "did": step.said, "left": "something" if step.left else "nothing"}
        pause = PAUSE if step.waits else 0.0
        if time.monotonic() + pause >= until:
            raise FunctionError(f"The restore job {job} is not validated yet: {step.said}. Invoked again, this function goes on.")
        time.sleep(pause)


def _judged(job: Job, since: datetime, look: Callable[[], str]) -> Verdict | Step:
    """The verdict of ``look``, or that it has to wait: from ``since`` on there is patience with what is not ready yet."""
    waited = (datetime.now(UTC) - since).total_seconds()
    try:
        said = look()
    except UselessError as error:
        return Verdict(False, job.seconds, str(error))
    except NotYetError as error:
        if waited < PATIENCE:
            return Step(f"waits: {error}", waits=True)
        return Verdict(False, job.seconds, f"After {PATIENCE / 60:.0f} minutes: {error}")
    return Verdict(True, job.seconds, said)


def _step(rehearsal: Rehearsal) -> Step:
    """The next step of the validation, whatever was done so far and by whom: the cluster is given an instance, which lets us in
    and answers, and is deleted.
    """
    job, rds, name = rehearsal.job, rehearsal.client("rds"), needed(rehearsal.environment, "INSTANCE_IDENTIFIER")
    instance = _find_instance(rehearsal, name)
    ours = instance is None or instance.get("DBClusterIdentifier") == job.name
    if job.validation in ENDED:
        if ours and _stands(instance):
            return _delete(rds, instance)
        return Step(f"found {job.validation}: nothing is left to do", left=False)
    if instance is not None and not ours:
        return _others(rehearsal, instance)
    try:
        cluster = _described(
            lambda: rds.describe_db_clusters(DBClusterIdentifier=job.name)["DBClusters"][0], "DBClusterNotFoundFault", job.name
        )
    except UselessError as error:
        return rehearsal.report(Verdict(False, job.seconds, str(error)))
    verdict = Verdict.recalled(cluster.get("TagList", []))
    if verdict is not None:
        return _delete(rds, instance) if _stands(instance) else rehearsal.report(verdict)
    if instance is None:
        return _add_instance(rehearsal, cluster, name)
    since = _started(instance)
    judged = _judged(job, since, lambda: _ask(rehearsal, instance))
    if isinstance(judged, Step):
        return judged
    # Waiting for us is not part of a restore, nor is what passed between its end and our beginning.
    added = (datetime.now(UTC) - since).total_seconds()
    verdict = Verdict(judged.good, job.seconds + added, judged.said)
    rds.add_tags_to_resource(ResourceName=job.resource, Tags=[{"Key": RESULT, "Value": verdict.remembered()}])
    return Step(f"wrote down: {verdict.remembered()}")


def _add_instance(rehearsal: Rehearsal, cluster: Mapping[str, Any], name: str) -> Step:
    from botocore.exceptions import ClientError

    tags = {**json.loads(rehearsal.environment.get("TAGS") or "{}"), STARTED: datetime.now(UTC).isoformat(timespec="seconds")}
    group = rehearsal.environment.get("SUBNET_GROUP")
    try:
        rehearsal.client("rds").create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass=needed(rehearsal.environment, "INSTANCE_CLASS"),
            DBClusterIdentifier=cluster["DBClusterIdentifier"],
            Engine=cluster["Engine"],
            PubliclyAccessible=False,
            AutoMinorVersionUpgrade=False,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            **({"DBSubnetGroupName": group} if group else {}),
        )
    except ClientError as error:
        if secrets.code(error) == "InvalidDBClusterStateFault":
            return Step(f"waits: {cluster['DBClusterIdentifier']} is {cluster['Status']} and takes no instance", waits=True)
        if secrets.code(error) != "DBInstanceAlreadyExists":
            raise
        return Step(f"found that another run has added {name}")
    return Step(f"added the instance {name}")


def _others(rehearsal: Rehearsal, instance: Mapping[str, Any]) -> Step:
    """Our instance is in the cluster of another rehearsal: one at a time, but one that nobody took away in time goes."""
    waited = (datetime.now(UTC) - _started(instance)).total_seconds()
    if waited < 2 * PATIENCE or not _stands(instance):
        return Step(f"waits: the instance of another rehearsal, in {instance.get('DBClusterIdentifier')}, is there", waits=True)
    return _delete(rehearsal.client("rds"), instance)


def _delete(rds: Any, instance: Mapping[str, Any] | None) -> Step:
    from botocore.exceptions import ClientError

    name = instance["DBInstanceIdentifier"] if instance else ""
    try:
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    except ClientError as error:
        if secrets.code(error) not in ("DBInstanceNotFound", "InvalidDBInstanceState", "InvalidDBClusterStateFault"):
            raise
        return Step(f"waits: {name} cannot be deleted just now", waits=True)
    return Step(f"deletes the instance {name}")


def _stands(instance: Mapping[str, Any] | None) -> bool:
    """Whether it hinders the removal of its cluster: one that is being deleted does not."""
    return instance is not None and instance["DBInstanceStatus"] != "deleting"


def _started(instance: Mapping[str, Any]) -> datetime:
    value = _tag(instance.get("TagList", []), STARTED)
    if value is None:
        raise FunctionError(
            f"{instance['DBInstanceIdentifier']} has no tag {STARTED}: it is not this function's. Delete it, or give "
            "INSTANCE_IDENTIFIER another name."
        )
    return datetime.fromisoformat(value)


def _find_instance(rehearsal: Rehearsal, name: str) -> dict[str, Any] | None:
    rds = rehearsal.client("rds")
    try:
        return _described(
            lambda: rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0], "DBInstanceNotFound", name
        )
    except UselessError:
        return None


def _described(describe: Callable[[], Any], missing: str, name: str) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = describe()
    except ClientError as error:
        if secrets.code(error) != missing:
            raise
        raise UselessError(f"{name} does not exist any more.") from None
    return found


def _tag(tags: list[dict[str, str]], key: str) -> str | None:
    return next((tag["Value"] for tag in tags if tag["Key"] == key), None)


def _ask(rehearsal: Rehearsal, instance: Mapping[str, Any]) -> str:
    """Logs in over verified TLS, and reads of every table."""
    name, status = instance["DBInstanceIdentifier"], instance["DBInstanceStatus"]
    if status != "available":
        raise NotYetError(f"{name} is {status}.")
    place = {"DATABASE_HOST": instance["Endpoint"]["Address"], "DATABASE_PORT": str(instance["Endpoint"]["Port"])}
    server = Server.of({**rehearsal.environment, **place})
    secret = needed(rehearsal.environment, "DB_SECRET_ARN")
    credentials = list(_credentials(rehearsal.client("secretsmanager"), secret))
    try:
        connection = login.connect(credentials, server, APPLICATION)
    except FunctionError as error:
        raise NotYetError(str(error)) from None
    if connection is None:
        raise UselessError(
            f"{name} refuses the current, previous and pending password of {secret}: the backup is older than the last rotation "
            "but one. Set a password with ModifyDBCluster or ModifyDBInstance to look at it by hand."
        )
    try:
        return _read(connection)
    except database.BROKEN as error:
        # Not for good: what was restored fetches its data from the backup as it is read, and may be too slow at first.
        raise NotYetError(f"{name} let us in and failed: {database.said(error)}.") from None
    finally:
        database.close(connection)


def _credentials(client: Any, secret: str) -> Iterator[Credential | None]:
    """The restored database has the password of the backup's time."""
    for label in (CURRENT, PREVIOUS, PENDING):
        yield login.read(client, secret, label)


def _read(connection: Connection) -> str:
    """Reads a row of every table that may be read, as far as time allows."""
    if connection.scalar("SELECT pg_is_in_recovery()"):
        raise NotYetError("It is in recovery still.")
    statements = [row[0] for row in connection.run(OWN_TABLES)]
    until = time.monotonic() + READING
    read = rows = 0
    for statement in statements:
        if time.monotonic() >= until:
            break
        rows += len(connection.run(statement))
        read += 1
    return f"It let us in over TLS. {read} of {len(statements)} tables were read and {rows} had rows."
