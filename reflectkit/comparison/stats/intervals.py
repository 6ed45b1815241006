"""Intervals of shares, alone and paired."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

__all__ = ["Figure", "paired_difference", "share", "wilson", "z_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its 95 % interval and how many observations it rests on.

    ``value`` is None where it is not defined (nothing to divide by); the interval is then the whole
    range that it could have, or None where it has none.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def share(part: int, whole: int) -> Figure:
    """A share with Wilson's interval; not defined where there is nothing to share."""
    low, high = wilson(part, whole)
    return Figure(value=part / whole if whole else None, low=low, high=high, n=whole)


def z_of(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(part: float, whole: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share; the whole range where there is nothing. Observations that are
    worth less than independent ones need not be a whole number."""
    if not whole:
        return 0.0, 1.0
    z = z_of(level)
    p, square = part / whole, z * z
    middle = (p + square / (2 * whole)) / (1 + square / whole)
    half = z * sqrt(p * (1 - p) / whole + square / (4 * whole**2)) / (1 + square / whole)
    return (middle - half if part > 0 else 0.0), (middle + half if part < whole else 1.0)


def paired_difference(
    gained: int, lost: int, n: int, level: float = 0.95
) -> tuple[float, float, float]:
    """The difference of two shares over the same ``n`` problems, and its interval.

    ``gained`` are right in the second alone, ``lost`` in the first alone. The interval is the
    adjusted Wald one (Bonett and Price 2012), which holds where hardly anything differs too.
    """
    if not n:
        return 0.0, -1.0, 1.0
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z_of(level) * sqrt(max(0.0, p + q - (p - q) ** 2) / (n + 2))
    return (gained - lost) / n, max(-1.0, p - q - half), min(1.0, p - q + half)
