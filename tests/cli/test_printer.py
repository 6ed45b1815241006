"""How sections look: labels, colours, white space, and characters that could repaint a terminal."""

from __future__ import annotations

import io

import pytest

from reflectkit.cli._printer import Printer, wants_colour
from reflectkit.events import (
    AttemptStarted,
    Corrected,
    Event,
    Markup,
    SectionDelta,
    SectionEnded,
    SectionStarted,
)

ANSWER: list[Event] = [
    AttemptStarted(1),
    SectionStarted(0, "thinking", "<thinking>"),
    SectionDelta(0, "thinking", "\n2 + 2 "),
    SectionDelta(0, "thinking", "is 5.\n"),
    SectionStarted(1, "reflection", "<reflection>", 0),
    SectionDelta(1, "reflection", "no, 4"),
    SectionEnded(1, "reflection", "</reflection>"),
    SectionDelta(0, "thinking", "\n4 * 7 is 28."),
    SectionEnded(0, "thinking", "</thinking>"),
    SectionDelta(2, "outside", "\n\n"),
    SectionStarted(3, "output", "<output>"),
    SectionDelta(3, "output", "\n28\n"),
    SectionEnded(3, "output", "</output>"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(events: list[Event], stream: io.StringIO | None = None, **options: bool) -> str:
    stream = stream or io.StringIO()
    printer = Printer(stream, **options)
    for event in events:
        printer.show(event)
    printer.end()
    return stream.getvalue()


def test_plain_text_has_labels_and_no_colour() -> None:
    assert shown(ANSWER) == (
        "[thinking]\n2 + 2 is 5.\n\n"
        "[reflection]\nno, 4\n\n"
        "[thinking]\n4 * 7 is 28.\n\n"
        "[output]\n28\n"
    )


def test_the_answer_alone_has_no_labels() -> None:
    output = [e for e in ANSWER if getattr(e, "kind", "") == "output"]
    assert shown(output, labels=False) == "28\n"


def test_colours_tell_sections_apart_and_are_always_reset() -> None:
    text = shown(ANSWER, colour=True)
    assert "\x1b[2m2 + 2\x1b[0m" in text
    assert "\x1b[33mno, 4\x1b[0m" in text
    assert text.endswith("28\n")
    assert text.count("\x1b[0m") * 2 == text.count("\x1b[")


def test_inner_white_space_is_kept() -> None:
    pieces = ["  a \n", "\n", "  b", "\n\n"]
    deltas: list[Event] = [SectionDelta(0, "output", piece) for piece in pieces]
    assert shown(deltas, labels=False) == "a \n\n  b\n"


def test_text_is_flushed_piece_by_piece() -> None:
    stream = io.StringIO()
    printer = Printer(stream)
    printer.show(SectionDelta(0, "output", "2"))
    assert stream.getvalue() == "[output]\n2"
    printer.show(SectionDelta(0, "output", "8"))
    assert stream.getvalue() == "[output]\n28"


def test_corrections_and_later_attempts_are_said() -> None:
    events: list[Event] = [
        SectionDelta(0, "output", "hm"),
        Corrected(0, 2, "output", "thinking"),
        Markup("</thinking>"),
        AttemptStarted(2),
        SectionDelta(1, "output", "28"),
    ]
    text = shown(events)
    assert "[what was shown above as output is thinking]" in text
    assert "[attempt 2]" in text


def test_a_model_cannot_repaint_the_terminal() -> None:
    evil: list[Event] = [SectionDelta(0, "output", "a\x1b[2Jb\x07c\x9bd\r\x7fe\tf\n")]
    assert shown(evil, Terminal(), labels=False) == "a␛[2Jb␇c␡d␍␡e\tf\n"
    assert shown(evil, labels=False) == "a\x1b[2Jb\x07c\x9bd\r\x7fe\tf\n"


def test_nothing_gives_nothing() -> None:
    assert shown([]) == ""
    assert shown([SectionDelta(0, "outside", " \n")]) == ""


@pytest.mark.parametrize(
    ("environ", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_when_colours_are_used(environ: dict[str, str], terminal: bool, wanted: bool) -> None:
    assert wants_colour(Terminal() if terminal else io.StringIO(), environ) is wanted
