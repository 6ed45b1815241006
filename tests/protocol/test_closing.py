"""What closes thinking reads as closed, in every dialect."""

from __future__ import annotations

import pytest

from reflectkit.events import Kind
from reflectkit.protocol import DIALECTS, Dialect, parse
from reflectkit.protocol.closing import closing
from reflectkit.protocol.render import marks


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_thinking_is_closed_and_the_answer_begun(dialect: Dialect) -> None:
    begun = marks("thinking", dialect)[0] + "Two and two"
    text = begun + closing(dialect, ["thinking"]) + "four"
    read = parse(text + marks("output", dialect)[1], dialect)
    found = [(s.kind, s.text, s.closed) for s in read.sections if s.text.strip()]
    assert found == [("thinking", "Two and two", True), ("output", "four", found[-1][2])]
    assert read.issues == ()
    assert not parse(begun + "four", dialect).sections[0].closed, "without it thinking goes on"


@pytest.mark.parametrize(
    ("open_sections", "expected"),
    [
        (["thinking"], "</thinking>\n<output>"),
        (["thinking", "reflection"], "</reflection></thinking>\n<output>"),
        (["reflection"], "</reflection>\n<output>"),
        ([], "\n<output>"),
    ],
)
def test_what_is_open_is_closed_from_the_inside(open_sections: list[Kind], expected: str) -> None:
    assert closing(DIALECTS["reflection"], open_sections) == expected


def test_a_dialect_without_an_answer_section_gets_the_closer_alone() -> None:
    assert closing(DIALECTS["think"], ["thinking"]) == "</think>"
