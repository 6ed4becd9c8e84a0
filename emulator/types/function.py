"""Lambda functions and who may invoke them."""

from __future__ import annotations

import io
import json
import zipfile

from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, pairs, retag

CODE = ("Code", "Architectures")
CONFIGURATION = (
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
    "DeadLetterConfig",
)


def _code(p: Properties) -> Properties:
    code = dict(p["Code"])
    if "ZipFile" in code:  # source text, which CloudFormation packs into index.py
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", code["ZipFile"])
        code["ZipFile"] = packed.getvalue()
    return code


def _create(aws: Aws, p: Properties) -> str:
    kept = {name: p.get(name) for name in ("FunctionName", "Architectures", "PackageType", *CONFIGURATION)}
    aws.send("lambda", "create_function", {**kept, "Code": _code(p), "Tags": pairs(p.get("Tags")) or None})
    _concurrency(aws, p["FunctionName"], {}, p)
    return str(p["FunctionName"])


def _concurrency(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "ReservedConcurrentExecutions"):
        client = aws.client("lambda")
        if "ReservedConcurrentExecutions" in new:
            client.put_function_concurrency(
                FunctionName=ref, ReservedConcurrentExecutions=int(new["ReservedConcurrentExecutions"])
            )
        else:
            client.delete_function_concurrency(FunctionName=ref)


# What a setting becomes where a template takes it away.
DEFAULTS = {
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Layers": [],
    "MemorySize": 128,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
}


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    client = aws.client("lambda")
    if changed(old, new, *CODE):
        aws.send("lambda", "update_function_code", {"FunctionName": ref, "Architectures": new.get("Architectures"), **_code(new)})
    changes = {name: new.get(name, DEFAULTS.get(name)) for name in CONFIGURATION if changed(old, new, name)}
    if changes:
        aws.send("lambda", "update_function_configuration", {"FunctionName": ref, **changes})
    _concurrency(aws, ref, old, new)
    arn = aws.arn("lambda", f"function:{ref}")
    retag(
        old,
        new,
        add=lambda tags: client.tag_resource(Resource=arn, Tags=tags),
        remove=lambda names: client.untag_resource(Resource=arn, TagKeys=names),
    )


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("lambda").get_function(FunctionName=identifier[0])
    configuration = found["Configuration"]
    vpc = configuration.get("VpcConfig") or {}
    return {
        **configuration,
        "Arn": configuration["FunctionArn"],
        "VpcConfig": {name: vpc[name] for name in ("SubnetIds", "SecurityGroupIds") if vpc.get(name)} or None,
        "Layers": [layer["Arn"] for layer in configuration.get("Layers", [])] or None,
        "Environment": {"Variables": configuration["Environment"]["Variables"]} if configuration.get("Environment") else None,
        "ReservedConcurrentExecutions": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        "SnapStart": None,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(found.get("Tags", {}).items())],
    }


# Which condition of the function's policy says what a permission's property says.
CONDITIONS = {
    "SourceArn": ("ArnLike", "AWS:SourceArn"),
    "SourceAccount": ("StringEquals", "AWS:SourceAccount"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
}


def _permit(aws: Aws, p: Properties) -> str:
    aws.send("lambda", "add_permission", {**{name: value for name, value in p.items() if name != "Id"}, "StatementId": p["Id"]})
    return str(p["Id"])


def _read_permission(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    name, sid = identifier
    for statement in json.loads(aws.client("lambda").get_policy(FunctionName=name)["Policy"])["Statement"]:
        if statement["Sid"] == sid:
            principal = statement["Principal"]
            conditions = {key.lower(): value for block in statement.get("Condition", {}).values() for key, value in block.items()}
            found = {member: conditions.get(key.lower()) for member, (_, key) in CONDITIONS.items()}
            return {
                "Id": sid,
                "FunctionName": name,
                "Action": statement["Action"],
                "Principal": principal if isinstance(principal, str) else next(iter(principal.values())),
                **found,
            }
    raise NotFoundError("|".join(identifier))


RESOURCES = (
    Resource(
        "AWS::Lambda::Function",
        _create,
        lambda aws, ref, _: aws.client("lambda").delete_function(FunctionName=ref),
        _read,
        _update,
        name="FunctionName",
        longest=64,
    ),
    Resource(
        "AWS::Lambda::Permission",
        _permit,
        lambda aws, ref, p: aws.client("lambda").remove_permission(FunctionName=p["FunctionName"], StatementId=ref),
        _read_permission,
        name="Id",
        longest=100,
        identify=lambda ref, p: (p["FunctionName"], ref),
    ),
)
