"""What it takes to handle a resource type: to make, change, remove and read a resource through its service's own API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from emulator import ACCESS_KEY, SECRET_KEY, property_conversion

Properties = dict[str, Any]


class NotFoundError(LookupError):
    """No such resource."""


@dataclass(frozen=True)
class Aws:
    """The account and region that a handler works in, as CloudFormation does: through the services' public APIs."""

    endpoint: str
    account: str
    region: str

    def client(self, service: str) -> Any:
        return _client(self.endpoint, service, self.region)

    def send(self, service: str, operation: str, values: Mapping[str, Any]) -> Any:
        """Calls ``operation`` (snake case), with ``values`` in a template's words; what is None is left out."""
        client = self.client(service)
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        given = {name: value for name, value in values.items() if value is not None}
        return getattr(client, operation)(**property_conversion.to_api(given, model.input_shape))

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


_making = threading.Lock()


@cache
def _session() -> Any:
    import boto3

    return boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)


@cache
def _made(endpoint: str, service: str, region: str) -> Any:
    from botocore.config import Config

    # One attempt: what a service refuses, it refuses.
    config = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
        read_timeout=120,
        s3={"addressing_style": "path"},
        user_agent="emulator",  # else botocore puts a long one together for every call
    )
    return _session().client(service, region_name=region, endpoint_url=endpoint, config=config)


def _client(endpoint: str, service: str, region: str) -> Any:
    with _making:  # a session makes one client at a time
        return _made(endpoint, service, region)


Create = Callable[[Aws, Properties], str]
# What these two return is of no interest.
Update = Callable[[Aws, str, Properties, Properties], object]
Delete = Callable[[Aws, str, Properties], object]
Read = Callable[[Aws, tuple[str, ...]], Mapping[str, Any]]


@dataclass(frozen=True)
class Resource:
    """A resource type. ``create`` answers the physical id (what Ref gives); ``read`` takes the parts of the primary identifier.

    ``update`` is called for changes that need no replacement, with the old and the new properties; None: there are none.
    ``identify`` makes the primary identifier from the physical id and the properties; by default it is the physical id.
    """

    type: str
    create: Create
    delete: Delete
    read: Read | None = None
    update: Update | None = None
    name: str = ""  # the property that names the resource, made up where the template has none
    longest: int = 63
    lower: bool = False
    identify: Callable[[str, Properties], tuple[str, ...]] = lambda ref, _: (ref,)


def changed(old: Properties, new: Properties, *names: str) -> bool:
    """Whether any of the properties differs."""
    return any(old.get(name) != new.get(name) for name in names)


def pairs(tags: Any) -> dict[str, str]:
    """Tags, however they are written, as a mapping."""
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags or []}


def listed(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as templates list them."""
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]


def retag(old: Properties, new: Properties, *, add: Callable[[dict[str, str]], Any], remove: Callable[[list[str]], Any]) -> None:
    """Brings the tags from ``old`` to ``new`` with as few calls as possible."""
    before, after = pairs(old.get("Tags")), pairs(new.get("Tags"))
    gone = sorted(before.keys() - after.keys())
    more = {key: value for key, value in after.items() if before.get(key) != value}
    if gone:
        remove(gone)
    if more:
        add(more)
