"""The commands of `deploy.py`, and how their results are written."""

__all__ = []
