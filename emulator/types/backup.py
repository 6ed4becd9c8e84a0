"""AWS Backup: vaults, plans, selections, and the tests of restoring."""

from __future__ import annotations

import json
from typing import Any

from emulator.resource import Aws, Properties, Resource, changed, listed, pairs, retag


def _retag(aws: Aws, arn: str, old: Properties, new: Properties, name: str = "Tags") -> None:
    backup = aws.client("backup")
    retag(
        {"Tags": old.get(name)},
        {"Tags": new.get(name)},
        add=lambda tags: backup.tag_resource(ResourceArn=arn, Tags=tags),
        remove=lambda names: backup.untag_resource(ResourceArn=arn, TagKeyList=names),
    )


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    return dict(aws.client("backup").list_tags(ResourceArn=arn).get("Tags") or {})


def _vault(aws: Aws, p: Properties) -> str:
    kept = {name: p.get(name) for name in ("BackupVaultName", "EncryptionKeyArn", "BackupVaultTags")}
    aws.send("backup", "create_backup_vault", kept)
    _vault_policy(aws, p["BackupVaultName"], {}, p)
    return str(p["BackupVaultName"])


def _vault_policy(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "AccessPolicy"):
        if "AccessPolicy" in new:
            aws.send("backup", "put_backup_vault_access_policy", {"BackupVaultName": ref, "Policy": new["AccessPolicy"]})
        else:
            aws.client("backup").delete_backup_vault_access_policy(BackupVaultName=ref)


def _change_vault(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    _vault_policy(aws, ref, old, new)
    _retag(aws, aws.arn("backup", f"backup-vault:{ref}"), old, new, "BackupVaultTags")


def _read_vault(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    from botocore.exceptions import ClientError

    backup, (name,) = aws.client("backup"), identifier
    found = backup.describe_backup_vault(BackupVaultName=name)
    try:
        policy = json.loads(backup.get_backup_vault_access_policy(BackupVaultName=name)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        policy = None
    return {**found, "AccessPolicy": policy, "BackupVaultTags": _tags(aws, found["BackupVaultArn"])}


# Words of a template that the API has others for.
PLAN, RULE = {"BackupPlanRule": "Rules"}, {"TargetBackupVault": "TargetBackupVaultName"}


def _renamed(value: Properties, words: dict[str, str]) -> Properties:
    return {words.get(name, name): inner for name, inner in value.items()}


def _plan_to_api(plan: Properties) -> Properties:
    body = _renamed(plan, PLAN)
    return {**body, "Rules": [_renamed(rule, RULE) for rule in body["Rules"]]}


def _plan(aws: Aws, p: Properties) -> str:
    kept = {"BackupPlan": _plan_to_api(p["BackupPlan"]), "BackupPlanTags": p.get("BackupPlanTags")}
    return str(aws.send("backup", "create_backup_plan", kept)["BackupPlanId"])


def _change_plan(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "BackupPlan"):
        aws.send("backup", "update_backup_plan", {"BackupPlanId": ref, "BackupPlan": _plan_to_api(new["BackupPlan"])})
    _retag(aws, aws.arn("backup", f"backup-plan:{ref}"), old, new, "BackupPlanTags")


def _read_plan(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("backup").get_backup_plan(BackupPlanId=identifier[0])
    plan = _renamed(found["BackupPlan"], _back(PLAN))
    rules = [_renamed(rule, _back(RULE)) for rule in plan["BackupPlanRule"]]
    return {
        **found,
        "BackupPlan": {**plan, "BackupPlanRule": rules},
        "BackupPlanTags": _tags(aws, found["BackupPlanArn"]),
    }


def _back(words: dict[str, str]) -> dict[str, str]:
    return {value: key for key, value in words.items()}


def _selection(aws: Aws, p: Properties) -> str:
    made = aws.send("backup", "create_backup_selection", p)
    return f"{made['SelectionId']}_{made['BackupPlanId']}"


def _parts(ref: str) -> dict[str, str]:
    selection, plan = ref.split("_", 1)
    return {"SelectionId": selection, "BackupPlanId": plan}


def _read_selection(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("backup").get_backup_selection(**_parts(identifier[0]))
    kept = {name: value for name, value in found["BackupSelection"].items() if value}
    return {**found, "Id": identifier[0], "BackupSelection": kept}


TESTING = (
    "RecoveryPointSelection",
    "RestoreTestingPlanName",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartWindowHours",
)
# What a setting becomes where a template takes it away; the window in hours.
TESTING_DEFAULTS = {"ScheduleExpressionTimezone": "Etc/UTC", "StartWindowHours": 24}


def _testing(aws: Aws, p: Properties) -> str:
    kept: dict[str, Any] = {name: p[name] for name in TESTING if name in p}
    made = aws.send("backup", "create_restore_testing_plan", {"RestoreTestingPlan": kept, "Tags": pairs(p.get("Tags")) or None})
    return str(made["RestoreTestingPlanName"])


def _change_testing(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, *TESTING):
        kept = {name: new.get(name, TESTING_DEFAULTS.get(name)) for name in TESTING if name != "RestoreTestingPlanName"}
        aws.send("backup", "update_restore_testing_plan", {"RestoreTestingPlanName": ref, "RestoreTestingPlan": kept})
    _retag(aws, _read_testing(aws, (ref,))["RestoreTestingPlanArn"], old, new)


def _read_testing(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("backup").get_restore_testing_plan(RestoreTestingPlanName=identifier[0])["RestoreTestingPlan"]
    return {**found, "Tags": listed(_tags(aws, found["RestoreTestingPlanArn"]))}


SELECTED = (
    "IamRoleArn",
    "ProtectedResourceArns",
    "ProtectedResourceConditions",
    "RestoreMetadataOverrides",
    "ValidationWindowHours",
)


def _tested(aws: Aws, p: Properties) -> str:
    plan, name = p["RestoreTestingPlanName"], p["RestoreTestingSelectionName"]
    kept = {key: p[key] for key in (*SELECTED, "ProtectedResourceType", "RestoreTestingSelectionName") if key in p}
    aws.send("backup", "create_restore_testing_selection", {"RestoreTestingPlanName": plan, "RestoreTestingSelection": kept})
    return f"{plan}|{name}"


def _names(ref: tuple[str, ...]) -> dict[str, str]:
    return {"RestoreTestingPlanName": ref[0], "RestoreTestingSelectionName": ref[1]}


def _change_tested(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, *SELECTED):
        kept = {key: new[key] for key in SELECTED if key in new}
        names = _names(tuple(ref.split("|")))
        aws.send("backup", "update_restore_testing_selection", {**names, "RestoreTestingSelection": kept})


def _read_tested(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("backup").get_restore_testing_selection(**_names(identifier))
    return dict(found["RestoreTestingSelection"])


RESOURCES = (
    Resource(
        "AWS::Backup::BackupVault",
        _vault,
        lambda aws, ref, _: aws.client("backup").delete_backup_vault(BackupVaultName=ref),
        _read_vault,
        _change_vault,
        name="BackupVaultName",
        longest=50,
    ),
    Resource(
        "AWS::Backup::BackupPlan",
        _plan,
        lambda aws, ref, _: aws.client("backup").delete_backup_plan(BackupPlanId=ref),
        _read_plan,
        _change_plan,
    ),
    Resource(
        "AWS::Backup::BackupSelection",
        _selection,
        lambda aws, ref, _: aws.client("backup").delete_backup_selection(**_parts(ref)),
        _read_selection,
    ),
    Resource(
        "AWS::Backup::RestoreTestingPlan",
        _testing,
        lambda aws, ref, _: aws.client("backup").delete_restore_testing_plan(RestoreTestingPlanName=ref),
        _read_testing,
        _change_testing,
        name="RestoreTestingPlanName",
        longest=50,
    ),
    Resource(
        "AWS::Backup::RestoreTestingSelection",
        _tested,
        lambda aws, ref, _: aws.client("backup").delete_restore_testing_selection(**_names(tuple(ref.split("|")))),
        _read_tested,
        _change_tested,
        name="RestoreTestingSelectionName",
        longest=50,
        identify=lambda ref, _: tuple(ref.split("|")),
    ),
)
