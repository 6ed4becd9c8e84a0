"""ElastiCache: what ministack accepts or drops and AWS does not, users with their passwords, and the servers behind groups."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from emulator import caches, redis_server

Parameters = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Answer]

# How long a change of users stays "modifying", in seconds: the servers have it at the end of this time, not before.
PROPAGATION = 0.1
LONGEST = 40  # of a replication group's id
SHORTEST_PASSWORD, LONGEST_PASSWORD, MOST_PASSWORDS = 16, 128, 2
TYPES = ("password", "no-password-required", "iam")
# Settings that ministack does not keep: parameter -> element of the description, if there is one.
KEPT = {"KmsKeyId": "KmsKeyId", "SnapshottingClusterId": "", "NotificationTopicArn": "", "Port": "", "NetworkType": "NetworkType"}

_changing = threading.RLock()


def install() -> None:
    from ministack.services import elasticache

    elasticache._modify_user = _modify_user
    elasticache._create_replication_group = _around(elasticache._create_replication_group, _create_group)
    elasticache._modify_replication_group = _around(elasticache._modify_replication_group, _modify_group)
    elasticache._delete_replication_group = _around(elasticache._delete_replication_group, _delete_group)
    elasticache._increase_replica_count = _around(elasticache._increase_replica_count, _resize)
    elasticache._decrease_replica_count = _around(elasticache._decrease_replica_count, _resize)
    elasticache._create_user = _around(elasticache._create_user, _create_user)
    elasticache._delete_user = _around(elasticache._delete_user, _delete_user)
    elasticache._create_user_group = _around(elasticache._create_user_group, _create_user_group)
    elasticache._modify_user_group = _around(elasticache._modify_user_group, _modify_user_group)
    elasticache._delete_user_group = _around(elasticache._delete_user_group, _delete_user_group)
    elasticache._modify_cache_parameter_group = _around(elasticache._modify_cache_parameter_group, _change_parameters)
    elasticache._delete_param_group = _around(elasticache._delete_param_group, _delete_parameters)
    elasticache._get_docker = lambda: None  # never a container; what stands behind a group is ours
    described = elasticache._rg_xml
    elasticache._rg_xml = lambda group: described(group) + _more(group)
    # Whatever reaches the servers must not hold the event loop.
    elasticache._DOCKER_BACKED_ACTIONS |= {"ModifyUser", "ModifyUserGroup", "ModifyCacheParameterGroup", "DeleteUser"}
    handle = elasticache.handle_request

    async def with_failover(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        from ministack.core.concurrency import run_offloop

        p = {**query, **parse_qs(body.decode(errors="replace"))}
        if _one(p, "Action") == "TestFailover":
            return await run_offloop(_test_failover, p)
        return await handle(method, path, headers, body, query)

    elasticache.handle_request = with_failover


def _around(theirs: Action, ours: Callable[[Action, Parameters], Answer]) -> Action:
    return lambda p: ours(theirs, p)


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


def _true(p: Parameters, name: str) -> bool:
    return _one(p, name).lower() == "true"


def _error(code: str, message: str, status: int = 400) -> Answer:
    from ministack.services import elasticache

    answer: Answer = elasticache._error(code, escape(message), status)
    return answer


# ---- replication groups


def _create_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    refusal = _group_refused(p)
    if refusal is not None:
        return refusal
    answer = theirs(p)
    group = elasticache._replication_groups.get(_one(p, "ReplicationGroupId"))
    if answer[0] >= 300 or group is None:
        return answer
    _number_members(group)
    group["_kept"] = {name: _one(p, name) for name in KEPT if _one(p, name)}
    if group["Engine"] == "redis":
        try:
            places = caches.create(
                group["ARN"],
                nodes=len(group["MemberClusters"]),
                tls=bool(group["TransitEncryptionEnabled"]),
                parameters=_parameters(group["CacheParameterGroupName"]),
                users=_users_of(group),
            )
        except redis_server.RuleError as error:
            elasticache._delete_replication_group(p)
            return _error("InvalidParameterValue", str(error))
        _place(group, places)
    return _group_answer("CreateReplicationGroup", group)


def _group_refused(p: Parameters) -> Answer | None:
    """What AWS refuses, and ministack takes."""
    from ministack.services import elasticache

    name, groups = _one(p, "ReplicationGroupId"), _several(p, "UserGroupIds")
    nodes = int(_one(p, "NumCacheClusters") or "1")
    parameters, subnets = _one(p, "CacheParameterGroupName"), _one(p, "CacheSubnetGroupName")
    if not re.fullmatch(r"[A-Za-z](?!.*--)[A-Za-z0-9-]*(?<!-)", name) or len(name) > LONGEST:
        return _error("InvalidParameterValue", f"The parameter ReplicationGroupId is not valid: {name}.")
    if _true(p, "AutomaticFailoverEnabled") and nodes < 2 and not _one(p, "NumNodeGroups"):
        return _error("InvalidParameterValue", "Automatic failover needs a replica: NumCacheClusters must be 2 or more.")
    if _true(p, "MultiAZEnabled") and not _true(p, "AutomaticFailoverEnabled"):
        return _error("InvalidParameterCombination", "Must turn on automatic failover to use MultiAZ.")
    if groups and not _true(p, "TransitEncryptionEnabled"):
        return _error("InvalidParameterCombination", "User group based access control needs encryption in transit.")
    if groups and (len(groups) > 1 or _one(p, "AuthToken")):
        return _error("InvalidParameterCombination", "One user group, or an AUTH token.")
    if _one(p, "KmsKeyId") and not _true(p, "AtRestEncryptionEnabled"):
        return _error("InvalidParameterCombination", "A KMS key needs encryption at rest.")
    if parameters and parameters not in elasticache._param_groups:
        return _error("CacheParameterGroupNotFound", f"CacheParameterGroup {parameters} not found.", 404)
    if subnets and subnets not in elasticache._subnet_groups:
        return _error("CacheSubnetGroupNotFoundFault", f"Cache Subnet Group {subnets} does not exist.")
    return None


def _number_members(group: dict[str, Any]) -> None:
    """Members are called id-001, id-002 and so on where there is one shard, which ministack calls id-0001-001."""
    from ministack.services import elasticache

    if len(group["NodeGroups"]) != 1:
        return
    for member in group["NodeGroups"][0]["NodeGroupMembers"]:
        old = member["CacheClusterId"]
        new = old.replace(f"{group['ReplicationGroupId']}-0001-", f"{group['ReplicationGroupId']}-")
        member["CacheClusterId"] = new
        cluster = elasticache._clusters.pop(old, None)
        if cluster is None or new == old:
            continue
        tags = elasticache._tags.pop(cluster["CacheClusterArn"], [])
        cluster.update(CacheClusterId=new, CacheClusterArn=elasticache._arn_cluster(new))
        elasticache._clusters[new] = cluster
        elasticache._tags[cluster["CacheClusterArn"]] = tags
    group["MemberClusters"] = [member["CacheClusterId"] for member in group["NodeGroups"][0]["NodeGroupMembers"]]


def _place(group: dict[str, Any], places: list[tuple[str, int]]) -> None:
    """Says where the servers are: the primary first, a reader behind it."""
    from ministack.services import elasticache

    if not places:
        return
    shard = group["NodeGroups"][0]
    addresses = [{"Address": host, "Port": port} for host, port in places]
    shard["PrimaryEndpoint"], shard["ReaderEndpoint"] = addresses[0], addresses[-1]
    first = sorted(shard["NodeGroupMembers"], key=lambda member: member["CurrentRole"] != "primary")
    for member, address in zip(first, addresses, strict=True):
        member["ReadEndpoint"] = address
        cluster = elasticache._clusters.get(member["CacheClusterId"])
        if cluster is not None:
            cluster["_endpoint"] = cluster["CacheNodes"][0]["Endpoint"] = address


def _more(group: dict[str, Any]) -> str:
    kept = group.get("_kept", {})
    return "".join(f"<{element}>{escape(kept[name])}</{element}>" for name, element in KEPT.items() if element and name in kept)


def _group_answer(action: str, group: dict[str, Any]) -> Answer:
    from ministack.services import elasticache

    inner = f"<{action}Result><ReplicationGroup>{elasticache._rg_xml(group)}</ReplicationGroup></{action}Result>"
    answer: Answer = elasticache._xml(200, f"{action}Response", inner)
    return answer


def _modify_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    group = elasticache._replication_groups.get(_one(p, "ReplicationGroupId"))
    if group is not None and _several(p, "UserGroupIdsToAdd") and not group["TransitEncryptionEnabled"]:
        return _error("InvalidParameterCombination", "User group based access control needs encryption in transit.")
    answer = theirs(p)
    if answer[0] >= 300 or group is None:
        return answer
    group["_kept"].update({name: _one(p, name) for name in KEPT if _one(p, name)})
    for name in ("PreferredMaintenanceWindow", "TransitEncryptionMode"):
        group[name] = _one(p, name) or group.get(name)
    if _one(p, "AutoMinorVersionUpgrade"):
        group["AutoMinorVersionUpgrade"] = _true(p, "AutoMinorVersionUpgrade")
    groups = _several(p, "SecurityGroupIds")
    if groups:
        group["SecurityGroups"] = [{"SecurityGroupId": one, "Status": "active"} for one in groups]
    _change_logs(group, p)
    if _several(p, "UserGroupIdsToAdd") or _several(p, "UserGroupIdsToRemove"):
        caches.set_users(group["ARN"], _users_of(group))
    if _one(p, "CacheParameterGroupName"):
        caches.set_parameters(group["ARN"], _parameters(group["CacheParameterGroupName"]))
    return _group_answer("ModifyReplicationGroup", group)


def _change_logs(group: dict[str, Any], p: Parameters) -> None:
    """Each kind of log that is named has what is said of it; the others stay as they are."""
    from ministack.services import elasticache

    prefix = "LogDeliveryConfigurations.LogDeliveryConfigurationRequest"
    named = {_one(p, name) for name in p if re.fullmatch(re.escape(prefix) + r"\.\d+\.LogType", name)}
    if named:
        stay = [one for one in group["LogDeliveryConfigurations"] if one["LogType"] not in named]
        group["LogDeliveryConfigurations"] = stay + elasticache._extract_log_delivery_configs(p)


def _delete_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    group = elasticache._replication_groups.get(_one(p, "ReplicationGroupId"))
    answer = theirs(p)
    if group is not None and answer[0] < 300:
        caches.destroy(group["ARN"])
    return answer


def _resize(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    answer = theirs(p)
    group = elasticache._replication_groups.get(_one(p, "ReplicationGroupId"))
    if answer[0] >= 300 or group is None:
        return answer
    _number_members(group)
    _place(group, caches.resize(group["ARN"], len(group["MemberClusters"])))
    return _group_answer(_one(p, "Action"), group)


def _test_failover(p: Parameters) -> Answer:
    from ministack.services import elasticache

    name, shard = _one(p, "ReplicationGroupId"), _one(p, "NodeGroupId")
    group = elasticache._replication_groups.get(name)
    if group is None:
        return _error("ReplicationGroupNotFoundFault", f"Replication group {name} not found", 404)
    if shard not in [one["NodeGroupId"] for one in group["NodeGroups"]]:
        return _error("NodeGroupNotFoundFault", f"Node group {shard} not found", 404)
    if group["AutomaticFailover"] != "enabled":
        return _error("InvalidReplicationGroupState", f"Automatic failover of {name} is not enabled.")
    members = group["NodeGroups"][0]["NodeGroupMembers"]
    primary = next(one for one in members if one["CurrentRole"] == "primary")
    replica = next(one for one in members if one["CurrentRole"] != "primary")
    caches.fail_over(group["ARN"])
    primary["CurrentRole"], replica["CurrentRole"] = "replica", "primary"
    _place(group, caches.places(group["ARN"]))
    return _group_answer("TestFailover", group)


def _parameters(name: str) -> dict[str, str]:
    from ministack.services import elasticache

    values = elasticache._param_group_params.get(name) or {}
    return {parameter: str(one["Value"]) for parameter, one in values.items() if one.get("Source") == "user"}


def _change_parameters(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    answer, name = theirs(p), _one(p, "CacheParameterGroupName")
    if answer[0] < 300:
        for group in elasticache._replication_groups.values():
            if group["CacheParameterGroupName"] == name:
                caches.set_parameters(group["ARN"], _parameters(name))
    return answer


def _delete_parameters(theirs: Action, p: Parameters) -> Answer:
    """A replication group needs its parameters: they go after it."""
    from ministack.services import elasticache

    name = _one(p, "CacheParameterGroupName")
    users = [
        one["ReplicationGroupId"] for one in elasticache._replication_groups.values() if one["CacheParameterGroupName"] == name
    ]
    if users:
        return _error("InvalidCacheParameterGroupState", f"{name} is used by {', '.join(users)} and cannot be deleted.")
    return theirs(p)


# ---- users and their groups


def missing_behind(value: dict[str, Any]) -> str:
    """Why no server stands behind the user that a secret's value names; empty where there is one, or it names none."""
    from ministack.services import elasticache

    user = elasticache._users.get(str(value.get("user_arn", "")).rsplit(":", 1)[-1])
    return caches.missing_behind([group["ARN"] for group in _replication_groups_of(user)]) if user else ""


def _replication_groups_of(user: dict[str, Any]) -> list[dict[str, Any]]:
    from ministack.services import elasticache

    groups = set(user.get("UserGroupIds", []))
    return [one for one in elasticache._replication_groups.values() if groups & set(one.get("UserGroupIds", []))]


def _users_of(group: dict[str, Any]) -> list[caches.User]:
    """The users of a replication group; one that has no user group lets anybody in, as ElastiCache does."""
    from ministack.services import elasticache

    if not group.get("UserGroupIds"):
        return [caches.User("default", ("on", "~*", "&*", "+@all"), None)]
    ids = [user for one in group["UserGroupIds"] for user in (elasticache._user_groups.get(one) or {}).get("UserIds", [])]
    return [_as_server_has_it(elasticache._users[one]) for one in ids if one in elasticache._users]


def _as_server_has_it(user: dict[str, Any]) -> caches.User:
    digests = user.get("_digests")
    return caches.User(user["UserName"], tuple(user["AccessString"].split()), None if digests is None else tuple(digests))


def _credentials(p: Parameters) -> tuple[list[str] | None, str] | Answer:
    """The digests of the passwords that a request gives (None: none are needed) and the kind; the refusal where it cannot be."""
    kind = _one(p, "AuthenticationMode.Type")
    passwords = _several(p, "Passwords") + _several(p, "AuthenticationMode.Passwords")
    free = _true(p, "NoPasswordRequired") or kind == "no-password-required"
    if kind and kind not in TYPES:
        return _error(
            "InvalidParameterValue", f"Input Authentication type: {kind} is not in the allowed list: {', '.join(TYPES)}"
        )
    if passwords and (free or kind == "iam"):
        return _error("InvalidParameterCombination", "Password field is not allowed with this authentication type.")
    if len(passwords) > MOST_PASSWORDS:
        return _error("InvalidParameterValue", f"A user has at most {MOST_PASSWORDS} passwords.")
    if any(not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD for password in passwords):
        return _error("InvalidParameterValue", f"Passwords have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    if passwords:
        return [redis_server.digest(password) for password in passwords], "password"
    if kind == "iam":
        return [], "iam"
    return (None, "no-password") if free else ([], "")


def _access_refused(access: str) -> Answer | None:
    forbidden = [word for word in access.split() if word[:1] in "<>#!" or word in ("nopass", "resetpass", "reset")]
    if forbidden:
        return _error("InvalidParameterValue", "The access string must not say anything about passwords.")
    return None


def _create_user(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    credentials = _credentials(p)
    if len(credentials) == 3:
        return credentials
    digests, kind = credentials
    if not kind:
        return _error("InvalidParameterValue", "Input Authentication type: null is not in the allowed list: " + ", ".join(TYPES))
    refusal = _access_refused(_one(p, "AccessString"))
    if refusal is not None:
        return refusal
    p = {**p, "UserId": _one(p, "UserId").lower()}
    answer = theirs(p)
    if answer[0] < 300:
        user = elasticache._users[p["UserId"]]
        _authenticate(user, digests, kind)
        answer = _user_answer("CreateUser", user)
    return answer


def _authenticate(user: dict[str, Any], digests: list[str] | None, kind: str) -> None:
    user["_digests"] = digests
    user["Authentication"] = {"Type": kind, "PasswordCount": len(digests or [])}


def _user_answer(action: str, user: dict[str, Any]) -> Answer:
    from ministack.services import elasticache

    answer: Answer = elasticache._xml(200, f"{action}Response", f"<{action}Result>{elasticache._user_xml(user)}</{action}Result>")
    return answer


def _modify_user(p: Parameters) -> Answer:
    """A change reaches the servers a while later; until then the user is ``modifying``, and takes no other change."""
    from ministack.core.concurrency import spawn_background
    from ministack.services import elasticache

    name = _one(p, "UserId")
    credentials = _credentials(p)
    if len(credentials) == 3:
        return credentials
    digests, kind = credentials
    access = _one(p, "AccessString") or None
    refusal = _access_refused((access or "") + " " + _one(p, "AppendAccessString"))
    if refusal is not None:
        return refusal
    with _changing:
        user = elasticache._users.get(name)
        if user is None:
            return _error("UserNotFound", f"User {name} not found", 404)
        if user["Status"] != "active":
            return _error("InvalidUserState", f"User {name} is {user['Status']}.")
        if access or _one(p, "AppendAccessString"):
            user["AccessString"] = f"{access or user['AccessString']} {_one(p, 'AppendAccessString')}".strip()
        if kind:
            _authenticate(user, digests, kind)
        groups = _replication_groups_of(user)
        if groups:
            user["Status"] = "modifying"
            spawn_background(_propagate, user, groups, thread_name="emulator-elasticache")
        return _user_answer("ModifyUser", user)


def _propagate(user: dict[str, Any], groups: Iterable[dict[str, Any]]) -> None:
    time.sleep(PROPAGATION)
    with _changing:
        try:
            for group in groups:
                caches.set_users(group["ARN"], _users_of(group))
        finally:
            user["Status"] = "active"


def _delete_user(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    name = _one(p, "UserId")
    user = elasticache._users.get(name)
    if user is not None and user["UserName"] == "default" and user["UserGroupIds"]:
        return _error("DefaultUserAssociatedToUserGroup", f"{name} is the default user of {', '.join(user['UserGroupIds'])}.")
    groups = _replication_groups_of(user) if user else []
    answer = theirs(p)
    if user is not None and answer[0] < 300:
        for one in user["UserGroupIds"]:
            elasticache._user_groups[one]["UserIds"].remove(name)
        for group in groups:
            caches.set_users(group["ARN"], _users_of(group))
    return answer


def _members_refused(ids: list[str]) -> Answer | None:
    """A group has users that exist, no two of one name, and one that is called default."""
    from ministack.services import elasticache

    missing = [one for one in ids if one not in elasticache._users]
    if missing:
        return _error("UserNotFound", f"User {missing[0]} not found", 404)
    names = [elasticache._users[one]["UserName"] for one in ids]
    if len(set(names)) < len(names):
        return _error("DuplicateUserName", "Two users of the group have one name.")
    if "default" not in names:
        return _error("DefaultUserRequired", "A user group must contain a user with the user name default.")
    return None


def _create_user_group(theirs: Action, p: Parameters) -> Answer:
    return _members_refused(_several(p, "UserIds")) or theirs(p)


def _modify_user_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    group = elasticache._user_groups.get(_one(p, "UserGroupId"))
    if group is not None:
        gone = _several(p, "UserIdsToRemove")
        refusal = _members_refused([one for one in group["UserIds"] if one not in gone] + _several(p, "UserIdsToAdd"))
        if refusal is not None:
            return refusal
    answer = theirs(p)
    if group is not None and answer[0] < 300:
        for one in elasticache._replication_groups.values():
            if group["UserGroupId"] in one.get("UserGroupIds", []):
                caches.set_users(one["ARN"], _users_of(one))
    return answer


def _delete_user_group(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import elasticache

    name = _one(p, "UserGroupId")
    users = [one["ReplicationGroupId"] for one in elasticache._replication_groups.values() if name in one.get("UserGroupIds", [])]
    if users:
        return _error("InvalidUserGroupState", f"{name} is used by {', '.join(users)} and cannot be deleted.")
    return theirs(p)
