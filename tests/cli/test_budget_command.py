"""``reflectkit budget``: limits of a ledger are shown and changed, and bind applications."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Command
from reflectkit.budget.ledger import Demand
from reflectkit.budget.limits import Limit
from reflectkit.errors import BudgetExceeded
from reflectkit.ledgers import Scope, SQLiteLedger
from reflectkit.ledgers.hold import hold


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'l.db'}"


async def test_a_limit_that_is_set_binds_and_what_was_spent_is_shown(address: str) -> None:
    run = Command()
    told = await run(
        "budget",
        "set",
        "tenant:acme",
        "--tokens",
        "1000",
        "--per",
        "day",
        REFLECTKIT_LEDGER=address,
    )
    assert told.code == 0, told.err
    assert "tenant:acme  tokens  day  1,000      0         0  1,000" in told.out
    ledger = SQLiteLedger(address.removeprefix("sqlite:"))
    scope = Scope("tenant", "acme", ledger=ledger)
    await (await hold([scope], Demand(prompt=100, completion=500))).settle(tokens=400)
    with pytest.raises(BudgetExceeded, match="tokens per day"):
        await hold([scope], Demand(prompt=0, completion=601))
    await ledger.aclose()

    shown = json.loads((await run("budget", "show", "--ledger", address, "--json")).out)
    (row,) = shown["limits"]
    assert 0 < row.pop("refills_in") <= 86_400
    assert row == {
        "scope": "tenant:acme",
        "limit": "tokens",
        "per": "day",
        "cap": 1000,
        "extra": 0,
        "spent": 400,
        "reserved": 0,
        "left": 600,
        "stored": True,
    }


async def test_money_top_ups_resets_and_taking_away(address: str) -> None:
    async def budget(*arguments: str) -> dict[str, object]:
        told = await Command()("budget", *arguments, "--ledger", address, "--json")
        assert told.code == 0, told.err
        rows = json.loads(told.out)["limits"]
        return {name: rows[0][name] for name in ("cap", "extra", "left")} if rows else {}

    assert await budget("set", "run:a b", "--money", "12.5") == {
        "cap": 12.5,
        "extra": 0.0,
        "left": 12.5,
    }
    assert (await budget("top-up", "run:a b", "--money", "0.25"))["left"] == 12.75
    assert (await budget("reset", "run:a b"))["left"] == 12.5
    assert await budget("unset", "run:a b", "--money", "1") == {}
    assert await budget("show", "run:a b") == {}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show",), 2, "Which ledger?"),
        (("show", "--ledger", "mysql://x"), 2, "no ledger's address"),
        (("show", "acme", "--ledger", "{}"), 2, "no name of a scope"),
        (("show", "--ledger", "redis://:secret@h"), 2, "put it into REFLECTKIT_LEDGER"),
        (("set", "t:a", "--tokens", "-1", "--ledger", "{}"), 2, "no limit"),
        (("set", "t:a", "--ledger", "{}"), 2, "one of the arguments"),
        (("top-up", "t:a", "--calls", "5", "--ledger", "{}"), 2, "knows no such limit"),
        (("show", "--ledger", "redis://127.0.0.1:1"), 3, "cannot be reached"),
        (("show", "--ledger", "sqlite:/no/such/folder/l.db"), 3, "unable to open"),
    ],
)
async def test_mistakes(arguments: tuple[str, ...], code: int, words: str, address: str) -> None:
    told = await Command()("budget", *(a.format(address) for a in arguments))
    assert told.code == code
    assert words in told.err
    assert "secret" not in told.err + told.out


async def test_the_limits_of_code_are_shown_once_used(address: str) -> None:
    ledger = SQLiteLedger(address.removeprefix("sqlite:"))
    scope = Scope("tenant", "acme", Limit(tokens=50, per="hour"), ledger=ledger)
    await (await hold([scope], Demand(prompt=5, completion=5))).release()
    await ledger.aclose()
    told = await Command()("budget", "show", "tenant:acme", "--ledger", address)
    assert "tenant:acme  tokens  hour" in told.out
