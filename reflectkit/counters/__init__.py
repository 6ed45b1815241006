"""Exact counters from tokenizer files, and ``counter_for``: the best there is for a model."""

from __future__ import annotations

from .encodings import counter_named
from .exact import ExactCounter
from .files import counter_from
from .registry import counter_for

__all__ = ["ExactCounter", "counter_for", "counter_from", "counter_named"]
