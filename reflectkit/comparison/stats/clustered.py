"""Means whose observations hang together: standard errors by cluster."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Final

from ...errors import ConfigurationError
from ._needs import needed

__all__ = ["Mean", "clustered_difference", "clustered_mean"]

#: A difference of this size is rounding.
_NOTHING: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean, its standard error, and its interval by Student's t with ``clusters - 1`` degrees."""

    value: float
    error: float
    low: float
    high: float
    n: int
    clusters: int


def clustered_mean(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Mean:
    """The mean of ``values`` and its cluster-robust standard error (Liang and Zeger 1986).

    Values of one cluster may depend on one another; clusters do not. Without ``clusters`` each
    value is its own, and the error is the usual one. The small-sample factor G / (G - 1) makes both
    the same where every cluster has one value. With fewer than two clusters nothing is known of the
    error: it is infinite. Raises ``ConfigurationError`` where not every value has a cluster, or one
    is no finite number.
    """
    n = len(values)
    _check(values, clusters)
    if not n:
        return Mean(value=0.0, error=inf, low=-inf, high=inf, n=0, clusters=0)
    mean = sum(values) / n
    sums = _sums([value - mean for value in values], clusters)
    groups = len(sums)
    if groups < 2:
        return Mean(value=mean, error=inf, low=-inf, high=inf, n=n, clusters=groups)
    error = sqrt(groups / (groups - 1) * sum(s * s for s in sums)) / n
    half = _student(level, groups - 1) * error
    return Mean(value=mean, error=error, low=mean - half, high=mean + half, n=n, clusters=groups)


def clustered_difference(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """The mean of differences from -1 to 1, most of which may be 0, and its interval.

    Student's t with the cluster-robust error is too narrow where few clusters differ, and has no
    width where all differ alike. So two clusters of middling size are added, one that differs as
    much as those that differ do (root mean square), one as much the other way: what Bonett and
    Price (2012) do for single answers, where that is 1. With fewer than two clusters the interval
    is all that could be. Raises as ``clustered_mean`` does.
    """
    _check(values, clusters)
    n, sums = len(values), _sums(values, clusters)
    groups, value = len(sums), sum(values) / n if n else 0.0
    if groups < 2:
        return value, -1.0, 1.0
    size = n / groups
    moving = [s * s for s in sums if abs(s) > _NOTHING]
    added = sqrt(sum(moving) / len(moving)) if moving else size
    middle = sum(sums) / (n + 2 * size)
    squares = sum((s - size * middle) ** 2 for s in (*sums, added, -added))
    error = sqrt((groups + 2) / (groups + 1) * squares) / (n + 2 * size)
    half = _student(level, groups - 1) * error
    return value, max(-1.0, min(value, middle - half)), min(1.0, max(value, middle + half))


def _check(values: Sequence[float], clusters: Sequence[Hashable] | None) -> None:
    if clusters is not None and len(clusters) != len(values):
        raise ConfigurationError(
            f"There are {len(values)} values and {len(clusters)} clusters.",
            hint="Pass the cluster of each value, in the same order.",
        )
    if not all(map(isfinite, values)):
        raise ConfigurationError(
            "A value is not a finite number.", hint="Leave out what was not measured."
        )


def _sums(values: Sequence[float], clusters: Sequence[Hashable] | None) -> list[float]:
    """The sum of each cluster."""
    if clusters is None:
        return list(values)
    sums: dict[Hashable, float] = {}
    for key, value in zip(clusters, values, strict=True):
        sums[key] = sums.get(key, 0.0) + value
    return list(sums.values())


def _student(level: float, freedom: int) -> float:
    return float(needed("scipy.stats").t.ppf((1 + level) / 2, freedom))
