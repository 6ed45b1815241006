"""What the parser guarantees, for any text in any pieces."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflectkit.events import Corrected
from reflectkit.protocol import DIALECTS, Dialect, Parser, parse, render

from .helpers import agrees, labels_told, merged, read
from .reference import Reference

OWN = Dialect(
    "own",
    {
        "thinking": {"open": ["[[T]", "[[TT]"], "close": ["[/T]]", "[/T]"]},
        "reflection": {"open": ["{r}"], "close": ["{/r}"]},
        "output": {"open": ["[[O]"], "close": ["[/O]"]},
    },
)
COMMON = [
    "a",
    "b ",
    "\n",
    " ",
    "`",
    "``",
    "```",
    "~~~",
    "\n```\n",
    "\n~~~\n",
    "<",
    "/",
    ">",
    "\n\n",
]
TAGS = {
    "reflection": [
        *("<thinking>", "</thinking>", "<reflection>", "</reflection>", "<output>", "</output>"),
        *("<THINKING a='b'>", "</ thinking>", "<thinking", "<output\n>", "</OUTPUT/>", "<thought>"),
    ],
    "think": ["<think>", "</think>", "<Think/>", "<thinks>"],
    "hunyuan": ["<think>", "</think>", "<answer>", "</answer>"],
    "gemma4": ["<|channel>thought", "<|channel>thought\n", "<channel|>", "<|channel>"],
    "harmony": [
        *("<|start|>assistant", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
        *("<|channel|>", "commentary to=f ", "<|message|>", "<|end|>", "<|call|>", "<|return|>"),
    ],
    "own": ["[[T]", "[[TT]", "[/T]", "[/T]]", "{r}", "{/r}", "[[O]", "[/O]", "[", "]"],
}
SETTINGS = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def dialect(name: str) -> Dialect:
    return OWN if name == "own" else DIALECTS[name]


@st.composite
def soups(draw: st.DrawFn, names: tuple[str, ...] = tuple(TAGS)) -> tuple[str, Dialect, bool]:
    """A text made of tags, code marks and scraps, with a dialect to read it in."""
    name = draw(st.sampled_from(names))
    token = st.sampled_from(TAGS[name]) | st.sampled_from(COMMON)
    return "".join(draw(st.lists(token, max_size=25))), dialect(name), draw(st.booleans())


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(p % (len(text) + 1) for p in places)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@SETTINGS
@given(soups(), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_chunking_says_the_same(soup: tuple[str, Dialect, bool], places: list[int]) -> None:
    text, chosen, prefilled = soup
    events, transcript = read([text], chosen, prefilled)
    for pieces in (list(text), cut(text, places)):
        other_events, other = read(pieces, chosen, prefilled)
        assert other == transcript
        assert merged(other_events) == merged(events)


@SETTINGS
@given(soups())
def test_nothing_is_lost(soup: tuple[str, Dialect, bool]) -> None:
    text, chosen, prefilled = soup
    events, transcript = read(list(text), chosen, prefilled)
    assert "".join(event.source for event in events) == text == transcript.source


@SETTINGS
@given(soups())
def test_corrections_lead_to_the_transcript(soup: tuple[str, Dialect, bool]) -> None:
    text, chosen, prefilled = soup
    events, transcript = read(list(text), chosen, prefilled)
    assert agrees(labels_told(events), transcript, chosen.outside)


@SETTINGS
@given(st.text(), st.sampled_from(sorted(DIALECTS)), st.booleans())
def test_every_string_is_read(text: str, name: str, prefilled: bool) -> None:
    _, transcript = read(list(text), name, prefilled)
    assert parse(text, name, prefilled) == transcript


@SETTINGS
@given(soups(), st.integers(0, 10_000))
def test_the_transcript_can_be_read_at_any_time(soup: Any, place: int) -> None:
    text, chosen, prefilled = soup
    start = text[: place % (len(text) + 1)]
    parser = Parser(chosen, prefilled)
    for character in start:
        parser.feed(character)
    assert parser.transcript == parse(start, chosen, prefilled)
    parser.feed(text[len(start) :])
    parser.finish()
    assert parser.transcript == parse(text, chosen, prefilled)


@SETTINGS
@given(soups())
def test_render_is_the_inverse(soup: tuple[str, Dialect, bool]) -> None:
    text, chosen, prefilled = soup
    transcript = parse(text, chosen, prefilled)
    assert parse(render(transcript, chosen), chosen, prefilled) == transcript


@SETTINGS
@given(soups(("reflection", "think", "hunyuan", "gemma4", "own")))
def test_agrees_with_the_reference_reader(soup: tuple[str, Dialect, bool]) -> None:
    text, chosen, prefilled = soup
    transcript = parse(text, chosen, prefilled)
    reference = Reference(text, chosen, prefilled).read()
    found = [(s.kind, s.text, s.start, s.end, s.closed, s.parent) for s in transcript.sections]
    assert found == reference.result()
    kinds = {"stray_close", "missing_open", "nested_thinking", "nested_reflection", "nested_output"}
    issues = sorted((i.kind, i.position) for i in transcript.issues if i.kind in kinds)
    assert issues == sorted(reference.issues)


def test_the_reference_can_disagree() -> None:
    """A reader that forgets code spans is told apart from the parser."""

    class Forgetful(Reference):
        def code_end(self, at: int, begin: int) -> int | None:
            return None

    text = "<output>use `</output>` here</output>"
    found = [s.text for s in parse(text).sections]
    assert found == [row[1] for row in Reference(text, DIALECTS["reflection"]).read().result()]
    assert found != [row[1] for row in Forgetful(text, DIALECTS["reflection"]).read().result()]


def test_a_wrong_correction_is_noticed() -> None:
    events, transcript = read(["plan</thinking>x"], "reflection")
    assert agrees(labels_told(events), transcript, "outside")
    without = [event for event in events if not isinstance(event, Corrected)]
    assert not agrees(labels_told(without), transcript, "outside")
    wrong = [Corrected(0, 3, "output", "thinking"), *events]
    with pytest.raises(AssertionError):
        labels_told([*events[:2], *wrong])
