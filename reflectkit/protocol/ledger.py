"""What has been read so far: sections, markup and labels; and what the reader has been told.

The ledger can be taken back to an earlier save, because late text can change how earlier text is to
be read. Events cannot be taken back: while text that was already sent is read again, nothing is
said, and afterwards ``Corrected`` tells the difference.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ..events import Corrected, Markup, SectionDelta, SectionEnded, SectionStarted
from ..messages import ToolCall
from ..reply import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..events import Kind, ProtocolEvent, ReadAs
    from ..reply import IssueKind

__all__ = ["Ledger", "Save", "Span"]

Label = tuple[int, "Kind"]
#: From here on the text is read as this.
Stretch = tuple[int, "ReadAs"]


class Span:
    """A section being read. ``number`` is its index in the events, -1 before it was announced."""

    __slots__ = ("closed", "end", "kind", "number", "parent", "start")

    def __init__(self, kind: Kind, start: int, parent: Span | None = None) -> None:
        self.kind: Kind = kind
        self.start = start
        self.end = -1
        self.closed = False
        self.parent = parent
        self.number = -1


class Save(NamedTuple):
    """How far the ledger's lists went, and what was open."""

    position: int
    #: The lengths of spans, markups, issues, labels and calls.
    lengths: tuple[int, ...]
    stack: tuple[Span, ...]
    run: Span | None


class Ledger:
    """Spans, markup, issues and labels of one text, and the events that tell of them.

    Positions count characters of the source. ``sent`` is how far events have told it.
    """

    def __init__(self, outside: Kind) -> None:
        self.outside: Final = outside
        self.spans: list[Span] = []
        self.stack: list[Span] = []
        #: The open run of text outside all sections.
        self.run: Span | None = None
        self.markups: list[tuple[int, int]] = []
        #: Kind, position, detail: made into values at the end, so that the many stay cheap.
        self.issues: list[tuple[IssueKind, int, str]] = []
        #: Where the kind of the text changes; decides what ``Corrected`` has to say.
        self.labels: list[Label] = [(0, outside)]
        #: Tool calls: header, and where the body begins and ends.
        self.calls: list[tuple[str, int, int]] = []
        self.sent = 0
        self.rereads = 0
        self.events: list[ProtocolEvent] = []
        self._told: list[Span] = []
        self._numbers = 0
        self._redo: list[Stretch] | None = None

    # --- reading on

    @property
    def rereading(self) -> bool:
        """Text that was already sent is being read again."""
        return self._redo is not None

    @property
    def current(self) -> Span | None:
        """The span that text goes to now."""
        return self.stack[-1] if self.stack else self.run

    @property
    def marked(self) -> bool:
        """A section occurred (a run of text outside is none)."""
        return len(self.spans) > (self.run is not None)

    def passed(self, length: int, base: int) -> None:
        """``length`` characters from ``base`` were told as text of the current span."""
        if not self.rereading:
            self.sent = base + length

    def text(self, start: int, end: int, source: str) -> None:
        """``source`` is text of the innermost section, or outside all."""
        if self._redo is not None:
            self._silent(start)
        span = self.stack[-1] if self.stack else (self.run or self._open_run(start))
        if end <= self.sent:
            return
        if self._redo is not None:
            self.catch_up()
        text = source[self.sent - start :] if self.sent > start else source
        self.events.append(SectionDelta(span.number, span.kind, text))
        self.sent = end

    def markup(self, start: int, end: int, source: str) -> None:
        """``source`` is markup without effect."""
        quiet = self._silent(start)
        self.markups.append((start, end))
        self._tell_markup(quiet, end, source)

    def open(self, kind: Kind, start: int, end: int, source: str) -> None:
        """``source`` opens a section inside the innermost one."""
        quiet = self._silent(start)
        self.close_run(start)
        if end > start:
            self.markups.append((start, end))
        span = Span(kind, start, self.stack[-1] if self.stack else None)
        self.spans.append(span)
        self.stack.append(span)
        self._label(start, kind)
        if quiet:
            self._tell_rest(end, source)
            return
        self._announce(span, source)
        self.sent = end

    def close(self, start: int, end: int, source: str, *, closed: bool = True) -> None:
        """``source`` closes the innermost section ("" where nothing marks it)."""
        quiet = self._silent(start)
        if end > start:
            self.markups.append((start, end))
        span = self.stack.pop()
        span.end, span.closed = end, closed
        self._label(end, self.stack[-1].kind if self.stack else self.outside)
        if quiet:
            self._tell_rest(end, source)
            return
        self._conclude(span, source)
        self.sent = end

    def claim(self, start: int, end: int, source: str) -> None:
        """``source`` closes thinking that began with the text itself, unannounced."""
        self._silent(start)
        self.markups.append((start, end))
        span = self.run or self._open_run(0, "thinking")
        self.run = None
        span.kind, span.start, span.end, span.closed = "thinking", 0, end, True
        self.labels[:] = [(0, "thinking"), (end, self.outside)]
        if self._redo is not None:
            first = self._redo[0][0]
            told = _stretches([(0, self.outside)], [m for m in self.markups if m[0] < first])
            self._redo[:0] = [stretch for stretch in told if stretch[0] < first]
            self._tell_rest(end, source)
            return
        before = self.markups[:-1]
        was, now = _stretches([(0, self.outside)], before), _stretches([(0, "thinking")], before)
        self.events.extend(_corrections(was, now, start))
        self._conclude(span, source)
        self.sent = end

    def close_run(self, position: int) -> None:
        """The run of text outside ends, where its last text ended."""
        run, self.run = self.run, None
        if run is None:
            return
        for start, end in reversed(self.markups):
            if end != position:
                break
            position = start
        run.end, run.closed = position, True
        if not self.rereading:
            self._conclude(run, "")

    def issue(self, kind: IssueKind, position: int, detail: str = "") -> None:
        """Note a departure from the grammar."""
        self.issues.append((kind, position, detail))

    def _open_run(self, start: int, kind: Kind | None = None) -> Span:
        self.run = run = Span(kind or self.outside, start)
        self.spans.append(run)
        if not self.rereading:
            self._announce(run, "")
        return run

    def _label(self, position: int, kind: Kind) -> None:
        if self.labels[-1][0] == position:
            self.labels.pop()
        self.labels.append((position, kind))

    # --- telling

    def _announce(self, span: Span, source: str) -> None:
        span.number = self._numbers
        self._numbers += 1
        parent = span.parent.number if span.parent else None
        self.events.append(SectionStarted(span.number, span.kind, source, parent))
        self._told.append(span)

    def _conclude(self, span: Span, source: str) -> None:
        self._told.pop()
        self.events.append(SectionEnded(span.number, span.kind, source, span.closed))

    def _silent(self, start: int) -> bool:
        """Whether text from ``start`` is still being read again; catches up when it is not."""
        if self._redo is not None and start >= self.sent:
            self.catch_up()
        return self._redo is not None

    def _tell_markup(self, quiet: bool, end: int, source: str) -> None:
        if quiet:
            self._tell_rest(end, source)
        else:
            self.events.append(Markup(source))
            self.sent = end

    def _tell_rest(self, end: int, source: str) -> None:
        """Markup whose beginning was sent as text: what is left of it is told as markup."""
        if end > self.sent:
            self.catch_up()
            self.events.append(Markup(source[self.sent - end :]))
            self.sent = end

    # --- reading again

    def save(self, position: int) -> Save:
        """Remember this state."""
        lengths = (
            len(self.spans),
            len(self.markups),
            len(self.issues),
            len(self.labels),
            len(self.calls),
        )
        return Save(position, lengths, tuple(self.stack), self.run)

    def restore(self, save: Save) -> None:
        """Go back to a saved state; text up to ``sent`` will be read again."""
        self.rereads += 1
        spans, markups, issues, labels, calls = save.lengths
        known = [(save.position, self.labels[labels - 1][1]), *self.labels[labels:]]
        told = _stretches(known, self.markups[markups:])
        later = self._redo or []
        self._redo = [s for s in told if not later or s[0] < later[0][0]] + later
        del self.spans[spans:]
        del self.markups[markups:]
        del self.issues[issues:]
        del self.labels[labels:]
        del self.calls[calls:]
        self.stack = list(save.stack)
        self.run = save.run
        for span in self._open():
            span.end, span.closed = -1, False

    def catch_up(self) -> None:
        """All that was sent has been read again: tell what reads differently now."""
        old, self._redo = self._redo, None
        if old is None:
            return
        first = old[0][0]
        labels = self.labels[bisect_right(self.labels, first, key=lambda label: label[0]) - 1 :]
        markups = self.markups[bisect_left(self.markups, (first, 0)) :]
        self.events.extend(_corrections(old, _stretches(labels, markups), self.sent))
        now = self._open()
        self._recognise(now)
        while self._told and self._told[-1] not in now:
            self._conclude(self._told[-1], "")
        for span in now[len(self._told) :]:
            self._announce(span, "")

    def _recognise(self, now: list[Span]) -> None:
        """A section that reads again as it was told of is the same one."""
        for place, (told, span) in enumerate(zip(self._told, now, strict=False)):
            if (told.kind, told.start) != (span.kind, span.start):
                break
            span.number = told.number
            self._told[place] = span

    def _open(self) -> list[Span]:
        return [*self.stack, *([self.run] if self.run else [])]

    # --- the result

    def sections(self, source: str) -> tuple[Section, ...]:
        """The sections with their texts, in order of opening."""
        places = {id(span): place for place, span in enumerate(self.spans)}
        return tuple(self._section(span, source, places) for span in self.spans)

    def _section(self, span: Span, source: str, places: dict[int, int]) -> Section:
        parent = places[id(span.parent)] if span.parent else None
        text = "".join(self._pieces(span, source))
        return Section(span.kind, text, span.start, span.end, span.closed, parent)

    def _pieces(self, span: Span, source: str) -> Iterator[str]:
        at = span.start
        place = bisect_left(self.markups, (span.start, 0))
        while place < len(self.markups) and self.markups[place][0] < span.end:
            start, end = self.markups[place]
            yield source[at:start]
            at = end
            place += 1
        yield source[at : span.end]

    def tool_calls(self, source: str) -> tuple[ToolCall, ...]:
        """The calls made in a channel protocol; their ids are empty."""
        return tuple(
            ToolCall("", _recipient(header), source[start:end]) for header, start, end in self.calls
        )


def _recipient(header: str) -> str:
    words = header.partition("to=")[2].replace("<", " ").split()
    return words[0].removeprefix("functions.") if words else ""


def _stretches(labels: list[Label], markups: list[tuple[int, int]]) -> list[Stretch]:
    """What each stretch of the text is read as, markup included."""
    edges = sorted({p for p, _ in labels} | {p for markup in markups for p in markup})
    found: list[Stretch] = []
    i = j = 0
    for edge in edges:
        while i + 1 < len(labels) and labels[i + 1][0] <= edge:
            i += 1
        while j < len(markups) and markups[j][1] <= edge:
            j += 1
        inside = j < len(markups) and markups[j][0] <= edge
        found.append((edge, "markup" if inside else labels[i][1]))
    return found


def _corrections(old: list[Stretch], new: list[Stretch], end: int) -> Iterator[Corrected]:
    """The stretches up to ``end`` that read differently; neighbours that agree are one."""
    first = old[0][0]
    edges = sorted({max(p, first) for p, _ in (*old, *new) if p < end} | {end})
    pending: tuple[int, int, ReadAs, ReadAs] | None = None
    for start, stop, was, now in _compared(edges, old, new):
        if pending and (pending[1], *pending[2:]) == (start, was, now):
            pending = (pending[0], stop, was, now)
            continue
        if pending:
            yield Corrected(*pending)
        pending = (start, stop, was, now) if was != now else None
    if pending:
        yield Corrected(*pending)


def _compared(
    edges: list[int], old: list[Stretch], new: list[Stretch]
) -> Iterator[tuple[int, int, ReadAs, ReadAs]]:
    """The stretches between edges, with what they were sent as and what they are now."""
    i = j = 0
    for start, end in pairwise(edges):
        while i + 1 < len(old) and old[i + 1][0] <= start:
            i += 1
        while j + 1 < len(new) and new[j + 1][0] <= start:
            j += 1
        yield start, end, old[i][1], new[j][1]
