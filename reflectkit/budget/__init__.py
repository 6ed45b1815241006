"""Limits and what they cost: for now, how tokens are counted where nobody reported them."""

from __future__ import annotations

from .tokens import accounted, estimate, estimate_prompt

__all__ = ["accounted", "estimate", "estimate_prompt"]
