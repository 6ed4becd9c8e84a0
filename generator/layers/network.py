"""The network layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import dynamodb as table_actions
from awacs import elasticfilesystem as file_actions
from awacs import kms as key_actions
from awacs import logs as log_actions
from awacs import s3 as s3_actions
from awacs import secretsmanager as secret_actions
from awacs.aws import StringEquals
from troposphere import AWSObject, Cidr, GetAtt, Join, Ref, Select, Sub, Tags, ec2, iam

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.group import closed_group
from generator.parts.log_group import WORKING_LOGS, log_group
from generator.template import Group, Template

POSTGRESQL, HTTPS = 5432, 443
ZONES = "ABC"
ANYWHERE = "0.0.0.0/0"
ATTACHMENT = "InternetGatewayAttachment"
CLIENT_RULE, CLIENT_RULE_DESCRIPTION = "DatabaseFromClient", "PostgreSQL from clients"


S3_ACTIONS = [
    s3_actions.DeleteObject,
    s3_actions.DeleteObjectVersion,
    s3_actions.GetObject,
    s3_actions.ListBucket,
    s3_actions.PutObject,
]
_FIPS = {
    "kms": (
        "Kms",
        [key_actions.Decrypt, key_actions.DescribeKey, key_actions.Encrypt, key_actions.GenerateDataKey],
    ),
    "elasticfilesystem": (
        "Files",
        [
            file_actions.DescribeAccessPoints,
            file_actions.DescribeFileSystems,
            file_actions.DescribeMountTargets,
            file_actions.DescribeReplicationConfigurations,
        ],
    ),
}
"""What an application may ask through a FIPS endpoint, and what the endpoint is called here."""

DYNAMODB_ACTIONS = [table_actions.DeleteItem, table_actions.GetItem, table_actions.PutItem, table_actions.Query]


@dataclass(frozen=True, kw_only=True)
class Network(Layer):
    """A VPC over three zones whose database subnets have no route out; applications leave through NAT, where there is one.

    ``public`` makes public subnets and an internet gateway. ``nat_gateways`` is how many zones have one, of which none leaves
    the application subnets isolated too; three survive the loss of a zone at three times the price. ``host_bits`` is the size
    of a subnet: 12 is a /20, 8 a /24. ``skipped_blocks`` of that size come before the application subnets; the first three are
    the public subnets'. ``gateways`` are the services that a gateway endpoint reaches (s3, dynamodb), ``buckets``
    the kind of those that it reaches. ``zones_named`` offers the zones' names to resources that take no id. ``fips`` are the
    services (kms, elasticfilesystem) whose FIPS endpoint it reaches, ``foreign_secret`` the address of a secret that is not this
    environment's by its name, ``secret_named`` what the parameter for it is called where the requirements say so.
    """

    name: str = "network"
    public: bool = True
    nat_gateways: int = 1
    host_bits: int = 12
    skipped_blocks: int = 3
    gateways: tuple[str, ...] = ()
    buckets: str = "bucket-*"
    zones_named: bool = False
    fips: tuple[str, ...] = ()
    foreign_secret: str = ""
    secret_named: str = ""
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        block = t.parameter(
            "VpcCidr",
            "Address range of the VPC, a /16.",
            group=Group.NETWORK,
            Default="10.0.0.0/16",
            AllowedPattern=r"^(10|172|192)\.[0-9]{1,3}\.0\.0/16$",
            ConstraintDescription="a private IPv4 range with 16 bits, such as 10.0.0.0/16",
        )
        zone_ids = [
            t.parameter(
                f"Zone{letter}Id",
                "Zone id, the same physical zone in every account.",
                group=Group.NETWORK,
                AllowedPattern="^[a-z]{3,4}[0-9]-az[0-9]$",
                ConstraintDescription="a zone id such as use1-az1",
            )
            for letter in ZONES
        ]
        logs_key = t.output_of("keys.LogsKeyArn")

        vpc = ec2.VPC("Vpc", CidrBlock=block, EnableDnsSupport=True, EnableDnsHostnames=True, Tags=_tags(t, "vpc"))
        t.section("The VPC: three zones, named by ids that mean the same zone in every account.", vpc)
        blocks = Cidr(block, 3 * len(ZONES), str(self.host_bits))

        def subnets(tier: str, first: int) -> list[ec2.Subnet]:
            return [
                ec2.Subnet(
                    f"{tier}Subnet{letter}",
                    VpcId=Ref(vpc),
                    AvailabilityZoneId=zone,
                    CidrBlock=Select(first + n, blocks),
                    MapPublicIpOnLaunch=False,
                    Tags=_tags(t, f"subnet-{tier.lower()}-{letter.lower()}"),
                )
                for n, (letter, zone) in enumerate(zip(ZONES, zone_ids, strict=True))
            ]

        public = subnets("Public", 0) if self.public else []
        application, database = (
            subnets("Application", self.skipped_blocks),
            subnets("Database", self.skipped_blocks + len(ZONES)),
        )
        if self.public:
            here = "NAT gateways stand here and nothing else" if self.nat_gateways else "nothing stands here"
            self._internet(t, vpc, public, here)
        tables = self._applications(t, vpc, public, application)
        isolated = ec2.RouteTable("DatabaseRouteTable", VpcId=Ref(vpc), Tags=_tags(t, "route-table-database"))
        t.section(
            "Database subnets: no route leaves the VPC.",
            *database,
            isolated,
            *_associations(database, [isolated] * len(database)),
        )
        clients, instances, endpoints = self._groups(t, vpc)
        self._endpoints(t, vpc, database, endpoints, [*tables, isolated])
        self._flow_log(t, vpc, logs_key)

        t.output("VpcId", Ref(vpc), "The VPC.")
        t.output("ApplicationSubnetIds", Join(",", [Ref(s) for s in application]), "Where applications run, one per zone.")
        t.output("DatabaseSubnetIds", Join(",", [Ref(s) for s in database]), "Where the database runs, one per zone.")
        if self.zones_named:
            names = Join(",", [GetAtt(s, "AvailabilityZone") for s in database])
            t.output("DatabaseZoneNames", names, "The zones of the database subnets, in the same order.")
        t.output("ClientGroupId", GetAtt(clients, "GroupId"), "Security group of whatever may connect to the database.")
        t.output("EndpointGroupId", GetAtt(endpoints, "GroupId"), "Security group of the Secrets Manager endpoint.")
        t.output("DatabaseGroupId", GetAtt(instances, "GroupId"), "Security group of the database.")
        t.output("ClientRuleId", GetAtt(CLIENT_RULE, "Id"), "The rule that lets clients in to the database.")

    @staticmethod
    def _internet(t: Template, vpc: ec2.VPC, public: list[ec2.Subnet], here: str) -> None:
        internet = ec2.InternetGateway("InternetGateway", Tags=_tags(t, "igw"))
        attachment = ec2.VPCGatewayAttachment(ATTACHMENT, VpcId=Ref(vpc), InternetGatewayId=Ref(internet))
        to_internet = ec2.RouteTable("PublicRouteTable", VpcId=Ref(vpc), Tags=_tags(t, "route-table-public"))
        t.section(
            f"Public subnets: {here}.",
            *public,
            internet,
            attachment,
            to_internet,
            ec2.Route(
                "PublicRoute",
                DependsOn=attachment.title,
                RouteTableId=Ref(to_internet),
                DestinationCidrBlock=ANYWHERE,
                GatewayId=Ref(internet),
            ),
            *_associations(public, [to_internet] * len(public)),
        )

    def _applications(
        self, t: Template, vpc: ec2.VPC, public: list[ec2.Subnet], application: list[ec2.Subnet]
    ) -> list[ec2.RouteTable]:
        addresses = [
            ec2.EIP(f"NatAddress{letter}", DependsOn=ATTACHMENT, Domain="vpc", Tags=_tags(t, f"eip-nat-{letter.lower()}"))
            for letter in ZONES[: self.nat_gateways]
        ]
        gateways = [
            ec2.NatGateway(
                f"NatGateway{letter}",
                AllocationId=GetAtt(address, "AllocationId"),
                SubnetId=Ref(subnet),
                Tags=_tags(t, f"nat-{letter.lower()}"),
            )
            for letter, address, subnet in zip(ZONES, addresses, public, strict=False)
        ]
        tables = [
            ec2.RouteTable(
                f"ApplicationRouteTable{letter}", VpcId=Ref(vpc), Tags=_tags(t, f"route-table-application-{letter.lower()}")
            )
            for letter in ZONES
        ]
        routes = [
            ec2.Route(
                f"ApplicationRoute{letter}",
                RouteTableId=Ref(table),
                DestinationCidrBlock=ANYWHERE,
                NatGatewayId=Ref(gateways[n % len(gateways)]),
            )
            for n, (letter, table) in enumerate(zip(ZONES, tables, strict=True))
            if gateways
        ]
        heading = (
            "Application subnets: outbound traffic through NAT, nothing inbound from the internet."
            if gateways
            else "Application subnets: no route leaves the VPC."
        )
        t.section(heading, *addresses, *gateways, *application, *tables, *routes, *_associations(application, tables))
        return tables

    def _groups(self, t: Template, vpc: ec2.VPC) -> tuple[ec2.SecurityGroup, ec2.SecurityGroup, ec2.SecurityGroup]:
        clients, instances, endpoints = (
            closed_group(t, *named, Ref(vpc))
            for named in (
                ("ClientGroup", "secgroup-clients", "Members may reach the database and read its secret"),
                ("DatabaseGroup", "secgroup-database", "The database: reached by clients, reaches nothing"),
                ("EndpointGroup", "secgroup-endpoints", "The Secrets Manager endpoint: reached by clients, reaches nothing"),
            )
        )
        t.section(
            "Who may talk to whom: membership of the client group is the permission.",
            clients,
            instances,
            endpoints,
            *_may_reach("Database", clients, instances, POSTGRESQL, "PostgreSQL"),
            *_may_reach("Endpoint", clients, endpoints, HTTPS, "HTTPS"),
        )
        return clients, instances, endpoints

    def _endpoints(
        self, t: Template, vpc: ec2.VPC, database: list[ec2.Subnet], group: ec2.SecurityGroup, tables: list[ec2.RouteTable]
    ) -> None:
        this_account = StringEquals("aws:PrincipalAccount", Ref("AWS::AccountId"))
        secrets: list[Sub | Ref] = [
            Sub("arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:" + t.name("secret-*") + "-??????")
        ]
        if self.foreign_secret:
            secrets.append(t.output_of(self.foreign_secret, name=self.secret_named))
        t.section(
            "Secrets Manager without the internet, for the secrets of this environment.",
            ec2.VPCEndpoint(
                "SecretsEndpoint",
                VpcId=Ref(vpc),
                ServiceName=Sub("com.amazonaws.${AWS::Region}.secretsmanager"),
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
                SubnetIds=[Ref(subnet) for subnet in database],
                SecurityGroupIds=[GetAtt(group, "GroupId")],
                PolicyDocument=policies.document(
                    policies.allow(
                        "OwnSecretsOnly",
                        [
                            secret_actions.DescribeSecret,
                            secret_actions.GetSecretValue,
                            secret_actions.PutSecretValue,
                            secret_actions.UpdateSecretVersionStage,
                        ],
                        secrets,
                        this_account,
                        to=policies.ANYONE,
                    ),
                    policies.allow(
                        "RandomPasswordsHaveNoResource",
                        [secret_actions.GetRandomPassword],
                        ["*"],
                        this_account,
                        to=policies.ANYONE,
                    ),
                ),
                Tags=_tags(t, "endpoint-secretsmanager"),
            ),
        )
        fips = [
            ec2.VPCEndpoint(
                f"{_FIPS[service][0]}FipsEndpoint",
                VpcId=Ref(vpc),
                ServiceName=Sub("com.amazonaws.${AWS::Region}." + f"{service}-fips"),
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
                SubnetIds=[Ref(subnet) for subnet in database],
                SecurityGroupIds=[GetAtt(group, "GroupId")],
                PolicyDocument=policies.document(
                    policies.allow("OwnAccountOnly", _FIPS[service][1], ["*"], this_account, to=policies.ANYONE)
                ),
                Tags=_tags(t, f"endpoint-{service}-fips"),
            )
            for service in self.fips
        ]
        if fips:
            t.section(
                "FIPS endpoints, for applications that are built to call these names: a client that is not never comes here, and "
                "no function of ours calls these services itself.",
                *fips,
            )
        reached = {
            "s3": (
                "S3",
                S3_ACTIONS,
                [Sub("arn:${AWS::Partition}:s3:::" + t.name(self.buckets, Space.PARTITION) + end) for end in ("", "/*")],
            ),
            "dynamodb": (
                "DynamoDB",
                DYNAMODB_ACTIONS,
                [Sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/" + t.name("table"))],
            ),
        }
        endpoints = [
            ec2.VPCEndpoint(
                f"{reached[service][0]}Endpoint",
                VpcId=Ref(vpc),
                ServiceName=Sub("com.amazonaws.${AWS::Region}." + service),
                VpcEndpointType="Gateway",
                RouteTableIds=[Ref(table) for table in tables],
                PolicyDocument=policies.document(
                    policies.allow("OwnDataOnly", reached[service][1], reached[service][2], this_account, to=policies.ANYONE)
                ),
                Tags=_tags(t, f"endpoint-{service}"),
            )
            for service in self.gateways
        ]
        if endpoints:
            t.section("What a route in the tables reaches without leaving AWS's network.", *endpoints)

    def _flow_log(self, t: Template, vpc: ec2.VPC, logs_key: Ref) -> None:
        group = log_group("FlowLogGroup", t.named("/aws/vpc/flow-log"), logs_key, self.log_retention)
        role = iam.Role(
            "FlowLogRole",
            RoleName=t.named("role-flow-log", Space.ACCOUNT),
            AssumeRolePolicyDocument=policies.trust(policies.service("vpc-flow-logs"), policies.THIS_ACCOUNT),
            Policies=[
                iam.Policy(
                    PolicyName="write-flow-log",
                    PolicyDocument=policies.document(
                        policies.allow(
                            "WriteFlowRecords",
                            [
                                log_actions.CreateLogStream,
                                log_actions.DescribeLogStreams,
                                log_actions.PutLogEvents,
                            ],
                            [GetAtt(group, "Arn")],
                        ),
                        policies.allow("DescribeHasNoResource", [log_actions.DescribeLogGroups], ["*"]),
                    ),
                )
            ],
        )
        flow_log = ec2.FlowLog(
            "FlowLog",
            ResourceType="VPC",
            ResourceId=Ref(vpc),
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogGroupName=Ref(group),
            DeliverLogsPermissionArn=GetAtt(role, "Arn"),
            MaxAggregationInterval=60,
            Tags=_tags(t, "flow-log"),
        )
        t.section("Every accepted and refused connection is recorded.", group, role, flow_log)


def _tags(t: Template, kind: str) -> Tags:
    return Tags(Name=t.named(kind))


def _associations(subnets: list[ec2.Subnet], tables: list[ec2.RouteTable]) -> list[AWSObject]:
    return [
        ec2.SubnetRouteTableAssociation(f"{subnet.title}Routes", SubnetId=Ref(subnet), RouteTableId=Ref(table))
        for subnet, table in zip(subnets, tables, strict=True)
    ]


def _may_reach(what: str, source: ec2.SecurityGroup, target: ec2.SecurityGroup, port: int, protocol: str) -> list[AWSObject]:
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    return [
        ec2.SecurityGroupEgress(
            f"ClientTo{what}",
            GroupId=GetAtt(source, "GroupId"),
            DestinationSecurityGroupId=GetAtt(target, "GroupId"),
            Description=f"{protocol} to the {what.lower()}",
            **rule,
        ),
        ec2.SecurityGroupIngress(
            f"{what}FromClient",
            GroupId=GetAtt(target, "GroupId"),
            SourceSecurityGroupId=GetAtt(source, "GroupId"),
            Description=f"{protocol} from clients",
            **rule,
        ),
    ]
