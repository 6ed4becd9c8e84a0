"""Status: what stands, since when, what it offers, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chain.cloudformation import cleanup_failures
from chain.cloudformation import stack as cfn
from chain.cloudformation.cleanup_failures import Undeleted
from chain.cloudformation.reachable_regions import Seen, look, reason
from chain.cloudformation.stack import Clients, State
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.deploy import rotation
from chain.environment.graph import Graph, Stack

CALLS = {"SeeWhoConfirmed": ("sns:ListSubscriptionsByTopic",)}

READERS = 8  # threads; what stands is known by then, and what they ask is asked of other services
TOPIC = "AWS::SNS::Topic"
UNCONFIRMED = "PendingConfirmation"  # what SNS gives in place of an ARN


@dataclass(frozen=True)
class Stale:
    """An input that is not what its source offers now; ``offers`` is None where that offers it no longer."""

    input: str
    value: str
    source: str
    offers: str | None

    def __str__(self) -> str:
        """What is, and what should be."""
        what = f"offers {self.offers}" if self.offers is not None else "no longer offers it"
        return f"{self.input} is {self.value}, but {self.source} {what}"


@dataclass(frozen=True)
class Status:
    """One stack of the graph; ``state`` is None where it does not stand."""

    stack: Stack
    state: State | None
    unconfirmed: tuple[str, ...] = ()
    rotations: tuple[rotation.Rotation, ...] = ()
    stale: tuple[Stale, ...] = ()
    unseen: tuple[str, ...] = ()  # what could not be asked, and why
    left: tuple[Undeleted, ...] = ()  # what an update could not delete, as long as it is there


def status(graph: Graph, clients: Clients) -> list[Status]:
    """Every stack of the graph, in its order."""
    seen = look(clients, graph.regions)
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda stack: _one(stack, seen, clients), graph.stacks))


def _one(stack: Stack, seen: Seen, clients: Clients) -> Status:
    from botocore import exceptions

    if stack.region in seen.dark:
        return Status(stack, None, unseen=(seen.dark[stack.region],))
    state = seen.standing[stack.region].get(stack.name)
    if state is None:
        return Status(stack, None)
    stale = tuple(_stale(stack, state, seen))
    try:
        left = cleanup_failures.standing(clients, stack.region, state)
        unconfirmed, rotations = tuple(_unconfirmed(stack, state, clients)), tuple(rotation.rotations(stack, clients, state))
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        why = reason(stack.region, error)
    except exceptions.ClientError as error:  # not allowed, or deleted behind the stack's back: the rest is no less worth seeing
        why = str(cfn.explain(error))
    else:
        return Status(stack, state, unconfirmed, rotations, stale, left=left)
    return Status(stack, state, stale=stale, unseen=(f"subscriptions and rotations: {why}",))


def _stale(stack: Stack, state: State, seen: Seen) -> Iterator[Stale]:
    """Inputs whose source offers something else by now; a source that moves is not judged."""
    for name, wire in stack.wires.items():
        region, _, source = wire.stack.partition("/")
        offered = seen.standing.get(region, {}).get(source)
        was = state.parameters.get(name)
        if offered is None or was is None or DECISIONS[offered.status] is not Decision.UPDATE:
            continue
        if stack.template.parameters.get(name, {}).get("NoEcho"):
            continue  # CloudFormation shows asterisks
        now = offered.outputs.get(wire.output)
        if now != was:
            yield Stale(name, was, wire.address, now)


def _topics(stack: Stack, state: State, clients: Clients) -> Iterator[str]:
    """The stack's topics: by its outputs where they say, for then nobody need be asked."""
    topics = {name for name, resource in stack.template.resources.items() if resource["Type"] == TOPIC}
    said = {
        output["Value"]["Ref"]: state.outputs[name]
        for name, output in stack.template.document.get("Outputs", {}).items()
        if name in state.outputs and isinstance(output["Value"], dict) and output["Value"].get("Ref") in topics
    }
    if set(said) == topics:
        yield from said.values()
        return
    for resource in cfn.resources(clients("cloudformation", stack.region), stack.name).values():
        if resource["ResourceType"] == TOPIC and "PhysicalResourceId" in resource:
            yield resource["PhysicalResourceId"]


def _unconfirmed(stack: Stack, state: State, clients: Clients) -> Iterator[str]:
    """Subscriptions to the stack's topics that nobody has confirmed, so that no alarm reaches them."""
    if not stack.template.has(TOPIC):
        return
    sns = clients("sns", stack.region)
    for topic in _topics(stack, state, clients):
        for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
            yield from (
                f"{item['Protocol']} {item['Endpoint']} has not confirmed its subscription to {topic}"
                for item in page["Subscriptions"]
                if item["SubscriptionArn"] == UNCONFIRMED
            )
