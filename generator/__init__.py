"""Writes the templates: the only place that knows troposphere."""
