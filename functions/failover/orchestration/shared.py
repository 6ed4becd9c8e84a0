"""Steps that both kinds of database have."""

from __future__ import annotations

from typing import Any

from common.report import FunctionError
from common.secret import code

from orchestration.decision import FAILOVER
from orchestration.step import Run

ROTATE_AFTER_DAYS = 30


def lossy(run: Run) -> bool:
    return bool(run.began["request"] == FAILOVER)


def fence(run: Run) -> dict[str, Any]:
    """The old writer, where it can be reached. That it cannot is told, and stops nothing."""
    if run.world.ask_primary(do="probe") is None:
        return {"fenced": False, "why": "The primary does not answer: it is fenced when it does."}
    answer = run.world.ask_primary(do="fence", epoch=run.epoch, token=run.token)
    if answer is None:
        raise FunctionError("The primary answers its probe, and its fence failed. Read the log of the probe.")
    return answer


def close_way(run: Run) -> dict[str, Any]:
    """Keeps clients from what is to be promoted, until it is verified. That it cannot be done is told, and stops nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    if run.site != "recovery":
        return {}
    try:
        answer = {"way": run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="close").get("group")}
    except (BotoCoreError, ClientError, FunctionError) as error:
        answer = {"way": "not closed", "why": f"{type(error).__name__}: {error}"}
    run.world.store.check(run.token)  # that may have taken a while
    return answer


def way_is_closed(run: Run) -> bool:
    """Whether the verified database could not be opened to clients."""
    return run.said("verify").get("group") == "closed"


def open_way(run: Run) -> dict[str, Any]:
    """Lets clients at the verified database."""
    return run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="unfence", epoch=run.epoch, token=run.token)


def verify(run: Run) -> dict[str, Any]:
    """Begins the epoch at the database that took over, names it as the writer, writes to it, and opens the way to it."""
    probe = run.world["PROBE_RECOVERY_ARN" if run.site == "recovery" else "PROBE_PRIMARY_ARN"]
    return run.world.ask(probe, do="verify", epoch=run.epoch, token=run.token)


def secret_is_promoted(run: Run) -> bool:
    secret = run.world.client("secretsmanager").describe_secret(SecretId=run.world["SECRET_ARN"])
    return secret.get("PrimaryRegion") in (None, run.world["AWS_REGION"])


def promote_secret(run: Run) -> dict[str, Any]:
    """The replica becomes a secret of its own: only that can be rotated."""
    run.world.client("secretsmanager").stop_replication_to_replica(SecretId=run.world["SECRET_ARN"])
    return {"secret": "promoted"}


def rotation_is_on(run: Run) -> bool:
    return bool(run.world.client("secretsmanager").describe_secret(SecretId=run.world["SECRET_ARN"]).get("RotationEnabled"))


def rotate(run: Run) -> dict[str, Any]:
    """On schedule from now on, and at once: the old region may still know the password."""
    run.world.client("secretsmanager").rotate_secret(
        SecretId=run.world["SECRET_ARN"],
        RotationLambdaARN=run.world["ROTATION_ARN"],
        RotationRules={"AutomaticallyAfterDays": ROTATE_AFTER_DAYS},
        RotateImmediately=True,
    )
    return {"rotation": "on"}


def exists(error: Any, *codes: str) -> bool:
    """Whether an error says that what we asked for is there."""
    return code(error) in codes


def tags(run: Run) -> list[dict[str, str]]:
    """Of what stands outside a stack meanwhile."""
    owner = {"System": run.world["SYSTEM"], "Environment": run.world["SUFFIX"], "Topology": "failed-over"}
    return [{"Key": key, "Value": value} for key, value in owner.items()]
