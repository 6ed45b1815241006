"""The line that learns: it converges, stays finite, and is not led astray by one lie."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.budget.learning import Line, Prior

PRIOR = Prior(mean=(1.0, 0.0), deviation=(0.3, 0.5), spread=0.05, groups=2)


def row(rng: random.Random) -> tuple[float, float]:
    return rng.uniform(50, 500), rng.uniform(0, 200)


def test_it_finds_the_weights() -> None:
    rng, line = random.Random(1), Line.from_prior(PRIOR)
    for _ in range(40):
        a, b = row(rng)
        line = line.observed((a, b), 1.3 * a + 0.7 * b)
    assert line.weights == pytest.approx((1.3, 0.7), abs=0.01)


def test_the_bound_holds_for_noise() -> None:
    rng, line, held, slack = random.Random(2), Line.from_prior(PRIOR), 0, 0.0
    for number in range(1100):
        a, b = row(rng)
        tokens = (1.1 * a + 0.4 * b) * rng.gauss(1, 0.03)
        if number >= 100:
            held += line.upper((a, b)) >= tokens
            slack += line.upper((a, b)) / line.estimate((a, b)) - 1
        line = line.observed((a, b), tokens)
    assert 985 <= held <= 1000
    assert slack / 1000 < 0.15  # three standard deviations are 9 %


def test_heavy_tails_widen_the_bound() -> None:
    rng, line, held = random.Random(3), Line.from_prior(PRIOR), 0
    for number in range(1500):
        a, b = row(rng)
        tokens = (1.1 * a + 0.4 * b) * math.exp(0.02 * rng.gauss(0, 1) / max(rng.random(), 0.05))
        if number >= 500:
            held += line.upper((a, b)) >= tokens
        line = line.observed((a, b), tokens)
    assert held >= 980


def test_one_lie_moves_it_little() -> None:
    rng, line = random.Random(4), Line.from_prior(PRIOR)
    for _ in range(30):
        a, b = row(rng)
        line = line.observed((a, b), a)
    lied = line.observed((300.0, 50.0), 3000.0)
    assert lied.estimate((300.0, 50.0)) == pytest.approx(300, rel=0.05)


def test_it_follows_a_change() -> None:
    rng, line = random.Random(5), Line.from_prior(PRIOR)
    for number in range(400):
        a, b = row(rng)
        line = line.observed((a, b), a if number < 100 else 1.2 * a)
    assert line.estimate((300.0, 50.0)) == pytest.approx(360, rel=0.03)


def test_groups_have_spreads_of_their_own() -> None:
    rng, line = random.Random(6), Line.from_prior(PRIOR)
    for number in range(200):
        a, b = row(rng)
        group = number % 2
        line = line.observed((a, b), a * rng.gauss(1, 0.2 if group else 0.005), group)
    assert line.upper((300.0, 50.0), 1) > line.upper((300.0, 50.0), 0) * 1.2


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9)), max_size=60))
def test_it_stays_finite(calls: list[tuple[float, float, float]]) -> None:
    line = Line.from_prior(PRIOR)
    for a, b, tokens in calls:
        line = line.observed((a, b), tokens)
        assert all(math.isfinite(w) for w in line.weights)
        assert math.isfinite(line.upper((a, b)))
        assert line.upper((a, b)) >= line.estimate((a, b)) >= 0
        assert all(line.covariance[i][i] > 0 for i in range(2))
