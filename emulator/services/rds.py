"""RDS: settings that ministack drops, event subscriptions, and the servers behind instances."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from emulator import databases, postgres
from emulator.services import backup, rds_api, windows
from emulator.services.rds_api import Action, Answer, Parameters, Record

log = logging.getLogger("emulator")

# Settings that ministack does not keep, or keeps as a constant: parameter -> element of the description.
KEPT = {
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "CACertificateIdentifier": "CACertificateIdentifier",
    "DatabaseInsightsMode": "DatabaseInsightsMode",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "EngineLifecycleSupport": "EngineLifecycleSupport",
    "LicenseModel": "LicenseModel",
    "NetworkType": "NetworkType",
    "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "PreferredBackupWindow": "PreferredBackupWindow",
    "PreferredMaintenanceWindow": "PreferredMaintenanceWindow",
    "PromotionTier": "PromotionTier",
    "StorageThroughput": "StorageThroughput",
}


def install() -> None:
    from ministack.services import rds

    described = rds._instance_xml
    rds._instance_xml = lambda instance: rds_api.described(described({**instance, "DBInstanceStatus": state(instance)}), instance)
    rds._get_docker = lambda: None  # never a container; what stands behind an instance is ours
    actions: dict[str, Action] = rds._ACTION_MAP
    rds_api.wrap(
        actions,
        {
            "CreateDBInstance": _create,
            "ModifyDBInstance": _modify,
            "DeleteDBInstance": _delete,
            "StartDBInstance": _start,
            "StopDBInstance": _stop,
            "RebootDBInstance": _reboot,
            "ModifyDBParameterGroup": _change_group,
            "DeleteDBParameterGroup": _refusing_use("DBParameterGroupName", "InvalidDBParameterGroupState", _uses_parameters),
            "DeleteDBSubnetGroup": _refusing_use("DBSubnetGroupName", "InvalidDBSubnetGroupStateFault", _uses_subnets),
        },
    )
    actions.update(
        CreateEventSubscription=_create_subscription,
        DescribeEventSubscriptions=_describe_subscriptions,
        ModifyEventSubscription=_modify_subscription,
        DeleteEventSubscription=_delete_subscription,
        AddSourceIdentifierToSubscription=lambda p: _change_sources(p, add=True),
        RemoveSourceIdentifierFromSubscription=lambda p: _change_sources(p, add=False),
        DescribeDBInstanceAutomatedBackups=_describe_backups,
        DeleteDBInstanceAutomatedBackup=_delete_backup,
    )


def _keep(instance: Record, p: Parameters) -> None:
    kept = rds_api.keep(instance, p, KEPT)
    if kept.get("CACertificateIdentifier"):
        instance["CertificateDetails"] = {"CAIdentifier": kept["CACertificateIdentifier"], "ValidTill": "2061-05-18T00:00:00Z"}


def _create(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    cluster = rds._clusters.get(rds_api.one(p, "DBClusterIdentifier")) or {}
    refused = windows.refusal(p, {windows.BACKUP: cluster.get(windows.BACKUP, "")})
    if refused is not None:
        return refused
    p = p if cluster else {windows.BACKUP: windows.drawn(), **p}
    answer = theirs(p)
    instance = rds._instances.get(rds_api.one(p, "DBInstanceIdentifier"))
    if answer[0] >= 300 or instance is None:
        return answer
    _keep(instance, p)
    rds_api.keep_exports(instance, p)
    if instance["Engine"] == "postgres" and not instance.get("DBClusterIdentifier"):
        place = databases.create(
            instance["DBInstanceArn"],
            user=instance["MasterUsername"],
            password=rds_api.one(p, "MasterUserPassword"),
            database=rds_api.one(p, "DBName"),
            parameters=parameters(instance),
        )
        if place is not None:
            instance["Endpoint"].update(Address=place[0], Port=place[1])
    return said("CreateDBInstance", instance)


def said(action: str, instance: Record) -> Answer:
    from ministack.services import rds

    return rds_api.answer(action, "DBInstance", rds._instance_xml(instance))


def state(instance: Record) -> str:
    """What it is doing: an instance is backed up while AWS Backup has a job for it that runs."""
    status = str(instance["DBInstanceStatus"])
    return "backing-up" if status == "available" and backup.is_under_way(instance["DBInstanceArn"]) else status


def parameters(instance: Record) -> dict[str, str]:
    from ministack.services import rds

    return rds_api.parameters(rds._param_groups, _uses_parameters(instance))


def _modify(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    instance = rds._instances.get(rds_api.one(p, "DBInstanceIdentifier"))
    if {windows.BACKUP, windows.MAINTENANCE} & p.keys():
        refused = windows.refusal(p, {**(instance or {}), **(instance or {}).get("_kept", {})})
        if refused is not None:
            return refused
    groups = list(instance.get("DBParameterGroups") or ()) if instance is not None else []
    answer = theirs(p)
    if answer[0] >= 300 or instance is None:
        return answer
    if group := rds_api.one(p, "DBParameterGroupName"):
        same = [one for one in groups if one["DBParameterGroupName"] == group]
        # Another group is in use after the next restart, which RDS leaves to the operator.
        instance["DBParameterGroups"] = same or [{"DBParameterGroupName": group, "ParameterApplyStatus": "pending-reboot"}]
    _keep(instance, p)
    rds_api.keep_exports(instance, p)
    if rds_api.one(p, "MasterUserPassword"):
        databases.set_password(instance["DBInstanceArn"], instance["MasterUsername"], rds_api.one(p, "MasterUserPassword"))
    if rds_api.one(p, "DBParameterGroupName"):
        databases.set_parameters(instance["DBInstanceArn"], parameters(instance))
    return said("ModifyDBInstance", instance)


def _start(theirs: Action, p: Parameters) -> Answer:
    return _after(theirs, p, databases.start)


def _stop(theirs: Action, p: Parameters) -> Answer:
    return _after(theirs, p, databases.stop)


def _reboot(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    def restart(arn: str) -> None:
        databases.restart(arn)
        for group in rds._instances[rds_api.one(p, "DBInstanceIdentifier")].get("DBParameterGroups") or ():
            group["ParameterApplyStatus"] = "in-sync"

    try:
        return _after(theirs, p, restart)
    except postgres.PostgresError as error:
        # A replica, for instance, that may have fewer connections than its source has.
        instance = rds._instances[rds_api.one(p, "DBInstanceIdentifier")]
        log.warning("%s: %s", instance["DBInstanceIdentifier"], error)
        instance["DBInstanceStatus"] = "incompatible-parameters"
        return said("RebootDBInstance", instance)


def _after(theirs: Action, p: Parameters, act: Callable[[str], None]) -> Answer:
    """The server does what its instance does; that of a cluster is not one instance's."""
    from ministack.services import rds

    answer = theirs(p)
    instance = rds._instances.get(rds_api.one(p, "DBInstanceIdentifier"))
    if answer[0] < 300 and instance is not None and not instance.get("DBClusterIdentifier"):
        act(instance["DBInstanceArn"])
    return answer


def _delete(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    instance = dict(rds._instances.get(rds_api.one(p, "DBInstanceIdentifier")) or {})
    answer = theirs(p)
    if instance and answer[0] < 300:
        databases.destroy(instance["DBInstanceArn"])
        if rds_api.one(p, "DeleteAutomatedBackups").lower() == "false" and int(instance.get("BackupRetentionPeriod", 0)):
            _retained()[instance["DbiResourceId"]] = instance
    return answer


def _retained() -> Any:
    """Automated backups that outlive their instance, by its resource id."""
    from ministack.core.responses import AccountRegionScopedDict

    return _stores.setdefault("retained", AccountRegionScopedDict())


def _describe_backups(_: Parameters) -> Answer:
    from ministack.services import rds

    active = [one for one in rds._instances.values() if int(one.get("BackupRetentionPeriod", 0))]
    found = "".join(
        f"<DBInstanceAutomatedBackup><DBInstanceIdentifier>{escape(one['DBInstanceIdentifier'])}</DBInstanceIdentifier>"
        f"<DbiResourceId>{one['DbiResourceId']}</DbiResourceId><Status>{status}</Status></DBInstanceAutomatedBackup>"
        for status, ones in (("active", active), ("retained", _retained().values()))
        for one in ones
    )
    result = "DescribeDBInstanceAutomatedBackupsResult"
    inner = f"<{result}><DBInstanceAutomatedBackups>{found}</DBInstanceAutomatedBackups></{result}>"
    answer: Answer = rds._xml(200, "DescribeDBInstanceAutomatedBackupsResponse", inner)
    return answer


def _delete_backup(p: Parameters) -> Answer:
    from ministack.services import rds

    name = rds_api.one(p, "DbiResourceId")
    answer: Answer
    if name not in _retained():
        return rds_api.error("DBInstanceAutomatedBackupNotFound", f"No retained automated backup of {name}.", 404)
    del _retained()[name]
    answer = rds._xml(200, "DeleteDBInstanceAutomatedBackupResponse", "<DeleteDBInstanceAutomatedBackupResult/>")
    return answer


SUITES = "ssl_ciphers"
NO_CHOICE = re.compile(r"postgres(9\.\d|1[0-5])")
"""Families in which RDS lets nobody choose the suites of TLS."""


def _refused_suites(family: str, value: str) -> str:
    """Why RDS does not take these suites in a group of this family; nothing where it does."""
    if NO_CHOICE.fullmatch(family):
        return f"The parameter {SUITES} of {family} cannot be modified."
    strange = [suite for suite in value.split(",") if suite not in databases.SUITES]
    return f"Invalid value {', '.join(strange)} for parameter {SUITES}." if strange else ""


def _change_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    family = str(rds._param_groups.get(rds_api.one(p, "DBParameterGroupName"), {}).get("DBParameterGroupFamily"))
    for name in p:
        if name.endswith(".ParameterName") and rds_api.one(p, name) == SUITES:
            why = _refused_suites(family, rds_api.one(p, name.removesuffix("Name") + "Value"))
            if why:
                return rds_api.error("InvalidParameterValue", why)
    answer = theirs(p)
    if answer[0] < 300:
        for instance in rds._instances.values():
            if instance["DBParameterGroups"][0]["DBParameterGroupName"] == rds_api.one(p, "DBParameterGroupName"):
                databases.set_parameters(instance["DBInstanceArn"], parameters(instance))
    return answer


def _uses_parameters(instance: Record) -> str:
    return str(instance["DBParameterGroups"][0]["DBParameterGroupName"])


def _uses_subnets(one: Record) -> str:
    group = one.get("DBSubnetGroup", {})  # a cluster has the name only
    return str(group if isinstance(group, str) else group.get("DBSubnetGroupName", ""))


def _refusing_use(parameter: str, code: str, use: Callable[[Record], str]) -> Callable[[Action, Parameters], Answer]:
    """An instance needs its groups, and a cluster its subnets: they go after it."""

    def delete(theirs: Action, p: Parameters) -> Answer:
        from ministack.services import rds

        holders = [*rds._instances.items(), *(rds._clusters.items() if use is _uses_subnets else ())]
        users = [name for name, one in holders if use(one) == rds_api.one(p, parameter)]
        if users:
            return rds_api.error(code, f"{rds_api.one(p, parameter)} is used by {', '.join(users)} and cannot be deleted.")
        return theirs(p)

    return delete


_stores: Record = {}


def _subscriptions() -> Any:
    from ministack.core.responses import AccountRegionScopedDict

    return _stores.setdefault("subscriptions", AccountRegionScopedDict())


def _subscription_xml(one: Record) -> str:
    from ministack.core.responses import get_account_id

    categories = "".join(f"<EventCategory>{escape(name)}</EventCategory>" for name in one["categories"])
    sources = "".join(f"<SourceId>{escape(name)}</SourceId>" for name in one["sources"])
    return (
        f"<EventSubscription><CustomerAwsId>{get_account_id()}</CustomerAwsId><CustSubscriptionId>{one['name']}</CustSubscriptionId>"
        f"<SnsTopicArn>{one['topic']}</SnsTopicArn><Status>active</Status><SourceType>{one['type']}</SourceType>"
        f"<SourceIdsList>{sources}</SourceIdsList><EventCategoriesList>{categories}</EventCategoriesList>"
        f"<Enabled>{str(one['enabled']).lower()}</Enabled><EventSubscriptionArn>{one['arn']}</EventSubscriptionArn></EventSubscription>"
    )


def _subscription_answer(action: str, one: Record) -> Answer:
    from ministack.services import rds

    answer: Answer = rds._xml(200, f"{action}Response", f"<{action}Result>{_subscription_xml(one)}</{action}Result>")
    return answer


def _subscription_missing(name: str) -> Answer:
    return rds_api.error("SubscriptionNotFound", f"Subscription {name} not found.", 404)


def _create_subscription(p: Parameters) -> Answer:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import rds

    name, store = rds_api.one(p, "SubscriptionName"), _subscriptions()
    if name in store:
        return rds_api.error("SubscriptionAlreadyExist", f"Subscription {name} already exists.")
    arn = f"arn:aws:rds:{get_region()}:{get_account_id()}:es:{name}"
    store[name] = {
        "name": name,
        "arn": arn,
        "topic": rds_api.one(p, "SnsTopicArn"),
        "type": rds_api.one(p, "SourceType"),
        "categories": rds_api.several(p, "EventCategories"),
        "sources": rds_api.several(p, "SourceIds"),
        "enabled": rds_api.one(p, "Enabled") != "false",
    }
    tags = rds._parse_tags(p)
    if tags:
        rds._tags[arn] = tags
    return _subscription_answer("CreateEventSubscription", store[name])


def _describe_subscriptions(p: Parameters) -> Answer:
    from ministack.services import rds

    name, store = rds_api.one(p, "SubscriptionName"), _subscriptions()
    if name and name not in store:
        return _subscription_missing(name)
    found = "".join(_subscription_xml(one) for one in ([store[name]] if name else store.values()))
    result = "DescribeEventSubscriptionsResult"
    inner = f"<{result}><EventSubscriptionsList>{found}</EventSubscriptionsList></{result}>"
    answer: Answer = rds._xml(200, "DescribeEventSubscriptionsResponse", inner)
    return answer


def _modify_subscription(p: Parameters) -> Answer:
    one = _subscriptions().get(rds_api.one(p, "SubscriptionName"))
    if one is None:
        return _subscription_missing(rds_api.one(p, "SubscriptionName"))
    for parameter, member in (("SnsTopicArn", "topic"), ("SourceType", "type")):
        if rds_api.one(p, parameter):
            one[member] = rds_api.one(p, parameter)
    if rds_api.one(p, "Enabled"):
        one["enabled"] = rds_api.one(p, "Enabled") == "true"
    if rds_api.several(p, "EventCategories"):
        one["categories"] = rds_api.several(p, "EventCategories")
    return _subscription_answer("ModifyEventSubscription", one)


def _change_sources(p: Parameters, *, add: bool) -> Answer:
    one, source = _subscriptions().get(rds_api.one(p, "SubscriptionName")), rds_api.one(p, "SourceIdentifier")
    if one is None:
        return _subscription_missing(rds_api.one(p, "SubscriptionName"))
    one["sources"] = [name for name in one["sources"] if name != source] + ([source] if add else [])
    return _subscription_answer("AddSourceIdentifierToSubscription" if add else "RemoveSourceIdentifierFromSubscription", one)


def _delete_subscription(p: Parameters) -> Answer:
    from ministack.services import rds

    name = rds_api.one(p, "SubscriptionName")
    one = _subscriptions().pop(name, None)
    if one is None:
        return _subscription_missing(name)
    rds._tags.pop(one["arn"], None)
    return _subscription_answer("DeleteEventSubscription", one)
