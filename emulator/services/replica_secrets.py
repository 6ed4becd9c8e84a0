"""Secrets Manager: replicas in other regions, which follow their primary and can be promoted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from emulator import authorizations, darkness, permissions

Answer = tuple[int, dict[str, str], bytes]
Record = dict[str, Any]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Answer]]

SYNCED = {"Status": "InSync", "StatusMessage": "Replication succeeded"}
TAKEN = "A secret with the same name exists in this region"
NO_KEY = "KMS key used to encrypt the secret is disabled, or not found"
UNREACHABLE = "The replica region does not answer"
NOT_ALLOWED = "No permissions on the KMS key to complete the replication"
# What rotation is of the primary alone: its function is in the primary's region.
ROTATION = {"RotationEnabled": False, "RotationLambdaARN": None, "RotationRules": None}
# What ministack does not refuse on a replica by itself.
OF_PRIMARIES = ("RotateSecret", "PutResourcePolicy", "DeleteResourcePolicy", "RemoveRegionsFromReplication")


def install() -> None:
    from ministack.services import secretsmanager

    theirs: Handler = secretsmanager.handle_request
    sync = secretsmanager._sync_replicas
    secretsmanager._sync_replicas = lambda secret: _synced(sync, secret)

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        from ministack.core.router import extract_access_key_id

        action, given = headers.get("x-amz-target", "").rsplit(".", 1)[-1], json.loads(body or b"{}")
        _, secret = secretsmanager._resolve(given.get("SecretId"))
        if secret is not None:
            refusal = _refusal(action, secret)
            if refusal is not None:
                return refusal
            caller = extract_access_key_id(headers, query) or ""
            if action in MORE:
                return MORE[action](secret, given, caller)
        answer = await theirs(method, path, headers, body, query)
        if action == "CreateSecret" and answer[0] < 300 and given.get("AddReplicaRegions"):
            _, made = secretsmanager._resolve(given["Name"])
            _add(made, given, extract_access_key_id(headers, query) or "")
            return _ok({**json.loads(answer[2]), "ReplicationStatus": made["ReplicationStatus"]})
        if secret is not None:
            secretsmanager._sync_replicas(secret)  # whatever it was, the replicas follow
        return answer

    secretsmanager.handle_request = handle


def _synced(theirs: Callable[[Record], None], secret: Record) -> None:
    """What ministack copies, but not over a secret that is no replica of this one, and not over a region that does not answer: it
    gets all of it with the next change."""
    statuses = secret["ReplicationStatus"]
    reached = (one for one in statuses if one["Status"] != "Failed" and not darkness.is_dark(one["Region"]))
    secret["ReplicationStatus"] = list(reached)
    try:
        theirs(secret)
    finally:
        secret["ReplicationStatus"] = statuses
    for replica in _replicas(secret):
        replica.update(ROTATION)


def _replicas(secret: Record) -> list[Record]:
    from ministack.core.responses import get_account_id
    from ministack.services import secretsmanager

    regions = [one["Region"] for one in secret["ReplicationStatus"] if one["Status"] != "Failed"]
    found = [secretsmanager._secrets.get_scoped(get_account_id(), region, secret["Name"]) for region in regions]
    return [one for one in found if one is not None and one.get("_PrimarySecretArn") == secret["ARN"]]


def _refusal(action: str, secret: Record) -> Answer | None:
    from ministack.services import secretsmanager

    replica = secretsmanager._is_replica(secret)
    if replica and action in OF_PRIMARIES:
        answer: Answer = secretsmanager._replica_mutation_error()
        return answer
    if action == "DeleteSecret" and not replica and secret["ReplicationStatus"]:
        regions = ", ".join(one["Region"] for one in secret["ReplicationStatus"])
        return _error(f"You can't delete secret {secret['Name']} that still has replica regions [{regions}]")
    if action == "StopReplicationToReplica" and not replica:
        return _error("Operation not permitted on a primary secret. Call must be made in the region of a replica secret.")
    return None


def _ok(body: Record) -> Answer:
    from ministack.core.responses import json_response

    answer: Answer = json_response(body)
    return answer


def _error(message: str) -> Answer:
    from ministack.core.responses import error_response_json

    answer: Answer = error_response_json("InvalidRequestException", message, 400)
    return answer


def _replicate(secret: Record, given: Record, caller: str) -> Answer:
    from ministack.services import secretsmanager

    home = secret["ARN"].split(":")[3]
    if secret.get("DeletedDate"):
        return _error("You can't perform this operation on the secret because it was marked for deletion.")
    if secretsmanager._is_replica(secret):
        answer: Answer = secretsmanager._replica_mutation_error()
        return answer
    if any(one["Region"] == home for one in given["AddReplicaRegions"]):
        return _error("Invalid replica region: it is that of the primary secret.")
    _add(secret, given, caller)
    return _ok({"ARN": secret["ARN"], "ReplicationStatus": secret["ReplicationStatus"]})


def _add(secret: Record, given: Record, caller: str) -> None:
    """A replica in each region, or its failure: AWS tries in the background, and says in the status how that went."""
    from ministack.services import secretsmanager

    for wanted in given["AddReplicaRegions"]:
        region, key = wanted["Region"], wanted.get("KmsKeyId") or "alias/aws/secretsmanager"
        status = {"Region": region, "KmsKeyId": key}
        failure = _failure(secret, region, key, caller, force=bool(given.get("ForceOverwriteReplicaSecret")))
        others = [one for one in secret["ReplicationStatus"] if one["Region"] != region]
        if failure:
            secret["ReplicationStatus"] = [*others, {**status, "Status": "Failed", "StatusMessage": failure}]
            continue
        one = {"Region": region, **({"KmsKeyId": wanted["KmsKeyId"]} if wanted.get("KmsKeyId") else {})}
        asked = {"SecretId": secret["ARN"], "AddReplicaRegions": [one], "ForceOverwriteReplicaSecret": True}
        secret["ReplicationStatus"] = others
        secretsmanager._replicate_secret_to_regions(asked)
        secret["ReplicationStatus"] = [*others, {**status, **SYNCED}]
    secretsmanager._sync_replicas(secret)


def _failure(secret: Record, region: str, key: str, caller: str, *, force: bool) -> str:
    """Why there can be no replica; empty where there can be one. The caller's permissions count, for both keys."""
    from ministack.core.responses import get_account_id
    from ministack.services import secretsmanager

    there = secretsmanager._secrets.get_scoped(get_account_id(), region, secret["Name"])
    if darkness.is_dark(region):
        return UNREACHABLE
    if there is not None and there.get("_PrimarySecretArn") != secret["ARN"] and not force:
        return TAKEN
    home = secret["ARN"].split(":")[3]
    target = f"{':'.join(secret['ARN'].split(':')[:3])}:{region}:{secret['ARN'].split(':', 4)[4]}"
    for name, place, actions, arn in (
        (secret.get("KmsKeyId") or "", home, ("kms:Decrypt",), secret["ARN"]),
        (key, region, ("kms:GenerateDataKey", "kms:Encrypt"), target),
    ):
        found = permissions.key_arn(name, place)
        if found == "":
            return NO_KEY
        if found and not authorizations.may_use_key(
            caller, actions, found, f"secretsmanager.{place}.amazonaws.com", {"SecretARN": arn}
        ):
            return NOT_ALLOWED
    return ""


def _remove(secret: Record, given: Record, _caller: str) -> Answer:
    from ministack.core.responses import get_account_id
    from ministack.services import secretsmanager

    gone = [one for one in secret["ReplicationStatus"] if one["Region"] in given["RemoveReplicaRegions"]]
    if len(gone) != len(set(given["RemoveReplicaRegions"])):
        return _error(f"{secret['Name']} has no replica in one of {', '.join(given['RemoveReplicaRegions'])}.")
    for replica in _replicas(secret):
        region = replica["ARN"].split(":")[3]
        if region in given["RemoveReplicaRegions"]:
            secretsmanager._secrets.pop_scoped(get_account_id(), region, secret["Name"], None)
            secretsmanager._resource_policies.pop_scoped(get_account_id(), region, replica["ARN"], None)
    secret["ReplicationStatus"] = [one for one in secret["ReplicationStatus"] if one not in gone]
    return _ok({"ARN": secret["ARN"], "ReplicationStatus": secret["ReplicationStatus"]})


def _promote(secret: Record, _given: Record, _caller: str) -> Answer:
    """The replica is a secret of its own from now on, and its former primary knows nothing of it."""
    from ministack.services import secretsmanager

    secretsmanager._unlink_from_primary(secret)
    for name in ("_PrimarySecretArn", "_PrimaryRegion"):
        secret.pop(name, None)
    return _ok({"ARN": secret["ARN"]})


MORE: dict[str, Callable[[Record, Record, str], Answer]] = {
    "ReplicateSecretToRegions": _replicate,
    "RemoveRegionsFromReplication": _remove,
    "StopReplicationToReplica": _promote,
}
