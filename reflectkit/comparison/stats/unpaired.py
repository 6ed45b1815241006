"""For published numbers, whose single problems nobody has."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt

from ...errors import ConfigurationError

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
    Raises ``ConfigurationError`` for shares that are not from 0 to 1, or of nothing.
    """
    m = n if m is None else m
    if not (0 <= first <= 1 and 0 <= second <= 1 and n > 0 and m > 0):
        raise ConfigurationError(
            f"{first} of {n} and {second} of {m} are no two shares.",
            hint="Shares are from 0 to 1 (84.7 % is 0.847), of one problem at least.",
        )
    pooled = (first * n + second * m) / (n + m)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = (second - first) / error if error else 0.0
    return TwoShares(value=second - first, z=z, p=erfc(abs(z) / sqrt(2)))
