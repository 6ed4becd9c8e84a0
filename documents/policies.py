"""What whoever deploys, and whoever reviews, is allowed to do: IAM policies rendered from the resource types that templates use.

CloudFormation calls AWS with the caller's permissions. Which calls a type needs stands in its registry schema (``handlers``),
which cfn-lint brings along; which resources an action may be bound to stands in AWS's Service Authorization Reference, which
it brings along too. What the chain itself calls it says itself (``chain/declared_calls.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

from awacs.aws import Action, Allow, Condition, Deny, Null, PolicyDocument, Statement, StringEquals, StringLike

from generator.assemble import BuildError
from model import Document
from model.calls import Calls
from model.facts import fact
from model.resource_types import resource_type, resource_types
from model.values import evaluate
from protocol.steps import REPLICA
from protocol.topology import LAYER

MOST_CHARACTERS = 6144
"""Of a managed policy, white space not counted (IAM and AWS STS quotas)."""

MOST_POLICIES = 10
"""Managed policies that a role or user takes before its quota must be raised."""

REGISTRY_REGION = "us-east-1"  # has every type; handlers are the same in all regions

USED_TOO = {("ec2", "network-interface"), ("ec2", "security-group-rule"), ("ec2", "prefix-list")}
"""Kinds that AWS names and that come with the types used, without being one of them."""

REPLICATED = "AWS::SecretsManager::Secret"
"""What may have a copy in any region of its system, whichever its template stands in."""

SERVICES = {"efs": "elasticfilesystem"}
"""Where IAM calls a service otherwise than CloudFormation."""

ANY_REGION = ("s3",)
"""Regional services that answer what is about no resource in whatever region they are asked: the list of all buckets."""

UNSCOPED = {"AWS::CloudWatch::CompositeAlarm": ("cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm")}
"""What AWS refuses, or answers with nothing, unless it is allowed on ``*``, though AWS's reference names a kind that it could be
bound to (CloudWatch API Reference, PutCompositeAlarm and DescribeAlarms). Of a type, because alarms on metrics do without."""

MANY = 5
"""So many names of one type are written as what they begin with."""

READING = ("Get", "List", "Describe")

SECRETIVE = re.compile(
    r"secretsmanager:(Get|BatchGet)SecretValue|s3:GetObject.*|kms:(Decrypt|Encrypt|GenerateDataKey.*)|lambda:GetLayerVersion"
    r"|logs:(GetLogEvents|FilterLogEvents|GetLogRecord|StartQuery|GetQueryResults)|sqs:ReceiveMessage|dynamodb:(Get|BatchGet|Query|Scan).*"
)
"""Actions that read what the systems hold rather than how they are set up. A reviewer has none of them."""


@dataclass(frozen=True)
class Facts:
    """What templates say about the places and names that policies are bound to."""

    types: tuple[str, ...]
    systems: tuple[str, ...]
    regions: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]  # type -> patterns of names
    places: frozenset[tuple[str, str, str]]  # type, pattern and region: no system stands in all regions
    trusted: tuple[str, ...]  # services that roles are passed to
    attached: tuple[str, ...]  # managed policies that roles carry
    stated: frozenset[tuple[str, str]] = frozenset()  # type and property, of all that templates state


def documents(templates: Iterable[Document], calls: Mapping[str, Sequence[Calls]]) -> dict[str, str]:
    """The files of ``docs/policies``: in a folder per system the policies of each kind of person, and how to attach them.

    A set of all systems would be more than a role can carry.
    """
    by_system: dict[str, list[Document]] = {}
    for template in templates:
        by_system.setdefault(template["Metadata"]["Layer"]["System"], []).append(template)
    sets = {system: policies(own, calls) for system, own in sorted(by_system.items())}
    seen = facts([template for own in by_system.values() for template in own])
    texts = {f"{system}/{name}": text for system, files in sets.items() for name, text in files.items()}
    return {**texts, "README.md": _readme(seen, {system: list(files) for system, files in sets.items()})}


def policies(templates: Iterable[Document], calls: Mapping[str, Sequence[Calls]]) -> dict[str, str]:
    """The policies of each kind of person for these templates, with what the chain calls for each: of operators where something
    fails over, and of whoever fails back where that makes instances anew."""
    listed = list(templates)
    seen = facts(listed)
    reference = _reference()
    looks = reviews(seen, reference, calls["reviewer"])
    files = {**split(deploys(seen, reference, calls["deployer"]), "deployer"), **split(looks, "reviewer")}
    deciding = [template for template in listed if template["Metadata"]["Layer"].get("Name") == LAYER]
    here = facts(deciding).regions
    if deciding:
        files |= split(_statements(calls["operator"], seen, here), "operator")
    if any(_of_replica(template) for template in deciding):
        files |= split(_and_looks(_statements(calls["failback"], seen, here), looks), "failback")
    return files


def _and_looks(statements: list[Statement], looks: Iterable[Statement]) -> list[Statement]:
    """A failback that makes instances anew, and the drift with which it ends: the reviewer's own policies would refuse it the
    password that it brings home."""
    known = {each.properties["Sid"] for each in statements}
    return statements + [each for each in looks if each.properties["Effect"] == Allow and each.properties["Sid"] not in known]


def _of_replica(template: Document) -> bool:
    """Whether a failover promotes a read replica, whose failback makes instances anew."""
    functions = (each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function")
    return any(each["Properties"]["Environment"]["Variables"].get("KIND") == REPLICA for each in functions)


def facts(templates: Sequence[Document]) -> Facts:
    """Read types, names, regions and roles out of the templates."""
    placed = [(resource, template["Metadata"]["Layer"]) for template in templates for resource in template["Resources"].values()]
    layers = [template["Metadata"]["Layer"] for template in templates]
    everywhere: dict[str, set[str]] = {}
    for layer in layers:
        everywhere.setdefault(layer["System"], set()).update(layer["Sites"].values())
    names: dict[str, set[str]] = {}
    places: set[tuple[str, str, str]] = set()
    trusted: set[str] = set()
    attached: set[str] = set()
    for resource, layer in placed:
        properties = resource.get("Properties", {})
        if name := _pattern(properties.get(resource_type(resource["Type"]).named_by)):
            names.setdefault(resource["Type"], set()).add(name)
            regions = everywhere[layer["System"]] if resource["Type"] == REPLICATED else layer["Sites"].values()
            places.update((resource["Type"], name, region) for region in regions)
        if resource["Type"] == "AWS::IAM::Role":
            for statement in properties["AssumeRolePolicyDocument"]["Statement"]:
                service = statement["Principal"].get("Service", [])
                trusted.update([service] if isinstance(service, str) else service)
            attached.update(filter(None, map(_pattern, properties.get("ManagedPolicyArns", []))))
    return Facts(
        types=tuple(sorted({resource["Type"] for resource, _ in placed})),
        systems=tuple(sorted({layer["System"] for layer in layers})),
        regions=tuple(sorted({region for layer in layers for region in layer["Sites"].values()})),
        names={type_: tuple(sorted(found)) for type_, found in sorted(names.items())},
        places=frozenset(places),
        trusted=tuple(sorted(trusted)),
        attached=tuple(sorted(attached)),
        stated=frozenset((resource["Type"], name) for resource, _ in placed for name in resource.get("Properties", {})),
    )


def deploys(seen: Facts, reference: Mapping[str, Any], calls: Iterable[Calls]) -> list[Statement]:
    """The statements of whoever deploys: what the handlers ask for, bound as far as AWS binds it, and the chain's calls."""
    asked = _handled(seen, ("create", "read", "update", "delete"), reference)
    statements = _statements(calls, seen)
    roles = _arns(seen, "AWS::IAM::Role", "role")
    if "iam:PassRole" in asked:
        statements.append(
            _allow(
                "PassOwnRolesToTheirServices", ["iam:PassRole"], roles, StringEquals("iam:PassedToService", list(seen.trusted))
            )
        )
    if "iam:AttachRolePolicy" in asked and seen.attached:
        only = StringEquals("iam:PolicyARN", list(seen.attached))
        statements.append(_allow("AttachOnlyWhatTemplatesName", ["iam:AttachRolePolicy", "iam:DetachRolePolicy"], roles, only))
    statements += _service_roles(seen)
    if "AWS::KMS::Key" in seen.types:
        keys = _arns(seen, "AWS::KMS::Key", "key")
        through = StringLike("kms:ViaService", [f"*.{region}.amazonaws.com" for region in seen.regions])
        used = ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
        used += sorted(asked & {"kms:ReEncryptFrom", "kms:ReEncryptTo"})
        own = StringEquals("aws:ResourceTag/System", list(seen.systems))
        statements.append(_allow("UseKeysThroughServices", used, keys, through))
        rule = ["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
        statements.append(_allow("RuleOwnKeys", rule, keys, own))
        # CreateKey asks whether its caller could change the key's policy, when the key carries no tag yet; and a stack that is
        # rolled back takes a key away within the minutes in which KMS does not see its tags.
        made = (StringEquals("aws:CalledViaFirst", "cloudformation.amazonaws.com"), Null("aws:ResourceTag/System", "true"))
        statements.append(_allow("RuleKeysThatAreBeingMade", rule, keys, *made))
        asked -= {*used, *rule}
    asked -= {"iam:PassRole", "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:CreateServiceLinkedRole"}
    ended = sorted(action for action in asked if _ends_one(action, reference))
    if ended:
        own = StringEquals("aws:ResourceTag/System", list(seen.systems))
        kinds = sorted({kind for action in ended for kind in _kinds(action, reference)})
        arns = [f"arn:aws:ec2:{region}:*:{kind}/*" for region in seen.regions for kind in kinds]
        statements.append(_allow("EndOwnNetwork", ended, arns, own))
    return statements + _bound(asked.difference(ended), seen, reference)


def _service_roles(seen: Facts) -> list[Statement]:
    """Leave to make the roles of services' own that come with the first resource of an account, each for its service alone.

    Raises:
        BuildError: A type needs such a role, and nobody wrote down which.
    """
    known = [role for role in fact("service_linked_roles") if any(_needs(role, type_) for type_ in seen.types)]
    for type_ in seen.types:
        named = {action for name in ("create", "update") for action in _permissions(type_, name)}
        if "iam:CreateServiceLinkedRole" in named and not any(_needs(role, type_) for role in known):
            raise BuildError(f"{type_} needs a service-linked role; write it into model/facts/service_linked_roles.yaml")
    return [
        _allow(
            role["sid"],
            ["iam:CreateServiceLinkedRole"],
            [f"arn:aws:iam::*:role/aws-service-role/{role['service']}/{role['role']}"],
            StringEquals("iam:AWSServiceName", role["service"]),
        )
        for role in known
        if any(_needs(role, type_) and _is_stated(role, type_, seen) for type_ in seen.types)
    ]


def _needs(role: Mapping[str, Any], type_: str) -> bool:
    return any(type_.startswith(prefix) for prefix in role["types"])


def _is_stated(one: Mapping[str, Any], type_: str, seen: Facts) -> bool:
    """Whether some resource of the type states the property without which a service asks for nothing more."""
    return "where" not in one or (type_, one["where"]) in seen.stated


def _permissions(type_: str, handler: str) -> list[str]:
    found: list[str] = _registry(type_).get("handlers", {}).get(handler, {}).get("permissions", [])
    return found


def reviews(seen: Facts, reference: Mapping[str, Any], calls: Iterable[Calls]) -> list[Statement]:
    """The statements of whoever reviews: how everything is set up, nothing of what it holds."""
    asked = {action for action in _handled(seen, ("read",), reference) if action.partition(":")[2].startswith(READING)}
    bound = _bound({action for action in asked if not SECRETIVE.fullmatch(action)}, seen, reference)
    return [*_statements(calls, seen), *bound, *_never(seen)]


def _never(seen: Facts) -> list[Statement]:
    """Refusals that stand whatever else is attached to a reviewer: the content of secrets and of buckets."""
    contents = {
        "AWS::S3::Bucket": ("object", ["s3:GetObject", "s3:GetObjectVersion"]),
        "AWS::SecretsManager::Secret": ("Secret", ["secretsmanager:GetSecretValue"]),
    }
    actions = sorted(action for type_, (_, held) in contents.items() if type_ in seen.names for action in held)
    arns = sorted(arn for type_, (kind, _) in contents.items() for arn in _arns(seen, type_, kind))
    return [Statement(Sid="NeverWhatTheyHold", Effect=Deny, Action=_actions(actions), Resource=arns)] if arns else []


def split(statements: Sequence[Statement], name: str) -> dict[str, str]:
    """As many managed policies as IAM's limit makes necessary, each as JSON; one that fits has no number.

    A statement goes into the first policy that has room for it.
    """
    policies: list[list[dict[str, Any]]] = []
    for statement in statements:
        plain = json.loads(PolicyDocument(Version="2012-10-17", Statement=[statement]).to_json())["Statement"][0]
        room = next((each for each in policies if _size([*each, plain]) <= MOST_CHARACTERS), None)
        if room is None:
            policies.append([plain])
        else:
            room.append(plain)
    texts = [json.dumps(_policy(each), indent=2) + "\n" for each in policies]
    if len(texts) == 1:
        return {f"{name}.json": texts[0]}
    return {f"{name}-{number}.json": text for number, text in enumerate(texts, 1)}


def _readme(seen: Facts, sets: Mapping[str, Sequence[str]]) -> str:
    """How to attach the policies, and what they rest on."""

    def links(system: str, kind: str) -> str:
        return ", ".join(f"[{name}]({system}/{name})" for name in sets[system] if name.startswith(kind))

    kinds = ("deployer", "reviewer", "operator", "failback")
    rows = "\n".join(f"| {' | '.join([system, *(links(system, kind) or '–' for kind in kinds)])} |" for system in sets)
    return f"""\
<!-- Generated by `make build` from documents/policies.py, chain/declared_calls.py and the types in templates/. Do not edit. -->
# Policies for people

For the systems {", ".join(seen.systems)} in {", ".join(seen.regions)}.
A managed policy holds {MOST_CHARACTERS:,} characters, so what does not fit stands in several files; attach all of one kind to
the same role. A role carries {MOST_POLICIES} policies: make one role per system, or ask AWS for a larger quota.

| system | for whoever deploys | for whoever reviews | for whoever fails over | and back, where that makes instances anew |
|---|---|---|---|---|
{rows}

```
for file in ledger/deployer*.json; do
  aws iam create-policy --policy-name "standby-ledger-$(basename "${{file%.json}}")" --policy-document "file://$file"
done
```

- **Deploys**: CloudFormation calls AWS with the caller's permissions. The actions are those that the registry schemas
  of the types used name for create, read, update and delete, what AWS's guides ask beside these (`model/facts/callers.yaml`),
  and the chain's own calls. They are bound to the names
  that the templates give; where AWS chooses the name, to the kind and region; what removes parts of a network or
  rules a key, to the tag `System`. `iam:PassRole` is bound to the services that the roles trust. Calls to services
  that no template uses are left out.
- **Reviews**: the `read` handlers of the same types and the chain's reading calls, for `make status` and `make
  drift`. No content: secret values and objects are refused even if another policy allows them; log events and
  decryption are not allowed.
- **Fails over**: `make failover` finds the failover function, reads which site writes, and invokes the function, all in the
  recovery region. What is done then is done with the function's own role.
- **Fails back**: `make failback` needs the operator's policies, and the reviewer's for the `drift` with which it ends. Where a
  read replica was promoted it also deletes and makes instances, which the function's role may not: the command does it with
  the permissions of whoever types it. `failback` holds all of these, and reads the password that it brings home, which the
  reviewer's policies would refuse: attach it alone, for the failback, and detach it afterwards.
- `*` stands as a resource only in statements named `AwsBindsTheseToNoResource…`, `LookAround`, `StopBackups` and
  `SweepFindsLogGroups`: AWS's Service Authorization Reference defines no resource for those actions. In
  `DescribeStacksWithoutAName` and `DescribeBackupsWithoutAName` the question is about all of a kind, in
  `DeletePointsWithoutAName` about what other services name, and in `CompositeAlarmsTakeNoScope` CloudWatch takes nothing
  narrower, whatever the reference says. Accounts are `*` in ARNs because
  IAM takes no variable there; an identity's policy reaches another account only where that account lets it.
- Whoever may write roles named like ours can write powerful ones. Where that matters, attach a permissions boundary
  to the deployer.
- KMS takes up to five minutes to see a new tag, and CreateKey asks whether its caller may rule a key that carries none yet:
  `RuleKeysThatAreBeingMade` allows that through CloudFormation, of keys without the tag `System` alone.
- An account that has used a service before has the service's own role. `First…` lets CloudFormation make it in one that has
  not, for that service alone (`model/facts/service_linked_roles.yaml`).
- Services without regions, such as IAM and Route 53, answer in one region whatever region a system stands in: no statement
  about them asks for a region.
- The reference has no record of every call that AWS makes on the way. Only a real account can confirm that nothing is
  missing.
"""


def _policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _size(statements: list[dict[str, Any]]) -> int:
    return len(re.sub(r"\s", "", json.dumps(_policy(statements))))


def _bound(actions: Iterable[str], seen: Facts, reference: Mapping[str, Any]) -> list[Statement]:
    """One statement per service for what can be bound to resources of ours, one for what handlers read beside these, and three
    for what cannot be bound: what AWS's reference says could be, regional, and global."""
    asked = set(actions)
    unscoped = {action for type_ in seen.types for action in UNSCOPED.get(type_, ()) if action in asked}
    bound: dict[str, set[str]] = {}
    places: dict[str, set[str]] = {}
    sought: dict[str, set[str]] = {}
    around: dict[str, set[str]] = {}
    loose: set[str] = set()
    for action in asked - unscoped:
        service = action.partition(":")[0]
        kinds = _kinds(action, reference)
        arns = {arn for kind in kinds for arn in _places(service, kind, seen)}
        if not kinds:
            loose.add(action)
        elif arns:
            bound.setdefault(service, set()).add(action)
            places.setdefault(service, set()).update(arns)
        elif action.partition(":")[2].startswith(READING):  # handlers look for kinds that no template has, too
            sought.setdefault(service, set()).add(action)
            around.setdefault(service, set()).update(arn for kind in kinds for arn in _anywhere(service, kind, seen, reference))
    statements = [
        _allow(f"{service.capitalize()}OfTheSystems", sorted(bound[service]), sorted(places[service]))
        for service in sorted(bound)
    ]
    statements += [
        _allow(f"{service.capitalize()}HandlersLookForThese", sorted(sought[service]), sorted(around[service]))
        for service in sorted(sought)
        if around[service]
    ]
    here = StringEquals("aws:RequestedRegion", list(seen.regions))
    if unscoped:
        statements.append(_allow("CompositeAlarmsTakeNoScope", sorted(unscoped), ["*"], here))
    world = {action for action in loose if home(action.partition(":")[0]) or action.partition(":")[0] in ANY_REGION}
    if loose - world:
        statements.append(_allow("AwsBindsTheseToNoResource", sorted(loose - world), ["*"], here))
    if world:
        statements.append(_allow("AwsBindsTheseToNoResourceOrRegion", sorted(world), ["*"]))
    return statements


def _places(service: str, kind: str, seen: Facts) -> list[str]:
    """The ARNs of a kind that the templates make or rest on."""
    types = [type_ for type_, known in resource_types().items() if _service(type_) == service and kind in known.arns]
    if types:
        return [arn for type_ in types for arn in _arns(seen, type_, kind)]
    if (service, kind) in USED_TOO or (service == "ec2" and _own_kind(kind, seen)):
        return [f"arn:aws:{service}:{region}:*:{kind}/*" for region in seen.regions]
    return []


def _service(type_: str) -> str:
    """What IAM calls the service of a type."""
    word = type_.split("::")[1].lower()
    return SERVICES.get(word, word)


def _anywhere(service: str, kind: str, seen: Facts, reference: Mapping[str, Any]) -> list[str]:
    """Every ARN of a kind in our regions, as AWS's reference writes them."""
    formats = reference[service]["Resources"].get(kind, {}).get("ARNFormats", [])
    return [_everywhere(each, region) for each in formats for region in seen.regions]


def _everywhere(arn: str, region: str) -> str:
    known = {"Partition": "aws", "Region": region}
    return re.sub(r"\$\{(\w+)\}", lambda match: known.get(match[1], "*"), arn).replace(".*", "*")


def _own_kind(kind: str, seen: Facts) -> bool:
    """Whether an EC2 kind is one of the types used: ``vpc-flow-log`` is ``AWS::EC2::FlowLog``."""
    plain = kind.replace("-", "")
    known = {"elasticip": "eip", "vpcflowlog": "flowlog", "natgateway": "natgateway"}
    return known.get(plain, plain) in {type_.split("::")[2].lower() for type_ in seen.types if type_.startswith("AWS::EC2::")}


def _arns(seen: Facts, type_: str, kind: str) -> list[str]:
    """The ARNs of a kind in our regions; of what AWS gives a number or a name of its own, which no template can say, any."""
    found = []
    for region in seen.regions:
        here = _shortened([name for name in seen.names.get(type_, ()) if (type_, name, region) in seen.places])
        if type_ in seen.types and type_ not in seen.names:
            here = ["*"]
        for name in here:
            arns = resource_type(type_).arns[kind]
            found += [f"arn:aws:{one.format(region=region, name=name.replace('%R', region))}" for one in arns]
    return sorted(set(found))


def _shortened(names: Sequence[str]) -> Sequence[str]:
    """Many names that begin with the same word as the words that all of them begin with: ``alarm-*``, ``dr-alarm-*``."""
    begun: dict[str, list[list[str]]] = {}
    for name in names:
        begun.setdefault(name.partition("-")[0], []).append(name.split("-"))
    return ["-".join(name) for found in begun.values() for name in (found if len(found) <= MANY else [_common(found)])]


def _common(names: Sequence[Sequence[str]]) -> list[str]:
    """The words that all of several names begin with, and an open end."""
    return [*(words[0] for words in takewhile(lambda words: len(set(words)) == 1, zip(*names, strict=False))), "*"]


def _statements(calls: Iterable[Calls], seen: Facts, here: Sequence[str] = ()) -> list[Statement]:
    """A statement for each purpose whose type is used; ``here`` are the regions of the site that decides."""
    used = [call for call in calls if call.on in ("", *seen.types)]
    return [_statement(call, replace(seen, regions=tuple(here)) if call.here else seen) for call in used]


def _statement(call: Calls, seen: Facts) -> Statement:
    """The calls of one purpose as a statement, in the regions and on the names that they are for."""
    through = [f"{service}.{region}.amazonaws.com" for service in call.through for region in seen.regions]
    conditions = [
        *([StringEquals("iam:PassedToService", call.passed_to)] if call.passed_to else []),
        *([StringEquals("kms:ViaService", through)] if through else []),
    ]
    return _allow(call.sid, call.actions, sorted(_bound_to(call, seen)), *conditions)


def _bound_to(call: Calls, seen: Facts) -> set[str]:
    """The ARNs that the calls of one purpose are bound to."""
    if call.arns:
        named = [(region, name) for type_, name, region in seen.places if type_ == call.on]
        everywhere = [(region, "") for region in seen.regions]
        return {
            f"arn:aws:{arn.format(region=region, name=name, system=system)}"
            for arn in call.arns
            for region, name in (named if "{name}" in arn else everywhere)
            for system in seen.systems
        }
    if not call.on:
        return {"*"}
    narrow = seen
    if call.on in seen.names:
        chosen = tuple(name for name in seen.names[call.on] if any(word in name for word in call.named))
        narrow = replace(seen, names={call.on: chosen})
    return {arn for kind in call.kinds or resource_type(call.on).arns for arn in _arns(narrow, call.on, kind)}


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str], *conditions: object) -> Statement:
    more = {"Condition": Condition(list(conditions))} if conditions else {}
    return Statement(Sid=sid, Effect=Allow, Action=_actions(actions), Resource=list(resources), **more)


def _actions(names: Sequence[str]) -> list[Action]:
    return [Action(*name.split(":", 1)) for name in names]


def _pattern(value: Any) -> str | None:
    """A name or ARN of a template as an IAM pattern: the suffix open, the account the caller's own, ``%R`` for the region."""
    if isinstance(value, Mapping) and "Fn::Sub" not in value:
        return None  # of a name that is only referred to, a pattern would be any name
    known = {"EnvironmentSuffix": "*", "AWS::Region": "%R", "AWS::AccountId": "${aws:PrincipalAccount}", "AWS::Partition": "aws"}
    text = evaluate(value, lambda name: known.get(name, "*"))
    return text if isinstance(text, str) else None


def _ends_one(action: str, reference: Mapping[str, Any]) -> bool:
    """Whether an EC2 action removes one kind of thing that carries tags, so that it can be bound to things of ours."""
    kinds = _kinds(action, reference)
    removes = action.startswith(("ec2:Delete", "ec2:Release")) and action != "ec2:DeleteTags"
    return removes and len(kinds) == 1 and kinds[0] != "security-group-rule"


def _kinds(action: str, reference: Mapping[str, Any]) -> list[str]:
    service, _, name = action.partition(":")
    kinds: list[str] = reference[service]["Actions"][name.lower()].get("Resources", [])
    return kinds


def _handled(seen: Facts, handlers: Sequence[str], reference: Mapping[str, Any]) -> set[str]:
    """What the handlers of the types used ask for, without the calls to services that none of our types belongs to, and
    without names that AWS's reference does not know."""
    services = {_service(type_) for type_ in seen.types} | {"backup-storage", "iam", "kms"}
    found: set[str] = set()
    for type_ in seen.types:
        schema = _registry(type_)
        listed = ["list"] if len(schema["primaryIdentifier"]) > 1 else []  # drift finds the other half of an identifier in a list
        asked = [schema.get("handlers", {}).get(handler, {}) for handler in (*handlers, *listed)]
        for permission in (each for handler in asked for each in handler.get("permissions", [])):
            service, _, name = permission.partition(":")
            service = service.lower()
            if service in services and name.lower() in reference.get(service, {}).get("Actions", {}):
                found.add(f"{service}:{name}")
    if "create" in handlers:
        unsaid = [one for one in fact("callers") if one["type"] in seen.types and _is_stated(one, one["type"], seen)]
        found.update(action for one in unsaid for action in one["actions"])
    return found


@cache
def home(service: str) -> str:
    """The region that ``aws:RequestedRegion`` names in calls to a service that has no regions; empty of one that has."""
    written: dict[str, str] = fact("global_services")["homes"]
    known = _endpoints().get(service, {})
    alone = known.get("endpoints", {}).get(known.get("partitionEndpoint"), {})
    derived = alone.get("credentialScope", {}).get("region", "us-east-1") if known.get("isRegionalized") is False else ""
    return written.get(service, derived if known.get("partitionEndpoint") else "")


@cache
def _endpoints() -> dict[str, Any]:
    """The services of AWS's commercial partition, as botocore knows them: IAM calls a service as its endpoint's name does."""
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise LookupError("botocore is not installed: run `make setup`")
    partitions = json.loads((Path(spec.origin).parent / "data" / "endpoints.json").read_bytes())["partitions"]
    services: dict[str, Any] = next(each for each in partitions if each["partition"] == "aws")["services"]
    return services


def _data() -> Path:
    """The data that comes with cfn-lint; importing it would take a second."""
    spec = find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise LookupError("cfn-lint is not installed: run `make setup`")
    return Path(spec.origin).parent / "data"


@cache
def _registry(type_: str) -> dict[str, Any]:
    folder = _data() / "schemas"
    digest = json.loads((folder / "providers" / f"{REGISTRY_REGION}.json").read_bytes())[type_]
    schema: dict[str, Any] = json.loads((folder / "resources" / f"{digest}.json").read_bytes())
    return schema


@cache
def _reference() -> dict[str, Any]:
    """The Service Authorization Reference: service -> actions and the kinds of resource that each can be bound to."""
    found: dict[str, Any] = json.loads((_data() / "AdditionalSpecs" / "Policies.json").read_bytes())
    return found
