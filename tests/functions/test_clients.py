"""Clients of AWS services: made cheaply, and by several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader
from common import clients


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "us-east-1")


def test_second_client_of_a_service_reads_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that runs every minute would parse megabytes each time, with a seventh of a processor."""
    read: list[str] = []
    load: Any = JSONFileLoader.load_file
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda self, path: read.append(path) or load(self, path))
    clients.client("dynamodb")
    assert read
    read.clear()
    clients.client("dynamodb")
    assert read == []


def test_clients_are_made_by_several_threads_at_once() -> None:
    services = ("secretsmanager", "dynamodb", "s3", "ec2") * 4
    with ThreadPoolExecutor(len(services)) as pool:
        made = list(pool.map(clients.client, services))
    assert [one.meta.service_model.service_name for one in made] == list(services)
    assert {(one.meta.config.connect_timeout, one.meta.config.read_timeout) for one in made} == {(3, 6)}
