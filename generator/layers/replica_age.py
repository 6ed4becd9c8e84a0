"""The replica age layer."""

from dataclasses import dataclass
from datetime import timedelta

from generator.layer import Layer
from generator.parts.at_database import SECRET, by_the_clock
from generator.parts.log_group import WORKING_LOGS
from generator.template import Template
from model import RECOVERY, Site


@dataclass(frozen=True, kw_only=True)
class ReplicaAge(Layer):
    """Reads the heartbeat that this site's database shows every minute: how old its data are is what would be lost.

    ``database`` is the layer that says where the database is, ``secret`` the address of its credential, ``secret_named`` what
    the parameter for it is called where the requirements say so.
    """

    name: str = "replica-age"
    sites: tuple[Site, ...] = (RECOVERY,)
    database: str
    secret: str = f"primary:{SECRET}"
    secret_named: str = ""
    every: timedelta = timedelta(minutes=1)
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        by_the_clock(
            t,
            self,
            "replica-age",
            "Says how old the data of this site's database are.",
            does="Asks for the data's age.",
            when="When: every minute.",
            trouble="For 3 minutes nobody could read how old the data of this site are. Read the function's log. Until it works, "
            "the data count as too old, and no failover begins by itself.",
        )
