"""From chunks to one transcript: text is parsed, what the server separated is taken as it is.

A response is read as a row of stretches: content (parsed, or taken as the answer where the server
already took the reasoning out) and reasoning that came in a field of its own. A stretch ends when
the other kind begins. Positions and section numbers run through all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from .events import (
    Corrected,
    Kind,
    Markup,
    ProtocolEvent,
    SectionDelta,
    SectionEnded,
    SectionStarted,
)
from .messages import Chunk, ToolCall
from .protocol import Parser
from .reply import Issue, IssueKind, Section, Transcript

if TYPE_CHECKING:
    from .protocol import Dialect

__all__ = ["Reader", "Reading", "shifted"]

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


class _Stretch(Protocol):
    def feed(self, piece: str) -> list[ProtocolEvent]: ...
    def finish(self) -> list[ProtocolEvent]: ...
    @property
    def transcript(self) -> Transcript: ...


class _Given:
    """Text whose kind is known beforehand: one section, nothing scanned."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._pieces: list[str] = []

    def feed(self, piece: str) -> list[ProtocolEvent]:
        start: list[ProtocolEvent] = [] if self._pieces else [SectionStarted(0, self._kind)]
        self._pieces.append(piece)
        return [*start, SectionDelta(0, self._kind, piece)]

    def finish(self) -> list[ProtocolEvent]:
        return [SectionEnded(0, self._kind)] if self._pieces else []

    @property
    def transcript(self) -> Transcript:
        text = "".join(self._pieces)
        return Transcript((Section(self._kind, text, 0, len(text)),), source=text)


class Reader:
    """Reads one response. Pure: chunks in, events out, a transcript at any time."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._done: list[Transcript] = []
        self._current: _Stretch | None = None
        self._current_is_field = False
        self._base = (0, 0)
        self._tool_calls: tuple[ToolCall, ...] = ()
        self._payload: Mapping[str, Any] | None = None

    def feed(self, chunk: Chunk) -> list[ProtocolEvent]:
        """Take the next chunk; what it settles comes back as events."""
        self._tool_calls += chunk.tool_calls
        if chunk.payload is not None:
            self._payload = {**(self._payload or {}), **chunk.payload}
        events = self._read(chunk.reasoning, field=True) if chunk.reasoning else []
        if chunk.text:
            events += self._read(chunk.text, field=False)
        return events

    def finish(self) -> list[ProtocolEvent]:
        """The response is over: what was held back comes now."""
        if self._current is None:
            self._begin(field=False)
        return self._end()

    @property
    def transcript(self) -> Transcript:
        """What was read so far (after ``finish``: all of it)."""
        parts = [*self._done, *([self._current.transcript] if self._current else [])]
        whole = parts[0] if len(parts) == 1 else _joined(parts)
        return replace(
            whole,
            issues=tuple(i for i in whole.issues if i.kind not in self._reading.expected),
            dialect=_name_of(self._reading.dialect),
            payload=self._payload,
            tool_calls=self._tool_calls,
        )

    @property
    def untagged(self) -> bool:
        """Not one tag was seen and nothing came separated."""
        seen = self.transcript
        plain = all(s.end - s.start == len(s.text) for s in seen.sections)
        return plain and all(s.kind in ("outside", "output") for s in seen.sections)

    def _read(self, piece: str, *, field: bool) -> list[ProtocolEvent]:
        events: list[ProtocolEvent] = []
        if self._current is not None and self._current_is_field != field:
            events = self._end()
        if self._current is None:
            self._begin(field=field)
        assert self._current is not None
        return [*events, *shifted(self._current.feed(piece), *self._base)]

    def _begin(self, *, field: bool) -> None:
        self._current_is_field = field
        self._current = _Given("thinking") if field else self._content()

    def _content(self) -> _Stretch:
        if self._done and not self._reading.scan:
            return _Given("output")
        prefilled = self._reading.prefilled and not self._done
        return Parser(self._reading.dialect, prefilled=prefilled)

    def _end(self) -> list[ProtocolEvent]:
        assert self._current is not None
        events = shifted(self._current.finish(), *self._base)
        part = self._current.transcript
        self._done.append(part)
        self._current = None
        self._base = (self._base[0] + len(part.sections), self._base[1] + len(part.source))
        return events


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
        prefilled=any(p.prefilled for p in parts),
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


def _name_of(dialect: str | Dialect) -> str:
    return dialect if isinstance(dialect, str) else dialect.name
