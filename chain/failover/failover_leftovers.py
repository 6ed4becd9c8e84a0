"""What a failover leaves outside of every stack: snapshots of each change of roles, and secrets and rotations of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chain.cloudformation.stack import Clients
from chain.failover.topology import Record
from protocol.topology import AWAY, TAG

CALLS = {
    "LookAround": ("tag:GetResources",),
    "SweepSnapshotsOfInstances": ("rds:DeleteDBSnapshot", "rds:DescribeDBSnapshots"),
    "SweepSnapshotsOfClusters": ("rds:DeleteDBClusterSnapshot", "rds:DescribeDBClusterSnapshots"),
}


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that a failover or a failback took."""

    name: str
    delete: Callable[[], Any]


def snapshots(
    clients: Clients, region: str, systems: Sequence[str], suffix: str, *, of_instances: bool = True, of_clusters: bool = True
) -> Iterator[Snapshot]:
    """Those of these systems' environment, by their tags. Whoever has no clusters may not ask for those of clusters."""
    rds = clients("rds", region)
    instances = (rds.get_paginator("describe_db_snapshots"), "DBSnapshot", rds.delete_db_snapshot)
    clusters = (rds.get_paginator("describe_db_cluster_snapshots"), "DBClusterSnapshot", rds.delete_db_cluster_snapshot)
    for pages, kind, delete in (*((instances,) if of_instances else ()), *((clusters,) if of_clusters else ())):
        for page in pages.paginate(SnapshotType="manual"):
            for each in page[f"{kind}s"]:
                name = each[f"{kind}Identifier"]
                if _is_ours(each.get("TagList", ()), systems, suffix):
                    yield Snapshot(name, partial(delete, **{f"{kind}Identifier": name}))


def _is_ours(listed: Sequence[Mapping[str, str]], systems: Sequence[str], suffix: str) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in listed}
    return TAG in tags and tags.get("System") in systems and tags.get("Environment") == suffix


def outside(record: Record, clients: Clients) -> Iterator[str]:
    """What bears our tags in the recovery region and says that a failover made it."""
    tagging = clients("resourcegroupstaggingapi", record.place.region)
    wanted = {"System": record.place.system, "Environment": record.place.suffix, TAG: AWAY}
    filters = [{"Key": key, "Values": [value]} for key, value in wanted.items()]
    for page in tagging.get_paginator("get_resources").paginate(TagFilters=filters):
        yield from (item["ResourceARN"] for item in page["ResourceTagMappingList"])
