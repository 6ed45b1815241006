"""Single promises of the parser, of dialects and of render, each with the case that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reflectkit.errors import ConfigurationError, ProtocolError
from reflectkit.protocol import DIALECTS, Dialect, Parser, parse, render
from reflectkit.reply import Section, Transcript

from .helpers import brief, read

# --- misuse


@pytest.mark.parametrize("piece", [b"bytes", None, 3])
def test_only_text_is_fed(piece: Any) -> None:
    parser = Parser("reflection")
    with pytest.raises(ConfigurationError, match="is fed text"):
        parser.feed(piece)
    with pytest.raises(ConfigurationError, match="is fed text"):
        parser.feed_reasoning(piece)


def test_nothing_is_fed_after_the_end() -> None:
    parser = Parser("reflection")
    parser.finish()
    assert parser.finish() == []
    assert parser.feed("") == []
    for feed in (parser.feed, parser.feed_reasoning):
        with pytest.raises(ConfigurationError, match="after finish"):
            feed("more")


def test_an_unknown_dialect_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'nope'.*reflection, think"):
        parse("x", "nope")


GOOD = {"open": ["<a>"], "close": ["</a>"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("", {"thinking": GOOD}), "needs a name"),
        (("d", {}), "marks no section"),
        (("d", None), "marks no section"),
        (("d", {"thought": GOOD}), "section 'thought'"),
        (("d", {"thinking": {"open": ["<a>"]}}), "needs 'open' and 'close'"),
        (("d", {"thinking": {"open": [], "close": ["x"]}}), "no spelling for thinking.open"),
        (("d", {"thinking": {"open": [" "], "close": ["x"]}}), "blank spelling"),
        (("d", {"thinking": {"open": [3], "close": ["x"]}}), "blank spelling"),
        (("d", {"thinking": {"open": ["x" * 257], "close": ["x"]}}), "257 characters"),
        (("d", {"thinking": GOOD, "output": GOOD}), "opens both thinking and output"),
        (("d", {"thinking": GOOD}, "regex"), "match='regex'"),
        (("d", {"thinking": {"open": ["< a>"], "close": ["</a>"]}}, "xml"), "no tag"),
    ],
)
def test_a_dialect_that_cannot_work_is_refused(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Dialect(*arguments)


def test_a_dialect_cannot_require_or_begin_in_what_it_does_not_mark() -> None:
    with pytest.raises(ConfigurationError, match="requires 'output'"):
        Dialect("d", {"thinking": GOOD}, required=("output",))
    with pytest.raises(ConfigurationError, match="no thinking section"):
        Parser(Dialect("d", {"output": GOOD}), prefilled=True)


def test_dialects_are_values() -> None:
    one, two = (Dialect("d", {"thinking": GOOD}) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != Dialect("e", {"thinking": GOOD})
    with pytest.raises(TypeError):
        DIALECTS["new"] = one  # type: ignore[index]  # wrong on purpose


# --- text that the server separated


def test_separated_reasoning_is_never_scanned() -> None:
    parser = Parser("reflection")
    events = parser.feed_reasoning("see </thinking>") + parser.feed_reasoning(" <output>")
    events += parser.feed("the answer") + parser.feed(" has <thinking>") + parser.finish()
    transcript = parser.transcript
    assert transcript.thinking == "see </thinking> <output>"
    assert transcript.output == "the answer has <thinking>"
    assert transcript.well_formed
    assert brief(events) == [
        "+thinking",
        "see </thinking> <output>",
        "-thinking",
        "+output",
        "the answer has <thinking>",
        "-output",
    ]


def test_separated_reasoning_replaces_a_prefilled_opener() -> None:
    parser = Parser("think", prefilled=True)
    parser.feed_reasoning("a")
    parser.feed("b")
    assert (parser.transcript.thinking, parser.transcript.output) == ("a", "b")
    assert parser.transcript.well_formed


def test_separated_reasoning_ends_what_was_open() -> None:
    parser = Parser("reflection")
    events = parser.feed("<thinking>a<refl") + parser.feed_reasoning("b")
    events += parser.feed("c") + parser.finish()
    assert "".join(event.source for event in events) == "<thinking>a<reflbc"
    assert parser.transcript.thinking == "a<refl\n\nb"
    assert parser.transcript.output == "c"


# --- late evidence


def test_an_open_backtick_is_corrected_where_its_line_ends() -> None:
    events, transcript = read(["<output>5` long</output> more", "\n", "and"], "reflection")
    assert transcript.output == "5` long"
    assert "output is outside 24-29" in brief(events)
    assert brief(events).index("output is outside 24-29") < brief(events).index("\nand")


def test_a_tool_call_is_data_of_its_own() -> None:
    text = '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>'
    call = parse(text, "harmony").tool_calls[0]
    assert (call.name, call.arguments) == ("f", '{"a": 1}')


# --- render


def test_render_writes_a_transcript_made_by_hand() -> None:
    made = Transcript(
        (
            Section("thinking", "a b c"),
            Section("reflection", "b", parent=0),
            Section("outside", "\n"),
            Section("output", "d", closed=False),
        )
    )
    text = render(made)
    assert text == "<thinking>a <reflection>b</reflection> c</thinking>\n<output>d"
    again = parse(text)
    assert (again.thinking, again.reflections, again.output) == ("a b c", ["b"], "d")
    assert render(replace(again, source="")) == text


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_render_in_every_dialect(name: str) -> None:
    made = Transcript((Section("thinking", " a "), Section("output", "b")), dialect=name)
    assert parse(render(made), name).output == "b"
    assert parse(render(made), name).thinking == "a"


def test_render_goes_by_the_sections_when_they_were_changed() -> None:
    read_once = parse("<think>secret</think>answer", "think")
    changed = replace(read_once, sections=read_once.sections[1:])
    assert render(changed) == "answer"


@pytest.mark.parametrize(
    "sections",
    [
        (Section("thinking", "a</thinking>b"),),
        (Section("outside", "a"), Section("outside", "b")),
        (Section("reflection", "x", parent=1), Section("thinking", "x")),
        (Section("thinking", "a"), Section("reflection", "z", parent=0)),
    ],
)
def test_render_refuses_what_no_text_can_say(sections: tuple[Section, ...]) -> None:
    with pytest.raises(ProtocolError):
        render(Transcript(sections))


def test_render_needs_the_value_of_an_own_dialect() -> None:
    own = Dialect("own", {"thinking": GOOD})
    transcript = parse("<a>x</a>y", own)
    assert render(transcript, own) == "<a>x</a>y"
    with pytest.raises(ConfigurationError, match="Pass it"):
        render(transcript)
