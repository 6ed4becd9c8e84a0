"""Which regions answer: what can be reached is worked with, and what cannot be seen is said.

A region that is lost does not refuse, it keeps silent. Nothing about its stacks is known then: they are neither made nor
taken for absent, and what they offer is what the stacks that were fed with it still stand with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from chain.cloudformation import stack as cfn
from chain.cloudformation.stack import Clients, Standing, code
from chain.environment.graph import Graph, LeftOut, Stack

T = TypeVar("T")

CLOSED = frozenset({"AuthFailure", "InvalidClientTokenId", "OptInRequired", "UnrecognizedClientException"})
"""What a region says to an account that has not opted in to it; where another region knows the caller, it means that."""


@dataclass(frozen=True)
class Seen:
    """The stacks of the regions that answer, and of the others why they do not."""

    standing: Standing
    dark: Mapping[str, str]  # region -> reason
    closed: frozenset[str] = frozenset()  # those of them that the account has not opted in to


def look(clients: Clients, regions: Sequence[str]) -> Seen:
    """Ask all regions at once; raise only if none of them answers."""
    from concurrent.futures import ThreadPoolExecutor

    from botocore.exceptions import ClientError

    asks = [partial(cfn.sweep, clients("cloudformation", region)) for region in regions]
    with ThreadPoolExecutor(max(1, len(asks))) as pool:
        answers = dict(zip(regions, pool.map(hear, asks), strict=True))
    silent = {region: answer for region, answer in answers.items() if isinstance(answer, Exception)}
    if silent and len(silent) == len(answers):
        raise next(iter(silent.values()))
    standing = {region: answer for region, answer in answers.items() if not isinstance(answer, Exception)}
    closed = frozenset(region for region, error in silent.items() if isinstance(error, ClientError))
    return Seen(standing, {region: reason(region, error) for region, error in silent.items()}, closed)


def hear(ask: Callable[[], T]) -> T | Exception:
    """What a region says; its silence, and that the account has not opted in to it, as the error."""
    from botocore import exceptions

    try:
        return ask()
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        return error
    except exceptions.ClientError as error:
        if code(error) in CLOSED:
            return error
        raise


def asked(region: str, ask: Callable[[], T]) -> tuple[T | None, str]:
    """An answer, or why there is none, silence or refusal: for what is worth less than what is shown beside it."""
    from botocore.exceptions import ClientError

    try:
        found = hear(ask)
    except ClientError as error:
        return None, str(cfn.explain(error))
    return (None, reason(region, found)) if isinstance(found, Exception) else (found, "")


def reason(region: str, error: Exception) -> str:
    """Why nothing is known about a region."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return f"{region} does not know the caller ({code(error)}): the account has not opted in to it"
    return f"{region} does not answer ({type(error).__name__})"


def within(graph: Graph, seen: Seen) -> tuple[Graph, dict[str, str]]:
    """What can be worked on, and why the rest cannot.

    A stack that is fed from a region which does not answer keeps the value that it stands with; one that does not stand yet has
    none, and waits.
    """
    if not seen.dark:
        return graph, {}
    left: dict[str, str] = {}
    kept: list[Stack] = []
    for stack in graph.stacks:  # in order: whatever feeds a stack came before it
        if stack.region in seen.dark:
            left[stack.id] = seen.dark[stack.region]
            continue
        values, wires = dict(stack.values), dict(stack.wires)
        lost = {name: wire for name, wire in wires.items() if wire.stack in left}
        state = seen.standing[stack.region].get(stack.name)
        for name, wire in lost.items():
            if state is None or name not in state.parameters or stack.template.parameters.get(name, {}).get("NoEcho"):
                left[stack.id] = f"{name} comes from {wire.address}, which cannot be asked: {left[wire.stack]}"
            else:
                values[name] = state.parameters[name]
                del wires[name]
        if stack.artifacts in left:
            left[stack.id] = f"its packages go to {stack.artifacts}, which waits: {left[stack.artifacts]}"
        if stack.id not in left:
            kept.append(replace(stack, values=values, wires=wires))
    ids = {stack.id for stack in kept}
    after: dict[str, Collection[str]] = {id_: set(needs) & ids for id_, needs in graph.after.items() if id_ in ids}
    out = [LeftOut(id_, why) for id_, why in left.items()]
    return Graph(tuple(kept), after, (*graph.left_out, *out)), left
