"""The ledger's own templates: they deploy, what they declare is read back, the password rotates, and all of it goes again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import model
from emulator import Emulator, running, schemas
from tests.support.emulator import stacks

CHECKOUT = Path(__file__).parents[2]
SUFFIX = "read"
TEMPLATES = {
    path.stem: model.read(path.read_text(encoding="utf-8")) for path in sorted((CHECKOUT / "templates" / "ledger").glob("*.yaml"))
}


def order() -> list[str]:
    """The layers, each after those that it is fed by."""
    done: list[str] = []
    while len(done) < len(TEMPLATES):
        ready = [name for name in TEMPLATES if name not in done and needs(name) <= set(done)]
        assert ready, f"a circle among {sorted(set(TEMPLATES) - set(done))}"
        done.extend(ready)
    return done


def needs(name: str) -> set[str]:
    layer = TEMPLATES[name]["Metadata"]["Layer"]
    return {address.split(".")[0].split(":")[-1] for address in layer.get("Imports", {}).values()} | (
        {"artifacts"} if layer.get("Packages") else set()
    )


def package() -> bytes:
    """Stands for a package that was not built: what it does is not this test's subject."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", "def handler(event, context):\n    return event\n")
    return packed.getvalue()


@pytest.fixture(scope="module")
def ledger() -> Iterator[tuple[Emulator, dict[str, dict[str, str]]]]:
    values = yaml.safe_load((CHECKOUT / "parameters" / "ledger" / "default.yaml").read_text(encoding="utf-8"))
    with running() as aws:
        outputs: dict[str, dict[str, str]] = {}
        for name in order():
            template = TEMPLATES[name]
            layer = template["Metadata"]["Layer"]
            given = {"EnvironmentSuffix": SUFFIX} | {key: str(value) for key, value in values.get(name, {}).items()}
            for parameter, address in layer.get("Imports", {}).items():
                source, output = address.split(":")[-1].split(".")
                given.setdefault(parameter, outputs[source][output])
            for package_name in layer.get("Packages", []):
                built = CHECKOUT / "out" / "packages" / package_name
                body = built.read_bytes() if built.exists() else package()
                aws.client("s3").put_object(Bucket=outputs["artifacts"]["BucketName"], Key=package_name, Body=body)
            stack = stacks.deploy(
                aws, f"ledger-{name}-{SUFFIX}", template, given, tags={"System": "ledger", "Environment": SUFFIX}
            )
            assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
            outputs[name] = stacks.outputs(stack)
        aws.settle()
        yield aws, outputs


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value and not is_intrinsic(value):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}\0{key}")]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and not is_intrinsic(one) for one in value):
        return [leaf for number, inner in enumerate(value) for leaf in leaves(inner, f"{path}\0{number}")]
    return [(path, value)]


def is_intrinsic(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).split("::")[0] in ("Ref", "Fn")


def read(found: Any, path: str) -> Any:
    for key in path.split("\0")[1:]:
        found = found[int(key) : int(key) + 1] if isinstance(found, list) else (found or {}).get(key)
        if isinstance(found, list) and key.isdecimal():
            found = found[0] if found else None
    return found


def test_at_least_95_percent_of_what_the_templates_declare_is_read_back(
    ledger: tuple[Emulator, dict[str, dict[str, str]]],
) -> None:
    aws, _ = ledger
    declared = 0
    missing: list[str] = []
    for name, template in TEMPLATES.items():
        ids = stacks.physical(aws, f"ledger-{name}-{SUFFIX}")
        for logical, resource in template["Resources"].items():
            kind, properties = resource["Type"], resource.get("Properties", {})
            if logical not in ids:
                assert "Condition" in resource
                continue
            paths = leaves(properties)
            declared += len(paths)
            if not schemas.readable(kind):
                missing += [f"{name}.{logical}{path}" for path, _ in paths]
                continue
            found = stacks.get(aws, kind, stacks.identifier(aws, kind, properties, ids, ids[logical]))
            missing += [f"{name}.{logical}{path}" for path, _ in paths if read(found, path) is None]
    assert len(missing) / declared < 0.05, missing
    # What is missing is what AWS itself never shows.
    for one in missing:
        layer, rest = one.split(".", 1)
        logical, top = rest.split("\0")[:2]
        kind = TEMPLATES[layer]["Resources"][logical]["Type"]
        hidden = schemas.properties(kind, "writeOnlyProperties")
        assert not schemas.readable(kind) or top in hidden or (kind, top) == ("AWS::Lambda::Function", "Code"), one


def test_the_stacks_come_apart_in_reverse_order_and_leave_only_keys_in_waiting(
    ledger: tuple[Emulator, dict[str, dict[str, str]]],
) -> None:
    aws, _ = ledger
    s3 = aws.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        listed = s3.list_object_versions(Bucket=bucket["Name"])
        for one in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket["Name"], Key=one["Key"], VersionId=one["VersionId"])
    for name in reversed(order()):
        assert stacks.delete(aws, f"ledger-{name}-{SUFFIX}") == "DELETE_COMPLETE", stacks.failures(aws, f"ledger-{name}-{SUFFIX}")
    pages = (
        aws.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(TagFilters=[{"Key": "Environment", "Values": [SUFFIX]}])
    )
    assert {one["ResourceARN"].split(":")[2] for page in pages for one in page["ResourceTagMappingList"]} <= {"kms"}
