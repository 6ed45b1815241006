"""Limits and what they cost: counting tokens, and usage where nobody reported it."""

from __future__ import annotations

from .tokens import Counter, LearnedCounter, estimate, estimate_prompt

__all__ = ["Counter", "LearnedCounter", "estimate", "estimate_prompt"]
