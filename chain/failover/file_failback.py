"""Bringing files home: the file system of the primary site follows the one that was written to, and then is its source again.

CloudFormation sees no change in a template that still says so; what is looked at is what is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chain.cloudformation import stack as cfn
from chain.cloudformation.end_replication import answer, pair
from chain.cloudformation.stack import Clients
from chain.environment.templates import Template

CALLS = {
    "BringFilesHome": ("elasticfilesystem:CreateReplicationConfiguration", "elasticfilesystem:UpdateFileSystemProtection"),
    "EndReplicationOfFiles": ("elasticfilesystem:DeleteReplicationConfiguration",),
}

TYPE = "AWS::EFS::FileSystem"
ALIVE = ("ENABLED", "ENABLING")
LOCAL = "LOCAL_CONFIGURATION_ONLY"
BEFORE = datetime.min.replace(tzinfo=UTC)
"""Of what was never copied."""


@dataclass(frozen=True)
class End:
    """One of the two file systems."""

    id: str
    region: str


@dataclass(frozen=True)
class Files:
    """The file system that replicates at home, and the one that it replicates to."""

    clients: Clients
    home: End
    away: End
    wait: Callable[[], None]

    def follow(self) -> Iterator[str]:
        """Have the primary's file system follow the other, long before writes stop: the first copy takes as long as it takes."""
        if self._runs(self.home, self.away) or self._runs(self.away, self.home):
            return
        self._end(self.home)
        efs = self.clients("efs", self.home.region)
        efs.update_file_system_protection(FileSystemId=self.home.id, ReplicationOverwriteProtection="DISABLED")
        self._replicate(self.away, self.home)
        yield f"{self.home.id} follows {self.away.id}"

    def come_home(self, stopped: datetime) -> Iterator[str]:
        """Once everything from before ``stopped`` is there, turn the replication round."""
        if self._runs(self.home, self.away):
            return
        yield from self.follow()
        self._until(lambda: (self._runs(self.away, self.home).get("LastReplicatedTimestamp") or BEFORE) >= stopped)
        self._end(self.away)
        efs = self.clients("efs", self.away.region)
        efs.update_file_system_protection(FileSystemId=self.away.id, ReplicationOverwriteProtection="DISABLED")
        self._replicate(self.home, self.away)
        yield f"{self.home.id} replicates to {self.away.id}, as declared"

    def _runs(self, source: End, target: End) -> Mapping[str, Any]:
        """The destination of a replication that runs this way; nothing if none does."""
        found = pair(self.clients("efs", source.region), source.id) or {"SourceFileSystemId": "", "Destinations": ()}
        return next(
            (
                each
                for each in found["Destinations"]
                if found["SourceFileSystemId"] == source.id and each["FileSystemId"] == target.id and each["Status"] in ALIVE
            ),
            {},
        )

    def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.wait()

    def _replicate(self, source: End, target: End) -> None:
        given = {"Destinations": [{"Region": target.region, "FileSystemId": target.id}]}
        self.clients("efs", source.region).create_replication_configuration(SourceFileSystemId=source.id, **given)
        self._until(lambda: self._runs(source, target).get("Status") == "ENABLED")

    def _end(self, end: End) -> None:
        """End whatever replication this side knows of; of a broken one only this side is left."""
        efs = self.clients("efs", end.region)
        while (found := pair(efs, end.id)) is not None:
            statuses = {each["Status"] for each in found["Destinations"]}
            given = {
                "SourceFileSystemId": found["SourceFileSystemId"],
                **({"DeletionMode": LOCAL} if "ERROR" in statuses else {}),
            }
            if "DELETING" not in statuses:
                answer(("ReplicationNotFound",), efs.delete_replication_configuration, **given)
            self.wait()


def of(
    templates: Sequence[Template], system: str, suffix: str, clients: Clients, away: End, wait: Callable[[], None]
) -> Files | None:
    """The files of a system whose replica is ``away``; None where the source is not ours."""
    for template in templates:
        replicating = {
            name
            for name, each in template.resources.items()
            if each["Type"] == TYPE and "ReplicationConfiguration" in each["Properties"]
        }
        if template.system == system and replicating:
            region = template.sites["primary"]
            cloudformation = clients("cloudformation", region)
            state = cfn.describe(cloudformation, f"{system}-{template.layer}-{suffix}")
            if state is not None:
                found = cfn.resources(cloudformation, state.id)
                return Files(clients, End(found[replicating.pop()]["PhysicalResourceId"], region), away, wait)
    return None
