"""Fails a system over to the recovery region, and back: observes, decides, acts once, verifies, and says so."""

from __future__ import annotations

from orchestration.run import handler

__all__ = ["handler"]
