"""Shares with intervals, alone and paired: what the benchmarks of correction print."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

__all__ = ["difference", "paired", "points", "share", "wilson"]

_Z = 1.959964


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not whole:
        return 0.0, 1.0
    p, square = part / whole, _Z * _Z
    middle = (p + square / (2 * whole)) / (1 + square / whole)
    half = _Z * sqrt(p * (1 - p) / whole + square / (4 * whole**2)) / (1 + square / whole)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired(gained: int, lost: int, n: int) -> tuple[float, float, float]:
    """The difference of two shares over the same ``n`` items, and its 95 % interval.

    ``gained`` items are right in the second alone, ``lost`` in the first alone. The interval is the
    adjusted Wald one (Bonett and Price 2012), which holds where hardly anything differs too.
    """
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _Z * sqrt(max(0.0, p + q - (p - q) ** 2) / (n + 2))
    return (gained - lost) / n, max(-1.0, p - q - half), min(1.0, p - q + half)


def difference(before: Sequence[bool], after: Sequence[bool]) -> tuple[float, float, float]:
    """``paired`` of two lists of right or wrong, item by item."""
    both = list(zip(before, after, strict=True))
    gained = sum(b and not a for a, b in both)
    lost = sum(a and not b for a, b in both)
    return paired(gained, lost, len(both))


def share(part: int, whole: int) -> str:
    """``93.2 [90.6, 95.1]``, in percent."""
    low, high = wilson(part, whole)
    return f"{100 * part / max(1, whole):5.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def points(found: tuple[float, float, float]) -> str:
    """``+3.8 [+2.0, +5.9]``, in percentage points."""
    value, low, high = (100 * x for x in found)
    return f"{value:+5.1f} [{low:+.1f}, {high:+.1f}]"
