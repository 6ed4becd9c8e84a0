"""The probe layer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import ec2 as network_actions
from awacs.aws import StringEquals
from troposphere import AWSObject, GetAtt, Ref, Sub, Tags, ec2

from generator.layer import Layer
from generator.layers.network import CLIENT_RULE_DESCRIPTION, HTTPS, POSTGRESQL
from generator.parts import policies
from generator.parts.database_function import SECRET, database_function, fails
from generator.parts.group import closed_group
from generator.parts.log_group import WORKING_LOGS
from generator.template import Explained, Template
from model import PRIMARY


@dataclass(frozen=True, kw_only=True)
class Probe(Layer):
    """Asks this site's database whether it takes a write, and fences it: what a failover can do in the VPC, where it is not.

    It has a group of its own, so that it still reaches the database when clients no longer do. ``database`` is the layer that
    says where the database is, ``secret`` the address of its credential, ``secret_named`` what the parameter for it is called
    where the requirements say so, ``arn`` the address of the database's name in the row that says who may write. A cluster
    ``of_global`` is a secondary, or may become one. After a failover one that ``adopts`` writes into the secret where the
    database is now.
    """

    name: str = "probe"
    database: str = "database"
    secret: str = SECRET
    secret_named: str = ""
    of_global: bool = False
    arn: str = "database.InstanceArn"
    adopts: bool = False
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        vpc = t.output_of("network.VpcId", "AWS::EC2::VPC::Id")
        instances = t.output_of("network.DatabaseGroupId", "AWS::EC2::SecurityGroup::Id")
        rule = t.output_of("network.ClientRuleId")
        fenced = [_ec2("security-group/${Group}", Group=instances), _ec2("security-group-rule/${Rule}", Rule=rule)]

        probe_group, endpoint_group = (
            closed_group(t, title, kind, description, vpc)
            for title, kind, description in (
                ("Group", "secgroup-probe", "The probe: reaches the database, its secret and EC2, nothing reaches it"),
                ("EndpointGroup", "secgroup-probe-endpoint", "EC2: reached by the probe, reaches nothing"),
            )
        )
        secrets = t.output_of("network.EndpointGroupId", "AWS::EC2::SecurityGroup::Id")
        t.section(
            "Whom it reaches: a group and rules of its own, which a fence leaves alone.",
            probe_group,
            endpoint_group,
            *_may_reach(probe_group, "Database", instances, POSTGRESQL, "PostgreSQL"),
            *_may_reach(probe_group, "Secrets", secrets, HTTPS, "HTTPS"),
            *_may_reach(probe_group, "Ec2", GetAtt(endpoint_group, "GroupId"), HTTPS, "HTTPS"),
        )
        endpoint = ec2.VPCEndpoint(
            "Ec2Endpoint",
            VpcId=vpc,
            ServiceName=Sub("com.amazonaws.${AWS::Region}.ec2"),
            VpcEndpointType="Interface",
            PrivateDnsEnabled=True,
            SubnetIds=Explained(
                t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>"),
                "Every zone: the one that is lost must not be the one that the fence needs.",
            ),
            SecurityGroupIds=[GetAtt(endpoint_group, "GroupId")],
            PolicyDocument=policies.document(
                policies.allow(
                    "TurnOneRuleOnly",
                    [network_actions.ModifySecurityGroupRules],
                    fenced,
                    StringEquals("aws:PrincipalAccount", Ref("AWS::AccountId")),
                    to=policies.ANYONE,
                )
            ),
            Tags=Tags(Name=t.named("endpoint-ec2")),
        )
        t.section("EC2 without the internet, for one rule of one group.", endpoint)

        probe = database_function(
            t,
            "probe",
            "Says whether the database takes a write; fences it, lets clients in again, begins an epoch.",
            database=self.database,
            secret=self.secret,
            secret_named=self.secret_named,
            replica=self.sites != (PRIMARY,),
            of_global=self.of_global,
            writes=self.adopts,
            groups=[GetAtt(probe_group, "GroupId")],
            log_retention=self.log_retention,
            environment={
                "DATABASE_ARN": t.output_of(self.arn),
                "DATABASE_GROUP_ID": instances,
                "CLIENT_GROUP_ID": t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id"),
                "CLIENT_RULE_ID": rule,
                "CLIENT_RULE_DESCRIPTION": CLIENT_RULE_DESCRIPTION,
            },
            more=[policies.allow("TurnTheRuleThatLetsClientsIn", [network_actions.ModifySecurityGroupRules], fenced)],
        )
        t.section(
            "The function, with a role that reads one secret and turns one rule. Nobody is told to invoke it but the failover "
            "function, by its own role.",
            probe.group,
            probe.role,
            probe.function,
        )
        failed = fails(
            t,
            "ProbeFails",
            "probe-fails",
            "The database did not answer the probe for 3 minutes, or a fence is not complete. Read the function's log. By itself "
            "it fails nothing over.",
            probe.function,
            periods=3,
        )
        t.section("Who hears of it when it fails.", failed)
        t.output("FunctionName", Ref(probe.function), "The function.")
        t.output("FunctionArn", GetAtt(probe.function, "Arn"), "The function.")
        t.output(
            "GroupId",
            GetAtt(probe_group, "GroupId"),
            "Security group of the functions that reach the database also behind a fence.",
        )


def _ec2(rest: str, **names: Any) -> Sub:
    return Sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:" + rest, **names)


def _may_reach(probe_group: ec2.SecurityGroup, what: str, group: Any, port: int, protocol: str) -> list[AWSObject]:
    rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    return [
        ec2.SecurityGroupEgress(
            f"GroupTo{what}",
            GroupId=GetAtt(probe_group, "GroupId"),
            DestinationSecurityGroupId=group,
            Description=f"{protocol} to {what}",
            **rule,
        ),
        ec2.SecurityGroupIngress(
            f"{what}FromGroup",
            GroupId=group,
            SourceSecurityGroupId=GetAtt(probe_group, "GroupId"),
            Description=f"{protocol} from the probe",
            **rule,
        ),
    ]
