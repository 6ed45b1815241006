"""From the protocol to two growing texts, reasoning and content. Knows nothing of vLLM."""

from __future__ import annotations

from typing import NamedTuple

from reflectkit.events import Kind, ProtocolEvent, SectionDelta, SectionStarted
from reflectkit.protocol import Parser
from reflectkit.reply import Transcript

__all__ = ["Split", "Splitter", "split"]


class Split(NamedTuple):
    """More reasoning and more content; either may be empty."""

    reasoning: str = ""
    content: str = ""


class _Text:
    """One of the two: each section stripped at both ends, and an empty line between them."""

    def __init__(self) -> None:
        self._begun = self._inside = False
        self._held = ""

    def section(self) -> None:
        """Another section begins."""
        self._inside = False

    def add(self, text: str) -> str:
        """What may be sent of it now: blanks wait for what follows them."""
        if not self._inside:
            text = text.lstrip()
            if not text:
                return ""
            self._held = "\n\n" if self._begun else ""
            self._begun = self._inside = True
        text = self._held + text
        shown = text.rstrip()
        self._held = text[len(shown) :]
        return shown


class _Sorter:
    """Sorts sections into the two texts. What stands outside waits until an answer begins: then
    it is reasoning, and without one it is the answer."""

    def __init__(self) -> None:
        self._reasoning, self._content = _Text(), _Text()
        self._outside: list[str] = []
        self._answered = False

    def section(self, kind: Kind) -> Split:
        """A section that is in no other begins."""
        if kind == "outside":
            self._outside.append("")
        elif kind == "output":
            self._answered = True
            self._content.section()
            return Split(self._aside())
        else:
            self._reasoning.section()
        return Split()

    def text(self, kind: Kind, text: str) -> Split:
        """More text of it."""
        if kind == "outside":
            self._outside[-1] += text
            return Split()
        if kind == "output":
            return Split(content=self._content.add(text))
        return Split(self._reasoning.add(text))

    def finish(self) -> Split:
        """The answer is over."""
        return Split(self._aside()) if self._answered else Split(content=self._flush(self._content))

    def _aside(self) -> str:
        told = self._flush(self._reasoning)
        self._reasoning.section()
        return told

    def _flush(self, into: _Text) -> str:
        told = ""
        for text in self._outside:
            into.section()
            told += into.add(text)
        self._outside.clear()
        return told


class Splitter:
    """Feed the text of one answer as it comes, then ``finish``. What was sent stays sent."""

    def __init__(self, dialect: str = "reflection") -> None:
        self._parser = Parser(dialect)
        self._sorter = _Sorter()

    def prefix(self, text: str) -> None:
        """The beginning of the answer that stood in the prompt already: nobody is told of it."""
        self.feed(text)

    def feed(self, text: str) -> Split:
        """What this text adds."""
        return self._told(self._parser.feed(text))

    def finish(self) -> Split:
        """What was held back."""
        return _sum(self._told(self._parser.finish()), self._sorter.finish())

    def _told(self, events: list[ProtocolEvent]) -> Split:
        told = Split()
        for event in events:
            if isinstance(event, SectionStarted) and event.parent is None:
                told = _sum(told, self._sorter.section(event.kind))
            elif isinstance(event, SectionDelta):
                told = _sum(told, self._sorter.text(event.kind, event.text))
        return told


def split(transcript: Transcript) -> Split:
    """The same of a whole answer, whose late evidence is in."""
    sorter, told = _Sorter(), Split()
    for section in transcript.sections:
        if section.parent is None:
            told = _sum(told, sorter.section(section.kind))
            told = _sum(told, sorter.text(section.kind, section.text))
    return _sum(told, sorter.finish())


def _sum(one: Split, other: Split) -> Split:
    return Split(one.reasoning + other.reasoning, one.content + other.content)
