"""What an arm costs, and what it gives for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..records import Record
from ..stats.bootstrap import Draws
from ..stats.clustered import clustered_mean
from ..stats.intervals import Figure
from .table import Table

__all__ = ["Cost", "costs", "ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one arm, an answer. ``overhead``: generated tokens as a multiple of the baseline's on the
    same problems. ``first_output`` and ``seconds``: medians. ``per_thousand``: right answers for a
    thousand generated tokens. ``exact``: no count is an estimate. ``money``: in the currency of the
    prices, None if not all are known."""

    arm: str
    accuracy: Figure
    completion: Figure
    prompt: float
    thinking: float
    reflections: float
    overhead: Figure
    per_thousand: Figure
    seconds: float
    first_output: float | None
    calls: float
    money: float | None
    exact: bool


def costs(
    table: Table, arms: Sequence[str], baseline: str, draws: Draws, order: Sequence[str]
) -> list[Cost]:
    """The costs of some arms over the problems of ``order``, which ``draws`` are of."""
    base = table.column(baseline, order, _completion)
    return [_cost(table, arm, base, draws, order) for arm in arms]


def _completion(record: Record) -> float:
    return record.tokens.completion


def _right(record: Record) -> float:
    return float(record.right)


def _cost(
    table: Table, arm: str, base: Sequence[float], draws: Draws, order: Sequence[str]
) -> Cost:
    own, right = table.column(arm, order, _completion), table.column(arm, order, _right)
    records = [r for r in table.records(arm) if r.outcome != "failed"] or table.records(arm)
    clusters = table.clusters(order)
    first = [r.first_output for r in records if r.first_output is not None]
    money = [r.cost for r in records]
    return Cost(
        arm=arm,
        accuracy=table.accuracy(arm, order),
        completion=_mean(own, clusters),
        prompt=_average([float(r.tokens.prompt) for r in records]),
        thinking=_average([float(r.tokens.thinking) for r in records]),
        reflections=_average([float(r.tokens.reflections) for r in records]),
        overhead=ratio(draws, own, base),
        per_thousand=ratio(draws, [1000 * x for x in right], own),
        seconds=median([r.seconds for r in records]),
        first_output=median(first) if first else None,
        calls=_average([float(r.calls) for r in records]),
        money=None if None in money else _average([m for m in money if m is not None]),
        exact=all(r.tokens.exact for r in records),
    )


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _mean(values: Sequence[float], clusters: Sequence[Any]) -> Figure:
    if not values:
        return Figure(value=None, low=None, high=None, n=0)
    found = clustered_mean(values, clusters)
    if found.clusters < 2:  # an endless interval, which no file could hold
        return Figure(value=found.value, low=None, high=None, n=found.n)
    return Figure(value=found.value, low=max(0.0, found.low), high=found.high, n=found.n)


def ratio(draws: Draws, above: Sequence[float], below: Sequence[float]) -> Figure:
    """The ratio of two means, with the bootstrap's interval; not defined below nothing."""
    total = sum(below)
    if not total:
        return Figure(value=None, low=None, high=None, n=len(below))
    sums = draws.means(above, below)
    with draws.quiet():
        found = draws.interval(sums[:, 0] / sums[:, 1])
    low, high = found or (None, None)
    return Figure(value=sum(above) / total, low=low, high=high, n=len(below))
