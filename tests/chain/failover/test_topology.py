"""After a failover: what is refused, what may be done, what stands outside, and taking it apart from wherever it is."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chain.cli import json_lines as lines_of
from chain.cli import text
from chain.cloudformation.stack import StackError
from chain.deploy.plan import plan
from chain.drift import drift
from chain.environment.exit_codes import NotReadyError
from chain.failover import topology
from chain.failover.failover_leftovers import outside, snapshots
from chain.failover.topology import Execution, Place, Record, Topology, held, read
from chain.run.run import Run
from tests.support.chain import two_regions
from tests.support.chain.checkout import Checkout, Clients, parameter, ref, sub
from tests.support.chain.deployment import run
from tests.support.chain.destruction import look, take_down
from tests.support.chain.lines import of
from tests.support.chain.lines import read as lines
from tests.support.chain.two_regions import AWAY, CREDENTIALS, HOME, failover, remember

AWAY_NOW = {"state": "failed-over", "epoch": 3, "site": "recovery", "since": "2026-01-01T00:00:00+00:00", "execution": "e"}
PLACE = Place("shop", "dev", AWAY)


def record(**values: Any) -> Record:
    return Record(PLACE, {name.replace("__", "/"): json.dumps(value) for name, value in values.items()})


def test_home_needs_no_record() -> None:
    home = record()
    assert home.topology == Topology()
    assert home.is_settled
    assert home.acting is None
    assert home.lease_ends() is None
    assert str(home.topology) == "home, and never was elsewhere"


def test_the_newest_record_is_the_truth() -> None:
    values = {f"topology/{epoch:08d}": json.dumps({**AWAY_NOW, "epoch": epoch}) for epoch in (2, 10, 9)}
    found = Record(PLACE, values)
    assert found.topology.epoch == 10
    assert found.why() == "shop is failed-over since 2026-01-01T00:00:00+00:00 (epoch 10)"


def test_an_execution_waits_acts_or_has_ended() -> None:
    began = {"request": "failover", "at": "1"}
    asked, waits = Execution("a", {"00-began": began}), Execution("b", {"00-began": began, "01-waiting": {}})
    acts = Execution("c", {**waits.entries, "approval": {}, "01-decided": {}})
    ended = Execution("d", {**acts.entries, "99-ended": {}})
    assert [(one.is_open, one.waits, one.acts) for one in (asked, waits, acts, ended)] == [
        (True, False, False),
        (True, True, False),
        (True, False, True),
        (False, False, False),
    ]
    assert str(asked).endswith("is decided within a minute")


@pytest.mark.parametrize("entry", ["promote-asked", "04-promote-acted", "09-home-promoted-acted"])
def test_an_execution_whose_promotion_is_not_proven_says_so_beside_the_topology(entry: str) -> None:
    acts = Execution("a", {"00-began": {"request": "switchover", "at": "1"}, "01-decided": {}, "02-fence": {}})
    promotes = Execution("a", {**acts.entries, entry: {}})
    proven = Execution("a", {**promotes.entries, "10-verify": {}})
    ended = Execution("a", {**promotes.entries, "99-ended": {}})
    assert [one.promotes for one in (acts, promotes, proven, ended)] == [False, True, False, False]
    assert str(acts).endswith(": acts")
    assert str(promotes).endswith(
        "acts; a promotion was asked for, and until a write has proven it the topology is the one of before"
    )


def test_an_execution_that_acts_unsettles() -> None:
    found = Record(PLACE, {"execution/x/00-began": '{"request": "switchover", "at": "1"}', "execution/x/01-decided": "{}"})
    assert not found.is_settled
    assert found.why() == "shop is on its way: the switchover x has begun and has not ended"


def test_a_lease_that_was_let_go_holds_nobody() -> None:
    lock = {"lock/00000002": json.dumps({"expires": "2026-01-01T00:00:00+00:00"})}
    assert Record(PLACE, lock).lease_ends() == datetime(2026, 1, 1, tzinfo=UTC)
    assert Record(PLACE, {**lock, "released/00000002": "{}"}).lease_ends() is None


def bucket_and_database(checkout: Checkout, note: str = "one") -> None:
    """A database in the recovery region, and a note that goes into its stack and beside it."""
    failover(checkout) if not (checkout.root / "functions").exists() else None
    database = {
        "DBInstanceIdentifier": sub("db-${EnvironmentSuffix}"),
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.micro",
        "AllocatedStorage": "20",
        **CREDENTIALS,
    }
    resources = {"Instance": {"Type": "AWS::RDS::DBInstance", "Properties": database}, "Note": parameter("inside", ref("Note"))}
    noted = {"Note": {"Type": "String", "Default": note}}
    checkout.layer("database", resources, parameters=noted, sites={"recovery": AWAY})
    checkout.layer("notes", {"Note": parameter("beside", ref("Note"))}, parameters=noted, sites={"recovery": AWAY})


def test_after_a_failover_no_stack_changes_that_describes_the_database(checkout: Checkout, clients: Clients) -> None:
    bucket_and_database(checkout)
    assert not run(checkout, clients).failed
    remember(checkout, clients, "topology/00000003", json.dumps(AWAY_NOW))
    assert {done.action for done in run(checkout, clients).done.values()} == {"unchanged"}
    bucket_and_database(checkout, "two")
    with pytest.raises(NotReadyError) as refused:
        run(checkout, clients)
    (finding,) = refused.value.findings
    database = f"{AWAY}/{checkout.stack('database')}"
    assert finding.startswith(f"{database} would change: shop is failed-over since 2026-01-01T00:00:00+00:00 (epoch 3), and")
    assert "this stack describes the database as at home" in finding
    assert finding.endswith(f"or first make failback SYSTEM=shop ENV={checkout.suffix}")
    graph = checkout.graph()
    steps = {
        step.stack.template.layer: step for step in plan(Run(clients, graph), held=held(topology.records(graph, clients), graph))
    }
    assert {layer: step.action for layer, step in steps.items()} == {
        "database": "refused",
        "notes": "change",
        "failover": "none",
    }
    assert finding.endswith(steps["database"].note)
    # What may be done: the stack that holds no database, once the other is as it was.
    bucket_and_database(checkout)
    checkout.values({"notes": {"Note": "two"}})
    assert {id_: done.action for id_, done in run(checkout, clients).done.items()}[
        f"{AWAY}/{checkout.stack('notes')}"
    ] == "updated"


def test_a_stack_of_the_database_that_does_not_stand_is_not_made_after_a_failover(checkout: Checkout, clients: Clients) -> None:
    bucket_and_database(checkout)
    remember(checkout, clients, "topology/00000003", json.dumps(AWAY_NOW))
    with pytest.raises(NotReadyError, match="would be created: shop is failed-over"):
        run(checkout, clients)


def test_an_output_that_changes_meanwhile_does_not_reach_the_database(checkout: Checkout, clients: Clients) -> None:
    bucket_and_database(checkout)
    noted = {"Note": {"Type": "String", "Default": "one"}}
    checkout.layer(
        "source", {"Note": parameter("source")}, parameters=noted, outputs={"Note": ref("Note")}, sites={"recovery": AWAY}
    )
    path = checkout.root / "templates" / "shop" / "database.yaml"
    path.write_text(path.read_text().replace("Imports: {}", "Imports: {Note: source.Note}"))
    assert not run(checkout, clients).failed
    remember(checkout, clients, "topology/00000003", json.dumps(AWAY_NOW))
    checkout.values({"source": {"Note": "two"}})
    result = run(checkout, clients)
    assert isinstance(error := result.failed[f"{AWAY}/{checkout.stack('database')}"], StackError)
    assert "shop is failed-over" in str(error)


def test_drift_says_what_a_failover_explains_and_what_it_left_outside(checkout: Checkout, clients: Clients) -> None:
    bucket_and_database(checkout)
    assert not run(checkout, clients).failed
    bigger = {"DBInstanceClass": "db.t3.small", "ApplyImmediately": True}
    clients("rds", AWAY).modify_db_instance(DBInstanceIdentifier=f"db-{checkout.suffix}", **bigger)
    remember(checkout, clients, "topology/00000003", json.dumps(AWAY_NOW))
    graph = checkout.graph()
    known = topology.records(graph, clients)
    clients("ssm", AWAY).put_parameter(
        Name=f"/else/{checkout.suffix}",
        Value="x",
        Type="String",
        Tags=[
            {"Key": key, "Value": value}
            for key, value in {"System": "shop", "Environment": checkout.suffix, "Topology": "failed-over"}.items()
        ],
    )
    beyond = list(outside(known[0], clients))
    said = list(text.elsewhere(drift(graph, clients), held(known, graph), beyond))
    assert said[0] == "1 of the differences are in stacks that describe what changed its role; make failback undoes them."
    assert said[1].startswith("outside of every stack  arn:aws:ssm:")
    assert len(said) == 2
    told = lines("\n".join(lines_of.drift(drift(graph, clients), held(known, graph), beyond)))
    assert [(line["path"], line["explained"]) for line in of("difference", told)] == [("DBInstanceClass", True)]
    assert of("outside", told) == [{"kind": "outside", "resource": beyond[0]}]


def test_destroy_takes_what_a_failover_remembered_and_kept(checkout: Checkout, clients: Clients) -> None:
    bucket_and_database(checkout)
    assert not run(checkout, clients).failed
    for number in range(12):
        remember(checkout, clients, f"topology/{number:08d}", json.dumps(AWAY_NOW))
    given = {"DBInstanceIdentifier": f"db-{checkout.suffix}", "DBSnapshotIdentifier": f"db-{checkout.suffix}-epoch-1"}
    owner = {"System": "shop", "Environment": checkout.suffix, "Topology": "failed-over"}
    clients("rds", AWAY).create_db_snapshot(**given, Tags=[{"Key": key, "Value": value} for key, value in owner.items()])
    clients("rds", AWAY).create_db_snapshot(**{**given, "DBSnapshotIdentifier": f"theirs-{checkout.suffix}"})
    assert [one.name for one in snapshots(clients, AWAY, ["shop"], checkout.suffix)] == [given["DBSnapshotIdentifier"]]
    assert not list(snapshots(clients, AWAY, ["shop"], checkout.suffix, of_instances=False))
    result = take_down(checkout, clients)
    assert not result.failed
    assert not result.left
    assert f"{AWAY}  snapshot {given['DBSnapshotIdentifier']}" in result.swept
    assert result.swept[-1] == f"{AWAY}  parameter /shop/{checkout.suffix}/state/destroying"
    assert not read(clients, Place("shop", checkout.suffix, AWAY)).values
    assert not list(snapshots(clients, AWAY, ["shop"], checkout.suffix))
    clients("rds", AWAY).delete_db_snapshot(DBSnapshotIdentifier=f"theirs-{checkout.suffix}")


def test_nothing_fails_over_from_the_moment_that_destroy_begins(checkout: Checkout, clients: Clients) -> None:
    """It waits for whoever is about to act, and what fails leaves the mark until the environment is deployed again."""
    failover(checkout)
    assert not run(checkout, clients).failed
    place = Place("shop", checkout.suffix, AWAY)
    expires = datetime.now(UTC) + timedelta(seconds=2)
    remember(checkout, clients, "lock/00000001", json.dumps({"execution": "x", "expires": expires.isoformat()}))
    seen: list[bool] = []

    def watch() -> None:
        time.sleep(1)
        seen.append(read(clients, place).destroying)
        seen.append(bool(look(checkout, clients).stacks))

    watching = threading.Thread(target=watch)
    watching.start()
    take_down(checkout, clients)
    watching.join()
    assert seen == [True, True]
    assert datetime.now(UTC) > expires
    assert topology.mark_destroying(clients, place, "somebody")
    assert not topology.mark_destroying(clients, place, "another")
    assert "    is being destroyed: nothing fails over" in list(text.topology([read(clients, place)]))
    assert not run(checkout, clients).failed
    assert not read(clients, place).destroying


def test_a_failed_over_pair_of_files_and_clusters_is_taken_apart(checkout: Checkout, clients: Clients) -> None:
    two_regions.files(checkout)
    failover(checkout)
    assert not run(checkout, clients).failed
    source = clients("cloudformation", HOME).describe_stacks(StackName=checkout.stack("files"))["Stacks"][0]["Outputs"][0]
    given = {"SourceFileSystemId": source["OutputValue"], "DeletionMode": "LOCAL_CONFIGURATION_ONLY"}
    clients("efs", AWAY).delete_replication_configuration(**given)
    remember(checkout, clients, "topology/00000001", json.dumps(AWAY_NOW))
    result = take_down(checkout, clients)
    assert not result.failed
    assert not result.left
