"""A CloudFormation of our own: as slow, as unreliable and as dark as a test wants it.

It knows stacks, not resources: an operation takes the seconds that the test gives it and ends as the test says. Beside it are
just enough of S3 (with conditional writes) and STS. Everything is told by the clock, nothing runs by itself.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config

from model import read
from tests.servers.serving import serving

ACCOUNT = "123456789012"
MOVING = {"create": "CREATE_IN_PROGRESS", "update": "UPDATE_IN_PROGRESS", "delete": "DELETE_IN_PROGRESS"}
DONE = {"create": "CREATE_COMPLETE", "update": "UPDATE_COMPLETE", "delete": "DELETE_COMPLETE"}
FAILED = {"create": "ROLLBACK_COMPLETE", "update": "UPDATE_ROLLBACK_COMPLETE", "delete": "DELETE_FAILED"}
PAGE = 100  # stacks


@dataclass
class Weather:
    """How things are: all of it may be changed while it runs."""

    seconds: Callable[[str, str], float] = lambda *_: 0.0  # of an operation, by its kind and the stack's name
    change_set: float = 0.0  # seconds until one is worked out
    answer: float = 0.0  # seconds that every answer takes
    failing: dict[str, str] = field(default_factory=dict)  # stack -> the resource that fails
    stale: float = 0.0  # seconds by which DescribeStacks lags
    rate: float = 0.0  # calls a second and region; 0 is any number
    burst: int = 6
    dark: set[str] = field(default_factory=set)  # regions that take calls and never answer
    drops: Callable[[str, str, int], str] = lambda *_: ""  # operation, region, number: cut "before" or "after" it is done
    refuse: set[str] = field(default_factory=set)  # methods that S3 denies
    watch: Callable[[str, str, int], None] = lambda *_: None  # called before each answer, such as to kill whoever asks


@dataclass
class Held:
    """A stack: as it is, and the operation that moves it."""

    id: str
    name: str
    status: str
    body: str
    parameters: dict[str, str]
    tags: dict[str, str]
    created: float
    token: str = ""
    updated: float = 0.0
    deleted: float = 0.0
    operation: tuple[str, float, float, str] | None = None  # kind, begins, ends, the resource that fails
    before: Held | None = None  # as it was before the operation
    events: list[dict[str, Any]] = field(default_factory=list)
    resources: dict[str, tuple[str, str]] = field(default_factory=dict)  # logical -> type, status
    operations: list[str] = field(default_factory=list)
    protected: bool = False


class RefusedError(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message, status)


class Cloud:
    """All regions of one account."""

    def __init__(self) -> None:
        self.weather = Weather()
        self.endpoint = ""
        self.calls: list[tuple[float, str, str]] = []  # when, region, operation; rejected ones aside
        self.rejected = 0
        self.numbers: Counter[str] = Counter()
        self.stacks: dict[str, dict[str, Held]] = {}  # region -> name -> stack
        self.gone: dict[str, Held] = {}  # by id
        self.sets: dict[str, dict[str, Any]] = {}
        self.buckets: dict[str, dict[str, tuple[bytes, str]]] = {}
        self.modified = 0.0  # when objects were last written; 0 is just now
        self.tokens: dict[str, str] = {}  # ClientRequestToken -> what it began
        self.begun: Counter[tuple[str, str]] = Counter()  # kind and stack -> how many operations
        self._levels: dict[str, tuple[float, float]] = {}
        self.lock = threading.RLock()

    def clients(self, patience: float = 5.0) -> Callable[[str, str], Any]:
        """Clients of it, each made once, that wait so many seconds for an answer."""
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
        config = Config(retries={"mode": "standard", "max_attempts": 12}, connect_timeout=2, read_timeout=patience)
        made: dict[tuple[str, str], Any] = {}

        def client(service: str, region: str) -> Any:
            if (service, region) not in made:
                made[service, region] = session.client(service, region_name=region, endpoint_url=self.endpoint, config=config)  # type: ignore[call-overload]
            return made[service, region]

        return client

    def admit(self, region: str) -> bool:
        """Whether a call is within the region's rate."""
        if not self.weather.rate:
            return True
        with self.lock:
            level, at = self._levels.get(region, (float(self.weather.burst), time.monotonic()))
            now = time.monotonic()
            level = min(float(self.weather.burst), level + (now - at) * self.weather.rate)
            self._levels[region] = (level - 1 if level >= 1 else level, now)
            return level >= 1

    def cloudformation(self) -> list[tuple[float, str, str]]:
        """The calls that CloudFormation took."""
        return [call for call in self.calls if call[2] in OPERATIONS]

    # Stacks ---------------------------------------------------------------------------------------------------------

    def settle(self, stack: Held) -> Held:
        """A stack as it is now: an operation whose end has come has ended."""
        if stack.operation is None:
            return stack
        kind, _, ends, failing = stack.operation
        if time.time() < ends:
            return stack
        resources = _resources(stack.body)
        stack.operation = None
        stack.status = (FAILED if failing else DONE)[kind]
        for name, type_ in resources.items():
            if kind == "delete" and name != failing:
                stack.resources.pop(name, None)
            elif not failing:
                stack.resources[name] = (type_, f"{kind.upper()}_COMPLETE")
            if name == failing:
                self._event(stack, name, type_, f"{kind.upper()}_FAILED", ends, "as the test wants it")
            elif not failing or list(resources).index(name) < list(resources).index(failing):
                self._event(stack, name, type_, f"{kind.upper()}_COMPLETE", ends)
            else:
                self._event(stack, name, type_, f"{kind.upper()}_FAILED", ends, f"Resource {kind} cancelled")
        if failing and kind == "create":
            stack.resources.clear()
        if failing and kind == "update" and stack.before is not None:
            stack.body, stack.parameters, stack.tags = stack.before.body, stack.before.parameters, stack.before.tags
        self._event(stack, stack.name, "AWS::CloudFormation::Stack", stack.status, ends)
        if stack.status == "DELETE_COMPLETE":
            region = stack.id.split(":")[3]
            if self.stacks[region].get(stack.name) is stack:
                del self.stacks[region][stack.name]
            self.gone[stack.id] = stack
        return stack

    def _event(self, stack: Held, name: str, type_: str, status: str, at: float, reason: str = "") -> None:
        own = type_ == "AWS::CloudFormation::Stack"
        stack.events.insert(
            0,
            {
                "StackId": stack.id,
                "EventId": str(uuid4()),
                "StackName": stack.name,
                "LogicalResourceId": name,
                "PhysicalResourceId": stack.id if own else f"{stack.name}-{name}",
                "ResourceType": type_,
                "Timestamp": _time(at),
                "ResourceStatus": status,
                "ClientRequestToken": stack.token,
                **({"ResourceStatusReason": reason} if reason else {}),
            },
        )

    def begin(self, region: str, stack: Held, kind: str, token: str) -> None:
        """Set a stack in motion."""
        now = time.time()
        before = Held(**{**stack.__dict__, "before": None, "events": [], "resources": dict(stack.resources)})
        stack.before = None if kind == "create" else before
        stack.status, stack.token = MOVING[kind], token
        stack.updated = now if kind == "update" else stack.updated
        stack.deleted = now if kind == "delete" else stack.deleted
        stack.operations.append(str(uuid4()))
        stack.operation = (kind, now, now + self.weather.seconds(kind, stack.name), self.weather.failing.get(stack.name, ""))
        self.begun[kind, f"{region}/{stack.name}"] += 1
        self._event(stack, stack.name, "AWS::CloudFormation::Stack", stack.status, now)

    def find(self, region: str, name: str) -> Held:
        """A stack by name or id."""
        for stack in [*self.stacks.setdefault(region, {}).values(), *self.gone.values()]:
            if name in (stack.id, stack.name) and not (name == stack.name and stack.id in self.gone):
                return self.settle(stack)
        raise RefusedError("ValidationError", f"Stack with id {name} does not exist")

    def seen(self, stack: Held) -> Held | None:
        """A stack as DescribeStacks shows it, which may be as it was a while ago."""
        now = self.settle(stack)
        moment = time.time() - self.weather.stale
        if not self.weather.stale:
            return now
        if stack.operation is not None and stack.operation[1] > moment:
            return stack.before
        return None if stack.operation is None and stack.created > moment else now


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _resources(body: str) -> dict[str, str]:
    return {name: each["Type"] for name, each in read(body)["Resources"].items()}


def _outputs(stack: Held) -> dict[str, str]:
    document = read(stack.body)
    return {name: _value(each["Value"], stack) for name, each in (document.get("Outputs") or {}).items()}


def _value(value: Any, stack: Held) -> str:
    if isinstance(value, dict) and "Ref" in value:
        return stack.parameters.get(value["Ref"], f"{stack.name}-{value['Ref']}")
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return f"{stack.name}-{'.'.join(value['Fn::GetAtt'])}"
    if isinstance(value, dict) and "Fn::Sub" in value:
        known = {**stack.parameters, "AWS::Region": stack.id.split(":")[3]}
        return re.sub(r"\$\{([^}]+)\}", lambda match: known.get(match[1], match[1]), value["Fn::Sub"])
    return str(value)


Given = dict[str, str]


def _pairs(given: Given, name: str, key: str, value: str) -> dict[str, str]:
    found = {}
    number = 1
    while f"{name}.member.{number}.{key}" in given:
        found[given[f"{name}.member.{number}.{key}"]] = given.get(f"{name}.member.{number}.{value}", "")
        number += 1
    return found


def _shown(stack: Held) -> dict[str, Any]:
    times = {"CreationTime": stack.created, "LastUpdatedTime": stack.updated, "DeletionTime": stack.deleted}
    rested = stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "StackStatus": stack.status,
        "NotificationARNs": [],
        **{name: _time(at) for name, at in times.items() if at},
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()],
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in _outputs(stack).items()] if rested else [],
        "LastOperations": [{"OperationId": each} for each in stack.operations[-1:]],
        "EnableTerminationProtection": str(stack.protected).lower(),
    }


def describe_stacks(cloud: Cloud, region: str, given: Given) -> Any:
    if "StackName" in given:
        found = [cloud.seen(cloud.find(region, given["StackName"]))]
        if found == [None]:
            raise RefusedError("ValidationError", f"Stack with id {given['StackName']} does not exist")
    else:
        found = [cloud.seen(stack) for stack in list(cloud.stacks.setdefault(region, {}).values())]
        found = [stack for stack in found if stack is not None and stack.status != "DELETE_COMPLETE"]
    start = int(given.get("NextToken", 0))
    more = {"NextToken": str(start + PAGE)} if len(found) > start + PAGE else {}
    return {"Stacks": [_shown(stack) for stack in found[start : start + PAGE] if stack is not None], **more}


def create_stack(cloud: Cloud, region: str, given: Given) -> Any:
    token, name = given.get("ClientRequestToken", ""), given["StackName"]
    if token and cloud.tokens.get(token):
        return {"StackId": cloud.tokens[token]}
    if name in cloud.stacks.setdefault(region, {}):
        cloud.settle(cloud.stacks[region][name])
    if name in cloud.stacks[region]:
        raise RefusedError("AlreadyExistsException", f"Stack [{name}] already exists")
    stack = _new(cloud, region, given, "")
    stack.protected = given.get("EnableTerminationProtection") == "true"
    cloud.begin(region, stack, "create", token)
    cloud.tokens[token] = stack.id
    return {"StackId": stack.id}


def _new(cloud: Cloud, region: str, given: Given, status: str) -> Held:
    name = given["StackName"]
    id_ = f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{name}/{uuid4()}"
    stack = Held(id_, name, status, given["TemplateBody"], *_asked(given), created=time.time())
    cloud.stacks.setdefault(region, {})[name] = stack
    return stack


def _asked(given: Given) -> tuple[dict[str, str], dict[str, str]]:
    return _pairs(given, "Parameters", "ParameterKey", "ParameterValue"), _pairs(given, "Tags", "Key", "Value")


def create_change_set(cloud: Cloud, region: str, given: Given) -> Any:
    kind = given.get("ChangeSetType", "UPDATE")
    if kind == "CREATE" and given["StackName"] not in cloud.stacks.setdefault(region, {}):
        stack = _new(cloud, region, given, "REVIEW_IN_PROGRESS")
    else:
        stack = cloud.find(region, given["StackName"])
    parameters, tags = _asked(given)
    old, new = read(stack.body), read(given["TemplateBody"])
    names = [name for name in new["Resources"] if new["Resources"][name] != old["Resources"].get(name)]
    changes = [{"Type": "Resource", "ResourceChange": _change(name, old, new)} for name in names]
    changes += [
        {"Type": "Resource", "ResourceChange": {"Action": "Remove", "LogicalResourceId": name, "ResourceType": each["Type"]}}
        for name, each in old["Resources"].items()
        if name not in new["Resources"]
    ]
    if not changes and parameters != stack.parameters:
        name = next(iter(new["Resources"]))
        changes = [{"Type": "Resource", "ResourceChange": _change(name, old, new)}]
    different = changes or tags != stack.tags or old.get("Outputs") != new.get("Outputs") or kind == "CREATE"
    id_ = f"arn:aws:cloudformation:{region}:{ACCOUNT}:changeSet/{given['ChangeSetName']}/{uuid4()}"
    cloud.sets[id_] = {
        "ChangeSetId": id_,
        "ChangeSetName": given["ChangeSetName"],
        "StackId": stack.id,
        "Status": "CREATE_COMPLETE" if different else "FAILED",
        "StatusReason": "" if different else "The submitted information didn't contain changes.",
        "Changes": changes,
        "_ready": time.time() + cloud.weather.change_set,
        "_given": given,
        "_kind": "create" if kind == "CREATE" else "update",
    }
    return {"Id": id_, "StackId": stack.id}


def _change(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    there = name in old["Resources"]
    return {
        "Action": "Modify" if there else "Add",
        "LogicalResourceId": name,
        "ResourceType": new["Resources"][name]["Type"],
        **({"Replacement": "False"} if there else {}),
    }


def _set(cloud: Cloud, given: Given) -> dict[str, Any]:
    for made in cloud.sets.values():
        if given["ChangeSetName"] in (made["ChangeSetId"], made["ChangeSetName"]):
            return made
    raise RefusedError("ChangeSetNotFound", f"ChangeSet [{given['ChangeSetName']}] does not exist", 404)


def describe_change_set(cloud: Cloud, _region: str, given: Given) -> Any:
    made = _set(cloud, given)
    shown = {name: value for name, value in made.items() if not name.startswith("_")}
    return shown if time.time() >= made["_ready"] else {**shown, "Status": "CREATE_IN_PROGRESS", "Changes": []}


def execute_change_set(cloud: Cloud, region: str, given: Given) -> Any:
    token = given.get("ClientRequestToken", "")
    if token and token in cloud.tokens:
        return {}
    made = _set(cloud, given)
    stack = cloud.find(region, made["StackId"])
    if made["Status"] != "CREATE_COMPLETE" or stack.operation is not None:
        raise RefusedError("InvalidChangeSetStatus", f"ChangeSet [{given['ChangeSetName']}] cannot be executed")
    cloud.begin(region, stack, made["_kind"], token)
    stack.body = made["_given"]["TemplateBody"]
    stack.parameters, stack.tags = _asked(made["_given"])
    cloud.tokens[token] = stack.id
    cloud.sets = {id_: each for id_, each in cloud.sets.items() if each["StackId"] != stack.id}
    return {}


def delete_change_set(cloud: Cloud, _region: str, given: Given) -> Any:
    with contextlib.suppress(RefusedError):
        del cloud.sets[_set(cloud, given)["ChangeSetId"]]
    return {}


def list_change_sets(cloud: Cloud, region: str, given: Given) -> Any:
    stack = cloud.find(region, given["StackName"])
    return {
        "Summaries": [{"ChangeSetName": each["ChangeSetName"]} for each in cloud.sets.values() if each["StackId"] == stack.id]
    }


def delete_stack(cloud: Cloud, region: str, given: Given) -> Any:
    token = given.get("ClientRequestToken", "")
    if token and token in cloud.tokens:
        return {}
    try:
        stack = cloud.find(region, given["StackName"])
    except RefusedError:
        return {}
    if stack.protected:
        raise RefusedError("ValidationError", f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    if stack.status == "REVIEW_IN_PROGRESS":
        del cloud.stacks[region][stack.name]
        cloud.sets = {id_: each for id_, each in cloud.sets.items() if each["StackId"] != stack.id}
    elif stack.operation is not None and stack.operation[0] != "delete":
        raise RefusedError("ValidationError", f"Stack {stack.name} is in {stack.status}")
    elif stack.operation is None and stack.status != "DELETE_COMPLETE":
        cloud.begin(region, stack, "delete", token)
    cloud.tokens[token] = stack.id
    return {}


def update_termination_protection(cloud: Cloud, region: str, given: Given) -> Any:
    stack = cloud.find(region, given["StackName"])
    stack.protected = given["EnableTerminationProtection"] == "true"
    return {"StackId": stack.id}


def continue_update_rollback(cloud: Cloud, region: str, given: Given) -> Any:
    stack = cloud.find(region, given["StackName"])
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise RefusedError("ValidationError", f"Stack {stack.name} is in {stack.status}")
    cloud.begin(region, stack, "update", given.get("ClientRequestToken", ""))
    stack.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    kind, begins, ends, failing = stack.operation or ("update", 0.0, 0.0, "")
    stack.operation = (kind, begins, ends, failing or "Value")  # ends in UPDATE_ROLLBACK_COMPLETE
    return {}


def describe_stack_events(cloud: Cloud, region: str, given: Given) -> Any:
    return {"StackEvents": cloud.find(region, given["StackName"]).events[:100]}


def get_template(cloud: Cloud, region: str, given: Given) -> Any:
    return {"TemplateBody": cloud.find(region, given["StackName"]).body}


def list_stack_resources(cloud: Cloud, region: str, given: Given) -> Any:
    stack = cloud.find(region, given["StackName"])
    listed = [
        {
            "LogicalResourceId": name,
            "PhysicalResourceId": f"{stack.name}-{name}",
            "ResourceType": type_,
            "ResourceStatus": status,
            "LastUpdatedTimestamp": _time(stack.created),
        }
        for name, (type_, status) in stack.resources.items()
    ]
    return {"StackResourceSummaries": listed}


def update_stack(cloud: Cloud, region: str, given: Given) -> Any:
    """As other tools ask for it; the chain's changes are change sets."""
    stack = cloud.find(region, given["StackName"])
    parameters, tags = _asked(given)
    if (given["TemplateBody"], parameters, tags) == (stack.body, stack.parameters, stack.tags):
        raise RefusedError("ValidationError", "No updates are to be performed.")
    cloud.begin(region, stack, "update", given.get("ClientRequestToken", ""))
    stack.body, stack.parameters, stack.tags = given["TemplateBody"], parameters, tags
    return {"StackId": stack.id}


def get_template_summary(cloud: Cloud, region: str, given: Given) -> Any:
    body = given["TemplateBody"] if "TemplateBody" in given else cloud.find(region, given["StackName"]).body
    declared = read(body).get("Parameters", {})
    return {"Parameters": [{"ParameterKey": name, "ParameterType": each["Type"]} for name, each in declared.items()]}


def get_caller_identity(_cloud: Cloud, _region: str, _given: Given) -> Any:
    return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/tester", "UserId": "tester"}


OPERATIONS: Mapping[str, Callable[[Cloud, str, Given], Any]] = {
    "ContinueUpdateRollback": continue_update_rollback,
    "CreateChangeSet": create_change_set,
    "CreateStack": create_stack,
    "DeleteChangeSet": delete_change_set,
    "DeleteStack": delete_stack,
    "DescribeChangeSet": describe_change_set,
    "DescribeStackEvents": describe_stack_events,
    "DescribeStacks": describe_stacks,
    "ExecuteChangeSet": execute_change_set,
    "GetTemplate": get_template,
    "GetTemplateSummary": get_template_summary,
    "ListChangeSets": list_change_sets,
    "ListStackResources": list_stack_resources,
    "UpdateTerminationProtection": update_termination_protection,
    "UpdateStack": update_stack,
}


EMPTY: Mapping[str, Any] = {"DescribeLogGroups": {"logGroups": []}, "GetResources": {"ResourceTagMappingList": []}}
"""What other services say: that they have nothing."""


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(each)}</{name}>" for name, each in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_xml(each)}</member>" for each in value)
    return escape(str(value))


@contextlib.contextmanager
def cloud() -> Iterator[Cloud]:
    """Run one."""
    running = Cloud()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            try:
                self.raw_requestline = self.rfile.readline(65537)
            except ConnectionResetError:  # whoever asked was killed
                self.raw_requestline = b""
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scope = re.search(r"Credential=[^/]+/[^/]+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
            region, service = (scope[1], scope[2]) if scope else ("", "")
            given = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True)) if service != "s3" else {}
            given = {name: value.encode("latin-1").decode("utf-8") for name, value in given.items()}
            operation = given.get("Action", f"{self.command} {urlsplit(self.path).path}")
            number = running.numbers[operation] = running.numbers[operation] + 1
            running.weather.watch(operation, region, number)
            if region in running.weather.dark:
                time.sleep(120)
                return
            cut = running.weather.drops(operation, region, number)
            if cut != "before":
                status, content, headers = self.answer(service, region, operation, given, body)
                time.sleep(running.weather.answer)
            if cut:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def answer(
            self, service: str, region: str, operation: str, given: Given, body: bytes
        ) -> tuple[int, bytes, dict[str, str]]:
            kind = {"Content-Type": "text/xml"}
            if service == "s3":
                return self.object(body)
            if "X-Amz-Target" in self.headers:
                return 200, json.dumps(EMPTY[self.headers["X-Amz-Target"].rpartition(".")[2]]).encode(), kind
            if service == "cloudformation" and not running.admit(region):
                running.rejected += 1
                return 400, _error("Throttling", "Rate exceeded"), kind
            with running.lock:
                running.calls.append((time.time(), region, operation))
                try:
                    if operation == "GetCallerIdentity":
                        found = get_caller_identity(running, region, given)
                    elif operation in OPERATIONS:
                        found = OPERATIONS[operation](running, region, given)
                    else:
                        raise RefusedError("InvalidAction", f"{operation} is none of ours")
                except RefusedError as error:
                    code, message, status = error.args
                    return status, _error(code, message), kind
                name = f"{operation}Response"
                return 200, f"<{name}><{operation}Result>{_xml(found)}</{operation}Result></{name}>".encode(), kind

        def object(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            path = unquote(urlsplit(self.path).path)
            bucket, _, key = path.lstrip("/").partition("/")
            query = urlsplit(self.path).query
            if self.command in running.weather.refuse:
                return 403, _s3("AccessDenied"), {}
            with running.lock:
                if not key and self.command == "HEAD":  # a bucket is there once something is in it
                    return (200 if running.buckets.get(bucket) else 404), b"", {}
                objects = running.buckets.setdefault(bucket, {})
                if not key:
                    if self.command == "POST":
                        objects.clear()
                        return 200, b"<DeleteResult/>", {}
                    versions = "".join(f"<Version><Key>{each}</Key><VersionId>1</VersionId></Version>" for each in objects)
                    return 200, f"<R>{versions if 'versions' in query else ''}</R>".encode(), {}
                there = objects.get(key)
                if self.command in ("GET", "HEAD"):
                    modified = formatdate(running.modified or time.time(), usegmt=True)
                    return (
                        (200, there[0], {"ETag": there[1], "Last-Modified": modified}) if there else (404, _s3("NoSuchKey"), {})
                    )
                if self.command == "DELETE":
                    objects.pop(key, None)
                    return 204, b"", {}
                wanted = self.headers.get("If-Match")
                if (self.headers.get("If-None-Match") == "*" and there) or (wanted and (not there or there[1] != wanted)):
                    return 412, _s3("PreconditionFailed"), {}
                objects[key] = (body, f'"{uuid4().hex}"')
                return 200, b"", {"ETag": objects[key][1]}

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(Handler) as running.endpoint:
        yield running


def _error(code: str, message: str) -> bytes:
    said = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
    return f"<ErrorResponse><Error>{said}</Error></ErrorResponse>".encode()


def _s3(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{json.dumps(code)}</Message></Error>".encode()
