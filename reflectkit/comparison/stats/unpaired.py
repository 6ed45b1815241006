"""For published numbers, whose single problems nobody has."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

__all__ = ["TwoShares", "two_shares"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoShares:
    """The difference of two shares, its z, and the two-sided p."""

    value: float
    z: float
    p: float


def two_shares(first: float, second: float, n: int, m: int | None = None) -> TwoShares:
    """``second - first``, tested as if the two were of different problems (pooled z).

    A stand-in: with the same problems it says less than a paired test would, so that what it finds
    is real, and what it does not find may still be. ``m``: the second's number, if another.
    """
    m = n if m is None else m
    pooled = (first * n + second * m) / (n + m)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = (second - first) / error if error else 0.0
    return TwoShares(value=second - first, z=z, p=2 * (1 - NormalDist().cdf(abs(z))))
