"""A system that is deployed in two regions and fails over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chain.environment.exit_codes import Exit
from chain.failover.topology import Place, Record, read
from emulator import Emulator
from tests.support import unmeasured
from tests.support.commands import deploy_py
from tests.support.end_to_end.honouring import Door, Watch, watching
from tests.support.end_to_end.roles import user

SUFFIX = "away"


@dataclass(frozen=True)
class Subject:
    """A deployed system."""

    aws: Emulator
    system: str
    home: str
    away: str
    prefix: str
    deployer: dict[str, str] = field(default_factory=dict)
    """Credentials of whoever deploys and destroys; all else, and without them this too, is done by the account's root."""

    def run(self, command: str, *arguments: str, code: Exit = Exit.OK) -> str:
        """A command, and what it said."""
        who = self.deployer if command in ("deploy", "destroy") else {}
        ended = deploy_py(self.aws, command, "--system", self.system, *arguments, suffix=SUFFIX, credentials=who)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    def minute(self) -> None:
        """What one minute brings, in the region that decides."""
        self.aws.pass_minute(self.away)
        self.aws.fire(f"{self.prefix}failover-{SUFFIX}", self.away)
        self.aws.settle()

    def record(self) -> Record:
        return read(self.aws.client, Place(self.system, SUFFIX, self.away))

    def ask(self, region: str, function: str, **event: Any) -> dict[str, Any]:
        name = f"{self.prefix}function-{function}-{SUFFIX}"
        said = self.aws.client("lambda", region).invoke(FunctionName=name, Payload=json.dumps(event))
        assert "FunctionError" not in said, said["Payload"].read()
        return dict(json.loads(said["Payload"].read()))

    def beat(self) -> None:
        """The heartbeat of both sites."""
        for region in (self.home, self.away):
            self.ask(region, "heartbeat")

    def writes(self, region: str, probe: str) -> bool:
        """Whether the database there takes a write."""
        return bool(self.ask(region, probe, do="probe")["writable"])

    def door(self, region: str) -> Door | None:
        """Of the database that stands in a region."""
        rds = self.aws.client("rds", region)
        if clusters := rds.describe_db_clusters()["DBClusters"]:
            one = clusters[0]
            return Door(one["Endpoint"], int(one["Port"]), self.secret(region), one["DBClusterArn"])
        found = [one for one in rds.describe_db_instances()["DBInstances"] if one.get("Endpoint")]
        if not found:
            return None
        place = found[0]["Endpoint"]
        return Door(place["Address"], int(place["Port"]), self.secret(region), found[0]["DBInstanceArn"])

    def doors(self, regions: tuple[str, ...] | None = None) -> dict[str, Door]:
        return {region: door for region in regions or (self.home, self.away) if (door := self.door(region)) is not None}

    @contextmanager
    def honoured(self, *dark: str) -> Iterator[Watch]:
        """While topologies change. What is dark is known from before: its database is there for clients beside it."""
        root, known = str(self.aws.root), {region: door for region, door in self.doors().items() if region in dark}
        seen = tuple(region for region in (self.home, self.away) if region not in dark)
        with watching(lambda: self.record().topology.epoch, lambda: {**known, **self.doors(seen)}, root) as watch:
            yield watch

    def grow_old(self, seconds: int) -> None:
        """The data, at both sites: as if the last heartbeat were so long ago."""
        door = self.door(self.home)
        assert door is not None
        connection = door.connect(str(self.aws.root))
        connection.run("UPDATE dr_heartbeat SET ts = ts - make_interval(secs => :seconds)", seconds=seconds)
        connection.close()
        while self.ask(self.away, "replica-age")["seconds"] < seconds:
            time.sleep(0.2)

    def let_pass(self, seconds: int) -> None:
        """As if the newest topology were recorded so much earlier: what is remembered, and when, is all that a failover sees."""
        newest = max(name for name in self.record().values if name.startswith("topology/"))
        said = json.loads(self.record().values[newest])
        said["since"] = (datetime.fromisoformat(said["since"]) - timedelta(seconds=seconds)).isoformat()
        path = Place(self.system, SUFFIX, self.away).path + newest
        self.aws.client("ssm", self.away).put_parameter(Name=path, Value=json.dumps(said), Overwrite=True)

    def secret(self, region: str) -> dict[str, Any]:
        """What opens the database, as a client of a region reads it."""
        name = f"{self.prefix}secret-database-{SUFFIX}"
        return dict(json.loads(self.aws.client("secretsmanager", region).get_secret_value(SecretId=name)["SecretString"]))

    def opens(self, region: str) -> None:
        """A client of a region finds host and password in its secret, and writes."""
        value = self.secret(region)
        connection = Door(value["host"], int(value["port"]), value, "").connect(str(self.aws.root))
        assert connection.run("SELECT pg_is_in_recovery()") == [[False]]
        connection.close()

    def until(self, state: str, each: Callable[[], None] = lambda: None) -> Record:
        """Minutes pass until the topology is this; ``each`` is done after every one."""
        for _ in range(40):
            self.minute()
            each()
            if (found := self.record()).topology.state == state and found.acting is None:
                return found
            time.sleep(0.2)
        raise AssertionError({one.id: list(one.entries.items()) for one in self.record().executions})


SYSTEMS = {"healthcare": ("eu-west-2", "eu-west-1", "healthcare-"), "federal-records": ("eu-west-1", "eu-west-2", "")}


@contextmanager
def standing(system: str, *, by_deployer: bool = False) -> Iterator[Subject]:
    """A system that is deployed, with a heartbeat; ``by_deployer``: under that policy, and not as root."""
    with unmeasured.running() as aws:
        aws.opt_in()
        made = Subject(aws, system, *SYSTEMS[system], *([user(aws, system, "deployer")] if by_deployer else []))
        made.run("deploy")
        aws.settle()
        made.beat()
        yield made
