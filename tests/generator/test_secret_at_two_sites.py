"""A secret with a replica at the other site, and the rotation that waits there for a failover."""

from typing import Any

import pytest

from chain.environment.stack_values import lookup, pseudo
from generator.layer import Layer
from generator.layers.rotation import Rotation
from generator.layers.secrets import Secrets
from generator.template import Template
from model import RECOVERY, Document
from model.values import evaluate

KEY = "arn:aws:kms:eu-west-2:111122223333:key/0e1f"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:secret-database-eu-west-1-AbCdEf"
REPLICA = SECRET.replace(":eu-west-1:", ":eu-west-2:")


def _document(layer: Layer) -> Document:
    t = Template("x", package=lambda function: f"{function}-1.zip")
    layer.define(t)
    return t.document()


def _resolved(document: Document, value: Any, **parameters: str) -> Any:
    known = pseudo("eu-west-1", "111122223333", "secrets", "id")
    return evaluate(value, lookup(document, parameters, known, {"DatabaseSecret": SECRET}, lambda _resource, _name: ""), document)


def test_a_secret_without_a_replica_key_has_no_replica() -> None:
    document = _document(Secrets())
    assert "ReplicaRegions" not in document["Resources"]["DatabaseSecret"]["Properties"]
    assert list(document["Outputs"]) == ["DatabaseSecretArn"]


def test_the_replicas_arn_differs_in_the_region_alone_even_where_the_suffix_is_a_region() -> None:
    document = _document(Secrets(replica_key="recovery:keys.SecretsKeyArn"))
    arn = document["Outputs"]["ReplicaSecretArn"]["Value"]
    assert _resolved(document, arn, RecoveryKeysSecretsKeyArn=KEY) == REPLICA


@pytest.fixture
def standby() -> Document:
    return _document(
        Rotation(
            name="rotation-standby",
            sites=(RECOVERY,),
            database="database-replica",
            secret="primary:secrets.ReplicaSecretArn",
            secret_named="SourceSecretArn",
            standby=True,
        )
    )


def test_a_standby_decrypts_what_either_region_encrypted_for_this_secret_and_no_other(standby: Document) -> None:
    statements = standby["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (read,) = [one for one in statements if one["Sid"] == "ReadAndWriteTheSecretUnderItsKey"]
    pattern = read["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]
    assert _resolved(standby, pattern, SourceSecretArn=REPLICA) == SECRET.replace(":eu-west-1:", ":*:")
    assert "kms:ViaService" in read["Condition"]["StringEquals"]
