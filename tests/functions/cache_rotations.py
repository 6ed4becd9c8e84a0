"""A user of a replication group of the emulator with its secret, and what tests do with them."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from emulator import Emulator
from tests.servers.secrets_manager import SecretsManager
from tests.support.functions.rotations import Rotating

ACCESS = "on ~session:* -@all +@connection -@dangerous +get +set"
FIRST = "First0password0of0the0user000000"
KEY = "session:rotation"


@dataclass
class CacheRotator(Rotating):
    """The user ``user`` of one replication group with the secret ``arn``."""

    service: SecretsManager
    aws: Emulator
    port: int
    user: str = ""
    arn: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def introduce(self, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
        """Makes the user, its secret, and the environment of the function."""
        self.user = f"user-{uuid.uuid4().hex[:8]}"
        elasticache = self.aws.client("elasticache")
        made = elasticache.create_user(
            UserId=self.user, UserName=f"name-{self.user}", Engine="redis", AccessString=ACCESS, Passwords=[FIRST]
        )
        elasticache.modify_user_group(UserGroupId=group, UserIdsToAdd=[self.user])
        self.extra = {"user_arn": made["ARN"], "note": "kept"}
        self.arn = self.service.create({"username": f"name-{self.user}", "password": FIRST, **self.extra})
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.aws.environment,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.service.endpoint,
            "SSL_CERT_FILE": str(self.aws.root),
            "CACHE_HOST": "localhost",
            "CACHE_PORT": str(self.port),
            "CACHE_USER": self.user,
            "CACHE_KEY": KEY,
        }

    def login(self, password: str) -> redis.Redis:
        """One session over verified TLS, by other means than the function's; it never tries twice."""
        return redis.Redis(
            host="localhost",
            port=self.port,
            username=f"name-{self.user}",
            password=password,
            ssl=True,
            ssl_ca_certs=str(self.aws.root),
            ssl_min_version=ssl.TLSVersion.TLSv1_2,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=10,
            protocol=2,
        )

    def opens(self, password: str) -> bool:
        try:
            session = self.login(password)
        except redis.AuthenticationError:
            return False
        session.ping()
        session.close()
        return True

    def handle(self, event: Mapping[str, str]) -> None:
        from cache_rotation.handler import handler

        handler(event, None)

    def check(self, token: str, old: str) -> None:
        """The rotation has ended: its version is the current one, and opens the cache as the last one still does."""
        secret = self.service.secrets[self.arn]
        assert secret.labels["AWSCURRENT"] == token
        value = self.service.value(self.arn)
        assert value == {"username": f"name-{self.user}", "password": value["password"], **self.extra}
        assert value["password"] != old
        assert len(value["password"]) == 32
        assert self.opens(value["password"])
        assert self.opens(old)
