"""The meter: exactly the cap, or a boundary within the grace, for every chunking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.budget.meter import Meter
from reflectkit.protocol import parse
from reflectkit.protocol.dialects import find_dialect
from reflectkit.testing import chunkings

THOUGHT = "One two three.\nFour <reflection>five six.</reflection> Seven eight nine ten."
TEXT = f"<thinking>{THOUGHT}</thinking>\n<output>\n11\n</output>"


def words(text: str) -> int:
    """A token is a word: easy to count by hand."""
    return len(text.split())


def run(pieces: list[str], cap: int, grace: int = 0) -> tuple[str, bool, Meter]:
    meter = Meter(find_dialect("reflection"), words, cap=cap, grace=grace)
    text = ""
    for piece in pieces:
        passed = meter.feed(piece)
        text += passed.text
        if passed.spent:
            return text, True, meter
    return text + meter.finish(), False, meter


@pytest.mark.parametrize("cap", range(1, 11))
@pytest.mark.parametrize("grace", [0, 1, 3, 50])
def test_thinking_ends_within_cap_and_grace(cap: int, grace: int) -> None:
    for pieces in chunkings(TEXT):
        text, spent, meter = run(list(pieces), cap, grace)
        assert TEXT.startswith(text)
        if spent:
            assert cap <= meter.thinking <= cap + grace or meter.thinking <= cap
            found = parse(text + meter.close() + "x</output>")
            assert found.output == "x"
            assert not found.issues
        else:
            assert text == TEXT
            assert meter.thinking <= cap + grace


def test_a_boundary_is_waited_for_within_the_grace() -> None:
    text, spent, _ = run(list(TEXT), 2, 3)
    assert spent
    assert text == "<thinking>One two three.\n"
    assert run([TEXT], 2, 3)[0] == "<thinking>One two three.\n"


def test_the_cap_is_told_of_with_its_last_token() -> None:
    """Not with the next one, which would have to be paid for."""
    meter = Meter(find_dialect("reflection"), words, cap=2)
    assert [meter.feed(piece).spent for piece in ("<thinking>", "One ", "two ")] == [
        False,
        False,
        True,
    ]


def test_an_answer_is_never_cut() -> None:
    long = "<thinking>a</thinking><output>" + "word " * 500 + "</output>"
    text, spent, _ = run([long], 5)
    assert (text, spent) == (long, False)


def test_reasoning_that_came_apart_is_counted_whole() -> None:
    meter = Meter(find_dialect("reflection"), words, cap=3)
    assert not meter.feed_reasoning("one two").spent
    passed = meter.feed_reasoning(" three four")
    assert passed.spent
    assert passed.text.split() == ["three"]


def test_a_prefix_that_thinks_is_thinking_under_way() -> None:
    meter = Meter(find_dialect("reflection"), words, cap=2, opening="<thinking>before ")
    assert meter.feed("one two three").spent
    assert meter.close() == "</thinking>\n<output>"


def test_counting_is_rare() -> None:
    """A text has no more tokens than bytes, so most pieces need no count."""
    calls = 0

    def counted(text: str) -> int:
        nonlocal calls
        calls += 1
        return words(text)

    meter = Meter(find_dialect("reflection"), counted, cap=2000)
    for piece in ["<thinking>", *["some words here "] * 600]:
        meter.feed(piece)
    assert calls < 30


@given(st.text(alphabet="<>/thinkgreflcouptx .\n", max_size=300), st.integers(0, 12))
def test_nothing_is_invented(text: str, cap: int) -> None:
    passed, spent, _ = run([text[i : i + 7] for i in range(0, len(text), 7)], cap, 2)
    assert text.startswith(passed)
    assert spent or passed == text
