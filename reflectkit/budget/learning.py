"""Learns what a model's tokenizer makes of a text, from the counts that servers report. Pure.

Recursive least squares over a text's features, which is a Kalman filter whose weights wander a
little (Kalman 1960; Plackett 1950): each call costs the square of the number of features. Rows are
scaled to the estimate, so that it is the relative error that is made small. An outlier moves the
weights by no more than a bounded step. The upper bound follows the quantile of the errors so far,
by the step rule of Gibbs and Candes 2021 ("Adaptive conformal inference under distribution shift").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ConfigurationError

__all__ = ["Line", "Prior"]

#: share of calls whose count may lie above the bound
_MISSES: Final = 0.01
#: the bound in standard errors: before any evidence, its least, and its step after a call
_START, _LEAST, _STEP = 4.5, 3.0, 0.6
#: an error of more standard errors than this is made as unsure as it is large
_OUTLIER: Final = 4.0
#: but for so many calls, since a vocabulary may be unlike any other
_OPEN: Final = 8
#: what a group's spread was before evidence counts as so many calls, and evidence at most as these
_PRIOR_CALLS, _MEMORY = 4.0, 60.0
#: the share of the first variance that comes back with each call
_WANDER: Final = 2e-5
#: the rounding of a count, in tokens
_ROUNDING: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Weights and how unsure they are; ``spread``: the relative error that even right ones leave;
    ``groups``: kinds of text whose spreads are told apart."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    spread: float
    groups: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What has been learnt: a value. ``observed`` gives the next one."""

    prior: Prior = field(repr=False)
    weights: tuple[float, ...] = field(repr=False)
    covariance: tuple[tuple[float, ...], ...] = field(repr=False)
    spreads: tuple[float, ...]
    calls: tuple[float, ...]
    bounds: tuple[float, ...]

    @classmethod
    def from_prior(cls, prior: Prior) -> Line:
        """Nothing learnt yet."""
        size = range(len(prior.mean))
        squares = [d * d for d in prior.deviation]
        return cls(
            prior=prior,
            weights=prior.mean,
            covariance=tuple(tuple(squares[i] if i == j else 0.0 for j in size) for i in size),
            spreads=(prior.spread**2,) * prior.groups,
            calls=(0.0,) * prior.groups,
            bounds=(_START,) * prior.groups,
        )

    def estimate(self, amounts: Sequence[float]) -> float:
        """The tokens expected, not below 0."""
        return max(math.fsum(w * a for w, a in zip(self.weights, amounts, strict=True)), 0.0)

    def upper(self, amounts: Sequence[float], group: int = 0) -> float:
        """A bound that 99 of 100 counts keep."""
        expected = self.estimate(amounts)
        scale = max(expected, 1.0)
        _, variance = self._unsure([a / scale for a in amounts])
        error = math.sqrt(variance + self._noise(scale, group))
        return expected + self.bounds[group] * error * scale

    def observed(self, amounts: Sequence[float], tokens: float, group: int = 0) -> Line:
        """What is known after a text of these ``amounts`` had ``tokens``."""
        expected = self.estimate(amounts)
        scale = max(expected, 1.0)
        row = [a / scale for a in amounts]
        gain, variance = self._unsure(row)
        error = tokens / scale - math.fsum(w * a for w, a in zip(self.weights, row, strict=True))
        total = variance + self._noise(scale, group)
        missed = tokens > expected + self.bounds[group] * math.sqrt(total) * scale
        trusted = max(total, (error / _OUTLIER) ** 2) if sum(self.calls) >= _OPEN else total
        weights = [w + g * error / trusted for w, g in zip(self.weights, gain, strict=True)]
        return Line(
            prior=self.prior,
            weights=tuple(weights),
            covariance=self._narrowed(gain, trusted),
            **self._spread(group, error * error - variance, missed),
        )

    def _noise(self, scale: float, group: int) -> float:
        return self.spreads[group] + (_ROUNDING / scale) ** 2

    def _unsure(self, row: Sequence[float]) -> tuple[list[float], float]:
        """Covariance times ``row``, and the variance of the estimate."""
        live = [(i, a) for i, a in enumerate(row) if a]
        gain = [math.fsum(line[i] * a for i, a in live) for line in self.covariance]
        return gain, max(math.fsum(gain[i] * a for i, a in live), 0.0)

    def _narrowed(self, gain: Sequence[float], total: float) -> tuple[tuple[float, ...], ...]:
        firsts = [d * d for d in self.prior.deviation]
        rows = [
            [c - g * h / total for c, h in zip(line, gain, strict=True)] if g else list(line)
            for line, g in zip(self.covariance, gain, strict=True)
        ]
        for i, first in enumerate(firsts):
            rows[i][i] = min(max(rows[i][i], first * 1e-9) + first * _WANDER, first)
        return tuple(map(tuple, rows))

    def _spread(self, group: int, square: float, missed: bool) -> dict[str, Any]:
        calls = self.calls[group]
        weight = 1.0 / (_PRIOR_CALLS + calls + 1.0)
        old = self.spreads[group]
        square = min(max(square, old / 100), old * 25)
        step = _STEP * ((1 - _MISSES) if missed else -_MISSES)
        return {
            "spreads": _put(self.spreads, group, old + weight * (square - old)),
            "calls": _put(self.calls, group, min(calls + 1.0, _MEMORY)),
            "bounds": _put(self.bounds, group, max(self.bounds[group] + step, _LEAST)),
        }

    def as_json(self) -> dict[str, Any]:
        """For ``from_json``: what was learnt, in plain numbers."""
        return {
            "weights": list(self.weights),
            "covariance": [list(row) for row in self.covariance],
            "spreads": list(self.spreads),
            "calls": list(self.calls),
            "bounds": list(self.bounds),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], prior: Prior) -> Line:
        """Raises ``ConfigurationError`` for numbers that another version saved, or for none."""
        size = len(prior.mean)
        try:
            lists = {k: _numbers(data[k], size) for k in ("weights",)}
            lists |= {k: _numbers(data[k], prior.groups) for k in ("spreads", "calls", "bounds")}
            covariance = tuple(_numbers(row, size) for row in data["covariance"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _unfit() from error
        fits = len(covariance) == size and min(lists["spreads"]) > 0 <= min(lists["calls"])
        if not fits or any(covariance[i][i] < 0 for i in range(size)):
            raise _unfit()
        return cls(prior=prior, covariance=covariance, **lists)


def _numbers(values: Iterable[Any], size: int) -> tuple[float, ...]:
    found = tuple(map(float, values))
    if len(found) != size or not all(map(math.isfinite, found)):
        raise ValueError(f"{len(found)} numbers")
    return found


def _put(values: tuple[float, ...], index: int, value: float) -> tuple[float, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _unfit() -> ConfigurationError:
    return ConfigurationError(
        "The saved state of a counter does not fit this version.",
        hint="Begin without it; a counter learns again within some twenty calls.",
    )
