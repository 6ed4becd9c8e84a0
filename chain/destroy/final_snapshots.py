"""The last snapshots: taken before an environment is destroyed, where its file says ``finalSnapshot: true``.

The environment's keys go with it, and with a key every snapshot under it. So what is kept is a copy under the key that RDS has
in every account, which nobody can delete. Names are made of what AWS never gives twice: run again after a kill, it goes on with
the same snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chain.cloudformation import end_replication
from chain.cloudformation.stack import Clients, StackError, Wait

CALLS = {
    "RdsOfTheSystems": ("rds:DescribeDBClusters", "rds:DescribeDBInstances"),
    "KeepLastSnapshotsOfClusters": (
        "rds:AddTagsToResource",  # a snapshot that is made or copied with tags
        "rds:CopyDBClusterSnapshot",
        "rds:CreateDBClusterSnapshot",
        "rds:DeleteDBClusterSnapshot",
        "rds:DescribeDBClusterSnapshots",
    ),
    "KeepLastSnapshotsOfInstances": (
        "rds:AddTagsToResource",  # a snapshot that is made or copied with tags
        "rds:CopyDBSnapshot",
        "rds:CreateDBSnapshot",
        "rds:DeleteDBSnapshot",
        "rds:DescribeDBSnapshots",
    ),
}

KEY = "alias/aws/rds"  # AWS's own: it stays when every key of the environment has gone
Tags = list[dict[str, str]]
PATIENCE = 6 * 3600.0  # seconds; the first snapshot of a large database takes hours


@dataclass(frozen=True)
class Kind:
    """How RDS is asked about a kind of database and its snapshots."""

    gone: str
    no_snapshot: str
    number: str  # what AWS gives once and never again
    find: Callable[[Any, str], Any]
    find_snapshot: Callable[[Any, str], Any]
    take: Callable[[Any, str, str, Tags], Any]  # of a database
    copy: Callable[[Any, str, str, Tags], Any]  # of a snapshot
    forget: Callable[[Any, str], Any]
    restore: str  # command of the AWS CLI, up to the snapshot's name


CLUSTERS = Kind(
    gone="DBClusterNotFoundFault",
    no_snapshot="DBClusterSnapshotNotFoundFault",
    number="DbClusterResourceId",
    find=lambda rds, name: rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0],
    find_snapshot=lambda rds, name: rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"][0],
    take=lambda rds, of, name, tags: rds.create_db_cluster_snapshot(
        DBClusterIdentifier=of, DBClusterSnapshotIdentifier=name, Tags=tags
    ),
    copy=lambda rds, of, name, tags: rds.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=of, TargetDBClusterSnapshotIdentifier=name, KmsKeyId=KEY, Tags=tags
    ),
    forget=lambda rds, name: rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name),
    restore="restore-db-cluster-from-snapshot --engine aurora-postgresql --snapshot-identifier",
)
INSTANCES = Kind(
    gone="DBInstanceNotFound",
    no_snapshot="DBSnapshotNotFound",
    number="DbiResourceId",
    find=lambda rds, name: rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0],
    find_snapshot=lambda rds, name: rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0],
    take=lambda rds, of, name, tags: rds.create_db_snapshot(DBInstanceIdentifier=of, DBSnapshotIdentifier=name, Tags=tags),
    copy=lambda rds, of, name, tags: rds.copy_db_snapshot(
        SourceDBSnapshotIdentifier=of, TargetDBSnapshotIdentifier=name, KmsKeyId=KEY, Tags=tags
    ),
    forget=lambda rds, name: rds.delete_db_snapshot(DBSnapshotIdentifier=name),
    restore="restore-db-instance-from-db-snapshot --db-snapshot-identifier",
)
KINDS = {"AWS::RDS::DBCluster": CLUSTERS, "AWS::RDS::DBInstance": INSTANCES}


@dataclass(frozen=True)
class Database:
    """A database of which a last snapshot is kept."""

    system: str
    region: str
    kind: Kind
    identifier: str
    snapshot: str

    @property
    def restore(self) -> str:
        """How it comes back; what else the command needs depends on where the database shall stand."""
        return f"aws rds --region {self.region} {self.kind.restore} {self.snapshot}"


def databases(
    clients: Clients, regions: Collection[str], system: str, region: str, type_: str, identifiers: Sequence[str]
) -> Iterator[Database]:
    """Those that nobody else follows to: no replica, no reader of a global database, no member of a cluster."""
    kind, rds = KINDS[type_], clients("rds", region)
    for identifier in identifiers:
        found = end_replication.answer((kind.gone,), partial(kind.find, rds, identifier))
        if found is None or (found.get("DBClusterIdentifier") or identifier) != identifier:
            continue
        if found.get("ReadReplicaSourceDBInstanceIdentifier"):
            continue
        if any(arn == found.get("DBClusterArn") and not writes for _, arn, writes in end_replication.members(clients, regions)):
            continue
        number = str(found[kind.number]).rpartition("-")[2].lower()
        yield Database(system, region, kind, identifier, f"{identifier}-final-{number}")


def keep(clients: Clients, database: Database, suffix: str, wait: Wait) -> None:
    """Take a snapshot, copy it under AWS's key, and remove the first, which would be lost with its key.

    Raises:
        StackError: RDS says that one failed, or the copy is not there after ``PATIENCE``.
    """
    rds, kind = clients("rds", database.region), database.kind
    own, last = f"{database.snapshot}-own-key", database.snapshot
    # Not the tags of the environment, of which nothing shall be left.
    tags = [{"Key": "FinalSnapshotOf", "Value": f"{database.system}/{suffix}"}]
    while (copied := _status(rds, kind, last)) != "available":
        taken = _status(rds, kind, own)
        if "failed" in (copied, taken):
            raise StackError(f"RDS could not make the last snapshot of {database.identifier}; delete {own} and {last}")
        if not copied and not taken:
            kind.take(rds, database.identifier, own, tags)
        elif not copied and taken == "available":
            kind.copy(rds, own, last, tags)
        if wait.waited >= PATIENCE:
            raise StackError(
                f"{last}, the last snapshot of {database.identifier}, is not there after {PATIENCE / 3600:.0f} hours"
            )
        wait()
    end_replication.unless((kind.no_snapshot,), partial(kind.forget, rds, own))


def _status(rds: Any, kind: Kind, name: str) -> str:
    found = end_replication.answer((kind.no_snapshot,), partial(kind.find_snapshot, rds, name))
    return str(found["Status"]) if found else ""
