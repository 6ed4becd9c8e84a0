"""What a function tells its operator: one JSON line per thing done, one sentence per thing gone wrong. Never a password."""

from __future__ import annotations

import json


class FunctionError(Exception):
    """A sentence for the operator: what is wrong, the value, the remedy. Lambda writes it to the log as it is."""


def say(**fields: object) -> None:
    """One line of structured log; on Lambda, standard output is the function's log group."""
    print(json.dumps(fields), flush=True)
