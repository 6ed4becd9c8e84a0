"""The heartbeat layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import GetAtt, Ref

from generator.layer import Layer
from generator.parts.at_database import SECRET, at_database, clients, fails
from generator.parts.log_group import WORKING_LOGS
from generator.parts.rules import every
from generator.template import Template
from model import PRIMARY


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
        writer = at_database(
            t,
            "heartbeat",
            "Writes the time into the database, where it may be written to.",
            database=self.database,
            secret=self.secret,
            secret_named=self.secret_named,
            replica=self.sites != (PRIMARY,),
            groups=clients(t),
            log_retention=self.log_retention,
        )
        t.section("The function, with a role that reads one secret.", writer.group, writer.role, writer.function)
        rule, permission = every(t, "Schedule", "heartbeat", "Writes a heartbeat.", self.every, writer.function)
        t.section("When: every minute, also at the site that does not write, where it stands idle.", rule, permission)
        failed = fails(
            t,
            "HeartbeatFails",
            "heartbeat-fails",
            "No heartbeat could be written for 3 minutes: the database does not answer, or refuses. Read the function's log. "
            "This alarm stands beside the database; whether to fail over is decided at the other site.",
            writer.function,
            periods=3,
        )
        t.section("Who hears of it when it fails.", failed)
        t.output("FunctionName", Ref(writer.function), "The function.")
        t.output("FunctionArn", GetAtt(writer.function, "Arn"), "The function.")
