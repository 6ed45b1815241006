"""Budgets from several places as one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit import Budget
from reflectkit.budget.bounds import NO_BOUNDS, merged

FLOORS = {"thinking_floor", "output_floor", "hint"}
WHOSE = ("call", "client", "tenant:acme")


@pytest.mark.parametrize(
    ("limit", "small", "large"),
    [(name, False, True) if name == "hint" else (name, 5, 9) for name in Budget.model_fields],
)
def test_the_smallest_wins_and_of_floors_the_largest(limit: str, small: Any, large: Any) -> None:
    for call, client in ((small, large), (large, small)):
        found = merged([("call", Budget(**{limit: call})), ("client", Budget(**{limit: client}))])
        wanted = large if limit in FLOORS else small
        assert found.get(limit) == wanted
        assert found.whose(limit) == ("call" if call == wanted else "client")


def test_of_equal_ones_the_first_is_named() -> None:
    found = merged([("call", Budget(total=5)), ("client", Budget(total=5))])
    assert found.whose("total") == "call"


def test_nothing_is_set_by_nobody() -> None:
    assert merged([]) is merged([("call", None), ("client", Budget())]) is NO_BOUNDS
    assert not NO_BOUNDS
    assert (NO_BOUNDS.get("total"), NO_BOUNDS.whose("total")) == (None, "")


def test_nought_is_a_limit() -> None:
    found = merged([("call", Budget(thinking=0, reflections=0)), ("client", Budget(thinking=9))])
    assert (found.get("thinking"), found.whose("thinking")) == (0, "call")
    assert found.get("reflections") == 0
    assert found


budgets = st.builds(
    Budget,
    thinking=st.none() | st.integers(0, 9),
    output_floor=st.none() | st.integers(1, 9),
    seconds=st.none() | st.floats(0.1, 9),
    hint=st.booleans(),
)


@given(st.lists(st.tuples(st.sampled_from(WHOSE), st.none() | budgets), max_size=5))
def test_every_limit_is_somebodys(given_: list[tuple[str, Budget | None]]) -> None:
    found = merged(given_)
    assert set(found.values) == set(found.by)
    for limit in Budget.model_fields:
        values = [v for _, b in given_ if b and (v := getattr(b, limit)) not in (None, False)]
        best = max if limit in FLOORS else min
        assert found.get(limit) == (best(values) if values else None)
        if values:
            owners = [w for w, b in given_ if b and getattr(b, limit) == found.get(limit)]
            assert found.whose(limit) == owners[0]
