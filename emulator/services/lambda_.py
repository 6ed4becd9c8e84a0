"""Lambda: refuses what AWS refuses of a function in a VPC, gives it the files it mounts, and makes metrics of what it prints."""

from __future__ import annotations

import functools
import os
import subprocess
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator import endpoint_names, function_processes, permissions
from emulator.services import efs, metrics

Answer = tuple[int, dict[str, str], bytes]
Configuration = dict[str, Any]

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html; AWS names the first that is missing.
NEEDED = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")
# What a function needs of a file system that it writes to. AWS mounts it for reading without the second; here it is refused.
MOUNTING = ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite")


def install() -> None:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    create, update = lambda_svc._create_function, lambda_svc._update_config
    lambda_svc._create_function = lambda data: _refusal(data, data) or create(data)
    lambda_svc._update_config = lambda name, data: _refusal(_updated(name, data), data) or update(name, data)
    popen = functools.partial(function_processes.popen, subprocess.Popen)
    lambda_runtime.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": popen})
    spawn, emit = lambda_runtime.Worker._spawn, lambda_svc._emit_lambda_logs
    lambda_runtime.Worker._spawn = lambda worker: _spawn(spawn, worker)

    def logged(function: Any, request: str, text: str, *arguments: Any, **more: Any) -> None:
        emit(function, request, text, *arguments, **more)
        metrics.embedded(text)

    lambda_svc._emit_lambda_logs = logged


def _updated(name: str, data: Configuration) -> Configuration:
    from ministack.services import lambda_svc

    function = lambda_svc._functions.get(name)
    return {**(function["config"] if function else {}), **data}


def _refusal(wanted: Configuration, asked: Configuration) -> Answer | None:
    """Why the function cannot be as ``wanted``, where what was ``asked`` touches its network or files."""
    from ministack.core.responses import error_response_json

    message = None
    if (asked.get("VpcConfig") or {}).get("SubnetIds"):
        role = str(wanted.get("Role", ""))
        refused = (one for one in NEEDED if not permissions.role_may(role, "awslambda", f"ec2:{one}", "*", {}, None))
        missing = next(refused, None)
        message = missing and f"The provided execution role does not have permissions to call {missing} on EC2"
    if message is None and asked.get("FileSystemConfigs"):
        message = _files_refused(wanted)
    if message is None:
        return None
    refusal: Answer = error_response_json("InvalidParameterValueException", message, 400)
    return refusal


def _files_refused(wanted: Configuration) -> str | None:
    """One access point that exists, in a VPC where every subnet's zone has a mount target."""
    from ministack.services import ec2

    subnets = (wanted.get("VpcConfig") or {}).get("SubnetIds") or []
    if not subnets:
        return "Function must be configured to execute in a VPC to reference access points."
    if len(wanted["FileSystemConfigs"]) > 1:
        return "A function can have one file system."
    for one in wanted["FileSystemConfigs"]:
        point = efs.access_point(one["Arn"])
        if point is None:
            return f"EFS file system access point {one['Arn']} does not exist."
        if not one["LocalMountPath"].startswith("/mnt/"):
            return f"The mount path {one['LocalMountPath']} does not begin with /mnt/."
        zones = {target["AvailabilityZoneName"] for target in efs.mount_targets(point)}
        without = [name for name in subnets if ec2._subnets.get(name, {}).get("AvailabilityZone") not in zones]
        if without:
            return f"EFS file system {point['FileSystemId']} has no mount target in the zone of {', '.join(without)}."
    return None


def _spawn(theirs: Callable[[Any], None], worker: Any) -> None:
    """Starts the function's process; its environment points to the directories that stand for what it mounts, and to names."""
    configured = worker.config
    worker.config = _with_ours(_mounted(configured))
    try:
        theirs(worker)
    finally:
        worker.config = configured


def _with_ours(configured: Configuration) -> Configuration:
    """Where it is Python, it runs what stands in ``mounted`` when it starts."""
    variables = (configured.get("Environment") or {}).get("Variables") or {}
    inherited = variables.get("PYTHONPATH") or os.environ.get("PYTHONPATH", "")
    watching = str(Path(__file__).parents[1] / "mounted")
    ours = {**endpoint_names.environment(), "PYTHONPATH": os.pathsep.join(path for path in (watching, inherited) if path)}
    return {**configured, "Environment": {"Variables": {**variables, **ours}}}


def _mounted(configured: Configuration) -> Configuration:
    """Without root nothing can be put at the mount path, so values that begin with it begin with the directory instead."""
    places = {one["LocalMountPath"]: _mount(configured, one["Arn"]) for one in configured.get("FileSystemConfigs") or []}
    if not places:
        return configured
    variables = (configured.get("Environment") or {}).get("Variables") or {}
    moved = {name: _moved(value, places) for name, value in variables.items()}
    return {**configured, "Environment": {"Variables": {**moved, **efs.environment()}}}


def _moved(value: str, places: dict[str, Path]) -> str:
    for path, place in places.items():
        if value == path or value.startswith(path + "/"):
            return str(place) + value.removeprefix(path)
    return value


def _mount(configured: Configuration, arn: str) -> Path:
    point = efs.access_point(arn)
    if point is None:
        raise efs.EFSMountFailureException(f"The access point {arn} does not exist.")
    system = efs.file_system(point)
    policy = system.get("FileSystemPolicy")
    keys = {"elasticfilesystem:AccessPointArn": arn, "elasticfilesystem:AccessedViaMountTarget": "true"}
    for action in MOUNTING:
        if not permissions.role_may(
            configured["Role"], configured["FunctionName"], action, system["FileSystemArn"], keys, policy
        ):
            raise efs.EFSMountFailureException(f"{configured['Role']} may not {action} through {arn}.")
    return efs.root(point)
