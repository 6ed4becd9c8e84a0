"""A small system at two regions: what the five systems are made of, in their smallest form."""

from __future__ import annotations

from typing import Any

from tests.chain.world import Checkout, parameter, ref, sub

HOME, AWAY = "eu-west-1", "eu-west-2"
SITES = {"primary": HOME, "recovery": AWAY}
PRIMARY, RECOVERY = {"primary": HOME}, {"recovery": AWAY}
CREDENTIALS = {"MasterUsername": "master", "MasterUserPassword": "not-a-secret-of-anybody"}


def get(resource: str, attribute: str) -> dict[str, Any]:
    """``Fn::GetAtt``."""
    return {"Fn::GetAtt": [resource, attribute]}


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
