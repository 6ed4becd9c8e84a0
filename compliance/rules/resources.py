"""What holds for every resource: it goes with its stack, and it can be counted to its system."""

from __future__ import annotations

from model import Rule
from model.resource_types import resource_type, resource_types
from model.view import TEMPLATE, Resource

OWNER_TAGS = {"System", "Environment"}


def deleted_with_stack(resource: Resource) -> bool:
    """Whether both policies say that nothing stays behind."""
    return resource.body.get("DeletionPolicy") == resource.body.get("UpdateReplacePolicy") == "Delete"


def _destroyable(resource: Resource) -> tuple[str, bool]:
    return "DeletionPolicy", deleted_with_stack(resource)


def _nothing_retained(template: Resource) -> tuple[str, bool]:
    kept = [
        f"Resources.{title}.{policy}"
        for title, resource in template.body.get("Resources", {}).items()
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        if str(resource.get(policy)).startswith("Retain")
    ]
    return (kept or ["Resources"])[0], not kept


def _tagged(resource: Resource) -> tuple[str, bool]:
    name = resource_type(resource.type).tags
    return name, {tag["Key"] for tag in resource.get(name) or []}.issuperset(OWNER_TAGS)


destroyable = Rule(
    "resources.destroyable",
    "What it holds is deleted with its stack, and it says so.",
    "CloudFormation's default differs from type to type, and what is retained stands in the way of the next environment.",
    "requirement A-03; AWS CloudFormation User Guide, DeletionPolicy attribute",
    tuple(type_ for type_, known in resource_types().items() if known.stateful),
    _destroyable,
)
nothing_retained = Rule(
    "resources.nothing_retained",
    "The template retains nothing.",
    "Every environment can be destroyed without a manual step.",
    "requirement A-03",
    (TEMPLATE,),
    _nothing_retained,
)
tagged = Rule(
    "resources.tagged",
    "It carries the tags that its stack may not pass on: System and Environment.",
    "Costs are counted, and leftovers found, by tag.",
    "requirement A-10; AWS CloudFormation User Guide, Resource tags: propagation varies by resource type",
    tuple(type_ for type_, known in resource_types().items() if known.tags),
    _tagged,
)
