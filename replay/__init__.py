"""Applies the log archive to a restored database: verifies the chain, then replays it up to a time or a position.

Knows the archive by its format alone and shares no code with what writes it.
"""

from replay.apply import Replayed, apply
from replay.chain import Chain, Entry, Problem, verify

__all__ = ["Chain", "Entry", "Problem", "Replayed", "apply", "verify"]
