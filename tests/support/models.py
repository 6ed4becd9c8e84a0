"""The models of AWS's services, read once in a process: a session of boto3 reads them anew, longer than a call takes."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import JSONFileLoader


def read_once() -> None:
    """From now on the sessions of this process share what they read, as the clients of one session do anyway."""
    cached = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
    loader: Any = JSONFileLoader
    loader.load_file = lambda _, path: cached(path)
