"""Every loop ends within a bound that is known before it begins, with an answer and a status."""

from __future__ import annotations

import random
from typing import get_args

import pytest

from loop_driver import REQUEST, Driver, attempt, random_model, random_policy, tokens
from reflectkit.correction import Extend, Redraw, Revise, bound_of, single, stop
from reflectkit.correction.policy import Bound, Elsewhere
from reflectkit.errors import BudgetExceeded
from reflectkit.reply import Reply, Status, Verdict

pytestmark = pytest.mark.long

RUNS = 10_000
MOST = 64
WRONG = Verdict(ok=False, name="rule", feedback="It is wrong.")


def check(driver: Driver, reply: Reply, bound: Bound) -> None:
    assert bound.attempts is not None
    assert len(driver.attempts) <= bound.attempts
    spent = sum(a.usage.total for a in driver.attempts)
    assert spent <= (bound.tokens(tokens(REQUEST), MOST) or 0)
    assert reply.status in get_args(Status)
    assert reply.attempts == tuple(driver.attempts)
    chosen = reply.attempt
    assert chosen.number == reply.chosen
    assert reply.transcript is chosen.transcript
    assert reply.because
    if reply.status == "accepted":
        assert not [v for v in chosen.verdicts if v.ok is False]
        assert reply.output
    if any(a.transcript.output for a in driver.attempts):
        assert reply.output, "there was an answer, and the reply has none"


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_random_loops_stay_within_their_bounds(part: int) -> None:
    longest = 0
    for seed in range(part * RUNS // 4, (part + 1) * RUNS // 4):
        rng = random.Random(seed)
        policy = random_policy(rng, client=object())
        driver = Driver(random_model(rng, MOST))
        if rng.random() < 0.3:
            driver.paid = rng.randint(1, 4)
            driver.limit = rng.choice(["total", "seconds"])
        reply = driver.run(policy)
        check(driver, reply, bound_of(policy, REQUEST))
        longest = max(longest, len(driver.attempts))
        if driver.thrown and reply.status not in ("accepted", "voted"):
            assert reply.status in ("budget", "deadline", "kept_first")
    assert longest > 10


def test_a_run_beyond_its_bound_would_be_seen() -> None:
    driver = Driver(lambda request, number: attempt("no", number, WRONG, request=request))
    reply = driver.run(Redraw(stop.attempts(4)))
    check(driver, reply, Bound(attempts=4, added=0))
    with pytest.raises(AssertionError):
        check(driver, reply, Bound(attempts=3))


def test_rules_that_never_stop_are_stopped() -> None:
    driver = Driver(lambda request, number: attempt("no", number, WRONG, request=request))
    policy = Revise(stop.accepted())
    reply = driver.run(policy)
    assert len(reply.attempts) == 100 == bound_of(policy, REQUEST).attempts
    assert (reply.status, reply.stopped_by) == ("exhausted", "attempts(100)")


def test_the_first_attempt_is_not_anybody_s_to_refuse_in_silence() -> None:
    with pytest.raises(BudgetExceeded):
        Driver(random_model(random.Random(1)), paid=0).run(Redraw())


def test_bounds_of_policies_without_one() -> None:
    class Own:
        def flow(self, request):  # type: ignore[no-untyped-def]  # as users write it
            return single().flow(request)

    assert bound_of(Own(), REQUEST).attempts is None
    assert bound_of(Own(), REQUEST).tokens(10, 10) is None


def test_a_longer_thought_is_counted_in_the_prompt() -> None:
    bound = bound_of(Extend(2), REQUEST)
    assert (bound.attempts, bound.repeats) == (3, 2)
    assert (bound.tokens(100, 50) or 0) >= 3 * 150 + 2 * 100


def test_another_client_is_asked_the_question_itself() -> None:
    from reflectkit.correction import Escalate

    driver = Driver(lambda request, number: attempt("no", number, WRONG, request=request))
    other = object()
    reply = driver.run(Escalate(single(), other, times=2))
    assert driver.asked[1:] == [Elsewhere(other), Elsewhere(other)]
    assert (reply.chosen, reply.status, reply.stopped_by) == (1, "exhausted", "times")
