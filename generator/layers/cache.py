"""The cache layer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from troposphere import GetAtt, Ref, Sub, cloudwatch, ec2, elasticache, secretsmanager

from generator.layer import Layer
from generator.layers.secrets import PASSWORD_CHARACTERS
from generator.parts.alarm import Metric, alarm
from generator.parts.group import closed_group
from generator.parts.log_group import WORKING_LOGS, log_group
from generator.parts.secret import own_account_only
from generator.template import Explained, Group, Template

REDIS = 6379
FAMILY = "redis7"
LOGS = ("slow", "engine")
SESSIONS = "session:*"
COMMANDS = (
    *("+get", "+getdel", "+getex", "+mget", "+set", "+setex", "+del", "+unlink", "+exists", "+touch"),
    *("+expire", "+pexpire", "+persist", "+ttl", "+pttl"),
    *("+hdel", "+hexists", "+hget", "+hgetall", "+hincrby", "+hmget", "+hset"),
    *("+multi", "+exec", "+discard", "+watch", "+unwatch"),
)
"""What an application needs to keep sessions as strings or hashes."""

ACCESS = " ".join(("on", f"~{SESSIONS}", "-@all", "+@connection", "-@dangerous", *COMMANDS))
DISABLED = Explained(
    "off -@all", "The user that every user group must have, and nobody can use: it is off, so it needs no password either."
)


@dataclass(frozen=True)
class Watch:
    """An alarm that each node has; ``missing`` is CloudWatch's TreatMissingData."""

    title: str
    kind: str
    metric: str
    statistic: str
    threshold: int
    trouble: str
    missing: str = "missing"


WATCHES = (
    Watch(
        "EngineCpuTooHigh",
        "engine-cpu",
        "EngineCPUUtilization",
        "Average",
        80,
        "its one thread for commands is busy more than 80 % of the time, or it says nothing and is being replaced. Look at the "
        "slow log; a larger node helps only if its processor is faster.",
        "breaching",
    ),
    Watch(
        "MemoryTooFull",
        "memory",
        "DatabaseMemoryUsagePercentage",
        "Average",
        80,
        "more than 80 % of its memory is used. Sessions that were not used for longest go next: give it a larger node.",
    ),
    Watch(
        "SessionsEvicted",
        "evictions",
        "Evictions",
        "Sum",
        0,
        "for want of memory it throws sessions away that have not ended, and users are signed out. Give it a larger node.",
        "notBreaching",
    ),
    Watch(
        "ReplicationLagTooHigh",
        "replication-lag",
        "ReplicationLag",
        "Maximum",
        5,
        "as a replica it is more than five seconds behind; what it does not have is lost if it takes over now.",
        "notBreaching",  # the primary has none
    ),
    Watch(
        "PasswordsRefused",
        "passwords",
        "AuthenticationFailures",
        "Sum",
        3,
        "somebody logs in with a wrong password again and again: an application that kept one for longer than two rotations, or "
        "somebody who should not.",
        "notBreaching",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Cache(Layer):
    """Sessions in Redis, over zones: a replica takes over by itself, TLS is required, and one user may touch session keys.

    ``nodes`` is the primary with its replicas, one per zone. Events are not sent to the topic: ElastiCache publishes to no
    encrypted topic, so alarms say what an event would.
    """

    name: str = "cache"
    nodes: int = 3
    engine_version: str = "7.1"
    snapshot_retention: timedelta = timedelta(days=7)
    log_retention: timedelta = WORKING_LOGS
    connections: int = 10_000

    def define(self, t: Template) -> None:
        node = t.parameter(
            "NodeType",
            "Size of each node. Memory is shared with snapshots and failover; a larger one needs no interruption.",
            group=Group.SIZE,
            Default="cache.t4g.small",
            AllowedPattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$",
            ConstraintDescription="a node type such as cache.r7g.large",
        )
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")

        placement = elasticache.SubnetGroup(
            "SubnetGroup",
            CacheSubnetGroupName=t.named("subnet-group-cache"),
            Description="Database subnets, one per zone, without a route out",
            SubnetIds=subnets,
        )
        parameters = elasticache.ParameterGroup(
            "ParameterGroup",
            CacheParameterGroupFamily=FAMILY,
            Description="Sessions go where they have ended or were not used for longest",
            Properties={
                "maxmemory-policy": "volatile-lru",
                "slowlog-log-slower-than": Explained("10000", "Microseconds from which on a command is in the slow log."),
                "tcp-keepalive": Explained("300", "Seconds: clients that are gone do not hold their connections."),
            },
        )
        t.section("Where it runs, and how it is set up; CloudFormation makes the parameter group's name.", placement, parameters)
        clients, servers = self._groups(t)
        secret, user, users = self._users(t)
        group = self._group(t, placement, parameters, servers, users, node)
        self._alarms(t, group)

        t.output("ReplicationGroupId", Ref(group), "The name that alarms and operators use.")
        t.output("Endpoint", GetAtt(group, "PrimaryEndPoint.Address"), "Where clients connect; the same name after a failover.")
        t.output("Port", GetAtt(group, "PrimaryEndPoint.Port"), "The port at which clients connect.")
        t.output("ReaderEndpoint", GetAtt(group, "ReaderEndPoint.Address"), "Where clients read that bear a lag.")
        t.output("ClientGroupId", GetAtt(clients, "GroupId"), "Security group of whatever may connect to the cache.")
        t.output("GroupId", GetAtt(servers, "GroupId"), "Security group of the cache.")
        t.output("SecretArn", Ref(secret), "Where applications read user name and password; the whole ARN, never a part of it.")
        t.output("UserId", Ref(user), "The application's user, as ElastiCache calls it.")
        t.output("UserArn", GetAtt(user, "Arn"), "The application's user.")

    @staticmethod
    def _groups(t: Template) -> tuple[ec2.SecurityGroup, ec2.SecurityGroup]:
        vpc = t.output_of("network.VpcId", "AWS::EC2::VPC::Id")
        clients = closed_group(t, "ClientGroup", "secgroup-cache-clients", "Members may reach the cache", vpc)
        servers = closed_group(t, "CacheGroup", "secgroup-cache", "The cache: reached by its clients, reaches nothing", vpc)
        rule = {"IpProtocol": "tcp", "FromPort": REDIS, "ToPort": REDIS}
        t.section(
            "Who may talk to it: membership of the client group is the permission.",
            clients,
            servers,
            ec2.SecurityGroupEgress(
                "ClientToCache",
                GroupId=GetAtt(clients, "GroupId"),
                DestinationSecurityGroupId=GetAtt(servers, "GroupId"),
                Description="Redis to the cache",
                **rule,
            ),
            ec2.SecurityGroupIngress(
                "CacheFromClient",
                GroupId=GetAtt(servers, "GroupId"),
                SourceSecurityGroupId=GetAtt(clients, "GroupId"),
                Description="Redis from clients",
                **rule,
            ),
        )
        return clients, servers

    @staticmethod
    def _users(t: Template) -> tuple[secretsmanager.Secret, elasticache.User, elasticache.UserGroup]:
        name = "application"
        user_id = t.name("cache-user-application")
        user_arn = "arn:${AWS::Partition}:elasticache:${AWS::Region}:${AWS::AccountId}:user:" + user_id
        secret = secretsmanager.Secret(
            "Secret",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            Name=t.named("secret-cache"),
            Description="User name and password of the cache. The password before the last rotation is valid until the next one.",
            KmsKeyId=t.output_of("keys.SecretsKeyArn"),
            GenerateSecretString=secretsmanager.GenerateSecretString(
                SecretStringTemplate=Sub(json.dumps({"username": name, "user_arn": user_arn})),
                GenerateStringKey="password",
                PasswordLength=PASSWORD_CHARACTERS,
                ExcludePunctuation=True,
            ),
        )
        default_user = elasticache.User(
            "DefaultUser",
            UserId=t.named("cache-user-default"),
            UserName="default",
            Engine="redis",
            AccessString=DISABLED,
            NoPasswordRequired=True,
        )
        user = elasticache.User(
            "ApplicationUser",
            UserId=Sub(user_id),
            UserName=name,
            Engine="redis",
            AccessString=ACCESS,
            Passwords=[
                Explained(
                    Sub("{{resolve:secretsmanager:${Secret}:SecretString:password}}"),
                    "Resolved when the user is made or changed; then the rotation sets two passwords that no template shows.",
                )
            ],
        )
        users = elasticache.UserGroup(
            "UserGroup", UserGroupId=t.named("cache-users"), Engine="redis", UserIds=[Ref(default_user), Ref(user)]
        )
        t.section("The application's credential, which its rotation layer replaces.", secret, own_account_only(secret))
        t.section("Who may do what: one user, on session keys; nobody without a name.", default_user, user, users)
        return secret, user, users

    def _group(
        self,
        t: Template,
        placement: elasticache.SubnetGroup,
        parameters: elasticache.ParameterGroup,
        servers: ec2.SecurityGroup,
        users: elasticache.UserGroup,
        node: Ref,
    ) -> elasticache.ReplicationGroup:
        logs_key = t.output_of("keys.LogsKeyArn")
        below = "Below this path the account's policy for log delivery does not grow with every group."
        names = {log: Explained(t.named(f"/aws/vendedlogs/cache-{log}"), below) for log in LOGS}
        groups = {
            log: log_group(f"{log.capitalize()}LogGroup", name, logs_key, self.log_retention) for log, name in names.items()
        }
        t.section("Where it logs: slow commands, and what the engine says.", *groups.values())
        group = elasticache.ReplicationGroup(
            "ReplicationGroup",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            ReplicationGroupId=t.named("replication-group"),
            ReplicationGroupDescription="Sessions of applications",
            Engine="redis",
            EngineVersion=self.engine_version,
            AutoMinorVersionUpgrade=False,
            CacheNodeType=node,
            CacheParameterGroupName=Ref(parameters),
            NumCacheClusters=self.nodes,
            AutomaticFailoverEnabled=True,
            MultiAZEnabled=True,
            CacheSubnetGroupName=Ref(placement),
            SecurityGroupIds=[GetAtt(servers, "GroupId")],
            AtRestEncryptionEnabled=True,
            KmsKeyId=t.output_of("keys.CacheKeyArn"),
            TransitEncryptionEnabled=True,
            TransitEncryptionMode="required",
            UserGroupIds=[Ref(users)],
            SnapshotRetentionLimit=self.snapshot_retention.days,
            SnapshotWindow="02:00-03:00",
            PreferredMaintenanceWindow="sun:04:00-sun:05:00",
            LogDeliveryConfigurations=[
                elasticache.LogDeliveryConfigurationRequest(
                    LogType=f"{log}-log",
                    LogFormat="json",
                    DestinationType="cloudwatch-logs",
                    DestinationDetails=elasticache.DestinationDetails(
                        CloudWatchLogsDetails=elasticache.CloudWatchLogsDestinationDetails(LogGroup=Ref(found))
                    ),
                )
                for log, found in groups.items()
            ],
        )
        t.section("The cache: a primary, and replicas in other zones of which one takes over.", group)
        return group

    def _alarms(self, t: Template, group: elasticache.ReplicationGroup) -> None:
        topic = t.output_of("notify.TopicArn")
        watches = (*WATCHES, _connections(self.connections))
        t.section(
            "What operators are told, node by node: which one is the primary changes with a failover.",
            *(_alarm(t, group, node, watch, topic) for node in range(1, self.nodes + 1) for watch in watches),
        )


def _connections(most: int) -> Watch:
    return Watch(
        "TooManyConnections",
        "connections",
        "CurrConnections",
        "Maximum",
        most,
        f"more than {most} clients are connected, and from 65,000 on it refuses them. Look for clients that do not pool.",
    )


def _alarm(t: Template, group: elasticache.ReplicationGroup, node: int, watch: Watch, topic: Ref) -> cloudwatch.Alarm:
    member = Sub(f"${{{group.title}}}-{node:03d}")  # members are called after the group, in order
    return alarm(
        t,
        f"Node{node}{watch.title}",
        f"cache-{watch.kind}-{node}",
        f"Node {node} of the cache: {watch.trouble}",
        Metric(namespace="AWS/ElastiCache", name=watch.metric, statistic=watch.statistic, dimensions={"CacheClusterId": member}),
        "GreaterThanThreshold",
        watch.threshold,
        topic,
        missing=watch.missing,
    )
