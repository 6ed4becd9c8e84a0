"""Pieces that two or more layers share."""
