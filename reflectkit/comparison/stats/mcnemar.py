"""McNemar's test for paired right and wrong: only the pairs that differ count."""

from __future__ import annotations

from math import comb

__all__ = ["mcnemar"]


def mcnemar(gained: int, lost: int, *, mid: bool = True) -> float:
    """The two-sided p of ``gained`` against ``lost`` discordant pairs, were both equally likely.

    ``mid``: mid-p, which counts the observed split by half. The exact test (``mid=False``) never
    rejects too often and, with few pairs, hardly ever; mid-p keeps close to its level (Fagerland,
    Lydersen and Laake 2013). Computed in whole numbers, so exact for any size. Without a
    discordant pair it is 1.
    """
    n, least = gained + lost, min(gained, lost)
    if not n:
        return 1.0
    term, tail = 1, 1
    for k in range(least):
        term = term * (n - k) // (k + 1)
        tail += term
    whole: int = 2**n
    return min(1.0, (2 * tail - comb(n, least) if mid else 2 * tail) / whole)
