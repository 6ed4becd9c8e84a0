"""A small system at two regions: what the five systems are made of, in their smallest form."""

from __future__ import annotations

import time
from typing import Any

from tests.support.chain.checkout import Checkout, Clients, get, parameter, ref, sub

HOME, AWAY = "eu-west-1", "eu-west-2"
SITES = {"primary": HOME, "recovery": AWAY}
PRIMARY, RECOVERY = {"primary": HOME}, {"recovery": AWAY}
CREDENTIALS = {"MasterUsername": "master", "MasterUserPassword": "not-a-secret-of-anybody"}


def network(checkout: Checkout) -> None:
    """One layer at two sites, which differ in a value."""
    block = {"VpcCidr": {"Type": "String", "Default": "10.0.0.0/16"}}
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": ref("VpcCidr")}}
    subnets = {
        f"Subnet{number}": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": ref("Vpc"),
                "CidrBlock": {"Fn::Select": [number, {"Fn::Cidr": [ref("VpcCidr"), 4, 8]}]},
                "AvailabilityZone": {"Fn::Select": [number, {"Fn::GetAZs": ""}]},
            },
        }
        for number in (0, 1)
    }
    ids = {"Fn::Join": [",", [ref("Subnet0"), ref("Subnet1")]]}
    checkout.layer(
        "network", {"Vpc": vpc, **subnets}, parameters=block, sites=SITES, outputs={"Id": ref("Vpc"), "SubnetIds": ids}
    )
    checkout.values({"recovery:network": {"VpcCidr": "10.1.0.0/16"}})


def objects(checkout: Checkout) -> None:
    """A bucket at each site; what is put into one comes into the other."""
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    everything = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "replicate", "PolicyDocument": everything}],
        },
    }
    rule = {
        "Id": "all",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": ref("ReplicaArn")},
    }
    versioned = {"Status": "Enabled"}
    here = {"BucketName": sub("objects-${EnvironmentSuffix}"), "VersioningConfiguration": versioned}
    there = {"BucketName": sub("objects-replica-${EnvironmentSuffix}"), "VersioningConfiguration": versioned}
    replicated = {**here, "ReplicationConfiguration": {"Role": get("Role", "Arn"), "Rules": [rule]}}
    checkout.layer(
        "objects-replica",
        {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": there}},
        sites=RECOVERY,
        outputs={"Arn": get("Bucket", "Arn")},
    )
    checkout.layer(
        "objects",
        {"Role": role, "Bucket": {"Type": "AWS::S3::Bucket", "Properties": replicated}},
        sites=PRIMARY,
        imports={"ReplicaArn": "recovery:objects-replica.Arn"},
    )


def files(checkout: Checkout) -> None:
    """A file system at each site, one replicated to the other."""
    open_ = {"Encrypted": True, "FileSystemProtection": {"ReplicationOverwriteProtection": "DISABLED"}}
    checkout.layer(
        "files-replica",
        {"FileSystem": {"Type": "AWS::EFS::FileSystem", "Properties": open_}},
        sites=RECOVERY,
        outputs={"Id": ref("FileSystem")},
    )
    replicated = {
        "Encrypted": True,
        "ReplicationConfiguration": {"Destinations": [{"FileSystemId": ref("ReplicaId"), "Region": AWAY}]},
    }
    checkout.layer(
        "files",
        {"FileSystem": {"Type": "AWS::EFS::FileSystem", "Properties": replicated}},
        sites=PRIMARY,
        imports={"ReplicaId": "recovery:files-replica.Id"},
        outputs={"Id": ref("FileSystem")},
    )


def secret(checkout: Checkout) -> None:
    """A secret with a replica."""
    properties = {
        "Name": sub("secret-${EnvironmentSuffix}"),
        "SecretString": "x",
        "ReplicaRegions": [{"Region": AWAY}],
    }
    checkout.layer("secrets", {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}}, sites=PRIMARY)


def vaults(checkout: Checkout) -> None:
    """A vault at each site."""
    vault = {"Type": "AWS::Backup::BackupVault", "Properties": {"BackupVaultName": sub("vault-${EnvironmentSuffix}")}}
    checkout.layer("vault", {"Vault": vault}, sites=SITES, outputs={"Arn": get("Vault", "BackupVaultArn")})


def replica(checkout: Checkout) -> None:
    """A replica of a database that somebody names by its ARN, or of the optional reference primary."""
    source = {
        "DBInstanceIdentifier": sub("source-${EnvironmentSuffix}"),
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.micro",
        "AllocatedStorage": "20",
        "BackupRetentionPeriod": 1,
        **CREDENTIALS,
    }
    checkout.layer(
        "database",
        {"Instance": {"Type": "AWS::RDS::DBInstance", "Properties": source}},
        sites=PRIMARY,
        optional=True,
        outputs={"Arn": get("Instance", "DBInstanceArn")},
    )
    follower = {
        "DBInstanceIdentifier": sub("replica-${EnvironmentSuffix}"),
        "SourceDBInstanceIdentifier": ref("SourceDatabaseArn"),
        "SourceRegion": HOME,
        "DBInstanceClass": "db.t3.micro",
    }
    checkout.layer(
        "replica",
        {"Instance": {"Type": "AWS::RDS::DBInstance", "Properties": follower}},
        sites=RECOVERY,
        imports={"SourceDatabaseArn": "primary:database.Arn"},
    )


def aurora(checkout: Checkout) -> None:
    """A global database: the primary cluster, the global one made of it, and a secondary."""
    engine = {"Engine": "aurora-postgresql", "EngineVersion": "15.12"}
    member = {"DBClusterIdentifier": ref("Cluster"), "Engine": "aurora-postgresql", "DBInstanceClass": "db.r6g.large"}
    instance = {"Type": "AWS::RDS::DBInstance", "Properties": member}
    checkout.layer(
        "aurora",
        {
            "Cluster": {
                "Type": "AWS::RDS::DBCluster",
                "Properties": {"DBClusterIdentifier": sub("aurora-${EnvironmentSuffix}"), **engine, **CREDENTIALS},
            },
            "Writer": instance,
        },
        sites=PRIMARY,
        outputs={"Arn": get("Cluster", "DBClusterArn")},
    )
    named = {"GlobalClusterIdentifier": sub("global-${EnvironmentSuffix}"), "SourceDBClusterIdentifier": ref("ClusterArn")}
    checkout.layer(
        "global",
        {"Global": {"Type": "AWS::RDS::GlobalCluster", "Properties": named}},
        sites=PRIMARY,
        imports={"ClusterArn": "aurora.Arn"},
        outputs={"Id": ref("Global")},
    )
    second = {
        "DBClusterIdentifier": sub("aurora-second-${EnvironmentSuffix}"),
        "GlobalClusterIdentifier": ref("GlobalId"),
        "DBSubnetGroupName": ref("Subnets"),
        **engine,
    }
    group = {
        "DBSubnetGroupName": sub("subnets-${EnvironmentSuffix}"),
        "DBSubnetGroupDescription": "Where the secondary stands.",
        "SubnetIds": {"Fn::Split": [",", ref("SubnetIds")]},
    }
    checkout.layer(
        "aurora-secondary",
        {
            "Subnets": {"Type": "AWS::RDS::DBSubnetGroup", "Properties": group},
            "Cluster": {"Type": "AWS::RDS::DBCluster", "Properties": second},
            "Reader": instance,
        },
        sites=RECOVERY,
        imports={"GlobalId": "primary:global.Id", "SubnetIds": "network.SubnetIds"},
    )


def everything(checkout: Checkout) -> None:
    """All of it, and a function package at each site."""
    network(checkout)
    objects(checkout)
    files(checkout)
    secret(checkout)
    vaults(checkout)
    replica(checkout)
    aurora(checkout)
    bucket = {"BucketName": sub("artifacts-${AWS::Region}-${EnvironmentSuffix}")}
    checkout.layer(
        "artifacts",
        {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": bucket}},
        sites=SITES,
        outputs={"BucketName": ref("Bucket")},
    )
    checkout.layer("function", {"Value": parameter("function")}, sites=SITES, packages=("work-1.zip",))
    (checkout.root / "out").mkdir(exist_ok=True)
    for folder in ("out", "out/packages"):
        (checkout.root / folder).mkdir(exist_ok=True)
        (checkout.root / folder / "work-1.zip").write_bytes(b"code")


CODE = """
import datetime, json, os, boto3
from botocore.exceptions import ClientError

STEPS = {"failover": ["fence", "promote"], "switchover": ["fence", "promote"], "failback": ["kept", "writes-stopped", "verify"]}

def handler(event, context):
    ssm, path = boto3.client("ssm", region_name=os.environ["AWS_REGION"]), os.environ["PLACE"]
    def read():
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
        return {each["Name"][len(path):]: json.loads(each["Value"]) for page in pages for each in page["Parameters"]}
    def note(name, **value):
        value["at"] = datetime.datetime.now(datetime.timezone.utc).isoformat()
        ssm.put_parameter(Name=path + name, Value=json.dumps(value), Type="String")
    values = read()
    mood = values.get("mood", {"do": "act"})
    request = event.get("request")
    if request == "dry-run":
        request = event["of"]
        against = [] if mood["do"] == "act" else ["The stand-in says so."]
        return {"would": mood["do"], "against": against, "steps": STEPS[request], "lost_seconds": mood.get("lost", 7.0),
                "evidence": ["stale", "unreachable"]}
    if request and "execution/" + event["execution"] + "/00-began" not in values:
        execution = event["execution"]
        start = "execution/" + execution + "/"
        note(start + "00-began", request=request, by=event["by"], evidence=["stale", "unreachable"])
        if mood["do"] == "wait":
            note(start + "01-waiting", why=["The stand-in says so."])
            return {"execution": execution, "outcome": "waiting-for-approval", "why": ["The stand-in says so."], "more": False}
        note(start + "01-decided", epoch=1)
        return {"execution": execution, "more": True}
    execution = event.get("approve") or event["execution"]
    start = "execution/" + execution + "/"
    began = values[start + "00-began"]
    if event.get("approve"):
        note(start + "approval", by=event["by"])
        note(start + "01-decided", epoch=1)
        return {"execution": execution, "more": True}
    if mood.get("fails"):
        raise RuntimeError("as the test wants it")
    steps = STEPS[began["request"]]
    done = [name for name in values if name.startswith(start) and name[len(start):len(start) + 2] not in ("00", "01", "ap", "dr")]
    if len(done) < len(steps):
        note(start + "%02d-%s" % (len(done) + 2, steps[len(done)]), did=len(done))
        return {"execution": execution, "more": True}
    if os.environ["KIND"] == "replica" and began["request"] == "failback" and start + "drift-free" not in values:
        return {"execution": execution, "step": "drift-free", "outcome": "waiting", "more": True}
    away = began["request"] != "failback"
    epoch = len([name for name in values if name.startswith("topology/")]) + 1
    topology = {"state": "failed-over" if away else "home", "epoch": epoch, "site": "recovery" if away else "primary",
                "writer": "arn:writer",
                "since": "2026-01-02T03:04:05+00:00", "execution": execution, "evidence": began["evidence"],
                "rto_seconds": 61.4, "rpo_seconds": 7.0}
    note("topology/%08d" % epoch, **topology)
    note(start + "99-ended", outcome=mood.get("outcome", "completed"), why="")
    return {"execution": execution, "more": False, "outcome": mood.get("outcome", "completed")}
"""


def failover(checkout: Checkout, kind: str = "aurora", files: Any = None, home: str = "") -> None:
    """The layer with the stand-in, in the recovery region only; ``home`` is the ARN of the primary's database."""
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    everything = {"Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": sub("role-failover-${EnvironmentSuffix}"),
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "remember", "PolicyDocument": everything}],
        },
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": sub("function-failover-${EnvironmentSuffix}"),
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": CODE},
            "Timeout": 30,
            "Environment": {
                "Variables": {
                    "KIND": kind,
                    "PLACE": sub("/shop/${EnvironmentSuffix}/"),
                    **({"FILE_SYSTEM_ID": files} if files else {}),
                    **({"HOME_ARN": home} if home else {}),
                }
            },
        },
    }
    checkout.layer(
        "failover",
        {"Role": role, "Function": function},
        sites=RECOVERY,
        outputs={"FunctionName": ref("Function")},
        imports={files["Ref"]: "recovery:files-replica.Id"} if files else {},
    )
    local = checkout.root / "functions" / "failover"
    local.mkdir(parents=True)
    (local / "handler.py").write_text(CODE)


def remember(checkout: Checkout, clients: Clients, name: str, value: str) -> None:
    """A parameter of the environment."""
    clients("ssm", AWAY).put_parameter(Name=f"/shop/{checkout.suffix}/{name}", Value=value, Type="String")


def fail_over(checkout: Checkout, clients: Clients) -> None:
    """What a failover does behind CloudFormation's back: the other cluster writes, and the secret is one of its own."""
    rds, identifier = clients("rds", HOME), f"global-{checkout.suffix}"
    second = f"arn:aws:rds:{AWAY}:123456789012:cluster:aurora-second-{checkout.suffix}"
    rds.switchover_global_cluster(GlobalClusterIdentifier=identifier, TargetDbClusterIdentifier=second)
    end = time.monotonic() + 20
    while not any(each["IsWriter"] and each["DBClusterArn"] == second for each in members(rds, identifier)):
        assert time.monotonic() < end
        time.sleep(0.1)
    clients("secretsmanager", AWAY).stop_replication_to_replica(SecretId=f"secret-{checkout.suffix}")


def members(rds: Any, identifier: str) -> list[dict[str, Any]]:
    found = rds.describe_global_clusters(GlobalClusterIdentifier=identifier)["GlobalClusters"][0]
    return list(found["GlobalClusterMembers"])
