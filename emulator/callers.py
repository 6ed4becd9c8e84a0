"""What AWS asks of whoever calls it besides the action itself: services' own roles that come with a first resource, rule over a
key that is to be made, and, through CloudFormation, what no other call would ask."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from emulator import schemas

FACTS = Path(__file__).parents[1] / "model/facts"
MAKE_ROLE = "iam:CreateServiceLinkedRole"
THROUGH = {
    "aws:CalledVia": ["cloudformation.amazonaws.com"],
    "aws:CalledViaFirst": "cloudformation.amazonaws.com",
    "aws:CalledViaLast": "cloudformation.amazonaws.com",
}
LOCKED_OUT = "The new key policy will not allow you to update the key policy in the future."

key: ContextVar[str] = ContextVar("caller", default="")
"""The access key of the request that is being handled, and of what CloudFormation does for it."""

Need = tuple[str, str, Mapping[str, Any]]  # action, resource and the keys of its context


@cache
def _fact(name: str) -> Any:
    import yaml

    return yaml.safe_load((FACTS / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def home(service: str) -> str:
    """The region in which a service without regions answers; empty of one that has regions."""
    import botocore

    path = Path(botocore.__file__).parent / "data" / "endpoints.json"
    partition = next(one for one in json.loads(path.read_bytes())["partitions"] if one["partition"] == "aws")
    known = partition["services"].get(service, {})
    alone = known.get("endpoints", {}).get(known.get("partitionEndpoint"), {})
    found = alone.get("credentialScope", {}).get("region", "") if known.get("isRegionalized") is False else ""
    return str(_fact("global_services")["homes"].get(service, found))


def _account() -> str:
    from ministack.core.responses import get_account_id

    return str(get_account_id())


def roles_with_call(action: str) -> list[Mapping[str, Any]]:
    """The services' own roles that come with a call, and that the account does not have yet."""
    return [one for one in _fact("service_linked_roles") if action in one["calls"] and _is_missing(one)]


def roles_with_type(type_: str) -> list[Mapping[str, Any]]:
    """Those that come with a resource of a type, whichever of its calls brings them."""
    of_type = (one for one in _fact("service_linked_roles") if one["calls"] and type_.startswith(tuple(one["types"])))
    return [one for one in of_type if _is_missing(one)]


def _is_missing(role: Mapping[str, Any]) -> bool:
    from ministack.services import iam

    return iam._roles.get_scoped(_account(), None, role["role"]) is None


def role_need(role: Mapping[str, Any]) -> Need:
    """What the caller must be allowed, for a service to make its own role."""
    arn = f"arn:aws:iam::{_account()}:role/aws-service-role/{role['service']}/{role['role']}"
    return MAKE_ROLE, arn, {"iam:AWSServiceName": role["service"]}


def make_role(role: Mapping[str, Any]) -> None:
    """The role that a service makes for itself."""
    from ministack.services import iam

    iam._IAM_HANDLERS["CreateServiceLinkedRole"]({"AWSServiceName": [role["service"]]})


def role_of(service: str) -> str:
    """What the role of a service is called; empty where nobody wrote it down."""
    return next((str(one["role"]) for one in _fact("service_linked_roles") if one["service"] == service), "")


def source_function(principal: str) -> str | None:
    """The function on whose behalf an assumed role acts, for the condition key lambda:SourceFunctionArn."""
    from ministack.services import lambda_svc

    *_, role, session = principal.split("/")
    for function in lambda_svc._functions.values():
        configuration = function["config"]
        if configuration["FunctionName"] == session and configuration.get("Role", "").endswith(f"/{role}"):
            return str(configuration["FunctionArn"])
    return None


def may_rule(policy: str, region: str, context: Mapping[str, Any]) -> bool:
    """Whether the caller could put another policy on a key that will have this one. It carries no tags while it is asked."""
    from ministack.core import iam_evaluator

    principal = iam_evaluator.resolve_principal(key.get(), _account())
    if getattr(principal, "policies", None) is None:  # the account's root, or nobody
        return True
    asked = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action="kms:PutKeyPolicy",
        resource_arn=f"arn:aws:kms:{region}:{_account()}:key/00000000-0000-0000-0000-000000000000",
        region=region,
        service_context={name.lower(): value for name, value in context.items()},
        principal_keys=principal.keys,
    )
    own = iam_evaluator.evaluate(asked, principal.policies, *principal.limits)
    combined = iam_evaluator.combine_resource_policy(own, asked, policy, _account(), required=True, limits=principal.limits)
    return bool(combined.decision == "Allow")


def needs(type_: str, properties: Mapping[str, Any]) -> Iterator[Need]:
    """What AWS asks of whoever has CloudFormation make such a resource, as far as it can be known beforehand: what its schema
    names and AWS binds to no resource, what guides ask beside it, and the roles of its service."""
    service = type_.split("::")[1].lower()
    known = _actions()
    for permission in schemas.of(type_).get("handlers", {}).get("create", {}).get("permissions", []):
        prefix, _, name = permission.partition(":")
        found = known.get(prefix.lower(), {}).get(name.lower())
        if prefix.lower() == service and found is not None and not found.get("Resources"):
            yield f"{service}:{name}", "*", {}
    for one in _fact("callers"):
        if one["type"] == type_ and ("where" not in one or one["where"] in properties):
            for action in one["actions"]:
                if not action.startswith("kms:"):  # asked where the key is used
                    yield action, _about(action, properties), {}
    for role in roles_with_type(type_):
        yield role_need(role)


def _about(action: str, properties: Mapping[str, Any]) -> str:
    from ministack.core.responses import get_region
    from ministack.services import ec2

    if action == "ec2:GetSecurityGroupsForVpc":
        subnets = properties["VpcConfig"].get("SubnetIds") or [""]
        vpc = (ec2._subnets.get(subnets[0]) or {}).get("VpcId", "vpc-0")
        return f"arn:aws:ec2:{get_region()}:{_account()}:vpc/{vpc}"
    return str(properties["RotationLambdaARN"]) if action == "lambda:InvokeFunction" else "*"


@cache
def _actions() -> dict[str, Any]:
    """The Service Authorization Reference, as cfn-lint brings it: service -> action -> what it can be bound to."""
    found = json.loads((schemas.folder().parent / "AdditionalSpecs" / "Policies.json").read_bytes())
    return {service: one["Actions"] for service, one in found.items()}
