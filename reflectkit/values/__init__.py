"""Answers as values: the numbers and the JSON in a text, and whether two are equal. Pure."""

from __future__ import annotations

from .keys import Group, tally, value_key, values_equal

__all__ = ["Group", "tally", "value_key", "values_equal"]
