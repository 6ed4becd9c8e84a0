"""The DNS layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import Ref, Select, Split, Sub, Tags, route53

from generator.layer import Layer
from generator.layers.failover_evidence import FAILOVER
from generator.names import Space
from generator.parts.alarm import Metric, alarm
from generator.template import Explained, Template
from model import RECOVERY, Site
from protocol.metrics import DIMENSION, NAMESPACE, PRIMARY_ACTIVE


@dataclass(frozen=True, kw_only=True)
class Dns(Layer):
    """A private name for the database that writes: it changes its answer by what is measured, and calls no control plane.

    ``home`` and ``away`` are the layers, with their sites, of the two databases, ``networks`` those of the VPCs that resolve the
    name. A certificate of RDS carries names of RDS only: clients that verify it follow the name and check its target's.
    """

    name: str = "dns"
    sites: tuple[Site, ...] = (RECOVERY,)
    home: str
    away: str
    located: str
    networks: tuple[str, str] = ("primary:network", "recovery:network")
    answers_for: timedelta = timedelta(seconds=30)

    def define(self, t: Template) -> None:
        flipped = alarm(
            t,
            "PrimaryNotActive",
            "primary-not-active",
            "The failover function says that this site writes: the database's name leads here. It is over after the failback.",
            Metric(
                namespace=NAMESPACE,
                name=PRIMARY_ACTIVE,
                statistic="Minimum",
                dimensions={DIMENSION: t.named(FAILOVER)},
            ),
            "LessThanThreshold",
            1,
            t.output_of("notify.TopicArn"),
            periods=1,
            missing=Explained(
                "ignore", "The name stays where it is while nobody says anything: silence is evidence, and no decision."
            ),
        )
        check = route53.HealthCheck(
            "PrimaryHealthCheck",
            HealthCheckConfig=route53.HealthCheckConfig(
                Type="CLOUDWATCH_METRIC",
                AlarmIdentifier=route53.AlarmIdentifier(Name=Ref(flipped), Region=Ref("AWS::Region")),
                InsufficientDataHealthStatus="LastKnownStatus",
            ),
            HealthCheckTags=Tags(Name=t.named("health-check-primary", Space.ACCOUNT), **t.owner()),
        )
        t.section("Which site writes, as the failover function publishes it every minute, and as DNS follows it.", flipped, check)

        regions = [
            Explained(Select(3, Split(":", t.output_of(self.located))), "An ARN names its region."),
            Ref("AWS::Region"),
        ]
        zone = route53.HostedZone(
            "Zone",
            Name=Sub(t.name("database") + ".internal"),
            HostedZoneConfig=route53.HostedZoneConfiguration(Comment="The database that writes, for clients inside the VPCs"),
            VPCs=[
                route53.HostedZoneVPCs(VPCId=t.output_of(f"{network}.VpcId", "AWS::EC2::VPC::Id"), VPCRegion=region)
                for network, region in zip(self.networks, regions, strict=True)
            ],
            HostedZoneTags=Tags(Name=t.named("zone-database", Space.ACCOUNT), **t.owner()),
        )
        name = Sub("writer." + t.name("database") + ".internal")
        seconds = str(int(self.answers_for.total_seconds()))
        records = [
            route53.RecordSetType(
                title,
                HostedZoneId=Ref(zone),
                Name=name,
                Type="CNAME",
                SetIdentifier=role.lower(),
                Failover=role,
                TTL=seconds,
                ResourceRecords=[t.output_of(f"{database}.Endpoint")],
                **({"HealthCheckId": Ref(check)} if role == "PRIMARY" else {}),
            )
            for title, role, database in (("Home", "PRIMARY", self.home), ("Away", "SECONDARY", self.away))
        ]
        t.section("The name, for both VPCs, and its two answers.", zone, *records)
        t.output("WriterName", Ref(records[0]), "The database that writes, as clients inside the VPCs name it.")
        t.output("ZoneId", Ref(zone), "The private zone.")
        t.output("HealthCheckId", Ref(check), "The health check that the name follows.")
