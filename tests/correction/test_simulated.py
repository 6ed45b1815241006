"""Guards and votes on simulated models whose flips are those that were measured on real ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from loop_driver import Driver, Model, attempt
from reflectkit.correction import GuardedReflection, Policy, SelfRevise, Vote
from reflectkit.messages import Request
from reflectkit.reply import Attempt

pytestmark = pytest.mark.long

ITEMS = 4_000
#: Huang et al. 2023, GPT-3.5 on GSM8K, of all items: right at first, then broken, and mended.
RIGHT, BROKEN, MENDED = 0.759, 0.088, 0.076


def _said(drawn: Sequence[str], request: Request, number: int) -> Attempt:
    return attempt(drawn[number - 1], number)


def flipping(rng: random.Random, wrongs: int) -> Model:
    """Asked to look again it flips as measured; ``wrongs`` wrong answers are equally likely."""
    first = rng.random() < RIGHT

    def wrong() -> str:
        return str(1 + rng.randrange(wrongs))

    own = "0" if first else wrong()

    def model(request: Request, number: int) -> Attempt:
        if number == 1:
            return attempt(own, number, request=request)
        if first:
            said = wrong() if rng.random() < BROKEN / RIGHT else own
        else:
            mends = rng.random() < MENDED / (1 - RIGHT)
            said = "0" if mends else own if rng.random() < 0.5 else wrong()
        return attempt(said, number, request=request)

    return model


def drawing(rng: random.Random, wrongs: int) -> Model:
    """Every answer is drawn afresh; items are easy and hard, 75 % right on average."""
    right = rng.betavariate(3, 1)

    def model(request: Request, number: int) -> Attempt:
        said = "0" if rng.random() < right else str(1 + rng.randrange(wrongs))
        return attempt(said, number, request=request)

    return model


def flips(policy: Policy, make: Callable[[random.Random, int], Model], wrongs: int) -> list[float]:
    """The share of items that were broken, that were mended, and the answers asked for."""
    broken = mended = asked = 0
    for seed in range(ITEMS):
        reply = (driver := Driver(make(random.Random(seed), wrongs))).run(policy)
        before, after = (a.transcript.output == "0" for a in (reply.attempts[0], reply.attempt))
        broken += before and not after
        mended += after and not before
        asked += len(driver.asked)
    return [broken / ITEMS, mended / ITEMS, asked / ITEMS]


@pytest.mark.parametrize("wrongs", [1, 4, 20])
def test_a_guard_breaks_little_and_loses_nothing(wrongs: int) -> None:
    broken, mended, asked = flips(GuardedReflection(2, draw=False), flipping, wrongs)
    assert broken <= 0.015
    assert mended >= broken
    assert asked < 2.3


@pytest.mark.parametrize("wrongs", [4, 20])
def test_a_guard_over_fresh_draws_does_not_lose_either(wrongs: int) -> None:
    broken, mended, _ = flips(GuardedReflection(2), drawing, wrongs)
    assert broken <= 0.015
    assert mended >= broken


def test_without_a_guard_the_loss_is_that_of_the_paper() -> None:
    broken, mended, _ = flips(SelfRevise(), flipping, 4)
    assert broken == pytest.approx(BROKEN, abs=0.01)
    assert mended == pytest.approx(MENDED, abs=0.01)
    assert mended < broken


def easy(rng: random.Random) -> list[float]:
    right = rng.betavariate(8, 1)
    return [right, *[(1 - right) / 4] * 4]


def mixed(rng: random.Random) -> list[float]:
    right = rng.betavariate(2.5, 0.8)
    return [right, (1 - right) * 0.5, *[(1 - right) / 6] * 3]


def spread(rng: random.Random) -> list[float]:
    right = rng.betavariate(3, 1.5)
    return [right, *[(1 - right) / 20] * 20]


@pytest.mark.parametrize("kind", [easy, mixed, spread])
def test_a_vote_that_stops_early_loses_next_to_nothing(
    kind: Callable[[random.Random], list[float]],
) -> None:
    n, items = 40, 800
    early = late = asked = 0
    for seed in range(items):
        rng = random.Random(seed)
        weights = kind(rng)
        drawn = [str(v) for v in rng.choices(range(len(weights)), weights, k=n)]
        driver = Driver(partial(_said, drawn))
        early += driver.run(Vote(n)).output == "0"
        asked += len(driver.asked)
        late += max(dict.fromkeys(drawn), key=drawn.count) == "0"
    assert asked / items <= n / 3
    assert (late - early) / items <= 0.005
