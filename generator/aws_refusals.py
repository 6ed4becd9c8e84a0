"""What AWS refuses in a template and no linter says: policies of a grammar narrower than IAM's, and windows that may meet.

Each is checked over all systems and in every region in which a layer stands, before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from model import Document, schedule
from model.facts import fact
from model.view import Resource, View

NO_WILDCARD = {
    "AWS::Backup::BackupVault": "AccessPolicy",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
}
"""Policies in whose actions the service takes no wildcard (AWS Backup Developer Guide, Vault access policies: "AWS Backup access
policies don't support a wildcard in the Action key"; SNS answers "Policy statement action out of service scope")."""

CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"


def refused(system: str, documents: Mapping[str, Document]) -> list[str]:
    """What AWS would refuse in the templates of one system, one sentence each."""
    view = View(documents)
    return [*_wildcards(system, view), *_windows(system, view)]


def _wildcards(system: str, view: View) -> Iterator[str]:
    for resource in view.resources(*NO_WILDCARD):
        policy = resource.get(NO_WILDCARD[resource.type]) or {}
        for statement in _listed(policy.get("Statement")):
            for action in (one for key in ("Action", "NotAction") for one in _listed(statement.get(key))):
                if any(sign in str(action) for sign in "*?"):
                    yield (
                        f"{_where(system, resource)}: the policy of a {resource.type} names {action}; "
                        "its service takes no wildcard there: name the actions"
                    )


def _windows(system: str, view: View) -> Iterator[str]:
    for resource in view.resources(CLUSTER, INSTANCE):
        for region in resource.regions:
            why = _meets(resource, region)
            if why:
                yield f"{_where(system, resource)} in {region}: {why}"
                break


def _meets(resource: Resource, region: str) -> str:
    """Why the windows of a database may overlap in a region; empty where they cannot.

    A member of a cluster is backed up with its cluster.
    """
    maintenance = resource.get("PreferredMaintenanceWindow")
    owner = resource.follow("DBClusterIdentifier") if resource.get("DBClusterIdentifier") else None
    backup = (owner or resource).get("PreferredBackupWindow")
    if maintenance is None:
        return (
            ""
            if backup is None
            else "it states when it is backed up, and not when it is maintained: AWS may choose the same time"
        )
    weekly = schedule.window(maintenance) if isinstance(maintenance, str) else ()
    if not weekly:
        return f"PreferredMaintenanceWindow {maintenance} cannot be read; write it as sun:12:00-sun:13:00, in UTC"
    stated = backup if backup is not None else fact("backup_windows")["blocks"].get(region)
    if stated is None:
        return "nobody has written down when AWS backs up there (model/facts/backup_windows.yaml); state PreferredBackupWindow"
    daily = schedule.window(stated) if isinstance(stated, str) else ()
    if not daily:
        return f"PreferredBackupWindow {stated} cannot be read; write it as 03:00-04:00, in UTC"
    if not any(schedule.meet(*one, *other, 0) for one in weekly for other in daily):
        return ""
    if backup is not None:
        return f"maintenance ({maintenance}) and backups ({backup}) overlap, which RDS refuses"
    return (
        f"maintenance ({maintenance}) lies in {stated} UTC, from which AWS draws the backup window that it does not state: "
        "where the two meet, the database is refused"
    )


def _where(system: str, resource: Resource) -> str:
    return f"{system}/{resource.layer}.{resource.id}"


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
