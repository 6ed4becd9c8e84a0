"""Puts our resource types into the emulated CloudFormation, which otherwise drops properties on the way to some services."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from emulator import authorizations, callers, property_conversion, schemas
from emulator.resource import Aws, NotFoundError, Properties, Resource

log = logging.getLogger("emulator")
KEY = "AWS::KMS::Key"

# Codes by which services say that something is not there; a delete is then done. Matched as endings: rds adds Fault to some.
GONE = (
    "NotFound",
    "NotFoundError",
    "NotFoundException",
    "NotFoundFault",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchEntity",
    "NoSuchHealthCheck",
    "NoSuchHostedZone",
    "NonExistentQueue",
    "ParameterNotFound",
    "QueueDoesNotExist",
)


def is_gone(error: Exception) -> bool:
    """Whether the error says that what was asked for does not exist."""
    from botocore.exceptions import ClientError

    if isinstance(error, NotFoundError):
        return True
    return isinstance(error, ClientError) and str(error.response["Error"]["Code"]).endswith(GONE)


def here() -> Aws:
    """The account and region of the request that is being handled."""
    from ministack.core.responses import get_account_id, get_region

    return Aws(os.environ["AWS_ENDPOINT_URL"], get_account_id(), get_region())


def install(resources: Mapping[str, Resource]) -> None:
    """Our handlers take the place of ministack's for these types."""
    from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

    engine.CfnLoader = _quick(engine.CfnLoader)
    for name, resource in resources.items():
        provisioners._RESOURCE_HANDLERS[name] = _handlers(resource)
        provisioners._REPLACING_PROPERTIES[name] = schemas.properties(name, "createOnlyProperties")
        provisioners._CONDITIONALLY_REPLACING_PROPERTIES[name] = schemas.properties(name, "conditionalCreateOnlyProperties")
        tags = schemas.tag_property(name)
        if tags is not None:
            provisioners._STACK_TAG_PROPERTY[name] = tags
    # Ours call back into this process over HTTP, so they must not hold its event loop.
    theirs = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in resources or theirs(name)
    stacks._add_event = _with_cleanup(stacks._add_event)
    changesets._diff_resources = _by_value(changesets._diff_resources)
    make = handlers._ACTION_HANDLERS["CreateChangeSet"]
    handlers._ACTION_HANDLERS["CreateChangeSet"] = lambda given: _with_outputs(make(given), given)


def _by_value(theirs: Callable[..., Any]) -> Callable[..., Any]:
    """CloudFormation compares what templates say once their parameters are filled in: one that only bears another name, or that
    takes the place of what was written out, changes nothing by itself. ministack takes a new parameter for a changed value."""

    def differ(old: Any, new: Any, resources: Any = None, template: Any = None, changed: Any = (), retag: Any = ()) -> Any:
        known = old.get("Parameters", {})
        return theirs(old, new, resources, template, {name for name in changed if name in known}, retag)

    return differ


NOT_DELETED = "Update successful. One or more resources could not be deleted."
"""What AWS gives a stack whose update ended well although its cleanup did not (CloudFormation User Guide, Troubleshooting)."""


def _with_cleanup(theirs: Callable[..., None]) -> Callable[..., None]:
    """An update that could not delete what it replaced or removed ends as on AWS: with a reason, and without it."""

    def add(stack_id: str, name: str, logical: str, kind: str, status: str, reason: str = "", *more: Any, **named: Any) -> None:
        from ministack.services.cloudformation import _stack_events, _stacks

        own = kind == "AWS::CloudFormation::Stack" and logical == name
        if own and status in ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE") and name in _stacks:
            left = {}
            for event in reversed(_stack_events.get(stack_id, [])):
                if event["ResourceType"] == kind and event["ResourceStatus"] == "UPDATE_IN_PROGRESS":
                    break
                if event["ResourceStatus"] == "DELETE_FAILED":
                    left[event["LogicalResourceId"]] = event["PhysicalResourceId"]
            resources = _stacks[name].get("_resources", {})
            for each, physical in left.items():
                if resources.get(each, {}).get("PhysicalResourceId") == physical:
                    del resources[each]
            reason = NOT_DELETED if left else reason
            if left or status == "UPDATE_COMPLETE":
                _stacks[name]["StackStatusReason"] = reason
        theirs(stack_id, name, logical, kind, status, reason, *more, **named)

    return add


def _quick(theirs: Any) -> Any:
    """The same loader of YAML on libyaml, where PyYAML has it: eight times faster."""
    import yaml

    tables = {name: getattr(theirs, name) for name in ("yaml_constructors", "yaml_multi_constructors", "yaml_implicit_resolvers")}
    return type(theirs.__name__, (yaml.CSafeLoader,), tables) if hasattr(yaml, "CSafeLoader") else theirs


def _with_outputs(answer: Any, given: Mapping[str, Any]) -> Any:
    """A change set that changes only outputs can be executed on AWS; ministack looks at resources alone."""
    from ministack.services.cloudformation import _stacks, changesets, helpers

    _, made = changesets._find_change_set(helpers._p(given, "ChangeSetName"), helpers._p(given, "StackName"))
    if made is None or (made["Status"], made["ChangeSetType"]) != ("FAILED", "UPDATE") or made["Changes"]:
        return answer
    stack = _stacks[made["StackName"]]
    before = _offered(stack.get("_template", {}), stack.get("_resolved_params", {}))
    if before != _offered(made["_template"], made["_resolved_params"]):
        made.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")
    return answer


def _offered(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a template's outputs say: their declarations, and the values of the parameters that they name."""
    outputs = {
        name: {key: value for key, value in output.items() if key != "Description"}
        for name, output in template.get("Outputs", {}).items()
    }
    text = json.dumps(outputs, sort_keys=True)
    return {"outputs": outputs, **{name: given["Value"] for name, given in parameters.items() if name in text}}


def _handlers(resource: Resource) -> dict[str, Any]:
    from ministack.services.cloudformation.provisioners import _physical_name

    def create(logical: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
        aws = here()
        properties = _clean(properties)
        if resource.name and resource.name not in properties:
            properties[resource.name] = _physical_name(stack, logical, lowercase=resource.lower, max_len=resource.longest)
        authorizations.ask_caller(callers.needs(resource.type, properties))
        if resource.type == KEY and not properties.get("BypassPolicyLockoutSafetyCheck"):
            _ask_to_rule(properties, aws.region)
        ref = resource.create(aws, properties)
        return ref, _attributes(aws, resource, ref, properties)

    def update(ref: str, old: Properties, new: Properties, _stack: str, _logical: str) -> tuple[str, dict[str, Any]]:
        aws = here()
        old, new = _clean(old), _clean(new)
        if resource.update is not None:
            resource.update(aws, ref, old, new)
        return ref, _attributes(aws, resource, ref, new)

    def delete(ref: str, properties: Properties) -> None:
        try:
            if resource.type == KEY:
                authorizations.ask_caller([("kms:ScheduleKeyDeletion", here().arn("kms", f"key/{ref}"), {})])
            resource.delete(here(), ref, _clean(properties))
        except Exception as error:
            if not is_gone(error):
                raise
            log.info("%s %s was already gone", resource.type, ref)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _ask_to_rule(properties: Properties, region: str) -> None:
    """KMS makes no key that its caller could not rule; ours is called by root, who may."""
    policy = properties.get("KeyPolicy")
    if policy is not None and not authorizations.ask_to_rule(json.dumps(policy), region, through=True):
        raise PermissionError(f"{callers.LOCKED_OUT} (Service: Kms, Status Code: 400)")


def _clean(properties: Properties) -> Properties:
    """Without CloudFormation's own tags: services refuse them from everybody but CloudFormation."""
    kept = dict(properties)
    for name in [name for name in kept if name.endswith("Tags")]:
        tags = kept[name]
        if isinstance(tags, list):
            kept[name] = [tag for tag in tags if not str(tag["Key"]).startswith("aws:")]
        elif isinstance(tags, dict):
            kept[name] = {key: value for key, value in tags.items() if not key.startswith("aws:")}
    return kept


def _attributes(aws: Aws, resource: Resource, ref: str, properties: Properties) -> dict[str, Any]:
    """What Fn::GetAtt gives: the properties of the resource as it now is, paths joined by dots."""
    if resource.read is None:
        return {"Id": ref}
    return dict(_flat("", property_conversion.to_schema(resource.type, resource.read(aws, resource.identify(ref, properties)))))


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.extend(_flat(f"{prefix}{name}.", value))
        else:
            found.append((prefix + name, value))
    return found
