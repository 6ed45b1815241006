"""Accounts, amounts and shortages in words."""

from __future__ import annotations

from decimal import Decimal

from ..budget.ledger import MOST, NANO, Short, parts_of
from ..errors import BudgetExceeded

__all__ = ["amount", "duration", "exceeded", "limit_name"]

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def limit_name(key: str) -> str:
    """``tokens per day`` for an account."""
    _, unit, per = parts_of(key)
    return f"{unit} per {per}" if per else unit


def amount(unit: str, figure: int) -> str:
    """A figure of the books as people write it."""
    if unit != "money":
        return f"{figure:,}"
    value = Decimal(figure) / NANO
    return f"{value.normalize():,f}" if value % Decimal("0.01") else f"{value:,.2f}"


def duration(seconds: float) -> str:
    """``3 h 12 min``: the two largest parts."""
    rest, parts = max(1, round(seconds)), []
    for size, name in _STEPS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def exceeded(short: Short, *, waited: float | None = None) -> BudgetExceeded:
    """The error for a call that was not let through, ``waited`` seconds or none at all."""
    scope, unit, per = parts_of(short.key)
    name = limit_name(short.key)
    left = max(0, short.cap - short.spent - short.reserved)
    message = f"{scope} has {amount(unit, left)} of {amount(unit, short.cap)} {name} left"
    message += f" ({amount(unit, short.reserved)} reserved)" if short.reserved else ""
    message += f", and the call may need {amount(unit, short.needed)}."
    if short.queued:
        message = f"Others stand in line for the {name} of {scope}."
    if waited is not None:
        message += f" It has waited for {waited:.3g} s."
    again = None if per is None else max(0.0, (short.ends - short.at) / 1000)
    return BudgetExceeded(
        message,
        limit=name,
        spent=short.spent / NANO if unit == "money" else short.spent,
        scope=scope,
        hint=_hint(short, again),
        retry_after=None if short.hopeless else again,
    )


def _hint(short: Short, again: float | None) -> str:
    if short.hopeless and short.ends < MOST:
        return "No window of this limit is that large: ask for less, or raise the limit."
    if again is not None:
        return f"The limit starts anew in {duration(again)}."
    if short.queued or (short.reserved and not short.hopeless):
        return "Try again when other calls have ended, or let the scope wait for them."
    return "It does not start anew: top it up, raise the limit, or ask for less."
