"""The private names of ministack that this package rests on, and the check that they are still there.

ministack is pinned, and its extension points are not public: a name that is gone must stop us with a sentence, not fail in the
middle of somebody's deployment.
"""

from __future__ import annotations

import importlib

VERSION = "1.5.33"

NAMES: dict[str, tuple[str, ...]] = {
    "app": (
        "app",
        "pin_request_origin",
    ),
    "core.concurrency": ("spawn_background",),
    "core.iam_evaluator": (
        "EvalContext",
        "_first_match",
        "_gather_role_policies",
        "_resolve_condition_key",
        "enforce",
        "evaluate",
        "resolve_principal",
    ),
    "core.responses": (
        "AccountRegionScopedDict",
        "error_response_json",
        "get_account_id",
        "get_region",
        "json_response",
    ),
    "services.cloudcontrol": ("handle_request",),
    "services.cloudformation.provisioners": (
        "_CONDITIONALLY_REPLACING_PROPERTIES",
        "_REPLACING_PROPERTIES",
        "_RESOURCE_HANDLERS",
        "_STACK_TAG_PROPERTY",
        "_physical_name",
    ),
    "services.cloudformation.stacks": ("_runs_on_worker_thread",),
    "services.cloudtrail": (
        "_DISPATCH",
        "_trail_tags",
        "_trails",
    ),
    "services.cloudwatch": (
        "_alarms",
        "_composite_alarms",
        "_dashboards",
        "_delete_dashboards",
        "_put_dashboard",
        "_resource_tags",
        "_validate_alarm_tag_arn",
    ),
    "services.cloudwatch_logs": ("_log_groups",),
    "services.ec2": (
        "_ACTION_MAP",
        "_addresses",
        "_error",
        "_flow_logs",
        "_internet_gateways",
        "_nat_gateways",
        "_parse_ip_permissions",
        "_parse_tag_specs",
        "_route_tables",
        "_rules_match",
        "_security_groups",
        "_strip_descriptions",
        "_subnets",
        "_tags",
        "_vpc_endpoints",
        "_vpce_fields_xml",
        "_vpcs",
        "_xml",
        "_zone_name_for_az_id",
    ),
    "services.kms": ("_describe_key",),
    "services.lambda_svc": (
        "_create_function",
        "_execute_function",
        "_functions",
        "function_policy_for_arn",
    ),
    "services.rds": (
        "_ACTION_MAP",
        "_error",
        "_get_docker",
        "_instance_xml",
        "_instances",
        "_param_groups",
        "_parse_tags",
        "_single_instance_response",
        "_tags",
        "_xml",
    ),
    "services.secretsmanager": (
        "_describe_secret",
        "_get_secret_value",
        "_put_secret_value",
        "_resolve",
        "_rotate_secret",
        "_secrets",
        "handle_request",
    ),
    "services.tagging": ("_COLLECTORS",),
}


class NameGoneError(RuntimeError):
    """A private name is missing."""


def check() -> None:
    """Raises one sentence where a name is gone."""
    for module, names in NAMES.items():
        try:
            found = importlib.import_module(f"ministack.{module}")
            missing = next((name for name in names if not hasattr(found, name)), None)
        except ModuleNotFoundError:
            missing = "(the module itself)"
        if missing is not None:
            raise NameGoneError(sentence(f"ministack.{module}", missing))


def sentence(where: str, missing: str) -> str:
    remedy = f"install the pinned version {VERSION} (installed: {_installed()}), or adapt emulator/ to the other one."
    return f"{where} has no {missing}, on which the emulator rests: {remedy}"


def _installed() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ministack")
    except PackageNotFoundError:
        return "none"
