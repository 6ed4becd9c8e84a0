"""RDS: settings that ministack drops, event subscriptions, and the servers behind instances."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from emulator import databases

Parameters = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Answer]

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
    rds._instance_xml = lambda instance: _described(described(instance), instance)
    rds._get_docker = lambda: None  # never a container; what stands behind an instance is ours
    actions: dict[str, Action] = rds._ACTION_MAP
    create, modify, delete, change = (
        actions[name] for name in ("CreateDBInstance", "ModifyDBInstance", "DeleteDBInstance", "ModifyDBParameterGroup")
    )
    actions.update(
        CreateDBInstance=lambda p: _create(create, p),
        ModifyDBInstance=lambda p: _modify(modify, p),
        DeleteDBInstance=lambda p: _delete(delete, p),
        ModifyDBParameterGroup=lambda p: _change_group(change, p),
        DeleteDBParameterGroup=_refusing_use(
            actions["DeleteDBParameterGroup"], "DBParameterGroupName", "InvalidDBParameterGroupState", _uses_parameters
        ),
        DeleteDBSubnetGroup=_refusing_use(
            actions["DeleteDBSubnetGroup"], "DBSubnetGroupName", "InvalidDBSubnetGroupStateFault", _uses_subnets
        ),
        CreateEventSubscription=_create_subscription,
        DescribeEventSubscriptions=_describe_subscriptions,
        ModifyEventSubscription=_modify_subscription,
        DeleteEventSubscription=_delete_subscription,
        AddSourceIdentifierToSubscription=lambda p: _change_sources(p, add=True),
        RemoveSourceIdentifierFromSubscription=lambda p: _change_sources(p, add=False),
        DescribeDBInstanceAutomatedBackups=_describe_backups,
        DeleteDBInstanceAutomatedBackup=_delete_backup,
    )


def _one(p: Parameters, name: str) -> str:
    value = p.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _several(p: Parameters, prefix: str) -> list[str]:
    found = [
        (int(match[1]), _one(p, name))
        for name in p
        if (match := re.fullmatch(re.escape(prefix) + r"\.(?:[A-Za-z]+\.)?(\d+)", name))
    ]
    return [value for _, value in sorted(found)]


def _described(xml: str, instance: dict[str, Any]) -> str:
    """The description of an instance with what we keep of it."""
    exports = "".join(f"<member>{escape(log)}</member>" for log in instance.get("_exports", []))
    xml = xml.replace(
        "<EnabledCloudwatchLogsExports/>", f"<EnabledCloudwatchLogsExports>{exports}</EnabledCloudwatchLogsExports>"
    )
    for element, value in instance.get("_kept", {}).items():
        ours = f"<{element}>{escape(value)}</{element}>"
        xml, replaced = re.subn(rf"<{element}>[^<]*</{element}>|<{element}/>", ours.replace("\\", r"\\"), xml)
        if not replaced:
            xml += ours
    return xml


def _keep(instance: dict[str, Any], p: Parameters) -> None:
    kept = instance.setdefault("_kept", {})
    for parameter, element in KEPT.items():
        if _one(p, parameter):
            kept[element] = _one(p, parameter)
    if kept.get("CACertificateIdentifier"):
        instance["CertificateDetails"] = {"CAIdentifier": kept["CACertificateIdentifier"], "ValidTill": "2061-05-18T00:00:00Z"}


def _create(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    status, headers, body = theirs(p)
    instance = rds._instances.get(_one(p, "DBInstanceIdentifier"))
    if status >= 300 or instance is None:
        return status, headers, body
    _keep(instance, p)
    instance["_exports"] = _several(p, "EnableCloudwatchLogsExports")
    if instance["Engine"] == "postgres" and not instance.get("DBClusterIdentifier"):
        place = databases.create(
            instance["DBInstanceArn"],
            user=instance["MasterUsername"],
            password=_one(p, "MasterUserPassword"),
            database=_one(p, "DBName"),
            parameters=_parameters(instance),
        )
        if place is not None:
            instance["Endpoint"].update(Address=place[0], Port=place[1])
    answer: Answer = rds._single_instance_response("CreateDBInstanceResponse", "CreateDBInstanceResult", instance)
    return answer


def _parameters(instance: dict[str, Any]) -> dict[str, str]:
    from ministack.services import rds

    group = rds._param_groups.get(instance["DBParameterGroups"][0]["DBParameterGroupName"]) or {}
    return {name: str(one["ParameterValue"]) for name, one in group.get("Parameters", {}).items()}


def _modify(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    status, headers, body = theirs(p)
    instance = rds._instances.get(_one(p, "DBInstanceIdentifier"))
    if status >= 300 or instance is None:
        return status, headers, body
    _keep(instance, p)
    enable = _several(p, "CloudwatchLogsExportConfiguration.EnableLogTypes")
    disable = _several(p, "CloudwatchLogsExportConfiguration.DisableLogTypes")
    if enable or disable:
        instance["_exports"] = [log for log in instance.get("_exports", []) if log not in (*disable, *enable)] + enable
    if _one(p, "MasterUserPassword"):
        databases.set_password(instance["DBInstanceArn"], instance["MasterUsername"], _one(p, "MasterUserPassword"))
    if _one(p, "DBParameterGroupName"):
        databases.set_parameters(instance["DBInstanceArn"], _parameters(instance))
    answer: Answer = rds._single_instance_response("ModifyDBInstanceResponse", "ModifyDBInstanceResult", instance)
    return answer


def _delete(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    instance = dict(rds._instances.get(_one(p, "DBInstanceIdentifier")) or {})
    answer = theirs(p)
    if instance and answer[0] < 300:
        databases.destroy(instance["DBInstanceArn"])
        if _one(p, "DeleteAutomatedBackups").lower() == "false" and int(instance.get("BackupRetentionPeriod", 0)):
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

    name = _one(p, "DbiResourceId")
    answer: Answer
    if name not in _retained():
        answer = rds._error("DBInstanceAutomatedBackupNotFound", f"No retained automated backup of {name}.", 404)
        return answer
    del _retained()[name]
    answer = rds._xml(200, "DeleteDBInstanceAutomatedBackupResponse", "<DeleteDBInstanceAutomatedBackupResult/>")
    return answer


def _change_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds

    answer = theirs(p)
    if answer[0] < 300:
        for instance in rds._instances.values():
            if instance["DBParameterGroups"][0]["DBParameterGroupName"] == _one(p, "DBParameterGroupName"):
                databases.set_parameters(instance["DBInstanceArn"], _parameters(instance))
    return answer


def _uses_parameters(instance: dict[str, Any]) -> str:
    return str(instance["DBParameterGroups"][0]["DBParameterGroupName"])


def _uses_subnets(one: dict[str, Any]) -> str:
    group = one.get("DBSubnetGroup", {})  # a cluster has the name only
    return str(group if isinstance(group, str) else group.get("DBSubnetGroupName", ""))


def _refusing_use(theirs: Action, parameter: str, code: str, use: Callable[[dict[str, Any]], str]) -> Action:
    """An instance needs its groups, and a cluster its subnets: they go after it."""

    def delete(p: Parameters) -> Answer:
        from ministack.services import rds

        holders = [*rds._instances.items(), *(rds._clusters.items() if use is _uses_subnets else ())]
        users = [name for name, one in holders if use(one) == _one(p, parameter)]
        if users:
            refusal: Answer = rds._error(code, f"{_one(p, parameter)} is used by {', '.join(users)} and cannot be deleted.", 400)
            return refusal
        return theirs(p)

    return delete


_stores: dict[str, Any] = {}


def _subscriptions() -> Any:
    from ministack.core.responses import AccountRegionScopedDict

    return _stores.setdefault("subscriptions", AccountRegionScopedDict())


def _subscription_xml(one: dict[str, Any]) -> str:
    from ministack.core.responses import get_account_id

    categories = "".join(f"<EventCategory>{escape(name)}</EventCategory>" for name in one["categories"])
    sources = "".join(f"<SourceId>{escape(name)}</SourceId>" for name in one["sources"])
    return (
        f"<EventSubscription><CustomerAwsId>{get_account_id()}</CustomerAwsId><CustSubscriptionId>{one['name']}</CustSubscriptionId>"
        f"<SnsTopicArn>{one['topic']}</SnsTopicArn><Status>active</Status><SourceType>{one['type']}</SourceType>"
        f"<SourceIdsList>{sources}</SourceIdsList><EventCategoriesList>{categories}</EventCategoriesList>"
        f"<Enabled>{str(one['enabled']).lower()}</Enabled><EventSubscriptionArn>{one['arn']}</EventSubscriptionArn></EventSubscription>"
    )


def _subscription_answer(action: str, one: dict[str, Any]) -> Answer:
    from ministack.services import rds

    answer: Answer = rds._xml(200, f"{action}Response", f"<{action}Result>{_subscription_xml(one)}</{action}Result>")
    return answer


def _subscription_missing(name: str) -> Answer:
    from ministack.services import rds

    answer: Answer = rds._error("SubscriptionNotFound", f"Subscription {name} not found.", 404)
    return answer


def _create_subscription(p: Parameters) -> Answer:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import rds

    name, store = _one(p, "SubscriptionName"), _subscriptions()
    if name in store:
        refusal: Answer = rds._error("SubscriptionAlreadyExist", f"Subscription {name} already exists.", 400)
        return refusal
    arn = f"arn:aws:rds:{get_region()}:{get_account_id()}:es:{name}"
    store[name] = {
        "name": name,
        "arn": arn,
        "topic": _one(p, "SnsTopicArn"),
        "type": _one(p, "SourceType"),
        "categories": _several(p, "EventCategories"),
        "sources": _several(p, "SourceIds"),
        "enabled": _one(p, "Enabled") != "false",
    }
    tags = rds._parse_tags(p)
    if tags:
        rds._tags[arn] = tags
    return _subscription_answer("CreateEventSubscription", store[name])


def _describe_subscriptions(p: Parameters) -> Answer:
    from ministack.services import rds

    name, store = _one(p, "SubscriptionName"), _subscriptions()
    if name and name not in store:
        return _subscription_missing(name)
    found = "".join(_subscription_xml(one) for one in ([store[name]] if name else store.values()))
    result = "DescribeEventSubscriptionsResult"
    inner = f"<{result}><EventSubscriptionsList>{found}</EventSubscriptionsList></{result}>"
    answer: Answer = rds._xml(200, "DescribeEventSubscriptionsResponse", inner)
    return answer


def _modify_subscription(p: Parameters) -> Answer:
    one = _subscriptions().get(_one(p, "SubscriptionName"))
    if one is None:
        return _subscription_missing(_one(p, "SubscriptionName"))
    for parameter, member in (("SnsTopicArn", "topic"), ("SourceType", "type")):
        if _one(p, parameter):
            one[member] = _one(p, parameter)
    if _one(p, "Enabled"):
        one["enabled"] = _one(p, "Enabled") == "true"
    if _several(p, "EventCategories"):
        one["categories"] = _several(p, "EventCategories")
    return _subscription_answer("ModifyEventSubscription", one)


def _change_sources(p: Parameters, *, add: bool) -> Answer:
    one, source = _subscriptions().get(_one(p, "SubscriptionName")), _one(p, "SourceIdentifier")
    if one is None:
        return _subscription_missing(_one(p, "SubscriptionName"))
    one["sources"] = [name for name in one["sources"] if name != source] + ([source] if add else [])
    return _subscription_answer("AddSourceIdentifierToSubscription" if add else "RemoveSourceIdentifierFromSubscription", one)


def _delete_subscription(p: Parameters) -> Answer:
    from ministack.services import rds

    name = _one(p, "SubscriptionName")
    one = _subscriptions().pop(name, None)
    if one is None:
        return _subscription_missing(name)
    rds._tags.pop(one["arn"], None)
    return _subscription_answer("DeleteEventSubscription", one)
