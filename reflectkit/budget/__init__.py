"""Limits and what they cost: for now, how tokens are counted where nobody reported them."""

from __future__ import annotations

from .tokens import Counter, accounted, estimate

__all__ = ["Counter", "accounted", "estimate"]
