"""Lambda: refuses a function in a VPC whose role cannot manage network interfaces, as AWS does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html; AWS names the first that is missing.
NEEDED = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")


def install() -> None:
    from ministack.services import lambda_svc

    create = lambda_svc._create_function
    lambda_svc._create_function = lambda data: _create(create, data)


def _create(theirs: Callable[[dict[str, Any]], Answer], data: dict[str, Any]) -> Answer:
    from ministack.core.responses import error_response_json

    if (data.get("VpcConfig") or {}).get("SubnetIds"):
        missing = next((action for action in NEEDED if not _may(str(data.get("Role", "")), f"ec2:{action}")), None)
        if missing is not None:
            message = f"The provided execution role does not have permissions to call {missing} on EC2"
            refusal: Answer = error_response_json("InvalidParameterValueException", message, 400)
            return refusal
    return theirs(data)


def _may(role_arn: str, action: str) -> bool:
    """Whether the role's own policies allow Lambda, which assumes it, the action on everything."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    role, account = role_arn.rsplit("/", 1)[-1], get_account_id()
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/awslambda",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn="*",
        region=get_region(),
    )
    return bool(iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role, account)).decision == "Allow")


def source_function(principal: str) -> str | None:
    """The function on whose behalf an assumed role acts, for the condition key lambda:SourceFunctionArn."""
    from ministack.services import lambda_svc

    *_, role, session = principal.split("/")
    for function in lambda_svc._functions.values():
        configuration = function["config"]
        if configuration["FunctionName"] == session and configuration.get("Role", "").endswith(f"/{role}"):
            return str(configuration["FunctionArn"])
    return None
