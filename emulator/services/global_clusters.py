"""RDS: Aurora global databases. Behind a secondary cluster stands a standby of the server of the primary one.

Switching over and failing over take their time, as on AWS: the call answers at once, and DescribeGlobalClusters says how it goes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from emulator import darkness, databases, postgres
from emulator.services import aurora, rds_api
from emulator.services.rds_api import Action, Answer, Parameters, Record

log = logging.getLogger("emulator")

AVAILABLE = "available"
CONNECTED, RESYNC = "connected", "pending-resync"
# What the cluster gives, so that CreateGlobalCluster takes none of it beside a source.
FROM_SOURCE = ("Engine", "EngineVersion", "DatabaseName", "StorageEncrypted")
# What a secondary has from its primary -> what AWS calls it where it refuses it.
FROM_PRIMARY = {"MasterUsername": "user name", "MasterUserPassword": "password", "DatabaseName": "database name"}

_under_way: set[threading.Thread] = set()
_lock = threading.Lock()


def install() -> None:
    from ministack.services import rds

    shown, cluster_shown = rds._global_cluster_xml, rds._cluster_xml
    rds._global_cluster_xml = lambda one: rds_api.described(shown(one), one, {"Endpoint": escape(endpoint(one))})
    rds._cluster_xml = lambda cluster: rds_api.described(cluster_shown(cluster), cluster, _replication(cluster))
    rds_api.wrap(
        rds._ACTION_MAP,
        {
            "CreateGlobalCluster": _create,
            "RemoveFromGlobalCluster": _remove,
            "DeleteGlobalCluster": _idle,
            "ModifyGlobalCluster": _idle,
            "SwitchoverGlobalCluster": lambda _, p: _change_writer("SwitchoverGlobalCluster", p, lossy=False),
            "FailoverGlobalCluster": lambda _, p: _failover(p),
            "CreateDBCluster": _create_member,
            "ModifyDBCluster": _modify_member,
            "CreateDBInstance": _create_instance,
        },
    )


def endpoint(one: Record) -> str:
    """The name that always leads to the writer. It stands for itself: nothing here resolves it."""
    return f"{one['GlobalClusterIdentifier']}.global-{one['GlobalClusterResourceId'][-12:]}.global.rds.amazonaws.com"


def settle() -> None:
    """Returns when no writer is being changed and no member rebuilt, those aside whose region is dark."""
    while True:
        with _lock:
            waiting = list(_under_way)
        if not waiting:
            return
        for thread in waiting:
            thread.join()


def _begin(work: Callable[[], None]) -> None:
    """Does the work in a thread of its own, in the account and region of whoever asks."""
    import contextvars

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("A global database")
        finally:
            with _lock:
                _under_way.discard(thread)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    with _lock:
        _under_way.add(thread)
    thread.start()


def _global(p: Parameters) -> Record | None:
    from ministack.services import rds

    found: Record | None = rds._global_clusters.get(rds_api.one(p, "GlobalClusterIdentifier"))
    return found


def _cluster(arn: str) -> Record | None:
    from ministack.services import rds

    found: Record | None = rds._resolve_cluster(arn)
    return found


def writer(one: Record) -> Record | None:
    """The member that takes writes."""
    return next((member for member in one["GlobalClusterMembers"] if member["IsWriter"]), None)


def _replication(cluster: Record) -> dict[str, str]:
    """A cluster of a global database names its source, or its secondaries."""
    from ministack.services import rds

    one, mine = rds._global_cluster_member_for_cluster(cluster)
    first = writer(one) if one is not None else None
    if one is None or mine is None or first is None:
        return {}
    if not mine["IsWriter"]:
        return {"ReplicationSourceIdentifier": escape(first["DBClusterArn"])}
    others = (member["DBClusterArn"] for member in one["GlobalClusterMembers"] if not member["IsWriter"])
    names = "".join(f"<ReadReplicaIdentifier>{escape(arn)}</ReadReplicaIdentifier>" for arn in others)
    return {"ReadReplicaIdentifiers": names}


def _busy(one: Record | None) -> Answer | None:
    if one is None or one["Status"] == AVAILABLE:
        return None
    return rds_api.error("InvalidGlobalClusterStateFault", f"{one['GlobalClusterIdentifier']} is {one['Status']}.")


def _idle(theirs: Action, p: Parameters) -> Answer:
    return _busy(_global(p)) or theirs(p)


def _create(theirs: Action, p: Parameters) -> Answer:
    source = rds_api.one(p, "SourceDBClusterIdentifier")
    given = [name for name in FROM_SOURCE if rds_api.one(p, name)]
    if source and given:
        return rds_api.error(
            "InvalidParameterCombination", f"{', '.join(given)} can't be given with SourceDBClusterIdentifier, which has it."
        )
    cluster = _cluster(source) if source.startswith("arn:") else None
    if source and cluster is None:
        return rds_api.error(
            "DBClusterNotFoundFault", f"The source cluster could not be found or cannot be accessed: {source}", 404
        )
    answer = theirs(p)
    one = _global(p)
    if answer[0] >= 300 or one is None:
        return answer
    if cluster is not None:
        one.update(StorageEncrypted=cluster["StorageEncrypted"], DatabaseName=cluster.get("DatabaseName") or "")
    rds_api.keep(one, p, {"EngineLifecycleSupport": "EngineLifecycleSupport"})
    return _said("CreateGlobalCluster", one)


def _said(action: str, one: Record) -> Answer:
    from ministack.services import rds

    return rds_api.answer(action, "GlobalCluster", rds._global_cluster_xml(one))


def _create_member(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import kms, rds

    one = _global(p)
    first = writer(one) if one is not None else None
    if one is None or first is None:
        return theirs(p)
    primary = _cluster(first["DBClusterArn"]) or {}
    for name, words in FROM_PRIMARY.items():
        if rds_api.one(p, name):
            return rds_api.error("InvalidParameterCombination", f"Cannot specify {words} for cross region replication cluster")
    key = rds_api.one(p, "KmsKeyId")
    if one["StorageEncrypted"] and not key:
        return rds_api.error(
            "InvalidParameterCombination", "For encrypted cross-region replica, kmsKeyId should be explicitly specified"
        )
    if key and kms._describe_key({"KeyId": key})[0] != 200:
        return rds_api.error("KMSKeyNotAccessibleFault", f"The key {key} does not exist in this region.")
    if _is_dark(first):
        return rds_api.error("InvalidGlobalClusterStateFault", f"{first['DBClusterArn']} cannot be reached.")
    answer = _busy(one) or theirs(p)
    cluster = rds._clusters.get(rds_api.one(p, "DBClusterIdentifier"))
    if answer[0] >= 300 or cluster is None:
        return answer
    cluster["StorageEncrypted"] = one["StorageEncrypted"]
    if cluster["Engine"] == aurora.ENGINE:
        try:
            place = databases.follow(
                primary["DBClusterArn"], cluster["DBClusterArn"], parameters=aurora.parameters(cluster), closed=True
            )
        except postgres.PostgresError as error:  # it may have fewer connections than its primary has
            one["GlobalClusterMembers"] = [m for m in one["GlobalClusterMembers"] if m["DBClusterArn"] != cluster["DBClusterArn"]]
            del rds._clusters[cluster["DBClusterIdentifier"]]
            return rds_api.error("InvalidDBClusterStateFault", str(error).partition(". ")[0])
        aurora.reach(cluster, place)
    return aurora.said("CreateDBCluster", cluster)


def _modify_member(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    cluster = rds._clusters.get(rds_api.one(p, "DBClusterIdentifier"))
    if cluster is not None and aurora.is_secondary(cluster) and rds_api.one(p, "MasterUserPassword"):
        return rds_api.error("InvalidDBClusterStateFault", "The password of a secondary cluster is that of its primary.")
    return theirs(p)


def _create_instance(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    cluster = rds._clusters.get(rds_api.one(p, "DBClusterIdentifier"))
    if cluster and rds_api.one(p, "DBInstanceClass") == "db.serverless" and not cluster.get("ServerlessV2ScalingConfiguration"):
        return rds_api.error(
            "InvalidDBClusterStateFault",
            "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 DB instance.",
        )
    return theirs(p)


def _remove(theirs: Action, p: Parameters) -> Answer:
    one, name = _global(p), rds_api.one(p, "DbClusterIdentifier")
    cluster = _cluster(name)
    answer = _busy(one) or (theirs(p) if one is None or cluster is None else None)
    if answer is not None:
        return answer
    assert one is not None and cluster is not None  # noqa: S101, PT018
    secondary = aurora.is_secondary(cluster)
    answer = theirs(p)
    if answer[0] < 300 and secondary:
        databases.promote(cluster["DBClusterArn"])
    return answer


def _failover(p: Parameters) -> Answer:
    if rds_api.one(p, "AllowDataLoss") and rds_api.one(p, "Switchover"):
        return rds_api.error("InvalidParameterCombination", "AllowDataLoss and Switchover cannot both be specified.")
    return _change_writer("FailoverGlobalCluster", p, lossy=rds_api.true(p, "AllowDataLoss"))


def _change_writer(action: str, p: Parameters, *, lossy: bool) -> Answer:
    """Begins to make another member the writer. AWS wants it asked in the region of the one that is, or that is to be."""
    from ministack.core.responses import get_region
    from ministack.services import rds

    resolved, refusal = rds._resolve_global_writer_switch(p)
    refusal = refusal or _busy(_global(p))
    if refusal is not None:
        answer: Answer = refusal
        return answer
    one, target, member, first = resolved
    to_ask = (target["DBClusterArn"] if lossy else first["DBClusterArn"]).split(":")[3]
    if get_region() != to_ask:
        return rds_api.error("InvalidGlobalClusterStateFault", f"{action} is called in {to_ask}, not in {get_region()}.")
    if not aurora.is_open(target):
        return rds_api.error("InvalidDBClusterStateFault", f"{target['DBClusterIdentifier']} has no instance to promote.")
    if not lossy and member["SynchronizationStatus"] != CONNECTED:
        return rds_api.error(
            "InvalidGlobalClusterStateFault", f"{target['DBClusterIdentifier']} is {member['SynchronizationStatus']}."
        )
    state = {"FromDbClusterArn": first["DBClusterArn"], "ToDbClusterArn": target["DBClusterArn"], "IsDataLossAllowed": lossy}
    one["Status"] = "failing-over" if lossy else "switching-over"
    one["FailoverState"] = {"Status": "pending", **state}
    said = _said(action, one)
    one["FailoverState"]["Status"] = "failing-over"
    _begin(lambda: (_fail_over if lossy else _switch_over)(one, first, member))
    return said


def _is_dark(member: Record) -> bool:
    return darkness.is_dark(member["DBClusterArn"].split(":")[3])


def _switch_over(one: Record, first: Record, member: Record) -> None:
    from ministack.services import rds

    try:
        databases.switch(first["DBClusterArn"], member["DBClusterArn"])
        rds._set_global_cluster_writer(one, member)
    finally:
        _done(one)


def _done(one: Record) -> None:
    aurora.announce()
    one["Status"] = AVAILABLE
    one.pop("FailoverState", None)


def _fail_over(one: Record, first: Record, member: Record) -> None:
    """The target takes over with what it has; who wrote until now is rebuilt once its region can be reached."""
    from ministack.services import rds

    try:
        if not _is_dark(first):
            databases.kill(first["DBClusterArn"])  # Aurora fences whom it can reach
        databases.promote(member["DBClusterArn"])
        rds._set_global_cluster_writer(one, member)
        for other in one["GlobalClusterMembers"]:
            if other is not member:
                other["SynchronizationStatus"] = RESYNC
    finally:
        _done(one)
    _resync(one)


def _resync(one: Record) -> None:
    """Makes new secondaries of the members that need it, where they can be reached."""
    first = writer(one)
    for member in one["GlobalClusterMembers"]:
        cluster = _cluster(member["DBClusterArn"])
        if first is None or cluster is None or member["SynchronizationStatus"] != RESYNC:
            continue
        if not _is_dark(member):
            databases.rebuild(
                cluster["DBClusterArn"],
                first["DBClusterArn"],
                parameters=aurora.parameters(cluster),
                closed=not aurora.is_open(cluster),
            )
            member["SynchronizationStatus"] = CONNECTED


def before_light(region: str) -> None:
    """What lost its role in the dark may not go on when its region is back: Aurora fences it."""
    for one in _all():
        for member in one["GlobalClusterMembers"]:
            if member["SynchronizationStatus"] == RESYNC and member["DBClusterArn"].split(":")[3] == region:
                databases.kill(member["DBClusterArn"])


def after_light() -> None:
    for one in _all():
        if one["Status"] == AVAILABLE:
            _begin(lambda one=one: _resync(one))  # type: ignore[misc]


def _all() -> list[dict[str, Any]]:
    from ministack.services import rds

    return list(rds._global_clusters.values())
