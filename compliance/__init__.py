"""Judges plain templates: rules ask, profiles say which control an answer is evidence for."""
