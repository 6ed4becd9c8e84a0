"""The global layer."""

from dataclasses import dataclass

from troposphere import Ref, rds

from generator.layer import Layer
from generator.names import Space
from generator.template import Explained, Template


@dataclass(frozen=True, kw_only=True)
class GlobalDatabase(Layer):
    """A global database around a cluster that stands: what a cluster of another region follows, and what fails over to it.

    ``cluster`` is the layer of the cluster that writes at home. Engine, version and encryption are that cluster's, and AWS
    refuses to be told them again.
    """

    name: str = "global"
    cluster: str = "aurora"

    def define(self, t: Template) -> None:
        source = Explained(
            t.output_of(f"{self.cluster}.ClusterIdentifier"),
            "Not the ARN, though the reference allows it: CloudFormation then asks for an engine.",
        )
        primary_arn = t.output_of(f"{self.cluster}.ClusterArn")
        global_cluster = rds.GlobalCluster(
            "GlobalCluster",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            GlobalClusterIdentifier=t.named("global-cluster", Space.ACCOUNT),
            SourceDBClusterIdentifier=source,
            DeletionProtection=False,
        )
        t.section(
            "The global database. Which of its clusters writes is its own state: a failover changes it, and no template.",
            global_cluster,
        )
        t.output("GlobalClusterId", Ref(global_cluster), "The global database, for those who follow it or fail it over.")
        t.output("HomeClusterArn", primary_arn, "The cluster that writes at home.")
