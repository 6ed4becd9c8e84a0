"""The layer of one further Aurora instance."""

from dataclasses import dataclass

from troposphere import Ref

from generator.layer import Layer
from generator.parts.aurora_instance import apply_immediately, aurora_instance, event_subscription
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class AuroraInstance(Layer):
    """One instance of an Aurora cluster, in a stack of its own: an instance takes up to ten minutes, and no stack more than 15.

    ``cluster`` is the cluster's layer and ``kind`` that layer's; ``letter`` says which instance it is, and so in which zone.
    """

    cluster: str = "aurora"
    kind: str = "aurora"
    letter: str = "B"
    instance_class: str = "db.serverless"

    def define(self, t: Template) -> None:
        at_once = apply_immediately(t)
        cluster = t.output_of(f"{self.cluster}.ClusterIdentifier")
        instance = aurora_instance(
            t,
            self.kind,
            self.letter,
            cluster=cluster,
            instance_class=self.instance_class,
            monitoring_role=t.output_of(f"{self.cluster}.MonitoringRoleArn"),
            at_once=at_once,
            insights_key=None,
        )
        t.section("The instance. Its storage is the cluster's, so that nothing is copied when it is made.", instance)
        events = event_subscription(t, "InstanceEvents", f"instance-{self.letter.lower()}", "instance", [Ref(instance)])
        t.section("Failovers, failures and maintenance are told to operators.", events)
        t.output("InstanceIdentifier", Ref(instance), "The name that alarms and operators use.")
