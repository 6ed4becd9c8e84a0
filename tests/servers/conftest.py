"""The servers' own fixtures."""

from tests.servers.fixtures import authority, launch, postgres, scratch  # noqa: F401
