"""A section's text as a verifier reads it, and where its characters stand in the source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ..errors import ConfigurationError
from ..reply import Section, Transcript

__all__ = ["Part", "View", "checked_part", "view"]

#: What a verifier may be pointed at.
Part = Literal["output", "thinking", "all"]
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,255}>")
_GAP: Final = "\n\n"


@dataclass(frozen=True, slots=True)
class View:
    """``text``, and for each run of it its place in the text, in the source, and its length."""

    text: str
    runs: tuple[tuple[int, int, int], ...] = ()

    def place(self, at: int) -> int | None:
        """The position in the source of the character at ``at``; None if it is in no run."""
        for start, source, length in self.runs:
            if start <= at < start + length:
                return source + at - start
        return None

    def span(self, start: int, end: int) -> tuple[int, int] | tuple[None, None]:
        """From where to where a part of the text stands in the source."""
        first, last = self.place(start), self.place(max(start, end - 1))
        if first is None or last is None:
            return None, None
        return first, last + (end > start)


def checked_part(part: str) -> Part:
    """The part's name, or a ``ConfigurationError``."""
    for known in get_args(Part):
        if part == known:
            return part  # type: ignore[return-value]  # one of them
    raise ConfigurationError(
        f"There is no section {part!r}.", hint=f"Name one of {', '.join(get_args(Part))}."
    )


def view(transcript: Transcript, part: Part = "output") -> View:
    """The answer, the thinking or the whole source, as the transcript shows it."""
    if part == "all":
        return View(transcript.source, ((0, 0, len(transcript.source)),))
    if part == "thinking":
        reasoning = ("thinking", "reflection")
        sections = [s for s in transcript.sections if s.kind in reasoning and s.parent is None]
    else:
        sections = transcript.of("output") or transcript.of("outside")
    return _joined(transcript.source, sections)


def _joined(source: str, sections: list[Section]) -> View:
    texts: list[str] = []
    runs: list[tuple[int, int, int]] = []
    length = 0
    for section in sections:
        text = section.text.strip()
        if not text:
            continue
        length += len(_GAP) if texts else 0
        runs += [(length + at, start, n) for at, start, n in _runs(source, section, text)]
        texts.append(text)
        length += len(text)
    return View(_GAP.join(texts), tuple(runs))


def _runs(source: str, section: Section, text: str) -> list[tuple[int, int, int]]:
    found = source.find(text, section.start, section.end)
    if found >= 0:
        return [(0, found, len(text))]
    return _aligned(source[section.start : section.end], section.start, text)


def _aligned(region: str, offset: int, text: str) -> list[tuple[int, int, int]]:
    """The runs of ``text`` in a region that has tags between them. Linear: what is no tag of the
    region is taken from the text in order."""
    runs: list[tuple[int, int, int]] = []
    at, done = 0, 0
    for tag in [*_TAG.finditer(region), None]:
        end = tag.start() if tag else len(region)
        if not done:
            at = end - len(region[at:end].lstrip())
        for start, stop in [(at, end), tag.span() if tag else (end, end)]:
            length = min(stop - start, len(text) - done)
            if length > 0 and text.startswith(region[start : start + length], done):
                runs.append((done, offset + start, length))
                done += length
        at = tag.end() if tag else end
    return runs
