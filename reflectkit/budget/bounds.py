"""Budgets from several places as one: the smallest limit wins, and it is known whose it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .budget import Budget

__all__ = ["NO_BOUNDS", "Bounds", "merged"]

#: Of these the largest wins: a floor is a promise, and a hint is wanted where one place wants it.
_LARGEST: Final = frozenset({"thinking_floor", "output_floor", "hint"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What binds a call. ``values``: limit -> its value; ``by``: limit -> who set it."""

    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    by: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        return bool(self.values)

    def get(self, limit: str) -> Any:
        """The limit's value; None where nobody set it."""
        return self.values.get(limit)

    def whose(self, limit: str) -> str:
        """Who set the limit: "call", "client" or a scope's name; "" for nobody."""
        return self.by.get(limit, "")

    def and_these(self, budgets: Iterable[tuple[str, Budget | None]]) -> Bounds:
        """These and those of ``budgets``, each with the name of who set it."""
        values, by = dict(self.values), dict(self.by)
        for whose, budget in budgets:
            for limit, value in _set(budget):
                if limit not in values or _wins(limit, value, values[limit]):
                    values[limit], by[limit] = value, whose
        return Bounds(MappingProxyType(values), MappingProxyType(by)) if values else NO_BOUNDS


NO_BOUNDS: Final = Bounds()


def merged(budgets: Iterable[tuple[str, Budget | None]]) -> Bounds:
    """All ``budgets``, each with the name of who set it, as one. Of equal ones the first wins."""
    return NO_BOUNDS.and_these(budgets)


def _set(budget: Budget | None) -> list[tuple[str, Any]]:
    """The limits that a budget sets."""
    named = vars(budget) if budget is not None else {}
    return [(n, value) for n, value in named.items() if value is not None and value is not False]


def _wins(limit: str, value: Any, other: Any) -> bool:
    return bool(value > other) if limit in _LARGEST else bool(value < other)
