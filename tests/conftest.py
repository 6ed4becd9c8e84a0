"""What holds for every test."""

from tests import models


def pytest_configure() -> None:
    """Sessions of boto3 share the models that they read."""
    models.read_once()
