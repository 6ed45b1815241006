"""Stop strings and repeated prefixes, for every chunking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.backends._filters import PrefixFilter, StopFilter
from reflectkit.testing import chunkings

SMALL = st.text(alphabet="ab<", max_size=12)


def stopped(pieces: list[str], stops: list[str]) -> tuple[str, str]:
    found = StopFilter(stops)
    text = "".join(found.feed(p) for p in pieces)
    return text + found.flush(), found.hit


def unprefixed(pieces: list[str], prefix: str) -> str:
    found = PrefixFilter(prefix)
    return "".join(found.feed(p) for p in pieces) + found.flush()


def expected(text: str, stops: list[str]) -> str:
    """The law, written down a character at a time."""
    for end in range(len(text) + 1):
        done = [s for s in stops if s and text[:end].endswith(s)]
        if done:
            return text[: end - max(map(len, done))]
    return text


@pytest.mark.parametrize(
    ("text", "stops", "left", "hit"),
    [
        ("one END two", ["END"], "one ", "END"),
        ("abc", ["b", "abc"], "a", "b"),
        ("xab", ["b", "ab"], "x", "ab"),
        ("EN", ["END"], "EN", ""),
        ("EENEND", ["END"], "EEN", "END"),
        ("text", [""], "text", ""),
        ("", ["a"], "", ""),
    ],
)
def test_stop_table(text: str, stops: list[str], left: str, hit: str) -> None:
    assert {stopped(p, stops) for p in chunkings(text)} == {(left, hit)}


@given(SMALL, st.lists(st.text(alphabet="ab<", max_size=4), max_size=3))
def test_stop_does_not_depend_on_chunks(text: str, stops: list[str]) -> None:
    assert {stopped(p, stops)[0] for p in chunkings(text)} == {expected(text, stops)}


@given(SMALL, st.text(alphabet="ab<", min_size=1, max_size=5))
def test_stop_holds_less_than_a_stop_string(text: str, stop: str) -> None:
    found = StopFilter([stop])
    for character in text:
        found.feed(character)
        assert len(found.held) < len(stop)


@given(SMALL, SMALL)
def test_prefix_does_not_depend_on_chunks(text: str, prefix: str) -> None:
    want = text[len(prefix) :] if text.startswith(prefix) else text
    if prefix.startswith(text):  # an answer that ends inside the prefix is an answer of its own
        want = text if text != prefix else ""
    assert {unprefixed(p, prefix) for p in chunkings(text)} == {want}
