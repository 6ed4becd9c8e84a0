"""The commands of `deploy.py`, and how their results are written."""

__all__: list[str] = []
