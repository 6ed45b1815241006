"""Two arms on the same problems: the difference, its interval, and p."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from ...errors import ConfigurationError
from ._needs import needed
from .clustered import clustered_difference
from .intervals import paired_difference
from .mcnemar import mcnemar

__all__ = ["Difference", "paired"]

_FLIPS: Final = 20_000
_EXACT: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``second - first``: of shares, so from -1 to 1.

    ``n``: problems. ``repeats``: answers to each, of each arm. ``gained``: problems on which the
    second arm does better, ``lost``: worse. ``method``: how interval and p were come by.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    n: int
    repeats: int
    gained: int
    lost: int
    clusters: int
    method: str

    @property
    def distinguishable(self) -> bool:
        """The interval does not hold 0."""
        return self.low > 0 or self.high < 0


def paired(
    first: Sequence[Sequence[bool]],
    second: Sequence[Sequence[bool]],
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> Difference:
    """Compare two arms: right or wrong, for each problem and each of its repeats.

    One answer each, and no clusters: McNemar's mid-p, and the adjusted Wald interval. Otherwise
    repeats are averaged first, since answers to one problem are no independent observations: what
    is tested is whether the mean of the problems' differences is 0, by flipping the signs of whole
    clusters (exact for few of them, else 20,000 random flips), and the interval is that of
    Student's t with the cluster-robust standard error (Miller 2024), adjusted for few clusters that
    differ (see ``clustered_difference``).

    Raises ``ConfigurationError`` for arms of different length, without a problem, or with more or
    fewer clusters than problems.
    """
    _check(len(first), len(second), len(first) if clusters is None else len(clusters))
    a, b = [_mean(x) for x in first], [_mean(x) for x in second]
    each = [y - x for x, y in zip(a, b, strict=True)]
    keys = list(range(len(each))) if clusters is None else list(clusters)
    gained, lost = sum(d > 0 for d in each), sum(d < 0 for d in each)
    repeats = max(map(len, [*first, *second]))
    n = len(each)
    if repeats == 1 and len(set(keys)) == n:
        value, low, high = paired_difference(gained, lost, n)
        p, method = mcnemar(gained, lost), "McNemar mid-p, adjusted Wald interval"
    else:
        value, low, high = clustered_difference(each, keys)
        p, method = _flipped(each, keys, seed), "sign flips of clusters, clustered standard errors"
    return Difference(
        first=sum(a) / n,
        second=sum(b) / n,
        value=value,
        low=low,
        high=high,
        p=p,
        n=n,
        repeats=repeats,
        gained=gained,
        lost=lost,
        clusters=len(set(keys)),
        method=method,
    )


def _check(first: int, second: int, clusters: int) -> None:
    if clusters != first:
        raise ConfigurationError(
            f"There are {first} problems and {clusters} clusters.",
            hint="Pass the cluster of each problem, in the same order.",
        )
    if first != second or not first:
        raise ConfigurationError(
            f"{first} problems cannot be paired with {second}.",
            hint="Pass the answers of both arms to the same problems, one at least.",
        )


def _mean(values: Sequence[bool]) -> float:
    if not values:
        raise ConfigurationError("A problem has no answer.", hint="Leave it out of both arms.")
    return sum(values) / len(values)


def _flipped(each: Sequence[float], keys: Sequence[Hashable], seed: int) -> float:
    """The share of sign patterns that give a mean as far from 0, or farther."""
    sums: dict[Hashable, float] = {}
    for key, value in zip(keys, each, strict=True):
        sums[key] = sums.get(key, 0.0) + value
    numpy = needed("numpy")
    moving = numpy.array([s for s in sums.values() if abs(s) > 1e-12])
    if not len(moving):
        return 1.0
    observed = abs(moving.sum()) - 1e-9
    if len(moving) <= _EXACT:
        bits = numpy.arange(2 ** len(moving))[:, None] >> numpy.arange(len(moving)) & 1
        return float((abs((2.0 * bits - 1) @ moving) >= observed).mean())
    rng = numpy.random.default_rng(seed)
    hits = 0
    whole, row = moving.sum(), -(-len(moving) // 8)
    for _ in range(_FLIPS // 1000):  # a bit for each sign: numbers would take ten times as long
        drawn = numpy.frombuffer(rng.bytes(1000 * row), dtype=numpy.uint8).reshape(1000, row)
        up = numpy.unpackbits(drawn, axis=1, count=len(moving))
        hits += int((abs(2 * (up.astype(float) @ moving) - whole) >= observed).sum())
    return (hits + 1) / (_FLIPS + 1)
