"""Allowances: whatever the numbers, an answer and the request that sees to it are paid for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from reflectkit import Budget
from reflectkit.budget.bounds import merged
from reflectkit.budget.purse import NANO, WRAP_UP, Allowance, Held, Purse
from reflectkit.errors import BudgetExceeded, ConfigurationError
from reflectkit.messages import Usage
from reflectkit.models.prices import Price

PRICE = Price(prompt=1, completion=4)

tokens = st.integers(1, 3_000)
prices = st.builds(Price, prompt=st.integers(0, 20), completion=st.integers(0, 20))
limits = st.fixed_dictionaries(
    {},
    optional={
        "thinking": st.integers(0, 1_000),
        "output": st.integers(1, 1_000),
        "output_floor": st.integers(1, 400),
        "grace": st.integers(0, 50),
        "calls": st.integers(1, 4),
        "total": tokens,
        "money": st.decimals("0.000001", "0.02", places=6),
    },
)


def purse(rates: Price | None = PRICE, **of: Any) -> Purse:
    return Purse(merged([("call", Budget(**of))]), rates)


@st.composite
def allowed(draw: st.DrawFn) -> tuple[Purse, int, int | None, Allowance]:
    """A purse, a prompt's tokens, the request's own limit, and what that is allowed."""
    of, rates = draw(limits), draw(prices)
    prompt, most = draw(st.integers(0, 500)), draw(st.none() | tokens)
    try:
        made = purse(rates, **of)
        return made, prompt, most, made.allow(prompt, max_tokens=most)
    except (ConfigurationError, BudgetExceeded):
        reject()


def kept(made: Purse) -> bool:
    total, money, calls = (made.bounds.get(name) for name in ("total", "money", "calls"))
    return (
        (total is None or made.tokens <= total)
        and (money is None or made.money <= money * NANO)
        and (calls is None or made.calls <= calls)
    )


def written(allowance: Allowance, wanted: int) -> int:
    """What a model writes that wants to think for so long: to where it is cut."""
    caps = allowance.caps
    most = wanted if caps.completion is None else min(wanted, caps.completion)
    return most if caps.thinking is None else min(most, caps.thinking + caps.grace)


@given(allowed(), st.integers(0, 5_000))
def test_an_answer_and_its_wrap_up_never_cost_more_than_is_allowed(
    case: tuple[Purse, int, int | None, Allowance], wanted: int
) -> None:
    made, prompt, _, allowance = case
    first = written(allowance, wanted)
    made.pay(Usage(prompt=prompt, completion=first))
    assert kept(made)
    again = prompt + first + WRAP_UP
    room = made.completions(again)
    if room is None or room > 0:
        made.pay(Usage(prompt=again, completion=wanted if room is None else room))
        assert kept(made)


@given(allowed())
def test_thinking_leaves_the_output_its_floor(
    case: tuple[Purse, int, int | None, Allowance],
) -> None:
    """However long it thinks: where a second request is paid for, so is the floor in it."""
    made, prompt, _, allowance = case
    caps = allowance.caps
    if not allowance.wraps or not caps.thinking:
        reject()
    thought = caps.thinking + caps.grace
    if caps.completion is not None:
        assert caps.completion - thought >= allowance.floor
    made.pay(Usage(prompt=prompt, completion=thought))
    room = made.completions(prompt + thought + WRAP_UP)
    assert room is None or room >= allowance.floor


@given(allowed())
def test_caps_are_within_what_was_asked_for(
    case: tuple[Purse, int, int | None, Allowance],
) -> None:
    made, prompt, most, allowance = case
    caps, get = allowance.caps, made.bounds.get
    assert caps.completion is None or caps.completion >= 1
    assert caps.thinking is None or 0 <= caps.thinking <= (get("thinking") or 5_000)
    assert caps.output == get("output")
    assert most is None or (caps.completion is not None and caps.completion <= most)
    assert get("total") is None or prompt + (caps.completion or 0) <= get("total")
    by = dict(allowance.by)
    assert ("completion" in by) == (caps.completion is not None)
    assert ("thinking" in by) == (caps.thinking is not None)


def test_without_limits_nothing_is_capped() -> None:
    caps = Purse().allow(10_000).caps
    assert (caps.thinking, caps.output, caps.completion) == (None, None, None)


@pytest.mark.parametrize(
    ("of", "most", "room", "bound_by"),
    [
        ({"total": 500}, None, 400, "total (call)"),
        ({"total": 500}, 300, 300, "max_tokens (request)"),
        ({"total": 500, "money": Decimal("0.0009")}, None, 200, "money (call)"),
        ({"thinking": 50, "output": 60, "grace": 8}, None, 134, "output (call)"),
    ],
)
def test_the_smallest_room_counts_and_is_named(
    of: dict[str, Any], most: int | None, room: int, bound_by: str
) -> None:
    allowance = purse(**of).allow(100, max_tokens=most)
    assert (allowance.caps.completion, allowance.bound_by) == (room, bound_by)


def test_what_was_spent_is_gone() -> None:
    made = purse(total=1_000, calls=3)
    made.pay(Usage(prompt=100, completion=300))
    assert made.completions(100) == 500
    assert made.allow(100).caps.completion == 500
    made.pay(Usage(prompt=100, completion=100), calls=2)
    assert made.completions(0) == 0
    with pytest.raises(BudgetExceeded, match="calls") as caught:
        made.allow(0)
    assert (caught.value.limit, caught.value.spent, caught.value.scope) == ("calls", 3, "call")


def test_one_call_is_not_spent_on_a_wrap_up() -> None:
    """Thinking is not cut for the output's sake where nothing could ask for the output."""
    allowance = purse(calls=1, total=1_000).allow(100)
    assert (allowance.wraps, allowance.caps.thinking) == (False, None)
    allowance = purse(calls=1, thinking=50).allow(100)
    assert (allowance.wraps, allowance.caps.thinking) == (False, 50)


def test_money_is_reckoned_by_the_price_of_each_kind() -> None:
    made = purse(money=Decimal("0.001"))
    assert made.completions(200) == (1_000_000 - 200 * 1_000) // 4_000
    made.pay(Usage(prompt=200, completion=100))
    assert made.money == 200 * 1_000 + 100 * 4_000
    assert made.completions(400) == 0
    with pytest.raises(BudgetExceeded) as caught:
        made.allow(400)
    assert (caught.value.limit, caught.value.spent) == ("money", 0.0006)


def test_what_costs_nothing_is_not_limited_by_money() -> None:
    free = purse(Price(prompt=0, completion=0), money=Decimal("0.01"))
    assert free.completions(10**6) is None
    assert purse(None, money=Decimal("0.01")).completions(10**6) is None


def test_a_floor_is_never_more_than_the_output_may_have() -> None:
    """The client keeps 300 tokens for an output that this call cuts at 100."""
    bounds = merged(
        [("call", Budget(thinking=50, output=100)), ("client", Budget(output_floor=300))]
    )
    allowance = Purse(bounds).allow(10)
    assert (allowance.floor, allowance.caps.thinking) == (100, 50)


def test_a_prompt_has_a_limit_of_its_own() -> None:
    with pytest.raises(BudgetExceeded) as caught:
        purse(prompt=10).allow(11)
    assert (caught.value.limit, caught.value.spent, caught.value.scope) == ("prompt", 11, "call")
    assert purse(prompt=10).allow(10).caps.completion is None


# --- what ledgers have granted


@given(
    limits,
    prices,
    st.integers(0, 500),
    st.integers(1, 4_000),
    st.integers(0, 4_000),
    st.integers(0, 5_000),
)
def test_no_attempt_takes_more_than_is_held_for_it(
    of: dict[str, Any], rates: Price, prompt: int, completion: int, more: int, wanted: int
) -> None:
    """In tokens and in money, after an attempt before it that has nothing to do with it."""
    prompts = prompt + more
    held = Held(
        completion=completion,
        tokens=prompts + completion,
        money=prompts * rates.nano_prompt + completion * rates.nano_completion,
    )
    try:
        made = purse(rates, **of)
        made.pay(Usage(prompt=50, completion=50))
        tokens, money = made.tokens, made.money
        made.hold(held)
        allowance = made.allow(prompt)
    except (ConfigurationError, BudgetExceeded):
        reject()
    first = written(allowance, wanted)
    made.pay(Usage(prompt=prompt, completion=first))
    again = prompt + first + WRAP_UP
    room = made.completions(again)
    assert room is not None or not rates.nano_completion
    if room is None or room > 0:
        made.pay(Usage(prompt=again, completion=room or 0))
    assert made.tokens - tokens <= held.tokens
    assert made.money - money <= held.money


def test_what_is_held_for_one_attempt_is_not_the_next_ones() -> None:
    made = purse(None, total=1_000)
    made.hold(Held(completion=100, tokens=120, by="tenant:acme tokens"))
    assert made.allow(20).bound_by == "tenant:acme tokens"
    made.pay(Usage(prompt=20, completion=100))
    assert made.completions(20) == -20
    made.hold(None)
    assert made.completions(20) == 860


def test_thinking_is_not_cut_where_no_wrap_up_is_held() -> None:
    made = Purse()
    made.hold(Held(completion=400, tokens=420, wraps=False))
    allowance = made.allow(20)
    assert (allowance.wraps, allowance.caps.thinking, allowance.caps.completion) == (
        False,
        None,
        400,
    )


def test_attempts_side_by_side_share_what_is_left() -> None:
    """Each has its share from the beginning, whoever is the first to spend."""
    purse = Purse(merged([("call", Budget(total=1000))]))
    purse.pay(Usage(prompt=50, completion=50))
    twins = [purse.at(None, 3) for _ in range(3)]
    assert [twin.completions(100) for twin in twins] == [200] * 3
    twins[0].pay(Usage(prompt=100, completion=200))
    assert [twin.completions(100) for twin in twins] == [-100, 200, 200]
    assert purse.tokens == 400
    assert purse.at(None).completions(0) == 600
