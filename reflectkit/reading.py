"""From chunks to one transcript: text is parsed, what the server separated is taken as it is.

Where a server takes the reasoning out and the content is marked all the same, the response is read
as a row of stretches, in turns; positions and section numbers run through all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .events import (
    Corrected,
    Markup,
    ProtocolEvent,
    SectionDelta,
    SectionEnded,
    SectionStarted,
)
from .messages import Chunk, ToolCall
from .protocol import Parser
from .protocol.recover import recover
from .reply import Issue, IssueKind, Section, Transcript

if TYPE_CHECKING:
    from .protocol import Dialect

__all__ = ["Progress", "Reader", "Reading", "shifted"]

_REASONING = ("thinking", "reflection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a response is to be read.

    ``prefilled``: the prompt ends with the opening tag. ``scan``: content is parsed even when the
    server sent the reasoning apart, because the answer itself is marked. ``recover``: a response
    without one tag may be read by its layout. ``expected``: issues that the mode makes normal.
    """

    dialect: str | Dialect = "reflection"
    prefilled: bool = False
    scan: bool = False
    recover: bool = False
    expected: frozenset[IssueKind] = frozenset()


class Progress(NamedTuple):
    """How certain the events so far are.

    ``unsettled``: where text begins whose kind later text may still change (None: nowhere).
    ``rereads``: how often text that had been told of was read again.
    """

    unsettled: int | None
    rereads: int


class Reader:
    """Reads one response. Pure: chunks in, events out, a transcript at any time."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._done: list[Transcript] = []
        self._parser = Parser(reading.dialect, reading.prefilled)
        self._in_field = False
        self._base = (0, 0)
        self._rereads = 0
        self._recovered: Transcript | None = None
        self._tool_calls: tuple[ToolCall, ...] = ()
        self._payload: Mapping[str, Any] | None = None

    def feed(self, chunk: Chunk) -> list[ProtocolEvent]:
        """Take the next chunk; what it settles comes back as events."""
        if chunk.tool_calls:
            self._tool_calls += chunk.tool_calls
        if chunk.payload is not None:
            self._payload = {**(self._payload or {}), **chunk.payload}
        events: list[ProtocolEvent] = []
        if chunk.reasoning:
            events += self._turn(field=True)
            events += self._placed(self._parser.feed_reasoning(chunk.reasoning))
        if chunk.text:
            events += self._turn(field=False) if self._in_field else ()
            events += self._placed(self._parser.feed(chunk.text))
        return events

    def finish(self, *, truncated: bool = False) -> list[ProtocolEvent]:
        """The response is over (``truncated``: at the token limit): what was held back comes now.

        Sections found by layout are told as corrections of the text outside.
        """
        events = self._placed(self._parser.finish())
        if not self._reading.recover or self._done or self._in_field:
            return events
        found = recover(self._parser.transcript.source, truncated=truncated)
        if all(i.kind != "recovered" for i in found.issues):
            return events
        self._recovered = found
        return [*events, *(Corrected(s.start, s.end, "outside", s.kind) for s in found.sections)]

    @property
    def held(self) -> int:
        """Characters that no event has told of yet."""
        return self._parser.held

    @property
    def progress(self) -> Progress:
        """How certain the events so far are."""
        place = self._parser.unsettled
        unsettled = None if place is None else place + self._base[1]
        return Progress(unsettled, self._rereads + self._parser.rereads)

    @property
    def transcript(self) -> Transcript:
        """What was read so far (after ``finish``: all of it)."""
        last = self._recovered or self._parser.transcript
        whole = _joined([*self._done, last]) if self._done else last
        return replace(
            whole,
            issues=tuple(i for i in whole.issues if i.kind not in self._reading.expected),
            payload=self._payload,
            tool_calls=(*whole.tool_calls, *self._tool_calls),
        )

    def _turn(self, *, field: bool) -> list[ProtocolEvent]:
        """Marked content and separated reasoning take turns: each stretch has its parser."""
        if field == self._in_field:
            return []
        self._in_field = field
        if not self._reading.scan or not (self._done or self._parser.transcript.source):
            return []
        events = self._placed(self._parser.finish())
        part = self._parser.transcript
        self._done.append(part)
        self._base = (self._base[0] + len(part.sections), self._base[1] + len(part.source))
        self._rereads += self._parser.rereads
        self._parser = Parser(self._reading.dialect)
        return events

    def _placed(self, events: list[ProtocolEvent]) -> list[ProtocolEvent]:
        return shifted(events, *self._base) if self._done else events


def shifted(events: Iterable[ProtocolEvent], index: int, position: int) -> list[ProtocolEvent]:
    """The same events after ``index`` earlier sections and ``position`` earlier characters."""
    if not index and not position:
        return list(events)
    return [_shift(e, index, position) for e in events]


def _shift(event: ProtocolEvent, index: int, position: int) -> ProtocolEvent:
    match event:
        case SectionStarted(parent=parent):
            up = None if parent is None else parent + index
            return replace(event, index=event.index + index, parent=up)
        case SectionDelta() | SectionEnded():
            return replace(event, index=event.index + index)
        case Corrected(start=start, end=end):
            return replace(event, start=start + position, end=end + position)
        case Markup():
            return event


def _joined(parts: list[Transcript]) -> Transcript:
    sections: list[Section] = []
    issues: list[Issue] = []
    at = 0
    for part in parts:
        base = len(sections)
        sections += [_moved(s, base, at) for s in part.sections]
        issues += [replace(i, position=i.position + at) for i in part.issues]
        at += len(part.source)
    return Transcript(
        tuple(sections),
        _still_true(issues, sections),
        source="".join(p.source for p in parts),
        dialect=parts[0].dialect,
        prefilled=any(p.prefilled for p in parts),
        tool_calls=tuple(call for p in parts for call in p.tool_calls),
    )


def _moved(section: Section, index: int, position: int) -> Section:
    return replace(
        section,
        start=section.start + position,
        end=section.end + position,
        parent=None if section.parent is None else section.parent + index,
    )


def _still_true(issues: list[Issue], sections: list[Section]) -> tuple[Issue, ...]:
    """Without the absences that another stretch fills, with the one that none fills."""
    false: set[IssueKind] = set()
    if any(s.kind in _REASONING for s in sections):
        false.add("missing_thinking")
    if any(s.kind == "output" and s.text.strip() for s in sections):
        false.add("missing_output")
    return tuple(i for i in issues if i.kind not in false)
