"""The heartbeat layer."""

from dataclasses import dataclass
from datetime import timedelta

from generator.layer import Layer
from generator.parts.at_database import SECRET, by_the_clock
from generator.parts.log_group import WORKING_LOGS
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Layer):
    """Writes the time into this site's database every minute, while the database writes; a replica shows by it how old it is.

    ``database`` is the layer that says where the database is, ``secret`` the address of its credential, ``secret_named`` what
    the parameter for it is called where the requirements say so.
    """

    name: str = "heartbeat"
    database: str = "database"
    secret: str = SECRET
    secret_named: str = ""
    every: timedelta = timedelta(minutes=1)
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        by_the_clock(
            t,
            self,
            "heartbeat",
            "Writes the time into the database, where it may be written to.",
            does="Writes a heartbeat.",
            when="When: every minute, also at the site that does not write, where it stands idle.",
            trouble="No heartbeat could be written for 3 minutes: the database does not answer, or refuses. Read the function's "
            "log. This alarm stands beside the database; whether to fail over is decided at the other site.",
        )
