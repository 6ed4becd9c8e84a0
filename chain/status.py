"""Status: what stands, since when, what it offers, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chain import rotation
from chain import stack as cfn
from chain.graph import Graph, Stack
from chain.stack import Clients, State

TOPIC = "AWS::SNS::Topic"
UNCONFIRMED = "PendingConfirmation"  # what SNS gives in place of an ARN


@dataclass(frozen=True)
class Status:
    """One stack of the graph; ``state`` is None where it does not stand."""

    stack: Stack
    state: State | None
    unconfirmed: tuple[str, ...] = ()
    rotations: tuple[rotation.Rotation, ...] = ()


def status(graph: Graph, clients: Clients) -> list[Status]:
    """Every stack of the graph, in its order."""
    standing = cfn.sweeps(clients, graph.regions)
    return [_one(stack, standing[stack.region], clients) for stack in graph.stacks]


def _one(stack: Stack, standing: Mapping[str, State], clients: Clients) -> Status:
    state = standing.get(stack.name)
    if state is None:
        return Status(stack, None)
    return Status(stack, state, tuple(_unconfirmed(stack, clients)), tuple(rotation.rotations(stack, clients)))


def _unconfirmed(stack: Stack, clients: Clients) -> Iterator[str]:
    """Subscriptions to the stack's topics that nobody has confirmed, so that no alarm reaches them."""
    if not stack.template.has(TOPIC):
        return
    sns = clients("sns", stack.region)
    for resource in cfn.resources(clients("cloudformation", stack.region), stack.name).values():
        if resource["ResourceType"] != TOPIC or "PhysicalResourceId" not in resource:
            continue
        for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=resource["PhysicalResourceId"]):
            yield from (
                f"{item['Protocol']} {item['Endpoint']} has not confirmed its subscription to {resource['PhysicalResourceId']}"
                for item in page["Subscriptions"]
                if item["SubscriptionArn"] == UNCONFIRMED
            )
