"""Writes sections so that they can be told apart: labels everywhere, colours on a terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TextIO

from ..events import (
    AttemptStarted,
    Corrected,
    Event,
    Kind,
    SectionDelta,
    SectionEnded,
    SectionStarted,
)

__all__ = ["Printer", "printable", "wants_colour"]

#: SGR codes: (label, text). Dim thinking, yellow reflections, plain output.
STYLES: Mapping[str, tuple[str, str]] = {
    "thinking": ("2;1", "2"),
    "reflection": ("33;1", "33"),
    "output": ("1", ""),
    "outside": ("35;1", "35"),
    "note": ("31", "31"),
    "says yes": ("32", "32"),
    "says no": ("31", "31"),
    "says unknown": ("33", "33"),
}
LABELS: Mapping[str, str] = {"outside": "text"}

#: Control characters that a model could use to repaint a terminal; tabs and line ends are harmless.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """NO_COLOR forbids, FORCE_COLOR demands, TERM=dumb declines, else: is it a terminal?"""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


class Printer:
    """Takes events in order and writes them at once.

    ``labels=False`` writes text alone, for callers who show nothing but the answer. White space at
    the edges of a section is not shown; inside it every character is, in order. On a terminal,
    control characters in the model's text are shown as symbols, so that they cannot act.
    """

    def __init__(self, stream: TextIO, *, colour: bool = False, labels: bool = True) -> None:
        self._stream = stream
        self._colour = colour
        self._labels = labels
        self._safe = colour or stream.isatty()
        self._kind: Kind | None = None
        self._held = ""
        self._column = 0
        self._written = False

    def show(self, event: Event) -> None:
        """Write what the event adds for a reader."""
        match event:
            case SectionDelta(kind=kind, text=text):
                self.text(kind, text)
            case SectionStarted() | SectionEnded():
                self._leave()
            case Corrected(was=was, now=now) if "markup" not in (was, now):
                self.note(f"what was shown above as {was} is {now}")
            case Corrected(now="markup"):
                self.note("a tag was shown above as text")
            case AttemptStarted(number=number) if number > 1:
                self.note(f"attempt {number}")

    def text(self, kind: Kind, text: str) -> None:
        """More text of a section of this kind."""
        if kind != self._kind and not self._enter(kind, text):
            return
        text = self._held + text if self._held else text if self._column else text.lstrip()
        shown = text.rstrip()
        self._held = text[len(shown) :]
        self._write(shown, STYLES[kind][1])

    def note(self, text: str) -> None:
        """A remark of ours on a line of its own."""
        self._leave()
        self._break()
        self._write(f"[{text}]", STYLES["note"][1])
        self.end()

    def lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Remarks, each a style and a text."""
        self._leave()
        self._break()
        for style, text in lines:
            self._write(text, STYLES[style][1])
            self.end()

    def end(self) -> None:
        """Finish the line that was begun."""
        self._leave()
        if self._column:
            self._write("\n")

    def _enter(self, kind: Kind, text: str) -> bool:
        """Open a section; not before it has something to show."""
        if not text.strip():
            return False
        self._leave()
        self._break()
        self._kind = kind
        if self._labels:
            self._write(f"[{LABELS.get(kind, kind)}]", STYLES[kind][0])
            self._write("\n")
        return True

    def _leave(self) -> None:
        self._kind, self._held = None, ""

    def _break(self) -> None:
        """Go to a new line, with a blank one between sections."""
        if self._written:
            self._write("\n\n" if self._column else "\n")

    def _write(self, text: str, style: str = "") -> None:
        if not text:
            return
        self._written = True
        self._column = 0 if text.endswith("\n") else 1
        text = printable(text) if self._safe else text
        self._stream.write(f"\x1b[{style}m{text}\x1b[0m" if style and self._colour else text)
        self._stream.flush()


def printable(text: str) -> str:
    """The text with its control characters as symbols, so that they cannot act on a terminal."""
    return CONTROL.sub(_symbol, text)


def _symbol(match: re.Match[str]) -> str:
    """A visible stand-in: U+2400 and up picture the ASCII controls."""
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "\N{SYMBOL FOR DELETE}"
