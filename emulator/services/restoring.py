"""AWS Backup: restore jobs, restore testing, and the validation of what was restored."""

from __future__ import annotations

import copy
import time
from functools import cache
from typing import Any

from emulator import databases
from emulator.services import events, restored_files, snapshots, vaults
from emulator.services.aurora import announce

Answer = tuple[int, dict[str, str], bytes]
Record = dict[str, Any]

SUCCESSFUL = "SUCCESSFUL"


@cache
def _store(name: str) -> Any:
    from ministack.core.responses import AccountRegionScopedDict

    assert name in ("plans", "selections", "jobs", "tags")  # noqa: S101
    return AccountRegionScopedDict()


def route(method: str, parts: list[str], body: Any, query: dict[str, Any]) -> Answer | None:
    """The answer to a call about restoring; None for every other one."""
    if parts[:2] == ["restore-testing", "plans"]:
        return _plans(method, parts[2:], body)
    if parts[:1] == ["restore-jobs"]:
        return _jobs(method, parts[1:], body, query)
    return None


def tags(arn: str) -> dict[str, str] | None:
    found: dict[str, str] | None = _store("tags").get(arn)
    return found


def all_tags() -> list[tuple[str, dict[str, str]]]:
    """The tags of every restore testing plan of the region, by ARN."""
    return list(_store("tags").items())


def _plans(method: str, parts: list[str], body: Any) -> Answer | None:
    if not parts:
        return _create_plan(body) if method == "PUT" else vaults.ok({"RestoreTestingPlans": list(_store("plans").values())})
    plan = _store("plans").get(parts[0])
    if plan is None:
        return vaults.missing(f"The restore testing plan {parts[0]}")
    if len(parts) > 1:
        return _selections(method, plan, parts[2:], body)
    if method == "PUT":
        plan.update({**body["RestoreTestingPlan"], "LastUpdateTime": time.time()})
        return vaults.ok(_shown(plan))
    if method == "DELETE":
        if any(key.startswith(f"{parts[0]}/") for key in _store("selections")):
            return vaults.error("InvalidRequestException", f"The restore testing plan {parts[0]} has selections.")
        del _store("plans")[parts[0]]
        _store("tags").pop(plan["RestoreTestingPlanArn"], None)
        return vaults.ok(status=204)
    return vaults.ok({"RestoreTestingPlan": plan})


def _shown(plan: Record) -> Record:
    return {name: plan[name] for name in ("CreationTime", "RestoreTestingPlanArn", "RestoreTestingPlanName")} | {
        "UpdateTime": plan.get("LastUpdateTime", plan["CreationTime"])
    }


def _create_plan(body: Any) -> Answer:
    from ministack.core.responses import get_account_id, get_region, new_uuid

    wanted = body["RestoreTestingPlan"]
    name = wanted["RestoreTestingPlanName"]
    if name in _store("plans"):
        return vaults.error("AlreadyExistsException", f"The restore testing plan {name} exists already.")
    arn = f"arn:aws:backup:{get_region()}:{get_account_id()}:restore-testing-plan:{name}-{new_uuid()}"
    # What AWS adds where it is not asked for; the window in hours.
    defaults = {"ScheduleExpressionTimezone": "Etc/UTC", "StartWindowHours": 24}
    _store("plans")[name] = {**defaults, **wanted, "RestoreTestingPlanArn": arn, "CreationTime": time.time()}
    _store("tags")[arn] = dict(body.get("Tags") or {})
    return vaults.ok(_shown(_store("plans")[name]), 201)


def _selections(method: str, plan: Record, parts: list[str], body: Any) -> Answer:
    name = plan["RestoreTestingPlanName"]
    if not parts and method == "GET":
        found = [one for key, one in _store("selections").items() if key.startswith(f"{name}/")]
        return vaults.ok({"RestoreTestingSelections": found})
    if not parts:
        wanted = body["RestoreTestingSelection"]
        key = f"{name}/{wanted['RestoreTestingSelectionName']}"
        if key in _store("selections"):
            return vaults.error("AlreadyExistsException", f"The restore testing selection {key} exists already.")
        if (
            bool(wanted.get("ProtectedResourceArns"))
            and bool(wanted.get("ProtectedResourceConditions"))
            and (wanted["ProtectedResourceArns"] != ["*"])
        ):
            return vaults.error("InvalidParameterValueException", "A selection names ARNs or conditions, not both.")
        made = {"ValidationWindowHours": 0, **wanted, "RestoreTestingPlanName": name, "CreationTime": time.time()}
        _store("selections")[key] = made
        return vaults.ok(_selection_shown(plan, made), 201)
    key = f"{name}/{parts[0]}"
    one = _store("selections").get(key)
    if one is None:
        return vaults.missing(f"The restore testing selection {key}")
    if method == "PUT":
        one.update(body["RestoreTestingSelection"])
        return vaults.ok(_selection_shown(plan, one))
    if method == "DELETE":
        del _store("selections")[key]
        return vaults.ok(status=204)
    return vaults.ok({"RestoreTestingSelection": one})


def _selection_shown(plan: Record, one: Record) -> Record:
    return {
        "CreationTime": one["CreationTime"],
        "RestoreTestingPlanArn": plan["RestoreTestingPlanArn"],
        "RestoreTestingPlanName": plan["RestoreTestingPlanName"],
        "RestoreTestingSelectionName": one["RestoreTestingSelectionName"],
        "UpdateTime": time.time(),
    }


def _jobs(method: str, parts: list[str], body: Any, query: dict[str, Any]) -> Answer | None:
    from ministack.services import backup as theirs

    if not parts and method == "PUT":
        point = vaults.point(body["RecoveryPointArn"])
        if point is None:
            return vaults.missing(f"The recovery point {body['RecoveryPointArn']}")
        return vaults.ok({"RestoreJobId": _restore(point, body.get("Metadata") or {}, body.get("IamRoleArn", ""), "")})
    if not parts:
        flat = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
        wanted = {
            "Status": flat.get("status"),
            "ResourceType": flat.get("resourceType"),
            "CreatedBy": {"RestoreTestingPlanArn": flat["restoreTestingPlanArn"]} if "restoreTestingPlanArn" in flat else None,
        }
        found = [job for job in _store("jobs").values() if all(value in (None, job.get(name)) for name, value in wanted.items())]
        answer: Answer = theirs._paginate(found, flat, "RestoreJobs")
        return answer
    job = _store("jobs").get(parts[0])
    if job is None:
        return vaults.missing(f"The restore job {parts[0]}")
    if parts[1:] == ["validations"]:
        return _validate(job, body)
    return vaults.ok({"RestoreJobId": parts[0], "Metadata": job["_metadata"]} if parts[1:] == ["metadata"] else job)


def _validate(job: Record, body: Any) -> Answer:
    """Takes the result once, of a job of restore testing; then AWS Backup removes what it restored."""
    if not job["CreatedBy"] or job["Status"] != "COMPLETED" or job.get("ValidationStatus") not in (None, "VALIDATING"):
        return vaults.error("InvalidRequestException", f"The restore job {job['RestoreJobId']} waits for no validation result.")
    job["ValidationStatus"] = body["ValidationStatus"]
    if "ValidationStatusMessage" in body:
        job["ValidationStatusMessage"] = body["ValidationStatusMessage"]
    job["DeletionStatus"] = SUCCESSFUL if _remove(job["CreatedResourceArn"]) else "FAILED"
    return vaults.ok(status=204)


def test(plan: str, region: str) -> Record:
    """What the hour of a restore testing plan does: restores the newest recovery point of what each selection protects."""
    from ministack.core.responses import get_account_id, request_scope

    with request_scope(get_account_id(), region):
        found = _store("plans").get(plan)
        if found is None:
            return {"error": f"There is no restore testing plan {plan!r} in {region}."}
        started = []
        for key, selection in list(_store("selections").items()):
            if key.startswith(f"{plan}/"):
                for point in _newest(found, selection):
                    overrides = selection.get("RestoreMetadataOverrides") or {}
                    started.append(_restore(point, overrides, selection["IamRoleArn"], found["RestoreTestingPlanArn"]))
    return {"jobs": started}


def _newest(plan: Record, selection: Record) -> list[Record]:
    """Of each protected resource, the last recovery point in a vault that the plan includes."""
    wanted = plan["RecoveryPointSelection"]
    arns = selection.get("ProtectedResourceArns") or ["*"]
    newest: dict[str, Record] = {}
    for point in vaults.all_points():
        kind = "CONTINUOUS" if ":continuous:" in point["RecoveryPointArn"] else "SNAPSHOT"
        named = [*wanted["IncludeVaults"], *(f"-{one}" for one in wanted.get("ExcludeVaults") or [])]
        if (
            point["ResourceType"] == selection["ProtectedResourceType"]
            and ("*" in arns or point["ResourceArn"] in arns)
            and kind in wanted["RecoveryPointTypes"]
            and ("*" in named or point["BackupVaultArn"] in named)
            and f"-{point['BackupVaultArn']}" not in named
        ):
            newest[point["ResourceArn"]] = point
    return list(newest.values())


def _restore(point: Record, metadata: dict[str, str], role: str, plan: str) -> str:
    """Restores at once, and says so with an event; the id of the job."""
    from ministack.core.responses import get_account_id, new_uuid

    job_id, now = str(new_uuid()).upper(), time.time()
    asked = {name.lower(): value for name, value in metadata.items()}
    created, message = _created(point, asked, job_id, testing=bool(plan))
    job: Record = {
        "AccountId": get_account_id(),
        "RestoreJobId": job_id,
        "RecoveryPointArn": point["RecoveryPointArn"],
        "SourceResourceArn": point["ResourceArn"],
        "BackupVaultArn": point["BackupVaultArn"],
        "CreationDate": now,
        "CompletionDate": time.time(),
        "Status": "COMPLETED" if created else "FAILED",
        "StatusMessage": message,
        "PercentDone": "100.00%" if created else "0.00%",
        "BackupSizeInBytes": 0,
        "IamRoleArn": role,
        "CreatedResourceArn": created,
        "ResourceType": point["ResourceType"],
        "RecoveryPointCreationDate": point["CreationDate"],
        "CreatedBy": {"RestoreTestingPlanArn": plan} if plan else {},
        "_metadata": metadata,
    }
    if plan and created:
        job["ValidationStatus"] = "VALIDATING"
    _store("jobs")[job_id] = job
    detail = {
        "restoreJobId": job_id,
        "backupSizeInBytes": "0",
        "creationDate": vaults.instant(now),
        "completionDate": vaults.instant(job["CompletionDate"]),
        "iamRoleArn": role,
        "percentDone": 100.0 if created else 0.0,
        "resourceType": point["ResourceType"],
        "sourceResourceArn": point["ResourceArn"],
        "status": job["Status"],
        **({"createdResourceArn": created} if created else {"statusMessage": message}),
        **({"restoreTestingPlanArn": plan} if plan else {}),
    }
    events.emit("aws.backup", "Restore Job State Change", [point["RecoveryPointArn"]], detail)
    return job_id


def _created(point: Record, asked: dict[str, str], job: str, *, testing: bool) -> tuple[str, str]:
    """The ARN of what was restored, or why nothing was."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import rds

    kept = snapshots.settings(point["RecoveryPointArn"])
    if kept is None:
        return "", f"The emulator restores databases of RDS and files, and no {point['ResourceType']}."
    if point["ResourceType"] == "EFS":
        return restored_files.restore(point, kept, asked, job, testing=testing)
    aurora = point["ResourceType"] == "Aurora"
    given = asked.get("dbclusteridentifier" if aurora else "dbinstanceidentifier")
    name = str(given or f"awsbackup-restore-test-{job.lower()}").lower()
    subnets = asked.get("dbsubnetgroupname", "")
    if subnets not in rds._subnet_groups:
        return "", f"DBSubnetGroup {subnets or 'default'} not found: without one of its own it is restored to the default VPC."
    one = copy.deepcopy(kept)
    groups = _listed(asked.get("vpcsecuritygroupids", ""))
    one["VpcSecurityGroups"] = [{"VpcSecurityGroupId": group, "Status": "active"} for group in groups]
    key = "DBClusterArn" if aurora else "DBInstanceArn"
    one[key] = f"arn:aws:rds:{get_region()}:{get_account_id()}:{'cluster' if aurora else 'db'}:{name}"
    if point["BackupVaultArn"].split(":")[3] != kept[key].split(":")[3] and one.get("KmsKeyId"):
        one["KmsKeyId"] = point["EncryptionKeyArn"]  # a copy in another region is encrypted anew
    place = databases.restore(point["RecoveryPointArn"], one[key], closed=aurora)
    if aurora:  # the cluster alone: who wants to connect has to add an instance
        one.update(DBClusterIdentifier=name, DBClusterMembers=[], DBSubnetGroup=subnets, _shared_endpoint=None, TagList=[])
        if place is not None:
            one["_shared_endpoint"] = {"Address": place[0], "Port": place[1], "HostedZoneId": one["HostedZoneId"]}
            one.update(Endpoint=place[0], ReaderEndpoint=place[0], Port=place[1])
        rds._clusters[name] = one
        announce()
    else:
        one.update(DBInstanceIdentifier=name, DBSubnetGroup=rds._subnet_groups[subnets], TagList=[])
        if place is not None:
            one["Endpoint"] = {**one["Endpoint"], "Address": place[0], "Port": place[1]}
        rds._instances[name] = one
    return one[key], ""


def metadata(arn: str) -> Answer:
    """What AWS Backup knows of a resource that it needs to restore it; of file systems alone here."""
    found, kept = vaults.point(arn), snapshots.settings(arn)
    if found is None:
        return vaults.missing(f"The recovery point {arn}")
    if kept is None or found["ResourceType"] != "EFS":
        return vaults.error("InvalidRequestException", f"The emulator keeps no restore metadata of {found['ResourceType']}.")
    shown = {"RestoreMetadata": restored_files.metadata(kept), "ResourceType": "EFS"}
    return vaults.ok({"BackupVaultArn": found["BackupVaultArn"], "RecoveryPointArn": arn, **shown})


def _listed(text: str) -> list[str]:
    """Values of metadata are strings: a list is one of JSON, or separated by commas."""
    return [one.strip(' "[]') for one in text.split(",") if one.strip(' "[]')]


def _remove(arn: str) -> bool:
    """Whether what was restored could be deleted: a cluster that still has instances cannot, nor files with mount targets."""
    from ministack.services import rds

    if ":elasticfilesystem:" in arn:
        return restored_files.remove(arn)
    name = arn.rsplit(":", 1)[-1]
    store = rds._clusters if ":cluster:" in arn else rds._instances
    if (store.get(name) or {}).get("DBClusterMembers"):
        return False
    store.pop(name, None)
    databases.destroy(arn)
    return True
