"""How much of the training a prompt replaces, and what size has to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..records import Record
from ..stats.bootstrap import Draws
from ..stats.intervals import Figure
from ..stats.paired import paired
from .table import Table

__all__ = ["Gain", "gains", "recovery"]


def _right(record: Record) -> float:
    return float(record.right)


def recovery(table: Table, plain: str, prompted: str, trained: str, draws: int = 10_000) -> Figure:
    """(prompted - plain) / (trained - plain), on the problems that all three have answered.

    Not defined where trained and plain cannot be told apart: a share of nothing is no number.
    """
    order = table.common(plain, prompted, trained)
    if not order:
        return Figure(value=None, low=None, high=None, n=0)
    clusters = table.clusters(order)
    gap = paired(table.rights(plain, order), table.rights(trained, order), clusters)
    if not gap.distinguishable:
        return Figure(value=None, low=None, high=None, n=len(order))
    columns = [table.column(arm, order, _right) for arm in (plain, prompted, trained)]
    drawn = Draws(clusters, draws=draws)
    sums = drawn.means(*columns)
    with drawn.quiet():
        found = drawn.interval((sums[:, 1] - sums[:, 0]) / (sums[:, 2] - sums[:, 0]))
    low, high = found or (None, None)
    base, middle, top = (sum(c) for c in columns)
    return Figure(value=(middle - base) / (top - base), low=low, high=high, n=len(order))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What reflection brings to one model: the arm that reflects less the plain one. ``more``: how
    much more than it brings to the first model."""

    model: str
    plain: str
    reflecting: str
    gain: Figure
    more: Figure | None = None


def gains(table: Table, models: Sequence[tuple[str, str, str]], draws: int = 10_000) -> list[Gain]:
    """For ``models`` (name, plain arm, reflecting arm), smallest first: the size effect."""
    if len(models) < 2:
        return []
    arms = [arm for _, *both in models for arm in both]
    order = table.common(*arms)
    if not order:
        return []
    drawn = Draws(table.clusters(order), draws=draws)
    columns = [table.column(arm, order, _right) for arm in arms]
    sums = drawn.means(*columns)
    each = (sums[:, 1:-1:2] - sums[:, 0:-1:2]) / sums[:, -1:]
    found = []
    for place, (model, plain, reflecting) in enumerate(models):
        own = [b - a for a, b in zip(columns[2 * place], columns[2 * place + 1], strict=True)]
        first = [b - a for a, b in zip(columns[0], columns[1], strict=True)]
        more = [x - y for x, y in zip(own, first, strict=True)]
        found.append(
            Gain(
                model=model,
                plain=plain,
                reflecting=reflecting,
                gain=_figure(drawn, own, each[:, place]),
                more=_figure(drawn, more, each[:, place] - each[:, 0]) if place else None,
            )
        )
    return found


def _figure(draws: Draws, values: Sequence[float], drawn: object) -> Figure:
    low, high = draws.interval(drawn) or (None, None)
    return Figure(value=sum(values) / len(values), low=low, high=high, n=len(values))
