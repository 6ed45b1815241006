"""Prices: exact sums, rounding that never undercharges, and whose price goes first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.errors import ConfigurationError
from reflectkit.messages import Usage
from reflectkit.models import FREE, Price, price_for
from reflectkit.models.prices import AS_OF, PRICES

COUNTS = st.integers(0, 10**9)


def test_a_cost_is_exact() -> None:
    price = Price(prompt=0.15, completion="0.6", cached=Decimal("0.075"))
    usage = Usage(prompt=1000, completion=500, cached=400)
    assert price.cost(usage) == Decimal("0.00042")
    assert price.nano(usage) == 420_000


def test_thinking_is_billed_once() -> None:
    price = Price(prompt=1, completion=10)
    without = price.cost(Usage(prompt=5, completion=100))
    assert price.cost(Usage(prompt=5, completion=100, thinking=90)) == without


def test_without_a_price_of_its_own_the_cache_costs_as_the_prompt() -> None:
    price = Price(prompt=3, completion=15)
    assert price.cost(Usage(prompt=10, cached=10)) == price.cost(Usage(prompt=10))


@given(COUNTS, COUNTS, COUNTS, st.decimals(0, 1000, places=6), st.decimals(0, 1000, places=6))
def test_per_token_figures_are_a_bound(
    prompt: int, completion: int, cached: int, first: Decimal, second: Decimal
) -> None:
    price = Price(prompt=first, completion=second, cached=second)
    usage = Usage(prompt=prompt, completion=completion, cached=cached)
    spent = price.nano(usage)
    assert price.cost(usage) * 10**9 <= spent < price.cost(usage) * 10**9 + 1
    assert spent <= prompt * price.nano_prompt + completion * price.nano_completion


def test_small_prices_round_up() -> None:
    price = Price(prompt="0.0001", completion="0.0001")
    assert (price.nano_prompt, price.nano_completion) == (1, 1)
    assert price.nano(Usage(completion=10)) == 1
    assert FREE.nano(Usage(prompt=10**9, completion=10**9)) == 0


@pytest.mark.parametrize("amount", [-1, "a", float("nan"), float("inf"), True, "", None])
def test_amounts_that_are_none(amount: Any) -> None:
    with pytest.raises(ConfigurationError, match="prompt="):
        Price(prompt=amount, completion=1)


def test_the_users_own_go_first() -> None:
    prices = {name: Price(prompt=n, completion=n) for n, name in enumerate(OWN)}
    found = {model: price_for(model, prices) for model in ("gpt-5", "gpt-5-mini-2025", "gpt-5.1")}
    assert found["gpt-5"] == prices["gpt-5"]
    assert found["gpt-5-mini-2025"] == prices["gpt-5-mini"]
    assert found["gpt-5.1"] == prices["*"]  # it does not begin with the name "gpt-5"
    assert price_for("my/qwen3-8b", prices) == prices["my/qwen*"]


OWN = ("*", "gpt-5", "gpt-5-mini", "my/qwen*")


@pytest.mark.parametrize(
    ("model", "completion"),
    [
        ("gpt-4o-mini", "0.6"),
        ("openai/gpt-4o-mini", "0.6"),
        ("gpt-4o-mini-2024-07-18", "0.6"),
        ("claude-haiku-4-5-20251001", "5"),
        ("anthropic/claude-opus-4-5", "25"),
        ("models/gemini-2.5-flash", "2.5"),
    ],
)
def test_the_table(model: str, completion: str) -> None:
    found = price_for(model)
    assert found is not None
    assert found.completion == Decimal(completion)


@pytest.mark.parametrize("model", ["", "gpt-5-pro", "gpt-5.4", "other/gpt-5", "qwen3:8b", "gpt"])
def test_nothing_is_guessed(model: str) -> None:
    assert price_for(model) is None


def test_embedded_models_cost_nothing() -> None:
    assert price_for("nano-reflect") == FREE


def test_every_row_is_dated_and_has_a_source() -> None:
    assert date.fromisoformat(AS_OF)
    assert sum(len(listed.rows) for listed in PRICES) >= 30
    for listed in PRICES:
        assert listed.source.startswith("https://")
        for name, row in listed.rows.items():
            prompt, cached, completion = map(Decimal, row)
            assert 0 < cached < prompt < completion, name
            assert price_for(name) is not None
