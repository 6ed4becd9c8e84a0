"""The chain is drawn in the order in which it is deployed."""

import re

import pytest

from chain.environment.graph import open_environment
from documents.page.source_listing import Sources
from documents.page.stacks import chain, graph
from generator.systems import SYSTEMS
from tests.support.page_subjects import ROOT, documents, texts


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: str(one.name))
def test_each_stack_waits_for_what_the_chain_lets_it_wait_for(system) -> None:  # type: ignore[no-untyped-def]
    deployed = open_environment(ROOT, "example", (system.name,))
    layers = {stack.id: (stack.site, stack.template.layer) for stack in deployed.stacks}
    drawn = chain(documents(system))
    for id_, waits in deployed.after.items():
        assert drawn.after[layers[id_]] == {layers[one] for one in waits}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: str(one.name))
def test_a_stack_stands_in_a_later_column_than_what_it_waits_for(system) -> None:  # type: ignore[no-untyped-def]
    found = chain(documents(system))
    level = {stack: number for number, column in enumerate(found.columns) for stack in column}
    assert set(level) == set(found.after)
    assert all(level[one] < level[stack] for stack, waits in found.after.items() for one in waits)


def test_a_line_that_others_imply_is_not_drawn() -> None:
    layers = {name: {"Sites": {"primary": "x"}, "Imports": wires} for name, wires in {
        "a": {}, "b": {"P": "a.Out"}, "c": {"P": "a.Out", "Q": "primary:b.Out"}
    }.items()}  # fmt: skip
    found = chain({name: {"Metadata": {"Layer": layer}} for name, layer in layers.items()})
    assert found.after["primary", "c"] == {("primary", "a"), ("primary", "b")}
    assert found.needed["primary", "c"] == {("primary", "b")}


def test_the_picture_has_every_stack_and_marks_optional_ones() -> None:
    system = next(one for one in SYSTEMS if one.name == "federal-records")
    made = graph(system, documents(system), Sources(texts()))
    stacks = re.findall(r'class="stack (primary|recovery)( optional)?"', made)
    assert len(stacks) == sum(map(len, chain(documents(system)).columns))
    assert ("primary", " optional") in stacks
    assert "dashed: optional" in made
