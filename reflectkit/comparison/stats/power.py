"""What a comparison can find out, before anything is spent."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist

from ...errors import ConfigurationError

__all__ = ["items_needed", "smallest_difference"]


def items_needed(
    difference: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Problems that McNemar's test needs to find a ``difference`` of two shares (Miettinen 1968).

    ``discordant``: the share of problems that one arm alone gets right. Raises
    ``ConfigurationError`` where the difference is none, or larger than that share.
    """
    if not 0 < abs(difference) <= discordant <= 1:
        raise ConfigurationError(
            f"A difference of {difference} with {discordant} of the problems discordant cannot be.",
            hint="0 < difference <= discordant <= 1.",
        )
    normal = NormalDist()
    level, found = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    root = level * sqrt(discordant) + found * sqrt(discordant - difference**2)
    return ceil(root**2 / difference**2)


def smallest_difference(
    n: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The smallest difference of two shares that ``n`` problems show; None if they show none."""
    if n < 1 or not 0 < discordant <= 1:
        raise ConfigurationError(
            f"n is {n} and the discordant share {discordant}.", hint="n >= 1, 0 < share <= 1."
        )
    if items_needed(discordant, discordant, alpha=alpha, power=power) > n:
        return None
    low, high = 0.0, discordant
    for _ in range(60):
        middle = (low + high) / 2
        if items_needed(middle, discordant, alpha=alpha, power=power) > n:
            low = middle
        else:
            high = middle
    return high
