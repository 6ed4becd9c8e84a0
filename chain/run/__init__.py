"""One run of a command: the lock on its environment, the record of what it did, its timeline, what it shows meanwhile."""

__all__ = ["lock", "progress", "record", "run", "timeline"]
