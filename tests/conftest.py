"""What holds for every test."""

import os

import emulator
from tests import models, unmeasured


def pytest_configure() -> None:
    """Sessions of boto3 share the models that they read; the emulator's lines are counted where somebody asks for that."""
    models.read_once()
    if unmeasured.WANTED not in os.environ:
        emulator.running = unmeasured.running
