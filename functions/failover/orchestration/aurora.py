"""The steps where a global database fails over: its members change roles, and no name changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from common.report import FunctionError

from orchestration import shared
from orchestration.state import instant, now
from orchestration.step import A_WHILE, AT_ONCE, Run, Step, forward
from orchestration.world import AWAY, World, arn_name
from protocol.epoch import snapshot
from protocol.journal import FAILBACK, FAILOVER, GIVING_UP, PROMOTE_ASKED
from protocol.steps import ACCEPTED, AURORA, FENCE, PROMOTE, VERIFY

PATIENCE = timedelta(minutes=15)
"""After so long a failover that AWS has not done is given up, and the target leaves the global database to write by itself."""


def whole(world: World, region: str = "", **bounds: Any) -> dict[str, Any]:
    rds = world.client("rds", region, **bounds) if region else world.rds
    found = rds.describe_global_clusters(GlobalClusterIdentifier=world["GLOBAL_CLUSTER_ID"])["GlobalClusters"]
    return dict(found[0])


def writer(world: World, found: dict[str, Any] | None = None) -> str:
    """The ARN of the cluster that writes, or nothing while that changes."""
    found = found or whole(world)
    if found.get("FailoverState", {}).get("Status"):
        return ""
    return next((str(one["DBClusterArn"]) for one in found["GlobalClusterMembers"] if one["IsWriter"]), "")


def detached(world: World) -> bool:
    """Whether the target has left the global database: it writes by itself then."""
    members = {one["DBClusterArn"] for one in whole(world)["GlobalClusterMembers"]}
    return world["TARGET_ARN"] not in members


def cluster(world: World) -> dict[str, Any]:
    found = world.rds.describe_db_clusters(DBClusterIdentifier=arn_name(world["TARGET_ARN"]))["DBClusters"]
    return dict(found[0])


def target(world: World, request: str) -> str:
    """The state of what is to be promoted. Of the primary's cluster, which a failback promotes, its region tells."""
    if request == FAILBACK:
        home = world.client("rds", world.primary_region, AWAY)
        found = home.describe_db_clusters(DBClusterIdentifier=arn_name(world["HOME_ARN"]))["DBClusters"][0]
        return str(found["Status"])
    found = cluster(world)
    if found["Status"] == "available" and not found["DBClusterMembers"]:
        return "without an instance"
    return str(found["Status"])


def writer_site(run: Run) -> str:
    """Where the writer is, and nobody while that changes: also as long as AWS may not show yet what it has accepted.

    AWS may take back a change of roles that it has accepted; its members then are what they were, and say so.
    """
    world, accepted = run.world, run.said(ACCEPTED)
    if detached(world):
        return "recovery"
    found = {world["TARGET_ARN"]: "recovery", world["HOME_ARN"]: "primary"}.get(writer(world), "")
    hidden = found != run.site and accepted and now() - instant(accepted["at"]) < PATIENCE
    return "" if hidden else found


def _raised(run: Run) -> bool:
    scaling = cluster(run.world).get("ServerlessV2ScalingConfiguration", {})
    return float(scaling.get("MinCapacity", 0)) >= float(run.world["CAPACITY_MIN"])


def _raise(run: Run) -> dict[str, Any]:
    return _scale(run, "CAPACITY_MIN", "CAPACITY_MAX")


def _lower(run: Run) -> dict[str, Any]:
    return _scale(run, "CAPACITY_HOME_MIN", "CAPACITY_HOME_MAX")


def _lowered(run: Run) -> bool:
    scaling = cluster(run.world).get("ServerlessV2ScalingConfiguration", {})
    return float(scaling.get("MinCapacity", 0)) == float(run.world["CAPACITY_HOME_MIN"])


def _scale(run: Run, least: str, most: str) -> dict[str, Any]:
    bounds = {"MinCapacity": float(run.world[least]), "MaxCapacity": float(run.world[most])}
    run.world.rds.modify_db_cluster(
        DBClusterIdentifier=arn_name(run.world["TARGET_ARN"]), ServerlessV2ScalingConfiguration=bounds, ApplyImmediately=True
    )
    return {"capacity": bounds}


def _is_low(run: Run) -> bool:
    """Whether its capacity was not raised, or was lowered again by a withdrawal that came too late."""
    return "failed" in run.said("capacity") or bool(run.said("capacity-lowered") or run.said("capacity-lowered-acted"))


def _promoted(run: Run) -> bool:
    return writer_site(run) == run.site


def _promote(run: Run) -> dict[str, Any] | None:
    """Asks for the change of roles, once: while it is under way there is nothing to do but to wait, and not for ever."""
    request, world = run.began["request"], run.world
    tried = run.entries.get(PROMOTE_ASKED)
    if GIVING_UP in run.entries:
        return None  # nobody asks any more
    late = tried is not None and now() - instant(tried["at"]) > PATIENCE
    if late and request == FAILOVER:
        shared.check_lost(run)
        return _detach(run)
    if whole(world).get("FailoverState", {}).get("Status"):
        return None
    way = shared.ask_to_promote(run)
    if request == FAILOVER:
        world.rds.failover_global_cluster(
            GlobalClusterIdentifier=world["GLOBAL_CLUSTER_ID"], TargetDbClusterIdentifier=world["TARGET_ARN"], AllowDataLoss=True
        )
    else:
        # It is asked of the region that writes.
        back = run.site == "primary"
        rds = world.rds if back else world.client("rds", world.primary_region)
        rds.switchover_global_cluster(
            GlobalClusterIdentifier=world["GLOBAL_CLUSTER_ID"],
            TargetDbClusterIdentifier=world["HOME_ARN" if back else "TARGET_ARN"],
        )
    return {"asked": request, **way}


def _detach(run: Run) -> dict[str, Any]:
    run.world.rds.remove_from_global_cluster(
        GlobalClusterIdentifier=run.world["GLOBAL_CLUSTER_ID"], DbClusterIdentifier=run.world["TARGET_ARN"]
    )
    return {"detached": run.world["TARGET_ARN"], "why": f"The failover was not done after {PATIENCE}: the topology is broken."}


def _snapshot(run: Run) -> str:
    return snapshot(arn_name(run.world["TARGET_ARN"]), run.epoch)


def _backup(run: Run) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    try:
        run.world.rds.create_db_cluster_snapshot(
            DBClusterIdentifier=arn_name(run.world["TARGET_ARN"]),
            DBClusterSnapshotIdentifier=_snapshot(run),
            Tags=shared.tags(run),
        )
    except ClientError as error:
        if not shared.exists(error, "DBClusterSnapshotAlreadyExistsFault"):
            raise
    return {"snapshot": _snapshot(run)}


def _intact(run: Run) -> dict[str, Any]:
    if detached(run.world):
        raise FunctionError(
            f"{run.world['TARGET_ARN']} is outside of the global database. Follow the runbook, A broken topology."
        )
    return {"members": [one["DBClusterArn"] for one in whole(run.world)["GlobalClusterMembers"]]}


def _open_home(run: Run) -> dict[str, Any]:
    """Clients of the primary are let in again, whom a fence kept out."""
    return run.world.ask(run.world["PROBE_PRIMARY_ARN"], do="unfence", epoch=run.epoch, token=run.token)


def withdrawal() -> tuple[Step, ...]:
    """What undoes a failover that promotes nothing after all."""
    lower = Step("capacity-lowered", _lower, _lowered, patience=A_WHILE, only=_raised)
    return (*shared.withdrawal(lambda run: writer_site(run) == "primary"), lower)


def driven(request: str) -> bool:  # noqa: ARG001  of the signature that both kinds have
    """Whether the command makes the acts of a request, and not the clock."""
    return False


def steps(request: str) -> tuple[Step, ...]:
    if request == FAILBACK:
        return (
            Step("intact", _intact),
            Step(PROMOTE, _promote, _promoted),
            Step(VERIFY, shared.verify),
            Step("home-open", _open_home, patience=A_WHILE),
            Step("capacity-lowered", _lower, _lowered),
        )
    return forward(
        AURORA,
        Step(FENCE, shared.fence, patience=AT_ONCE),
        Step("capacity", _raise, _raised, patience=AT_ONCE),
        Step(PROMOTE, _promote, _promoted),
        Step(VERIFY, shared.verify),
        Step("way-open", shared.open_way, only=shared.way_is_closed),
        Step("capacity-again", _raise, _raised, patience=A_WHILE, only=_is_low),
        Step("backup", _backup, patience=A_WHILE),
    )
