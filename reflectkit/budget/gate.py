"""Lets an answer through to its reader as far as the meter allows, to the word. Pure.

A piece that cannot reach a limit passes whole. One that may is passed word by word, so that the
answer ends inside a piece, and what must not be read any more never is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from ..messages import Chunk, Usage
from .meter import Cut, Meter, size

if TYPE_CHECKING:
    from ..events import Kind, ProtocolEvent
    from ..protocol import Dialect

__all__ = ["Gate", "Reads", "Words", "words_of"]

#: blanks, a few characters of a word with the blank behind a sentence, or any one character
_PLAIN: Final = r"\s+|[^\s<]{1,4}(?:(?<=[.!?;])\s)?|."
_TAG: Final = r"<[^<>]{1,254}>"
_HELD: Final = 255
_SIDES: Final = ("open", "close")


class Reads(Protocol):
    """What reads the answer: the front's ``Reader``."""

    def feed(self, chunk: Chunk) -> list[ProtocolEvent]:
        """Take the next chunk."""
        ...

    @property
    def held(self) -> int:
        """Characters that wait for more text."""
        ...


class Words:
    """Takes text apart so that a delimiter of ``dialect`` is always a word of its own."""

    def __init__(self, dialect: Dialect) -> None:
        tags = dialect.match == "xml"
        every = [t for found in dialect.sections.values() for side in found for t in side]
        self._literals = () if tags else tuple(sorted(every, key=len, reverse=True))
        plain = [re.escape(text) for text in self._literals]
        self._words = re.compile("|".join([*plain, _TAG, _PLAIN]), re.DOTALL)
        self._ends_thinking = _either(dialect, ("thinking", "close"), ("output", "open"))
        self._ends_output = _either(dialect, ("output", "close"))
        self._reflects = _either(dialect, ("reflection", "open"))
        self._thinks = _either(dialect, ("thinking", "open"), ("reflection", "open"))
        self._delimits = _either(dialect, *((k, side) for k in dialect.sections for side in _SIDES))

    def split(self, text: str, *, final: bool = False) -> tuple[list[str], str]:
        """The words of ``text``, and the end of it that may be the beginning of a delimiter."""
        place = len(text) if final else self._beginning(text)
        return self._words.findall(text[:place]), text[place:]

    def is_mark(self, word: str) -> bool:
        """It is, or looks like, a delimiter."""
        return word in self._literals or (word[:1] == "<" and word[-1:] == ">")

    def ends_thinking(self, word: str) -> bool:
        """It closes thinking, or opens the answer, which closes thinking too."""
        return bool(self._ends_thinking.fullmatch(word))

    def ends_output(self, word: str) -> bool:
        """It closes the answer."""
        return bool(self._ends_output.fullmatch(word))

    def reflects(self, word: str) -> bool:
        """It opens a reflection."""
        return bool(self._reflects.fullmatch(word))

    def opens_thinking(self, word: str) -> bool:
        """It opens thinking, or a reflection."""
        return bool(self._thinks.fullmatch(word))

    def delimits(self, word: str) -> bool:
        """It opens or closes a section."""
        return bool(self._delimits.fullmatch(word))

    def _beginning(self, text: str) -> int:
        tag = text.rfind("<", max(0, len(text) - _HELD))
        if tag >= 0 and ">" not in text[tag:]:
            return tag
        longest = max(map(len, self._literals), default=0)
        for place in range(max(0, len(text) - longest), len(text)):
            if any(t.startswith(text[place:]) for t in self._literals):
                return place
        return len(text)


def _either(dialect: Dialect, *wanted: tuple[Kind, str]) -> re.Pattern[str]:
    """A pattern of the delimiters of these (kind, side)."""
    tags = dialect.match == "xml"
    found = []
    for kind, side in wanted:
        for text in getattr(dialect.sections.get(kind), side, ()):
            slash = "/" if side == "close" else ""
            name = re.escape(text)
            found.append(rf"<{slash}{name}(?:\s[^<>]*)?/?>" if tags else name)
    return re.compile("|".join(found) or "(?!)", re.IGNORECASE if tags else 0)


@lru_cache(32)
def words_of(dialect: Dialect) -> Words:
    """The words of a dialect, made once."""
    return Words(dialect)


class Gate:
    """Feeds ``reader`` and charges ``meter``. ``cut`` says why nothing passes any more.

    ``extends``: thinking that ends before its floor is cut in front of its end.
    """

    def __init__(
        self, reader: Reads, meter: Meter, dialect: Dialect, *, extends: bool = False
    ) -> None:
        self._reader = reader
        self._words = words_of(dialect)
        self._slack = 0
        self._held = ""
        self._text: list[str] = []
        self._floor = meter.caps.thinking_floor if extends else 0
        self._has_output = "output" in dialect.sections
        self._watches = bool(self._floor) or meter.caps.reflections is not None
        self.meter = meter
        self.cut: Cut | None = None
        #: the server sent thinking apart, in a field: it cannot be gone on with as text
        self.apart = False

    @property
    def text(self) -> str:
        """The content that has passed."""
        return "".join(self._text)

    def feed(self, chunk: Chunk) -> list[ProtocolEvent]:
        """Take the next chunk; the events of what passes."""
        if self.cut:
            return []
        meter = self.meter
        before = self._has_output and not meter.answered and not meter.open
        closely = self._watches or before or self._held
        if not closely and self._may_pass(chunk):
            return self._pass(chunk)
        return self._slowly(chunk)

    def say(self, text: str) -> list[ProtocolEvent]:
        """Text of our own, which nothing stops; what comes then answers another request."""
        self.cut, self._held, self._slack = None, "", 0
        events = self._reader.feed(Chunk(text)) if text else []
        self.meter.charge(events, own=True)
        self._text.append(text)
        self.meter.next_request()
        return events

    def open(self, prefix: str) -> list[ProtocolEvent]:
        """What the answer goes on from: read, and counted as nobody's."""
        events = self._reader.feed(Chunk(prefix))
        self.meter.charge(events, own=True)
        return events

    def finish(self) -> list[ProtocolEvent]:
        """The answer has ended by itself: what was held back."""
        words, self._held = self._words.split(self._held, final=True)[0], ""
        return [] if self.cut else [e for word in words for e in self._pass(Chunk(word))]

    def stop(self, cut: Cut) -> None:
        """Nothing passes any more."""
        self.cut = self.cut or cut

    def _may_pass(self, chunk: Chunk) -> bool:
        """The chunk cannot reach a limit."""
        bytes_ = size(chunk.text) + size(chunk.reasoning)
        self._slack -= bytes_
        if self._slack <= 0:
            self._slack = self.meter.slack() - bytes_
        if self._slack <= 0:
            self.meter.recount()
            self._slack = self.meter.slack() - bytes_
        return self._slack > 0

    def _pass(self, chunk: Chunk) -> list[ProtocolEvent]:
        events = self._reader.feed(chunk)
        self.meter.charge(events)
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.reasoning:
            self.apart = True
        if chunk.usage is not None:
            self._told(chunk.usage)
        return events

    def _told(self, usage: Usage) -> None:
        """A server says how much it has written."""
        if self.meter.running(usage.completion):
            self._slack = 0
            self.cut = self.cut or (None if self._reader.held else self.meter.due())

    def _slowly(self, chunk: Chunk) -> list[ProtocolEvent]:
        """Word by word until it is cut; what is no text passes in any case."""
        thoughts = [Chunk(reasoning=w) for w in self._words.split(chunk.reasoning, final=True)[0]]
        words, self._held = self._words.split(self._held + chunk.text)
        events: list[ProtocolEvent] = []
        for piece in (*thoughts, *map(Chunk, words)):
            self.cut = self._before(piece)
            if not self.cut:
                events += self._pass(piece)
                self.cut = None if self._reader.held else self.meter.due()
            if self.cut:
                break
        if chunk.usage is not None:
            self._told(chunk.usage)
        rest = Chunk(tool_calls=chunk.tool_calls, payload=chunk.payload)
        return events + self._reader.feed(rest)

    def _before(self, piece: Chunk) -> Cut | None:
        """Why the piece must not pass."""
        word, meter = piece.text, self.meter
        if self._reader.held:
            return None
        if not word or not self._words.is_mark(word):
            return meter.due(word or piece.reasoning)
        if not meter.open:
            return "blank" if not meter.answered and self._words.ends_output(word) else None
        most = meter.caps.reflections
        if most is not None and meter.reflections >= most and self._words.reflects(word):
            return "reflections"
        short = self._floor and meter.thinking < self._floor
        return "thinking_floor" if short and self._words.ends_thinking(word) else None
