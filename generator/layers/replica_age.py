"""The replica age layer."""

from dataclasses import dataclass

from generator.parts.database_function import SECRET, DatabaseFunction, scheduled_function
from generator.template import Template
from model import RECOVERY, Site


@dataclass(frozen=True, kw_only=True)
class ReplicaAge(DatabaseFunction):
    """Reads the heartbeat that this site's database shows every minute: how old its data are is what would be lost."""

    name: str = "replica-age"
    sites: tuple[Site, ...] = (RECOVERY,)
    secret: str = f"primary:{SECRET}"

    def define(self, t: Template) -> None:
        scheduled_function(
            t,
            self,
            "replica-age",
            "Says how old the data of this site's database are.",
            does="Asks for the data's age.",
            when="When: every minute.",
            trouble="For 3 minutes nobody could read how old the data of this site are. Read the function's log. Until it works, "
            "the data count as too old, and no failover begins by itself.",
        )
