"""Means whose observations hang together: standard errors by cluster."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

from ._needs import needed

__all__ = ["Mean", "clustered_mean"]


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
    error: it is infinite.
    """
    n = len(values)
    if not n:
        return Mean(value=0.0, error=inf, low=-inf, high=inf, n=0, clusters=0)
    mean = sum(values) / n
    sums: dict[Hashable, float] = {}
    for place, value in enumerate(values):
        key = place if clusters is None else clusters[place]
        sums[key] = sums.get(key, 0.0) + value - mean
    groups = len(sums)
    if groups < 2:
        return Mean(value=mean, error=inf, low=-inf, high=inf, n=n, clusters=groups)
    error = sqrt(groups / (groups - 1) * sum(s * s for s in sums.values())) / n
    half = float(needed("scipy.stats").t.ppf((1 + level) / 2, groups - 1)) * error
    return Mean(value=mean, error=error, low=mean - half, high=mean + half, n=n, clusters=groups)
