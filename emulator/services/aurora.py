"""RDS: clusters of Aurora PostgreSQL, with one real server behind each, which answers while the cluster has an instance."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from emulator import databases

Parameters = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Answer]
Cluster = dict[str, Any]

ENGINE = "aurora-postgresql"

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
    rds._cluster_xml = lambda cluster: _described(described(cluster), cluster)
    actions: dict[str, Action] = rds._ACTION_MAP
    for name, ours in {
        "CreateDBCluster": _create,
        "ModifyDBCluster": _modify,
        "DeleteDBCluster": _delete,
        "ModifyDBClusterParameterGroup": _change_group,
        "ResetDBClusterParameterGroup": _change_group,
        "DeleteDBClusterParameterGroup": _delete_group,
        "CreateDBInstance": _with_gate,
        "DeleteDBInstance": _with_gate,
    }.items():
        actions[name] = _wrapped(ours, actions[name])


def _wrapped(ours: Callable[[Action, Parameters], Answer], theirs: Action) -> Action:
    return lambda p: ours(theirs, p)


def _one(p: Parameters, name: str) -> str:
    value = p.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _several(p: Parameters, prefix: str) -> list[str]:
    found = [
        (int(match[1]), _one(p, name))
        for name in p
        if (match := re.fullmatch(re.escape(prefix) + r"\.(?:[A-Za-z]+\.)?(\d+)", name))
    ]
    return [value for _, value in sorted(found)]


def _cluster(p: Parameters) -> Cluster | None:
    from ministack.services import rds

    found: Cluster | None = rds._clusters.get(_one(p, "DBClusterIdentifier"))
    return found


def _described(xml: str, cluster: Cluster) -> str:
    exports = "".join(f"<member>{escape(log)}</member>" for log in cluster.get("_exports", []))
    ours = "".join(f"<{element}>{escape(value)}</{element}>" for element, value in cluster.get("_kept", {}).items())
    return f"{xml}<EnabledCloudwatchLogsExports>{exports}</EnabledCloudwatchLogsExports>{ours}"


def _keep(cluster: Cluster, p: Parameters) -> None:
    kept = cluster.setdefault("_kept", {})
    kept.update({element: _one(p, name) for name, element in KEPT.items() if _one(p, name)})


def _answer(action: str, cluster: Cluster) -> Answer:
    from ministack.services import rds

    inner = f"<{action}Result><DBCluster>{rds._cluster_xml(cluster)}</DBCluster></{action}Result>"
    answer: Answer = rds._xml(200, f"{action}Response", inner)
    return answer


def _parameters(cluster: Cluster) -> dict[str, str]:
    from ministack.services import rds

    group = rds._db_cluster_param_groups.get(cluster["DBClusterParameterGroup"]) or {}
    return {name: str(one["ParameterValue"]) for name, one in group.get("Parameters", {}).items()}


def _create(theirs: Action, p: Parameters) -> Answer:
    answer = theirs(p)
    cluster = _cluster(p)
    if answer[0] >= 300 or cluster is None:
        return answer
    _keep(cluster, p)
    cluster["_exports"] = _several(p, "EnableCloudwatchLogsExports")
    if cluster["Engine"] == ENGINE:
        place = databases.create(
            cluster["DBClusterArn"],
            user=cluster["MasterUsername"],
            password=_one(p, "MasterUserPassword"),
            database=_one(p, "DatabaseName"),
            parameters=_parameters(cluster),
            closed=True,
        )
        if place is not None:
            # Where ministack looks for what its own container answers at; members take it over.
            cluster["_shared_endpoint"] = {"Address": place[0], "Port": place[1], "HostedZoneId": cluster["HostedZoneId"]}
            cluster.update(Endpoint=place[0], ReaderEndpoint=place[0], Port=place[1])
    return _answer("CreateDBCluster", cluster)


def _modify(theirs: Action, p: Parameters) -> Answer:
    # The port is that of the server, whatever is asked for.
    answer = theirs({name: value for name, value in p.items() if name != "Port"})
    cluster = _cluster(p)
    if answer[0] >= 300 or cluster is None:
        return answer
    _keep(cluster, p)
    enable = _several(p, "CloudwatchLogsExportConfiguration.EnableLogTypes")
    disable = _several(p, "CloudwatchLogsExportConfiguration.DisableLogTypes")
    if enable or disable:
        cluster["_exports"] = [log for log in cluster.get("_exports", []) if log not in (*disable, *enable)] + enable
    if _one(p, "MasterUserPassword"):
        databases.set_password(cluster["DBClusterArn"], cluster["MasterUsername"], _one(p, "MasterUserPassword"))
    if _one(p, "DBClusterParameterGroupName"):
        databases.set_parameters(cluster["DBClusterArn"], _parameters(cluster))
    return _answer("ModifyDBCluster", cluster)


def _delete(theirs: Action, p: Parameters) -> Answer:
    cluster = dict(_cluster(p) or {})
    answer = theirs(p)
    if cluster and answer[0] < 300:
        databases.destroy(cluster["DBClusterArn"])
    return answer


def _with_gate(theirs: Action, p: Parameters) -> Answer:
    """A cluster can be reached while it has an instance."""
    from ministack.services import rds

    of = (rds._instances.get(_one(p, "DBInstanceIdentifier")) or {}).get("DBClusterIdentifier")
    answer = theirs(p)
    cluster = rds._clusters.get(of or _one(p, "DBClusterIdentifier"))
    if cluster is not None and answer[0] < 300:
        databases.let_in(cluster["DBClusterArn"], anybody=bool(cluster["DBClusterMembers"]))
    return answer


def _users(p: Parameters) -> list[Cluster]:
    from ministack.services import rds

    group = _one(p, "DBClusterParameterGroupName")
    return [one for one in rds._clusters.values() if one["DBClusterParameterGroup"] == group]


def _change_group(theirs: Action, p: Parameters) -> Answer:
    answer = theirs(p)
    if answer[0] < 300:
        for cluster in _users(p):
            databases.set_parameters(cluster["DBClusterArn"], _parameters(cluster))
    return answer


def _delete_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    users = [one["DBClusterIdentifier"] for one in _users(p)]
    if users:
        name = _one(p, "DBClusterParameterGroupName")
        refusal: Answer = rds._error(
            "InvalidDBParameterGroupState", f"{name} is used by {', '.join(users)} and cannot be deleted.", 400
        )
        return refusal
    return theirs(p)
