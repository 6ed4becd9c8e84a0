"""The heartbeat layer."""

from dataclasses import dataclass

from generator.parts.database_function import SECRET, DatabaseFunction, scheduled_function
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Heartbeat(DatabaseFunction):
    """Writes the time into this site's database every minute, while the database writes; a replica shows by it how old it is.

    At home it names that database as the one that may write, for clients that honour the epoch: ``names`` is the address of its
    ARN. Elsewhere nobody is named before a failover has verified a database.
    """

    name: str = "heartbeat"
    database: str = "database"
    secret: str = SECRET
    names: str = ""

    def define(self, t: Template) -> None:
        scheduled_function(
            t,
            self,
            "heartbeat",
            "Writes the time into the database, where it may be written to.",
            does="Writes a heartbeat.",
            when="When: every minute, also at the site that does not write, where it stands idle.",
            trouble="No heartbeat could be written for 3 minutes: the database does not answer, or refuses. Read the function's "
            "log. This alarm stands beside the database; whether to fail over is decided at the other site.",
            environment={"DATABASE_ARN": t.output_of(self.names)} if self.names else None,
        )
