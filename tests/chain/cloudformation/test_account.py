"""Who calls, where the calls go, and what is said when there is no way."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any

import botocore.exceptions
import pytest
from botocore.parsers import ResponseParserError

import emulator
from chain.cloudformation.account import access, caller, ordinary_clients
from chain.cloudformation.rate_limit import AT_ONCE
from chain.environment.exit_codes import AccessError
from chain.environment.templates import parse
from tests.servers.serving import serving
from tests.support.chain.checkout import REGION, REPOSITORY, Checkout, Clients
from tests.support.chain.deployment import run


def test_the_ordinary_configuration_alone_decides(aws: emulator.Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    clients = ordinary_clients()
    who = caller(clients, ["us-east-1", "us-west-2"])
    assert str(who).splitlines() == [
        "Account  123456789012",
        f"Caller   {who.arn}",
        f"Region   us-east-1  {aws.endpoint}",
        f"Region   us-west-2  {aws.endpoint}",
    ]
    assert clients("sqs", REGION) is clients("sqs", REGION)
    assert clients("sqs", "us-west-2").meta.region_name == "us-west-2"


def test_an_invocation_is_waited_for_as_long_as_the_function_may_run(
    aws: emulator.Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    functions = [
        each["Properties"]["Timeout"]
        for path in REPOSITORY.glob("templates/*/failover.yaml")
        for each in parse(path.read_text()).resources.values()
        if each["Type"] == "AWS::Lambda::Function"
    ]
    assert ordinary_clients()("lambda", REGION).meta.config.read_timeout > max(functions)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            botocore.exceptions.NoCredentialsError(),
            "There are no AWS credentials to use: Unable to locate credentials. Give credentials",
        ),
        (botocore.exceptions.ProfileNotFound(profile="x"), "There are no AWS credentials to use: The config profile (x)"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), "AWS was not reached: Could not connect"),
        (
            botocore.exceptions.ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "GetCallerIdentity"),
            "AWS refused the caller (ExpiredToken on GetCallerIdentity: old). Give credentials",
        ),
        (
            botocore.exceptions.ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "DescribeStacks"),
            "AWS answered Throttling on DescribeStacks: slow",
        ),
        (botocore.exceptions.ConfigParseError(path="x"), "AWS cannot be asked: Unable to parse config file: x. Check the AWS"),
    ],
)
def test_every_way_to_be_shut_out_is_one_sentence(error: Exception, said: str) -> None:
    with pytest.raises(AccessError) as refused, access():
        raise error
    assert str(refused.value).startswith(said)


class Page(BaseHTTPRequestHandler):
    """What a proxy shows to those who are not signed in."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.page)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("page", [b"<html><body>Sign in</body></html>", b"<html>Sign in"])
def test_something_else_that_answers_is_not_taken_for_aws(page: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr("http.server.ThreadingHTTPServer.page", page, raising=False)
    with serving(Page) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(AccessError, match=f"{address} does not answer as AWS does. Check AWS_ENDPOINT_URL and the proxy"):
            caller(ordinary_clients(), [REGION])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(AccessError, match="Invalid endpoint: nonsense: AWS_ENDPOINT_URL is the address of an AWS"):
        caller(ordinary_clients(), [REGION])


def test_answers_that_cannot_be_read_do_not_use_up_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr("http.server.ThreadingHTTPServer.page", b"<html>", raising=False)
    asked: list[int] = []

    def ask(client: Any) -> None:
        for number in range(2 * AT_ONCE):
            with pytest.raises(ResponseParserError):
                client.get_caller_identity()
            asked.append(number)

    with serving(Page) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        asking = Thread(target=ask, args=(ordinary_clients()("sts", REGION),), daemon=True)
        asking.start()
        asking.join(20)
    assert len(asked) == 2 * AT_ONCE


def test_other_errors_pass(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    with pytest.raises(ValueError, match="odd"), access():
        raise ValueError("odd")
    with access():
        assert run(checkout, clients).failed == {}
