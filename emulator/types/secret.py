"""Secrets, their resource policies, their attachment to a database, and their rotation."""

from __future__ import annotations

import json
import uuid

from emulator.property_conversion import boolean
from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag


class NotReplicatedError(RuntimeError):
    """A secret has no replica where it should have one."""


def _generated(aws: Aws, wanted: Properties) -> str:
    template, key = wanted.get("SecretStringTemplate"), wanted.get("GenerateStringKey")
    options = {name: value for name, value in wanted.items() if name not in ("SecretStringTemplate", "GenerateStringKey")}
    password = aws.send("secretsmanager", "get_random_password", options)["RandomPassword"]
    return password if template is None else json.dumps({**json.loads(template), str(key): password})


def _create(aws: Aws, p: Properties) -> str:
    value = _generated(aws, p["GenerateSecretString"]) if "GenerateSecretString" in p else p.get("SecretString")
    made = aws.send(
        "secretsmanager",
        "create_secret",
        {
            **{name: p.get(name) for name in ("Name", "Description", "KmsKeyId")},
            "SecretString": value,
            "AddReplicaRegions": p.get("ReplicaRegions"),
            "Tags": listed(pairs(p.get("Tags"))) or None,
        },
    )
    _check(aws, made["ARN"])
    return str(made["ARN"])


def _check(aws: Aws, ref: str) -> None:
    """A replica that could not be made fails the resource, as it does on AWS."""
    for one in aws.client("secretsmanager").describe_secret(SecretId=ref).get("ReplicationStatus", []):
        if one["Status"] == "Failed":
            raise NotReplicatedError(f"The secret is not replicated to {one['Region']}: {one['StatusMessage']}")


def _delete(aws: Aws, ref: str, p: Properties) -> None:
    """First the declared replicas go: a secret that has some is not deleted."""
    client, declared = aws.client("secretsmanager"), {one["Region"] for one in p.get("ReplicaRegions", [])}
    there = {one["Region"] for one in client.describe_secret(SecretId=ref).get("ReplicationStatus", [])}
    if declared & there:
        client.remove_regions_from_replication(SecretId=ref, RemoveReplicaRegions=sorted(declared & there))
    client.delete_secret(SecretId=ref, ForceDeleteWithoutRecovery=True)


def _replicas(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    """A replica whose key changes is made anew."""
    client = aws.client("secretsmanager")
    before, after = ({one["Region"]: one for one in p.get("ReplicaRegions", [])} for p in (old, new))
    gone = [region for region, one in before.items() if after.get(region) != one]
    there = {one["Region"] for one in client.describe_secret(SecretId=ref).get("ReplicationStatus", [])}
    if there & set(gone):
        client.remove_regions_from_replication(SecretId=ref, RemoveReplicaRegions=sorted(there & set(gone)))
    more = [one for region, one in after.items() if before.get(region) != one]
    if more:
        client.replicate_secret_to_regions(SecretId=ref, AddReplicaRegions=more)
        _check(aws, ref)


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    client = aws.client("secretsmanager")
    changes: Properties = {}
    if changed(old, new, "Description"):
        changes["Description"] = new.get("Description", "")
    if changed(old, new, "KmsKeyId"):
        changes["KmsKeyId"] = new.get("KmsKeyId", "alias/aws/secretsmanager")
    if changed(old, new, "SecretString") and "SecretString" in new:
        changes["SecretString"] = new["SecretString"]
    if changed(old, new, "GenerateSecretString") and "GenerateSecretString" in new:
        changes["SecretString"] = _generated(aws, new["GenerateSecretString"])  # as AWS does: a new value
    if changes:
        client.update_secret(SecretId=ref, **changes)
    if changed(old, new, "ReplicaRegions"):
        _replicas(aws, ref, old, new)
    retag(
        old,
        new,
        add=lambda tags: client.tag_resource(SecretId=ref, Tags=listed(tags)),
        remove=lambda names: client.untag_resource(SecretId=ref, TagKeys=names),
    )


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("secretsmanager").describe_secret(SecretId=identifier[0])
    if found.get("DeletedDate"):
        raise NotFoundError(identifier[0])
    replicas = found.get("ReplicationStatus")
    return {
        **found,
        "Id": found["ARN"],
        "Tags": listed(pairs(found.get("Tags"))),
        **({"ReplicaRegions": replicas} if replicas else {}),
    }


def _put_policy(aws: Aws, p: Properties) -> str:
    made = aws.send("secretsmanager", "put_resource_policy", p)
    return str(made["ARN"])


def _read_policy(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("secretsmanager").get_resource_policy(SecretId=identifier[0])
    if not found.get("ResourcePolicy"):
        raise NotFoundError(identifier[0])
    return {"Id": found["ARN"], "SecretId": found["ARN"], "ResourcePolicy": found["ResourcePolicy"]}


ATTACHED = ("engine", "host", "port", "dbname", "dbInstanceIdentifier", "dbClusterIdentifier")
INSTANCE, CLUSTER = "AWS::RDS::DBInstance", "AWS::RDS::DBCluster"


def _attach(aws: Aws, p: Properties) -> str:
    """Completes the secret with where its database is; the credential stays."""
    client, rds = aws.client("secretsmanager"), aws.client("rds")
    if p["TargetType"] == CLUSTER:
        cluster = rds.describe_db_clusters(DBClusterIdentifier=p["TargetId"])["DBClusters"][0]
        place = {"host": cluster["Endpoint"], "port": cluster["Port"], "dbClusterIdentifier": p["TargetId"]}
        engine, database = cluster["Engine"], cluster.get("DatabaseName")
    else:
        instance = rds.describe_db_instances(DBInstanceIdentifier=p["TargetId"])["DBInstances"][0]
        place = {
            "host": instance["Endpoint"]["Address"],
            "port": instance["Endpoint"]["Port"],
            "dbInstanceIdentifier": p["TargetId"],
        }
        engine, database = instance["Engine"], instance.get("DBName")
    engine = engine.removeprefix("aurora-").replace("postgresql", "postgres")
    value = {**_value(aws, p["SecretId"]), "engine": engine, **place, **({"dbname": database} if database else {})}
    client.update_secret(SecretId=p["SecretId"], SecretString=json.dumps(value))
    return str(client.describe_secret(SecretId=p["SecretId"])["ARN"])


def _detach(aws: Aws, ref: str, _: Properties) -> None:
    value = {name: inner for name, inner in _value(aws, ref).items() if name not in ATTACHED}
    aws.client("secretsmanager").update_secret(SecretId=ref, SecretString=json.dumps(value))


def _value(aws: Aws, secret: str) -> Properties:
    value = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    return value if isinstance(value, dict) else {}


def _read_attachment(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    client = aws.client("secretsmanager")
    arn, value = client.describe_secret(SecretId=identifier[0])["ARN"], _value(aws, identifier[0])
    for member, kind in (("dbInstanceIdentifier", INSTANCE), ("dbClusterIdentifier", CLUSTER)):
        if member in value:
            return {"Id": arn, "SecretId": arn, "TargetType": kind, "TargetId": value[member]}
    raise NotFoundError(identifier[0])


def _schedule(aws: Aws, p: Properties) -> str:
    made = aws.send(
        "secretsmanager",
        "rotate_secret",
        {
            **{name: p.get(name) for name in ("SecretId", "RotationLambdaARN", "RotationRules")},
            "RotateImmediately": boolean(p.get("RotateImmediatelyOnUpdate", True)),
            "ClientRequestToken": str(uuid.uuid4()),
        },
    )
    return str(made["ARN"])


def _read_schedule(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("secretsmanager").describe_secret(SecretId=identifier[0])
    if not found.get("RotationEnabled"):
        raise NotFoundError(identifier[0])
    return {"Id": found["ARN"], "SecretId": found["ARN"], **found}


RESOURCES = (
    Resource(
        "AWS::SecretsManager::Secret",
        _create,
        _delete,
        _read,
        _update,
        name="Name",
        longest=512,
    ),
    Resource(
        "AWS::SecretsManager::ResourcePolicy",
        _put_policy,
        lambda aws, ref, _: aws.client("secretsmanager").delete_resource_policy(SecretId=ref),
        _read_policy,
        lambda aws, _ref, _old, new: _put_policy(aws, new),
    ),
    Resource(
        "AWS::SecretsManager::SecretTargetAttachment",
        _attach,
        _detach,
        _read_attachment,
        lambda aws, _ref, _old, new: _attach(aws, new),
    ),
    Resource(
        "AWS::SecretsManager::RotationSchedule",
        _schedule,
        lambda aws, ref, _: aws.client("secretsmanager").cancel_rotate_secret(SecretId=ref),
        _read_schedule,
        lambda aws, _ref, _old, new: _schedule(aws, new),
    ),
)
