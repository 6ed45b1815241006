"""The error of a spent token budget: ours and core's in one, so that no retry takes it on."""

from __future__ import annotations

from langchain_core.exceptions import ModelError

from reflectkit import BudgetExceeded

__all__ = ["TokenBudgetExceeded"]


class TokenBudgetExceeded(BudgetExceeded, ModelError):
    """An agent's token budget is spent; ``scope`` and ``limit`` say whose and which."""

    is_retryable = False

    def __init__(self, by: str) -> None:
        scope, _, limit = by.partition(" ")
        super().__init__(
            f"The budget of {scope} is spent ({limit or 'tokens'}).",
            limit=limit or "tokens",
            scope=scope,
            hint="Give it more, or end with exit_behavior='answer'.",
        )
