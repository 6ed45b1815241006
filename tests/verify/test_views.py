"""What a verifier reads, and where it stands in the source."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.errors import ConfigurationError
from reflectkit.protocol import parse, parse_message
from reflectkit.verify import Matches
from reflectkit.verify._views import View, view

SOURCES = [
    "<thinking>\n one <reflection>two</reflection> three \n</thinking>\n<output>\n four</output>",
    "<thinking>a < b </b> c</thinking> x <output>o <output>i</output> </thinking>k</output> y",
    "no tags at all",
    "  </output> text </thinking> more",
    "<thinking>a <thinking>n</thinking> b</thinking>out",
    "<thinking>one</thinking><output>a</output><thinking>two</thinking><output>b</output>",
    "<output></output>",
    "",
]


def check(shown: View, source: str) -> None:
    """Every character of a run is that character of the source."""
    covered = 0
    for start, at, length in shown.runs:
        assert shown.text[start : start + length] == source[at : at + length]
        covered += length
    assert covered == len(shown.text.replace("\n\n", ""))


@pytest.mark.parametrize("source", SOURCES)
def test_views_are_those_of_the_transcript(source: str) -> None:
    transcript = parse(source)
    assert view(transcript).text == transcript.output
    assert view(transcript, "thinking").text == (transcript.thinking or "")
    for part in ("output", "thinking"):
        check(view(transcript, part), source)
    assert view(transcript, "all").text == source


PIECES = st.sampled_from(
    ["<thinking>", "</thinking>", "<reflection>", "</reflection>", "<output>", "</output>", "a",
     " ", "<b>", "<", "x > y", "</"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_places_are_right_or_unknown(source: str) -> None:
    transcript = parse(source)
    for part in ("output", "thinking"):
        shown = view(transcript, part)
        for start, at, length in shown.runs:
            assert shown.text[start : start + length] == source[at : at + length]
        for word in re.finditer(r"\w", shown.text):
            first, last = shown.span(*word.span())
            assert first is None or source[first:last] == word.group()


def test_fields_that_the_server_separated() -> None:
    transcript = parse_message({"content": "the answer", "reasoning_content": "the thought"})
    shown = view(transcript)
    assert transcript.source[slice(*shown.span(4, 10))] == "answer"


def test_a_place_between_the_runs_is_unknown() -> None:
    shown = view(parse("<output>a</output><output>b</output>"))
    assert shown.text == "a\n\nb"
    assert shown.span(1, 2) == (None, None)
    assert shown.span(3, 4) == (26, 27)


def test_sections_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="output, thinking, all"):
        Matches("a", section="answer")  # type: ignore[arg-type]  # wrong on purpose
