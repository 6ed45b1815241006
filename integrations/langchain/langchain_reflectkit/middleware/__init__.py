"""Middleware for LangChain's ``create_agent``. Needs the extra ``agents``."""

from __future__ import annotations

from .budget import TokenBudgetExceeded, TokenBudgetMiddleware
from .history import turn_cutoff, whole_turns
from .reflection import ReflectionMiddleware

__all__ = [
    "ReflectionMiddleware",
    "TokenBudgetExceeded",
    "TokenBudgetMiddleware",
    "turn_cutoff",
    "whole_turns",
]
