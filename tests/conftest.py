"""What holds for every test."""

import gc
import os

import emulator
from tests import models, unmeasured


def pytest_configure() -> None:
    """Sessions of boto3 share the models that they read; the emulator's lines are counted where somebody asks for that."""
    for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):  # a make in a test is no child of `make test`
        os.environ.pop(name, None)
    gc.set_threshold(20_000, 20, 50)
    models.read_once()
    if unmeasured.WANTED not in os.environ:
        emulator.running = unmeasured.running


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: whoever collects garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()
