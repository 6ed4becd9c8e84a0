"""RDS: clusters of Aurora PostgreSQL, with one real server behind each, which answers while the cluster has an instance."""

from __future__ import annotations

import threading

from emulator import databases, endpoint_names, schemas
from emulator.services import rds_api, windows
from emulator.services.rds_api import Action, Answer, Parameters, Record

Cluster = Record

ENGINE = "aurora-postgresql"
_announcing = threading.Lock()

# Settings that ministack does not keep: parameter -> element of the description.
KEPT = {
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "BacktrackWindow": "BacktrackWindow",
    "DatabaseInsightsMode": "DatabaseInsightsMode",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "MonitoringInterval": "MonitoringInterval",
    "MonitoringRoleArn": "MonitoringRoleArn",
    "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "StorageType": "StorageType",
}


def install() -> None:
    from ministack.services import rds

    described = rds._cluster_xml
    rds._cluster_xml = lambda cluster: rds_api.described(described(cluster), cluster, _endpoints(cluster))
    rds.AURORA_POSTGRESQL_ENGINE_VERSION_SET |= schemas.versions("aws_rds_dbcluster", ENGINE)
    rds_api.wrap(
        rds._ACTION_MAP,
        {
            "CreateDBCluster": _create,
            "ModifyDBCluster": _modify,
            "DeleteDBCluster": _delete,
            "ModifyDBClusterParameterGroup": _change_group,
            "ResetDBClusterParameterGroup": _change_group,
            "DeleteDBClusterParameterGroup": _delete_group,
            "CreateDBInstance": _with_gate,
            "DeleteDBInstance": _with_gate,
        },
    )


def _cluster(p: Parameters) -> Cluster | None:
    from ministack.services import rds

    found: Cluster | None = rds._clusters.get(rds_api.one(p, "DBClusterIdentifier"))
    return found


def said(action: str, cluster: Cluster) -> Answer:
    from ministack.services import rds

    return rds_api.answer(action, "DBCluster", rds._cluster_xml(cluster))


def parameters(cluster: Cluster) -> dict[str, str]:
    """What its parameter group sets, in whatever region that is."""
    from ministack.core.responses import request_scope
    from ministack.services import rds

    region, account = cluster["DBClusterArn"].split(":")[3:5]
    with request_scope(account, region):
        return rds_api.parameters(rds._db_cluster_param_groups, cluster["DBClusterParameterGroup"])


def is_open(cluster: Cluster) -> bool:
    """Whether somebody is let in: a cluster can be reached while it has an instance."""
    return bool(cluster["DBClusterMembers"])


def reach(cluster: Cluster, place: tuple[str, int] | None) -> None:
    """All its names lead to one server."""
    if place is not None:
        # Where ministack looks for what its own container answers at; members take it over.
        cluster["_shared_endpoint"] = {"Address": place[0], "Port": place[1], "HostedZoneId": cluster["HostedZoneId"]}
        cluster.update(Endpoint=place[0], ReaderEndpoint=place[0], Port=place[1])


def _endpoints(cluster: Cluster) -> dict[str, str]:
    """What its endpoints are called; both lead to the one server."""
    if cluster["Engine"] != ENGINE:
        return {}
    called = endpoint_names.of(cluster["DBClusterArn"])
    return {"Endpoint": called.writer, "ReaderEndpoint": called.reader}


def announce() -> None:
    """Each cluster's reader resolves, and its writer where the cluster writes: that of a secondary is inactive on AWS."""
    from ministack.core.responses import request_scope
    from ministack.services import rds

    with _announcing:
        wanted: list[str] = []
        for (account, region, _), cluster in rds._clusters.all_items():
            if cluster["Engine"] == ENGINE:
                called = endpoint_names.of(cluster["DBClusterArn"])
                with request_scope(account, region):
                    wanted += [called.reader] if is_secondary(cluster) else [called.reader, called.writer]
        endpoint_names.resolve(wanted)


def announcing(actions: dict[str, Action], *changing: str) -> None:
    """Names follow what these actions have changed."""

    def around(theirs: Action, p: Parameters) -> Answer:
        answer = theirs(p)
        announce()
        return answer

    rds_api.wrap(actions, dict.fromkeys(changing, around))


def _create(theirs: Action, p: Parameters) -> Answer:
    refused = windows.refusal(p, {})
    if refused is not None:
        return refused
    answer = theirs({windows.BACKUP: windows.drawn(), **p})
    cluster = _cluster(p)
    if answer[0] >= 300 or cluster is None:
        return answer
    rds_api.keep(cluster, p, KEPT)
    rds_api.keep_exports(cluster, p)
    if cluster["Engine"] == ENGINE and not is_secondary(cluster):
        place = databases.create(
            cluster["DBClusterArn"],
            user=cluster["MasterUsername"],
            password=rds_api.one(p, "MasterUserPassword"),
            database=rds_api.one(p, "DatabaseName"),
            parameters=parameters(cluster),
            closed=True,
        )
        reach(cluster, place)
    return said("CreateDBCluster", cluster)


def is_secondary(cluster: Cluster) -> bool:
    """Whether it is a secondary of a global database; global_clusters.py makes its server."""
    from ministack.services import rds

    member = rds._global_cluster_member_for_cluster(cluster)[1]
    return member is not None and not member["IsWriter"]


def _modify(theirs: Action, p: Parameters) -> Answer:
    refused = windows.refusal(p, _cluster(p) or {}) if {windows.BACKUP, windows.MAINTENANCE} & p.keys() else None
    if refused is not None:
        return refused
    # The port is that of the server, whatever is asked for.
    answer = theirs({name: value for name, value in p.items() if name != "Port"})
    cluster = _cluster(p)
    if answer[0] >= 300 or cluster is None:
        return answer
    rds_api.keep(cluster, p, KEPT)
    rds_api.keep_exports(cluster, p)
    if rds_api.one(p, "MasterUserPassword"):
        databases.set_password(cluster["DBClusterArn"], cluster["MasterUsername"], rds_api.one(p, "MasterUserPassword"))
    if rds_api.one(p, "DBClusterParameterGroupName"):
        databases.set_parameters(cluster["DBClusterArn"], parameters(cluster))
    return said("ModifyDBCluster", cluster)


def _delete(theirs: Action, p: Parameters) -> Answer:
    cluster = dict(_cluster(p) or {})
    answer = theirs(p)
    if cluster and answer[0] < 300:
        databases.destroy(cluster["DBClusterArn"])
    return answer


def _with_gate(theirs: Action, p: Parameters) -> Answer:
    """A cluster can be reached while it has an instance."""
    from ministack.services import rds

    of = (rds._instances.get(rds_api.one(p, "DBInstanceIdentifier")) or {}).get("DBClusterIdentifier")
    answer = theirs(p)
    cluster = rds._clusters.get(of or rds_api.one(p, "DBClusterIdentifier"))
    if cluster is not None and answer[0] < 300:
        databases.let_in(cluster["DBClusterArn"], anybody=is_open(cluster))
    return answer


def _users(p: Parameters) -> list[Cluster]:
    from ministack.services import rds

    group = rds_api.one(p, "DBClusterParameterGroupName")
    return [one for one in rds._clusters.values() if one["DBClusterParameterGroup"] == group]


def _change_group(theirs: Action, p: Parameters) -> Answer:
    answer = theirs(p)
    if answer[0] < 300:
        for cluster in _users(p):
            databases.set_parameters(cluster["DBClusterArn"], parameters(cluster))
    return answer


def _delete_group(theirs: Action, p: Parameters) -> Answer:

    users = [one["DBClusterIdentifier"] for one in _users(p)]
    if users:
        name = rds_api.one(p, "DBClusterParameterGroupName")
        return rds_api.error("InvalidDBParameterGroupState", f"{name} is used by {', '.join(users)} and cannot be deleted.")
    return theirs(p)
