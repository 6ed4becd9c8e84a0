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
    "core.arn": ("parse_arn",),
    "core.concurrency": ("run_offloop", "spawn_background"),
    "core.iam_actions": ("extract_resource_arn", "request_tag_context"),
    "core.iam_evaluator": (
        "EvalContext",
        "_first_match",
        "_gather_role_policies",
        "_resolve_condition_key",
        "_resource_policy",
        "combine_resource_policy",
        "enforce",
        "evaluate",
        "evaluate_resource_policy",
        "resolve_principal",
    ),
    "core.lambda_runtime": (
        "Worker",
        "subprocess",
    ),
    "core.router": ("extract_access_key_id",),
    "core.responses": (
        "AccountRegionScopedDict",
        "AccountScopedDict",
        "error_response_json",
        "get_account_id",
        "get_region",
        "json_response",
        "new_uuid",
        "request_scope",
    ),
    "services.backup": (
        "_delete_vault",
        "_describe_recovery_point",
        "_describe_vault",
        "_err",
        "_get_vault_access_policy",
        "_jobs",
        "_list_recovery_points_by_vault",
        "_paginate",
        "_plans",
        "_resolve_resource",
        "_selections",
        "_start_job",
        "_stop_job",
        "_vaults",
        "handle_request",
        "new_uuid",
    ),
    "services.cloudcontrol": ("handle_request",),
    "services.cloudformation": ("_stacks",),
    "services.cloudformation.changesets": ("_find_change_set",),
    "services.cloudformation.engine": ("CfnLoader",),
    "services.cloudformation.handlers": ("_ACTION_HANDLERS",),
    "services.cloudformation.helpers": ("_p",),
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
        "_calc_stats",
        "_composite_alarms",
        "_dashboards",
        "_delete_dashboards",
        "_dims_from_list",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_evaluate_parent_alarms",
        "_metrics",
        "_put_composite_alarm",
        "_put_dashboard",
        "_put_metric_alarm",
        "_record_history",
        "_resource_tags",
        "_stat_value",
        "_validate_alarm_tag_arn",
        "record_metric",
    ),
    "services.cloudwatch_logs": ("_log_groups",),
    "services.dynamodb": (
        "_describe_continuous_backups",
        "_tables",
        "_update_continuous_backups",
    ),
    "services.ec2": (
        "_ACTION_MAP",
        "_VPCE_INTERFACE_SERVICES",
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
    "services.efs": (
        "_access_points",
        "_create_file_system",
        "_create_replication_configuration",
        "_delete_file_system",
        "_delete_replication_configuration",
        "_describe_replication_configurations",
        "_error",
        "_file_systems",
        "_fs_id_from",
        "_json",
        "_mount_targets",
        "_replication_configs",
        "_replication_of",
        "handle_request",
    ),
    "services.elasticache": (
        "_DOCKER_BACKED_ACTIONS",
        "_arn_cluster",
        "_clusters",
        "_create_replication_group",
        "_create_user",
        "_create_user_group",
        "_decrease_replica_count",
        "_delete_param_group",
        "_delete_replication_group",
        "_delete_user",
        "_delete_user_group",
        "_error",
        "_extract_log_delivery_configs",
        "_get_docker",
        "_increase_replica_count",
        "_modify_cache_parameter_group",
        "_modify_replication_group",
        "_modify_user",
        "_modify_user_group",
        "_param_group_params",
        "_param_groups",
        "_replication_groups",
        "_rg_xml",
        "_subnet_groups",
        "_tags",
        "_user_groups",
        "_user_xml",
        "_users",
        "_xml",
        "handle_request",
    ),
    "services.eventbridge": (
        "_delete_rule",
        "_dispatch_to_lambda",
        "_dispatch_to_sns",
        "_dispatch_to_sqs",
        "_invoke_target",
        "_now_ts",
        "_put_events",
        "_rule_key",
        "_rules",
        "_targets",
        "_tick_scheduled_rules",
    ),
    "services.iam": (
        "_IAM_HANDLERS",
        "_error",
        "_p",
        "_roles",
    ),
    "services.kms": (
        "_create_key",
        "_describe_key",
    ),
    "services.lambda_svc": (
        "_create_function",
        "_emit_lambda_logs",
        "_execute_function",
        "_execute_function_with_config_scope",
        "_execution_record_for_config",
        "_functions",
        "_get_func_record_for_ref",
        "_update_config",
    ),
    "services.rds": (
        "AURORA_POSTGRESQL_ENGINE_VERSION_SET",
        "_ACTION_MAP",
        "_cluster_snapshot_xml",
        "_cluster_xml",
        "_clusters",
        "_db_cluster_param_groups",
        "_db_cluster_snapshots",
        "_error",
        "_format_time",
        "_get_docker",
        "_global_cluster_member_for_cluster",
        "_global_cluster_xml",
        "_global_clusters",
        "_resolve_cluster",
        "_resolve_global_writer_switch",
        "_set_global_cluster_writer",
        "_instance_xml",
        "_instances",
        "_param_groups",
        "_parse_tags",
        "_snapshot_xml",
        "_snapshots",
        "_subnet_groups",
        "_tags",
        "_xml",
    ),
    "services.route53": (
        "_find",
        "_health_checks",
        "_parse_health_check_config",
        "_records",
        "_tags",
        "_zones",
    ),
    "services.s3": (
        "_bucket_default_sse_headers",
        "_bucket_encryption",
        "_bucket_owner_account",
        "_bucket_replication",
        "_bucket_versioning",
        "_buckets",
        "_delete_bucket",
        "_dispatch",
        "_error",
        "_maybe_replicate",
        "_maybe_replicate_delete_marker",
        "_object_tags",
        "_put_bucket_replication",
        "_put_bucket_versioning",
        "_qp",
        "_record_delete_marker",
        "_record_object_version",
        "_replication_destination",
        "_replication_rule_prefix",
        "_replication_rule_tags",
        "bucket_region",
        "fromstring",
    ),
    "services.secretsmanager": (
        "_describe_secret",
        "_get_secret_value",
        "_is_replica",
        "_put_secret_value",
        "_replica_mutation_error",
        "_replicate_secret_to_regions",
        "_resolve",
        "_resource_policies",
        "_rotate_secret",
        "_secrets",
        "_sync_replicas",
        "_unlink_from_primary",
        "handle_request",
    ),
    "services.sns": ("_topic_by_arn_any_scope", "_topics"),
    "services.ssm": (
        "_parameters",
        "_put_parameter",
        "_tags",
    ),
    "services.sqs": ("_queue_by_arn",),
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
