"""The last snapshots of an environment: of each database that others follow, kept when all its keys have gone."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

import emulator
from chain.cloudformation import stack as cfn
from chain.cloudformation.account import Caller
from chain.destroy import final_snapshots
from chain.destroy.destruction import Survey, destroy, survey
from chain.environment.templates import load
from chain.failover import topology
from chain.failover.topology import Place, read
from chain.run.run import Run
from tests.support.chain import two_regions
from tests.support.chain.checkout import Checkout, Clients, Heard
from tests.support.chain.cloud import ACCOUNT
from tests.support.chain.deployment import run
from tests.support.chain.two_regions import AWAY, HOME, fail_over, failover


def deployed(checkout: Checkout, clients: Clients) -> None:
    two_regions.everything(checkout)
    result = run(checkout, clients)
    assert not result.failed, {id_: str(error) for id_, error in result.failed.items()}


def snapshots(clients: Clients, checkout: Checkout) -> list[dict[str, Any]]:
    """Whatever snapshot bears the environment's suffix, in either region."""
    found = []
    for region in (HOME, AWAY):
        rds = clients("rds", region)
        every = [*rds.describe_db_snapshots()["DBSnapshots"], *rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]]
        found += [one for one in every if f"-{checkout.suffix}-final-" in (name(one))]
    return found


def name(one: dict[str, Any]) -> str:
    return str(one.get("DBClusterSnapshotIdentifier") or one["DBSnapshotIdentifier"])


def test_each_writer_leaves_a_snapshot_under_a_key_that_stays(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator
) -> None:
    deployed(checkout, clients)
    checkout.values({"finalSnapshot": True}, name=checkout.suffix)
    ended = checkout.command("destroy", "--env", checkout.suffix, "--yes", environment=aws.environment)
    shown, said = ended.communicate(timeout=120)
    assert ended.returncode == 0, shown + said
    kept = sorted(snapshots(clients, checkout), key=name)
    # Neither the replica of the instance nor the second cluster of the global database: they hold the same.
    assert [name(one).partition("-final-")[0] for one in kept] == [f"aurora-{checkout.suffix}", f"source-{checkout.suffix}"]
    assert {one["KmsKeyId"].rpartition(":")[2] for one in kept} == {final_snapshots.KEY}
    assert {one["Status"] for one in kept} == {"available"}
    for one in kept:
        assert f"A snapshot of {name(one).partition('-final-')[0]} is taken first, and stays: {name(one)}\n" in shown
        assert f"kept  {name(one)} in {HOME}; back with: aws rds --region {HOME} restore-db-" in shown
        assert {"Key": "FinalSnapshotOf", "Value": f"shop/{checkout.suffix}"} in one["TagList"]


def test_after_a_switchover_it_is_the_writer_of_now_that_leaves_one(checkout: Checkout, clients: Clients) -> None:
    deployed(checkout, clients)
    assert sorted(each.identifier for each in look(checkout, clients).last) == [
        f"aurora-{checkout.suffix}",
        f"source-{checkout.suffix}",
    ]
    fail_over(checkout, clients)
    assert sorted(each.identifier for each in look(checkout, clients).last) == [
        f"aurora-second-{checkout.suffix}",
        f"source-{checkout.suffix}",
    ]


def test_nothing_is_kept_that_nobody_asked_for(checkout: Checkout, clients: Clients, aws: emulator.Emulator) -> None:
    deployed(checkout, clients)
    ended = checkout.command("destroy", "--env", checkout.suffix, "--yes", environment=aws.environment)
    ended.communicate(timeout=120)
    assert ended.returncode == 0
    assert snapshots(clients, checkout) == []


class KilledError(BaseException):
    """The process is gone."""


def look(checkout: Checkout, clients: Clients) -> Survey:
    return survey(load(checkout.root / "templates"), checkout.suffix, clients, ACCOUNT, {"shop"})


@pytest.mark.parametrize("after", ["CreateDBClusterSnapshot", "CopyDBClusterSnapshot", "DeleteDBClusterSnapshot"])
def test_run_again_it_goes_on_with_the_same_snapshots(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator, after: str
) -> None:
    deployed(checkout, clients)
    (database,) = (each for each in look(checkout, clients).last if each.kind is final_snapshots.CLUSTERS)

    def killed(service: str, region: str) -> Any:
        def kill(**_: Any) -> None:
            raise KilledError

        client = aws.client(service, region)
        client.meta.events.register(f"after-call.{service}.{after}", kill)
        return client

    def keep(using: Clients) -> None:
        final_snapshots.keep(using, database, checkout.suffix, cfn.Wait(Event()))

    with pytest.raises(KilledError):
        keep(killed)
    keep(clients)
    keep(clients)
    assert [name(one) for one in snapshots(clients, checkout)] == [database.snapshot]


def test_nothing_is_deleted_before_what_shall_be_kept_is_there(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover(checkout)
    deployed(checkout, clients)
    found = look(checkout, clients)
    place = Place("shop", checkout.suffix, AWAY)

    def refused(service: str, region: str) -> Any:
        def refuse(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "SnapshotQuotaExceeded", "Message": "no more"}}, "CopyDBSnapshot")

        client = aws.client(service, region)
        client.meta.events.register("before-call.rds.CopyDBSnapshot", refuse)
        return client

    result = destroy(
        found, load(checkout.root / "templates"), Run(refused, report=Heard(), caller=Caller(ACCOUNT, "", ())), patience=0
    )
    assert list(result.failed) == [f"{HOME}/source-{checkout.suffix}"]
    assert "SnapshotQuotaExceeded" in str(result.failed[f"{HOME}/source-{checkout.suffix}"])
    assert result.deleted == ()
    assert [each.id for each in look(checkout, clients).stacks] == [each.id for each in found.stacks]
    assert not read(clients, place).destroying, "it fails over as before"

    def interrupted(*_: Any) -> None:
        assert read(clients, place).destroying
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("chain.destroy.destruction._keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            destroy(
                found, load(checkout.root / "templates"), Run(refused, report=Heard(), caller=Caller(ACCOUNT, "", ())), patience=0
            )
    assert not read(clients, place).destroying
    topology.mark_destroying(clients, place, "whoever destroyed half of it before")
    destroy(found, load(checkout.root / "templates"), Run(refused, report=Heard(), caller=Caller(ACCOUNT, "", ())), patience=0)
    assert read(clients, place).destroying


def test_a_snapshot_that_failed_or_never_comes_is_an_error(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(checkout, clients)
    (database,) = (each for each in look(checkout, clients).last if each.kind is final_snapshots.INSTANCES)

    def saying(status: str) -> Clients:
        def say(parsed: dict[str, Any], **_: Any) -> None:
            for one in parsed.get("DBSnapshots", ()):
                one["Status"] = status

        def client(service: str, region: str) -> Any:
            made = aws.client(service, region)
            made.meta.events.register("after-call.rds.DescribeDBSnapshots", say)
            return made

        return client

    monkeypatch.setattr(final_snapshots, "PATIENCE", 0.1)
    with pytest.raises(cfn.StackError, match=f"{database.snapshot}, the last snapshot of {database.identifier}, is not there"):
        final_snapshots.keep(saying("creating"), database, checkout.suffix, cfn.Wait(Event()))
    with pytest.raises(cfn.StackError, match=f"could not make the last snapshot of {database.identifier}; delete"):
        final_snapshots.keep(saying("failed"), database, checkout.suffix, cfn.Wait(Event()))


def test_a_file_that_cannot_be_read_stops_a_destroy(checkout: Checkout, clients: Clients, aws: emulator.Emulator) -> None:
    two_regions.secret(checkout)
    assert not run(checkout, clients).failed
    checkout.values({"finalSnapshot": "perhaps"}, name=checkout.suffix)
    ended = checkout.command("destroy", "--env", checkout.suffix, "--yes", environment=aws.environment)
    shown, said = ended.communicate(timeout=60)
    assert ended.returncode == 2, shown + said
    assert f"parameters/shop/{checkout.suffix}.yaml: finalSnapshot is 'perhaps'; it is true or false" in said
    assert look(checkout, clients).stacks


def test_what_is_gone_already_leaves_nothing(clients: Clients) -> None:
    for type_ in final_snapshots.KINDS:
        assert list(final_snapshots.databases(clients, (HOME, AWAY), "shop", HOME, type_, ["gone-already"])) == []
