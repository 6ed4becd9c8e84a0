"""The replica age layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import GetAtt, Ref

from generator.layer import Layer
from generator.parts.at_database import SECRET, at_database, clients, fails
from generator.parts.log_group import WORKING_LOGS
from generator.parts.rules import every
from generator.template import Template
from model import PRIMARY, RECOVERY, Site


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
        reader = at_database(
            t,
            "replica-age",
            "Says how old the data of this site's database are.",
            database=self.database,
            secret=self.secret,
            secret_named=self.secret_named,
            replica=self.sites != (PRIMARY,),
            groups=clients(t),
            log_retention=self.log_retention,
        )
        t.section("The function, with a role that reads one secret.", reader.group, reader.role, reader.function)
        rule, permission = every(t, "Schedule", "replica-age", "Asks for the data's age.", self.every, reader.function)
        t.section("When: every minute.", rule, permission)
        failed = fails(
            t,
            "ReplicaAgeFails",
            "replica-age-fails",
            "For 3 minutes nobody could read how old the data of this site are. Read the function's log. Until it works, the "
            "data count as too old, and no failover begins by itself.",
            reader.function,
            periods=3,
        )
        t.section("Who hears of it when it fails.", failed)
        t.output("FunctionName", Ref(reader.function), "The function.")
        t.output("FunctionArn", GetAtt(reader.function, "Arn"), "The function.")
