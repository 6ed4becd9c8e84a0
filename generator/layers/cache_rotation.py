"""The cache rotation layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import elasticache as cache_actions
from awacs.aws import StringEquals
from troposphere import AWSObject, GetAtt, Ref, Sub, Tags, ec2

from generator.layer import Layer
from generator.layers.cache import REDIS
from generator.layers.network import HTTPS
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import function
from generator.parts.group import closed_group
from generator.parts.rotation import invoked, rotates, schedule
from generator.parts.secret import under_its_key
from generator.template import Template

KEY = "session:rotation"
"""A key of the application's, which the rotation reads and nobody writes."""


@dataclass(frozen=True, kw_only=True)
class CacheRotation(Layer):
    """Replaces the password of the cache's user on a schedule, and keeps the last one valid until the next time."""

    name: str = "cache-rotation"
    cache: str = "cache"
    every: timedelta = timedelta(days=30)

    def define(self, t: Template) -> None:
        secret = t.output_of(f"{self.cache}.SecretArn")
        secrets_key = t.output_of("keys.SecretsKeyArn")
        user_arn = t.output_of(f"{self.cache}.UserArn")
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")
        rotation_group = self._network(t, subnets, user_arn)

        rotation = function(
            t,
            "cache-rotation",
            "Replaces the password of the cache's user in the four steps of Secrets Manager, with two valid at any time.",
            environment={
                "CACHE_HOST": t.output_of(f"{self.cache}.Endpoint"),
                "CACHE_PORT": t.output_of(f"{self.cache}.Port"),
                "CACHE_USER": t.output_of(f"{self.cache}.UserId"),
                "CACHE_KEY": KEY,
            },
            subnets=subnets,
            groups=[GetAtt(rotation_group, "GroupId")],
            logs_key=t.output_of("keys.LogsKeyArn"),
            timeout=timedelta(minutes=5),
            timeout_because="ElastiCache takes a minute or more to bring a password to every node; the function waits four at "
            "most.",
            statements=[
                *rotates(secret, secrets_key, under_its_key(secret)),
                policies.allow("GiveThisUserPasswords", [cache_actions.DescribeUsers, cache_actions.ModifyUser], [user_arn]),
            ],
        )
        t.section(
            "The function, with a role that can touch one secret and one user.", rotation.group, rotation.role, rotation.function
        )

        permission = invoked(rotation.function, secret)
        scheduled = schedule(rotation.function, secret, self.every, [permission.title, *self._ways()])
        t.section(
            "When: at once, so that a rotation that cannot work is seen today, and then on schedule.", permission, scheduled
        )

        failure_alarm = alarm(
            t,
            "RotationFailed",
            "cache-rotation-failed",
            "A step of the rotation of the cache's password failed. The current password stays valid; Secrets Manager tries "
            "again. Read the function's log group; after mending, rotate the secret at once.",
            Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions={"FunctionName": Ref(rotation.function)}),
            "GreaterThanThreshold",
            0,
            t.output_of("notify.TopicArn"),
            period=timedelta(minutes=5),
            periods=1,
            missing="notBreaching",
        )
        t.section("Who hears of it when it fails.", failure_alarm)

        t.output("FunctionName", Ref(rotation.function), "The function that rotates the cache's password.")
        t.output("FunctionArn", GetAtt(rotation.function, "Arn"), "The function that rotates the cache's password.")

    @staticmethod
    def _ways() -> list[str]:
        return ["ElastiCacheEndpoint", *(f"{way}{end}" for way in ("Cache", "ElastiCache", "Secrets") for end in ("Way", "Door"))]

    def _network(self, t: Template, subnets: Ref, user_arn: Ref) -> ec2.SecurityGroup:
        """A group of the function's own, the three things that it reaches, and the endpoint that is one of them."""
        vpc = t.output_of("network.VpcId", "AWS::EC2::VPC::Id")
        rotation_group = closed_group(t, "RotationGroup", "secgroup-cache-rotation", "Rotation of the password of the cache", vpc)
        endpoint_group = closed_group(
            t, "EndpointGroup", "secgroup-endpoint-elasticache", "The ElastiCache endpoint: reached by the rotation", vpc
        )
        cache = t.output_of(f"{self.cache}.GroupId", "AWS::EC2::SecurityGroup::Id")
        secrets = t.output_of("network.EndpointGroupId", "AWS::EC2::SecurityGroup::Id")
        t.section(
            "Whom the function reaches: the cache, and the endpoints of ElastiCache and Secrets Manager.",
            rotation_group,
            endpoint_group,
            *_reaches("Cache", rotation_group, cache, REDIS, "Redis to the cache"),
            *_reaches(
                "ElastiCache", rotation_group, GetAtt(endpoint_group, "GroupId"), HTTPS, "HTTPS to the endpoint of ElastiCache"
            ),
            *_reaches("Secrets", rotation_group, secrets, HTTPS, "HTTPS to the endpoint of Secrets Manager"),
        )
        t.section(
            "ElastiCache's API without the internet, for this user alone.",
            ec2.VPCEndpoint(
                "ElastiCacheEndpoint",
                VpcId=vpc,
                ServiceName=Sub("com.amazonaws.${AWS::Region}.elasticache"),
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
                SubnetIds=subnets,
                SecurityGroupIds=[GetAtt(endpoint_group, "GroupId")],
                PolicyDocument=policies.document(
                    policies.allow(
                        "OwnUserOnly",
                        [cache_actions.DescribeUsers, cache_actions.ModifyUser],
                        [user_arn],
                        StringEquals("aws:PrincipalAccount", Ref("AWS::AccountId")),
                        to=policies.ANYONE,
                    )
                ),
                Tags=Tags(Name=t.named("endpoint-elasticache")),
            ),
        )
        return rotation_group


def _reaches(what: str, source: ec2.SecurityGroup, target: object, port: int, description: str) -> list[AWSObject]:
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "Description": description}
    return [
        ec2.SecurityGroupEgress(f"{what}Way", GroupId=GetAtt(source, "GroupId"), DestinationSecurityGroupId=target, **rule),
        ec2.SecurityGroupIngress(f"{what}Door", GroupId=target, SourceSecurityGroupId=GetAtt(source, "GroupId"), **rule),
    ]
