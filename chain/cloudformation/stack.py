"""One stack in CloudFormation: what it is, how it is changed, how its end is awaited, and why it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from chain.cloudformation.schedule import StoppedError
from chain.cloudformation.statuses import BEGINNINGS
from chain.environment.graph import Stack
from model import Document, read

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CALLS = {
    "ReadStacks": (
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeEvents",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplate",
        "cloudformation:ListChangeSets",
        "cloudformation:ListStackResources",
    ),
    "ChangeStacks": (
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:TagResource",  # a change set that names tags
        "cloudformation:UntagResource",
    ),
    # Where no stack is named, CloudFormation asks for ListStacks too.
    "DescribeStacksWithoutAName": ("cloudformation:DescribeStacks", "cloudformation:ListStacks"),
}

Clients = Callable[[str, str], Any]
"""``(service, region) -> client``: AWS and the emulator are two such functions."""

PREFIX = "standby-"
"""How the names of our change sets begin; one that begins otherwise belongs to somebody else."""

CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
FIRST_POLL, SLOWEST_POLL, SLOWER = 0.2, 5.0, 1.4  # seconds, seconds, factor


@dataclass(frozen=True)
class StackEvent:
    """Something that happened to a stack, or to one of its resources."""

    stack: str  # id
    status: str
    resource: str = ""
    type: str = ""
    reason: str = ""


Report = Callable[[StackEvent], None]


@dataclass(frozen=True)
class State:
    """A stack as DescribeStacks shows it."""

    id: str
    name: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    outputs: Mapping[str, str]
    updated: datetime
    mark: tuple[object, ...] = ()  # what differs as soon as another operation has begun
    is_protected: bool = False  # against termination

    def is_ours(self, system: str, suffix: str) -> bool:
        """Ours means that System and Environment agree."""
        return self.tags.get("System") == system and self.tags.get("Environment") == suffix


Standing = Mapping[str, Mapping[str, State]]
"""The stacks of each region, by name."""


@dataclass(frozen=True)
class Change:
    """What a change set would do to a resource; ``replacement`` is True, False or Conditional."""

    action: str
    resource: str
    type: str
    replacement: str
    properties: tuple[str, ...] = ()
    causes: frozenset[str] = frozenset({""})  # of a replacement: what it rests on, or nothing where the template itself says so


@dataclass(frozen=True)
class ChangeSet:
    """A change set that CloudFormation has worked out; without changes, outputs or tags may still differ."""

    id: str
    stack_id: str
    changes: tuple[Change, ...]


class StackError(Exception):
    """A stack did not reach what was asked: the resource that failed first, and AWS's own reason."""

    def __init__(self, reason: str, resource: str = "", type_: str = "", status: str = "") -> None:
        self.reason, self.resource, self.type, self.status = reason, resource, type_, status
        super().__init__(f"{resource} ({type_}): {reason}" if resource else reason)


def code(error: ClientError) -> str:
    """AWS's error code."""
    text: str = error.response.get("Error", {}).get("Code", "")
    return text


def explain(error: Exception) -> StackError:
    """Any error of a stack's work as a failure with a reason."""
    from botocore.exceptions import ClientError

    if isinstance(error, StackError):
        return error
    if isinstance(error, ClientError):
        return StackError(f"{code(error)} on {error.operation_name}: {error.response['Error'].get('Message', '')}")
    return StackError(f"{type(error).__name__}: {error}")


def sweep(cloudformation: Any) -> dict[str, State]:
    """Every stack of a region by its name, in one call a page."""
    return swept(cloudformation)[0]


def swept(cloudformation: Any) -> tuple[dict[str, State], int]:
    """The same, and how many pages it took."""
    pages = [page["Stacks"] for page in cloudformation.get_paginator("describe_stacks").paginate()]
    return {state.name: state for page in pages for state in map(_state, page)}, len(pages)


def describe(cloudformation: Any, name: str) -> State | None:
    """A stack by name or id; None if there is none."""
    from botocore.exceptions import ClientError

    try:
        return _state(cloudformation.describe_stacks(StackName=name)["Stacks"][0])
    except ClientError as error:
        if code(error) == "ValidationError":  # the only code that AWS gives for a stack that does not exist
            return None
        raise


def _state(raw: Mapping[str, Any]) -> State:
    return State(
        id=raw["StackId"],
        name=raw["StackName"],
        status=raw["StackStatus"],
        reason=raw.get("StackStatusReason", ""),
        parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in raw.get("Parameters", ())},
        tags={item["Key"]: item["Value"] for item in raw.get("Tags", ())},
        outputs={item["OutputKey"]: item["OutputValue"] for item in raw.get("Outputs", ())},
        updated=raw.get("LastUpdatedTime") or raw["CreationTime"],
        mark=(
            raw["StackStatus"],
            raw.get("LastUpdatedTime"),
            raw.get("DeletionTime"),
            *(each.get("OperationId") for each in raw.get("LastOperations", ())),
        ),
        is_protected=raw.get("EnableTerminationProtection", False),
    )


def template(cloudformation: Any, name: str) -> Document:
    """The template that a stack was last given, as plain data."""
    return document_of(cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"])


def document_of(body: Any) -> Document:
    """A template as plain data."""
    return read(body) if isinstance(body, str) else dict(body)  # botocore parses a template that is JSON


def substance(document: Document) -> Document:
    """What of a template CloudFormation acts on: no comments, no descriptions, no metadata of the template."""
    aside = ("AWSTemplateFormatVersion", "Description", "Metadata")
    kept = {name: part for name, part in document.items() if name not in aside and part}
    for section in ("Parameters", "Outputs"):
        kept[section] = {
            name: {key: value for key, value in entry.items() if key not in ("Description", "ConstraintDescription")}
            for name, entry in kept.get(section, {}).items()
        }
    return kept


def body_of(cloudformation: Any, state: State) -> Any:
    """The template of a stack as CloudFormation gives it back."""
    return cloudformation.get_template(StackName=state.id, TemplateStage="Original")["TemplateBody"]


def is_current(cloudformation: Any, state: State, stack: Stack, answers: Mapping[str, str], body: Any = None) -> bool:
    """Whether a stack already holds the committed template, these values and these tags; ``body`` saves the question."""
    if state.parameters != answers or state.tags != stack.tags:
        return False
    body = body_of(cloudformation, state) if body is None else body
    return body == stack.template.body or substance(document_of(body)) == substance(stack.template.document)


def asked(stack: Stack, answers: Mapping[str, str]) -> dict[str, Any]:
    """What a stack is made or changed to: template, values and tags."""
    return {
        "StackName": stack.name,
        "TemplateBody": stack.template.body,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in sorted(answers.items())],
        "Tags": [{"Key": name, "Value": value} for name, value in sorted(stack.tags.items())],
        "Capabilities": CAPABILITIES,
    }


def token() -> str:
    """A client request token: an attempt whose answer was lost is repeated with it and begins nothing twice."""
    return f"{PREFIX}{uuid4()}"


def prepare(cloudformation: Any, stack: Stack, answers: Mapping[str, str], kind: str, wait: Wait) -> ChangeSet | None:
    """Have CloudFormation work out a change set; None if there is nothing to change."""
    name = token()
    made = cloudformation.create_change_set(ChangeSetName=name, ChangeSetType=kind, ClientToken=name, **asked(stack, answers))
    ask = partial(cloudformation.describe_change_set, ChangeSetName=made["Id"], StackName=made["StackId"])
    while (answer := ask())["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
        wait()
    if answer["Status"] != "CREATE_COMPLETE":
        reason = answer.get("StatusReason", "")
        if not _is_empty(reason):
            reason = _validation(cloudformation, made["Id"]) or reason
        discard(cloudformation, ChangeSet(made["Id"], made["StackId"], ()))
        if _is_empty(reason):
            return None
        raise StackError(reason, status="change set refused")
    changes = [_change(item["ResourceChange"]) for item in answer["Changes"] if "ResourceChange" in item]
    while "NextToken" in answer:
        answer = ask(NextToken=answer["NextToken"])
        changes += [_change(item["ResourceChange"]) for item in answer["Changes"] if "ResourceChange" in item]
    return ChangeSet(made["Id"], made["StackId"], tuple(changes))


def _is_empty(reason: str) -> bool:
    """Whether a change set failed because nothing changes: AWS gives this no code, only two sentences."""
    return "didn't contain changes" in reason or "No updates are to be performed" in reason


def _validation(cloudformation: Any, change_set: str) -> str:
    """What CloudFormation's validation before deployment found; StatusReason only points to DescribeEvents then."""
    pages = cloudformation.get_paginator("describe_events").paginate(ChangeSetName=change_set, Filters={"FailedEvents": True})
    found = [event for page in pages for event in page["OperationEvents"] if event.get("ValidationStatusReason")]
    return "; ".join(f"{event.get('LogicalResourceId', '')}: {event['ValidationStatusReason']}" for event in found)


def _change(raw: Mapping[str, Any]) -> Change:
    targets = [detail["Target"] for detail in raw.get("Details", ()) if "Target" in detail]
    names = tuple(dict.fromkeys(target.get("Name") or target["Attribute"] for target in targets))
    causes = frozenset(
        detail.get("CausingEntity", "") if detail.get("Evaluation") == "Dynamic" else ""
        for detail in raw.get("Details", ())
        if detail.get("Target", {}).get("RequiresRecreation", "Never") != "Never"
    )
    return Change(
        raw["Action"], raw["LogicalResourceId"], raw["ResourceType"], raw.get("Replacement", ""), names, causes or frozenset({""})
    )


def discard(cloudformation: Any, change_set: ChangeSet) -> None:
    """Delete a change set that is not to be executed, and the empty stack that it opened if it was a first one."""
    cloudformation.delete_change_set(ChangeSetName=change_set.id, StackName=change_set.stack_id)
    state = describe(cloudformation, change_set.stack_id)
    if state is not None and state.status == "REVIEW_IN_PROGRESS":
        cloudformation.delete_stack(StackName=change_set.stack_id)


class Wait:
    """A pause between two polls that grows, and that ends at once when everything is to stop."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._pause = FIRST_POLL
        self.waited = 0.0  # seconds, all pauses together

    def __call__(self) -> None:
        if self._stop.wait(self._pause):
            raise StoppedError
        self.waited += self._pause
        self._pause = min(SLOWEST_POLL, self._pause * SLOWER)


def events(cloudformation: Any, stack_id: str) -> Iterator[Mapping[str, Any]]:
    """The events of a stack's last operation, newest first."""
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            yield event
            if is_own(event, stack_id) and event["ResourceStatus"] in BEGINNINGS:
                return


def is_own(event: Mapping[str, Any], stack_id: str) -> bool:
    """Whether an event is the stack's own and not a resource's."""
    return event.get("PhysicalResourceId") == stack_id


def took(of: Sequence[Mapping[str, Any]], stack_id: str) -> float | None:
    """The seconds that an operation took by its own events, newest first; None if they do not reach from end to end."""
    own = [event for event in of if is_own(event, stack_id)]
    if len(own) < 2 or own[-1]["ResourceStatus"] not in BEGINNINGS:
        return None
    seconds: float = (own[0]["Timestamp"] - own[-1]["Timestamp"]).total_seconds()
    return seconds


def tell(id_: str, stack_id: str, of: Sequence[Mapping[str, Any]], told: set[str], report: Report) -> None:
    """Report those events, newest first, that have not been told."""
    for event in reversed(of):
        if event["EventId"] not in told:
            told.add(event["EventId"])
            report(
                StackEvent(
                    stack=id_,
                    status=event["ResourceStatus"],
                    resource="" if is_own(event, stack_id) else event["LogicalResourceId"],
                    type=event.get("ResourceType", ""),
                    reason=event.get("ResourceStatusReason", ""),
                )
            )


def first_failure(cloudformation: Any, state: State, of: Sequence[Mapping[str, Any]] | None = None) -> StackError:
    """The first failed event of a stack's last operation; what was cancelled because of it came later."""
    found = of if of is not None else list(events(cloudformation, state.id))
    failed = [event for event in found if event["ResourceStatus"].endswith("_FAILED")]
    resources = [event for event in failed if not is_own(event, state.id)]
    if not resources:
        return StackError(state.reason or f"the stack is in {state.status}", status=state.status)
    first = resources[-1]
    return StackError(first.get("ResourceStatusReason", ""), first["LogicalResourceId"], first["ResourceType"], state.status)


def foreign_change_sets(cloudformation: Any, name: str) -> Sequence[str]:
    """The names of a stack's change sets that are not ours."""
    pages = cloudformation.get_paginator("list_change_sets").paginate(StackName=name)
    return [item["ChangeSetName"] for page in pages for item in page["Summaries"] if not item["ChangeSetName"].startswith(PREFIX)]


def resources(cloudformation: Any, stack_id: str) -> Mapping[str, Mapping[str, str]]:
    """A stack's resources by logical id: type, physical id and status."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return {item["LogicalResourceId"]: item for page in pages for item in page["StackResourceSummaries"]}
