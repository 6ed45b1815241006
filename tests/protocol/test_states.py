"""The table of structure rules, row by row."""

from __future__ import annotations

from typing import get_args

import pytest

from reflectkit.protocol import Dialect, parse
from reflectkit.protocol.states import ACTIONS, TABLE, Action, choose

DIALECT = Dialect(
    "letters",
    {
        "thinking": {"open": ["+T"], "close": ["-T"]},
        "reflection": {"open": ["+R"], "close": ["-R"]},
        "output": {"open": ["+O"], "close": ["-O"]},
    },
)
REACH = {"": "x+R-R", "T": "+T", "TR": "+T+R", "R": "+R", "RT": "+R+T", "O": "+O"}


def test_every_state_answers_every_signal() -> None:
    signals = {signal for row in TABLE.values() for signal in row}
    assert all(set(row) == signals for row in TABLE.values())


def test_the_actions_are_described() -> None:
    assert set(ACTIONS) == set(get_args(Action))
    assert {action for row in TABLE.values() for action in row.values()} <= set(ACTIONS)


@pytest.mark.parametrize("state", REACH)
@pytest.mark.parametrize("signal", ["+T", "+R", "+O", "-T", "-R", "-O"])
def test_the_parser_does_what_the_table_says(state: str, signal: str) -> None:
    before = parse(REACH[state] + "·", DIALECT)
    after = parse(REACH[state] + signal + "·", DIALECT)
    marked = [s for s in after.sections if s.kind != "outside"]
    more = len(marked) - len([s for s in before.sections if s.kind != "outside"])
    new = {i.kind for i in after.issues} - {i.kind for i in before.issues}
    action = TABLE[state][signal]
    assert more == (action in ("open", "switch"))
    assert ("stray_close" in new) == (action in ("stray", "claim"))
    assert any(k.startswith("nested_") for k in new) == (action in ("nest", "echo"))
    assert (signal in marked[-1].text) == (action in ("echo", "text"))


@pytest.mark.parametrize(
    ("state", "signals", "expected"),
    [
        ("", ("+T", "-T"), ("open", "+T")),
        ("T", ("+T", "-T"), ("close", "-T")),
        ("TR", ("-T", "-R"), ("close", "-R")),
        ("RT", ("-T", "-R"), ("close", "-T")),
        ("O", ("-T", "-O"), ("close", "-O")),
    ],
)
def test_one_spelling_with_two_meanings(
    state: str, signals: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert choose(state, signals) == expected
