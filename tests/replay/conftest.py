"""Registries with their archives, as the archiver's own tests have them."""

from tests.functions.archives import archivers, primary, registry, secrets  # noqa: F401
from tests.servers.fixtures import authority, launch, scratch  # noqa: F401
