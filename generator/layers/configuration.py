"""The configuration layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import And, Equals, If, Not, Ref, ssm

from generator.layer import Layer
from generator.template import Template
from model import RECOVERY, Site
from protocol.parameters import APPROVE, AUTO, CONFIG, COOLDOWN, MODE, MODES, MOST_LAG, RPO


@dataclass(frozen=True, kw_only=True)
class Configuration(Layer):
    """What a failover is told, where it will run: how far it may go by itself, and between which clusters.

    ``rpo`` is how much may be lost; ``most_lag`` how far the other region may be behind for a switchover that loses nothing to be
    begun; ``cooldown`` how long after one failover no other begins by itself. ``global_cluster`` is the layer, with its site, of
    a global database, and ``recovery_arn`` then the cluster that is promoted. ``replica`` is the layer of a replica whose source
    may be somebody else's; where it is ours it has the replica's name. Nobody asks another's whether it takes a write: one piece
    of evidence is always there then, and a person decides.
    """

    name: str = "configuration"
    sites: tuple[Site, ...] = (RECOVERY,)
    rpo: timedelta
    most_lag: timedelta = timedelta(minutes=1)
    cooldown: timedelta = timedelta(hours=1)
    global_cluster: str = ""
    recovery_arn: str = ""
    replica: str = ""

    def define(self, t: Template) -> None:
        mode = t.parameter(
            "FailoverMode",
            "What a failover that alarms ask for does: begin, wait for an approval, or nothing.",
            Default=AUTO,
            AllowedValues=list(MODES),
        )
        values: list[tuple[str, object, str]] = [
            (MODE, self._mode(t, mode), "auto, approve or disabled: what a failover that alarms ask for does."),
            (RPO, _seconds(self.rpo), "How much may be lost, in seconds."),
            (
                MOST_LAG,
                _seconds(self.most_lag),
                "How far behind the target may be when a switchover begins, in seconds.",
            ),
            (COOLDOWN, _seconds(self.cooldown), "How long after a failover no other begins by itself, in seconds."),
        ]
        if self.global_cluster:
            values += [
                (f"{CONFIG}global-cluster-id", t.output_of(f"{self.global_cluster}.GlobalClusterId"), "The global database."),
                (
                    f"{CONFIG}home-cluster-arn",
                    t.output_of(f"{self.global_cluster}.HomeClusterArn"),
                    "The cluster that writes at home.",
                ),
                (f"{CONFIG}target-cluster-arn", t.output_of(self.recovery_arn), "The cluster that is promoted."),
            ]
        parameters = [
            ssm.Parameter(
                "".join(word.capitalize() for word in name.removeprefix(CONFIG).split("-")),
                Name=t.path(name),
                Description=description,
                Type="String",
                Tier="Standard",
                Value=value,
                Tags=t.owner(),
            )
            for name, value, description in values
        ]
        t.section("No secret among them. What a failover writes itself stands beside this path, never in it.", *parameters)
        t.output("ModeName", Ref(parameters[0]), "The parameter that holds the mode.")

    def _mode(self, t: Template, mode: Ref) -> Ref | If:
        """The mode, which is not auto where the source is not ours."""
        if not self.replica:
            return mode
        ours = Equals(*(t.output_of(f"{self.replica}.{name}") for name in ("SourceIdentifier", "InstanceIdentifier")))
        return If(t.condition("APersonDecides", And(Equals(mode, AUTO), Not(ours))), APPROVE, mode)


def _seconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds()))
