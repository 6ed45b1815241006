"""What the books promise, rule by rule; limits as users write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger_schedules import Schedule
from reflectkit.budget.ledger import (
    MOST,
    NANO,
    PERIODS,
    Books,
    Cap,
    Claim,
    Demand,
    Granted,
    Order,
    Period,
    Short,
    Shortage,
    Use,
    account_key,
    window,
)
from reflectkit.budget.limits import Limit
from reflectkit.errors import ConfigurationError
from reflectkit.ledgers.memory import MemoryShelf

DAY = 86_400_000
NOON = 1_772_236_800_000 - DAY // 2  # 2026-02-27
ACME = "tenant:acme"
TOKENS = account_key(ACME, "tokens", "day")


def order(
    id: str,
    completion: int = 0,
    *claims: Claim,
    prompt: int = 0,
    least: int | None = None,
    **more: int,
) -> Order:
    demand = Demand(prompt=prompt, completion=completion, least=least, **more)
    return Order(id=id, claims=claims or (claim(),), demand=demand)


def claim(
    shortage: Shortage = "reject", most: int = 100, scope: str = ACME, per: Period | None = "day"
) -> Claim:
    cap = Cap(account_key(scope, "tokens", per), most)
    return Claim(scope=scope, caps=(cap,), shortage=shortage)


@pytest.fixture
def books() -> Books:
    return Books(MemoryShelf(), 10_000)


def state(books: Books, key: str = TOKENS, now: int = NOON) -> tuple[int, int, int]:
    found = {b.key: b for b in books.balances("", now)}[key]
    return found.spent, found.reserved, found.left


def test_a_call_reserves_then_spends_what_it_used(books: Books) -> None:
    assert books.reserve(order("a", 60, prompt=20), NOON) == Granted(60)
    assert state(books) == (0, 80, 20)
    assert books.commit("a", Use(tokens=30), NOON) == "in time"
    assert state(books) == (30, 0, 70)
    assert books.commit("a", Use(tokens=30), NOON) == "unknown"
    assert state(books) == (30, 0, 70)


def test_asking_again_takes_nothing_twice(books: Books) -> None:
    assert books.reserve(order("a", 60), NOON) == books.reserve(order("a", 60), NOON)
    assert state(books) == (0, 60, 40)


def test_more_than_was_granted_is_recorded_in_full(books: Books) -> None:
    books.reserve(order("a", 60), NOON)
    books.commit("a", Use(tokens=130), NOON)
    assert state(books) == (130, 0, 0)
    assert isinstance(books.reserve(order("b", 1), NOON), Short)


def test_all_or_nothing(books: Books) -> None:
    both = order("a", 60, claim(most=100), claim(most=50, scope="global:all"))
    short = books.reserve(both, NOON)
    assert isinstance(short, Short)
    assert short.key == "global:all/tokens/day"
    assert state(books) == (0, 0, 100)


def test_every_unit_is_counted(books: Books) -> None:
    caps = tuple(
        Cap(account_key(ACME, unit, None), 10**12) for unit in ("tokens", "calls", "money")
    )
    asked = order(
        "a",
        10,
        Claim(scope=ACME, caps=caps, shortage="reject"),
        prompt=5,
        price_prompt=2,
        price_completion=7,
    )
    books.reserve(asked, NOON)
    reserved = {b.key.split("/")[1]: b.reserved for b in books.balances("", NOON)}
    assert reserved == {"tokens": 15, "calls": 1, "money": 5 * 2 + 10 * 7}


def test_a_short_answer_is_granted_down_to_the_least(books: Books) -> None:
    books.reserve(order("a", 60), NOON)
    shrinks = claim("shrink")
    assert books.reserve(order("b", 80, shrinks, least=40), NOON) == Granted(40, TOKENS)
    assert isinstance(books.reserve(order("c", 80, shrinks, least=1), NOON), Short)


def test_one_scope_shrinks_another_is_satisfied_with_that(books: Books) -> None:
    asked = order("a", 90, claim("shrink", 50), claim("reject", 60, "global:all"), least=10)
    assert books.reserve(asked, NOON) == Granted(50, TOKENS)


def test_a_window_begins_anew_and_keeps_what_is_reserved(books: Books) -> None:
    books.ttl = None
    for id in "ab":
        books.reserve(order(id, 40), NOON)
    books.commit("a", Use(tokens=40), NOON)
    books.top_up(TOKENS, 7, NOON)
    assert state(books) == (40, 40, 27)
    tomorrow = NOON + DAY
    assert state(books, now=tomorrow) == (0, 40, 60)
    books.commit("b", Use(tokens=40), tomorrow)
    assert state(books, now=tomorrow) == (40, 0, 60)


def test_a_clock_that_steps_back_opens_no_old_window(books: Books) -> None:
    books.reserve(order("a", 90), NOON + DAY)
    books.commit("a", Use(tokens=90), NOON + DAY)
    assert isinstance(books.reserve(order("b", 20), NOON), Short)


def test_a_top_up_is_for_this_window_or_for_ever(books: Books) -> None:
    books.reserve(order("a", 100, claim(per=None)), NOON)
    books.top_up(account_key(ACME, "tokens", None), 50, NOON)
    books.commit("a", Use(tokens=100), NOON)
    later = NOON + 400 * DAY
    assert books.reserve(order("b", 50, claim(per=None)), later) == Granted(50)
    assert isinstance(books.reserve(order("c", 1, claim(per=None)), later), Short)


def test_a_lease_that_is_not_renewed_comes_back_and_a_late_use_counts(books: Books) -> None:
    books.reserve(order("a", 100), NOON)
    assert isinstance(books.reserve(order("b", 10), NOON + 9_999), Short)
    assert books.reserve(order("b", 10), NOON + 10_000) == Granted(10)
    assert books.commit("a", Use(tokens=70), NOON + 10_001) == "late"
    assert state(books, now=NOON + 10_001) == (70, 10, 20)
    assert books.commit("a", Use(tokens=70), NOON + 10_002) == "unknown"


def test_a_heartbeat_keeps_a_lease(books: Books) -> None:
    books.reserve(order("a", 100), NOON)
    for beat in range(1, 9):
        assert books.renew(["a"], NOON + beat * 4_000) == ["held"]
    assert books.renew(["a", "b"], NOON + 60_000) == ["expired", None]


def test_who_waits_is_served_in_turn_and_nobody_overtakes(books: Books) -> None:
    waits = claim("wait")
    books.reserve(order("a", 90, waits), NOON)
    first = books.reserve(order("b", 60, waits), NOON)
    small = books.reserve(order("c", 5, waits), NOON)
    assert isinstance(first, Short)
    assert isinstance(small, Short)
    assert (first.waiting, first.queued) == (True, False)
    assert (small.waiting, small.queued) == (True, True)
    refused = books.reserve(order("d", 5), NOON)
    assert isinstance(refused, Short)
    assert (refused.waiting, refused.queued) == (False, True)
    books.commit("a", Use(tokens=20), NOON)
    assert books.moved == ["b", "c"]
    assert books.reserve(order("b", 60, waits), NOON) == Granted(60)


def test_a_tenant_in_line_does_not_hold_up_the_others(books: Books) -> None:
    everybody = claim("wait", 1_000, "global:all")
    books.reserve(order("a", 100, claim("wait"), everybody), NOON)
    blocked = books.reserve(order("b", 100, claim("wait"), everybody), NOON)
    assert isinstance(blocked, Short)
    other = claim("wait", 500, "tenant:other")
    assert books.reserve(order("c", 500, other, everybody), NOON) == Granted(500)


def test_leaving_the_line_lets_the_next_one_in(books: Books) -> None:
    waits = claim("wait")
    books.reserve(order("a", 50, waits), NOON)
    books.reserve(order("b", 60, waits), NOON)
    books.reserve(order("c", 40, waits), NOON)
    assert books.commit("b", Use(), NOON) == "in time"
    assert books.moved == ["c"]


def test_who_waits_is_served_when_a_window_begins(books: Books) -> None:
    books.ttl = None
    waits = claim("wait")
    books.reserve(order("a", 100, waits), NOON)
    books.commit("a", Use(tokens=100), NOON)
    short = books.reserve(order("b", 30, waits), NOON)
    assert isinstance(short, Short)
    assert short.ends == NOON + DAY // 2
    assert books.reserve(order("b", 30, waits), short.ends) == Granted(30)


@pytest.mark.parametrize(("per", "spent"), [("day", 0), (None, 60)])
def test_what_can_never_be_granted_is_refused_at_once(
    books: Books, per: Period | None, spent: int
) -> None:
    waits = claim("wait", per=per)
    books.reserve(order("a", spent, waits), NOON)
    books.commit("a", Use(tokens=spent), NOON)
    short = books.reserve(order("b", 101 - spent, waits), NOON)
    assert isinstance(short, Short)
    assert (short.waiting, short.hopeless) == (False, True)


def test_a_stored_limit_binds_beside_those_of_code(books: Books) -> None:
    calls = account_key(ACME, "calls", "day")
    books.limit(TOKENS, 30, NOON)
    books.limit(calls, 1, NOON)
    assert isinstance(books.reserve(order("a", 31), NOON), Short)
    assert books.reserve(order("b", 30), NOON) == Granted(30)
    assert state(books, calls) == (0, 1, 0)
    books.limit(TOKENS, 5_000, NOON)  # the smaller one counts: code's
    assert state(books) == (0, 30, 70)
    books.limit(calls, None, NOON)
    assert books.reserve(order("c", 30), NOON) == Granted(30)


def test_forgetting_what_was_spent(books: Books) -> None:
    books.reserve(order("a", 100), NOON)
    books.commit("a", Use(tokens=100), NOON)
    books.reserve(order("b", 40, claim(scope="tenant:b")), NOON)
    books.reset(ACME, NOON)
    assert books.reserve(order("c", 100), NOON) == Granted(100)
    assert state(books, "tenant:b/tokens/day") == (0, 40, 60)


@pytest.mark.parametrize("per", PERIODS)
@pytest.mark.parametrize(
    "at", ["2024-02-29T23:59:59.999", "2026-12-31T12:30:15", "2027-01-01T00:00:00", "1970-01-01"]
)
def test_windows_are_those_of_the_calendar(per: Period, at: str) -> None:
    when = datetime.fromisoformat(at).replace(tzinfo=UTC)
    begin, end = (
        datetime.fromtimestamp(edge / 1000, UTC)
        for edge in window(per, round(when.timestamp() * 1000))
    )
    parts = ("year", "month", "day", "hour", "minute")
    same = {"month": 2, "day": 3, "hour": 4, "minute": 5}[per]
    assert [getattr(begin, p) for p in parts[:same]] == [getattr(when, p) for p in parts[:same]]
    assert begin <= when < end
    assert window(per, int(end.timestamp() * 1000))[0] == int(end.timestamp() * 1000)
    assert window(None, 5) == (0, MOST)


@pytest.mark.parametrize(
    ("limit", "unit", "most"),
    [
        (Limit(tokens=5, per="day"), "tokens", 5),
        (Limit(calls=0), "calls", 0),
        (Limit(money=50, per="month"), "money", 50 * NANO),
        (Limit(money=0.1), "money", NANO // 10),
        (Limit(money="0.000000001"), "money", 1),
        (Limit(money=Decimal("2.5")), "money", 5 * NANO // 2),
    ],
)
def test_limits_in_whole_numbers(limit: Limit, unit: str, most: int) -> None:
    assert (limit.unit, limit.most) == (unit, most)
    assert eval(repr(limit).replace("Decimal", ""), {"Limit": Limit}) == limit


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tokens": 5, "calls": 5},
        {"tokens": -1},
        {"tokens": 1.5},
        {"tokens": True},
        {"tokens": 2**53},
        {"money": float("nan")},
        {"money": float("inf")},
        {"money": "0.0000000001"},
        {"money": 10_000_000},
        {"tokens": 5, "per": "week"},
        {"token": 5},
    ],
    ids=str,
)
def test_nonsense_is_no_limit(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no limit") as caught:
        Limit(**fields)
    assert "Limit(tokens=100_000" in caught.value.hint


class Machine(RuleBasedStateMachine):
    """The schedules once more, with Hypothesis choosing, so that a failure gets small."""

    @initialize(seed=st.integers(0, 9), rng=st.randoms(use_true_random=False))
    def begin(self, seed: int, rng: Any) -> None:
        self.schedule = Schedule(seed)
        self.schedule.rng = rng

    @rule(
        name=st.sampled_from(("new", "again", "commit", "renew", "top_up", "limit")),
        pause=st.sampled_from((0, 40, 3_000, 11_000, 61_000)),
    )
    def operate(self, name: str, pause: int) -> None:
        schedule = self.schedule
        schedule.now += pause
        schedule.mirror.pass_time(schedule.now)
        schedule.books.moved.clear()
        operation: Callable[[], None] = getattr(schedule, name)
        operation()

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "schedule"):
            self.schedule.compare()

    def teardown(self) -> None:
        if hasattr(self, "schedule"):
            self.schedule.end()


TestMachine = Machine.TestCase
