"""Parameters of Systems Manager."""

from __future__ import annotations

from emulator.resource import Aws, Properties, Resource, changed, listed, pairs, retag

PUT = ("Name", "Type", "Value", "Description", "Tier", "DataType", "AllowedPattern", "Policies")


def _create(aws: Aws, p: Properties) -> str:
    tags = listed(pairs(p.get("Tags"))) or None
    aws.send("ssm", "put_parameter", {**{name: p.get(name) for name in PUT}, "Tags": tags})
    return str(p["Name"])


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    ssm = aws.client("ssm")
    if changed(old, new, *PUT):
        given = {**{name: new.get(name) for name in PUT}, "Description": new.get("Description", "")}
        aws.send("ssm", "put_parameter", {**given, "Name": ref, "Overwrite": True})
    retag(
        old,
        new,
        add=lambda tags: ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=ref, Tags=listed(tags)),
        remove=lambda names: ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=ref, TagKeys=names),
    )


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    ssm, (ref,) = aws.client("ssm"), identifier
    found = ssm.get_parameter(Name=ref)["Parameter"]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=ref)["TagList"]
    return {**found, "Tags": pairs(tags)}


RESOURCES = (
    Resource(
        "AWS::SSM::Parameter",
        _create,
        lambda aws, ref, _: aws.client("ssm").delete_parameter(Name=ref),
        _read,
        _update,
        name="Name",
        longest=1011,
    ),
)
