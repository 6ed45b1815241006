"""A response that is being written, read as it comes: events, the answer's text, the transcript.

Text is parsed; what an adapter has already told apart is taken as it is, and not scanned again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from reflectkit import Issue, Section, SectionDelta, SectionEnded, SectionStarted, Transcript
from reflectkit import ToolCall as Call
from reflectkit.events import Kind, ProtocolEvent
from reflectkit.protocol import Dialect, Parser
from reflectkit.reading import Progress
from reflectkit.visibility import Answer, AnswerText

from ._messages import calls_in
from ._pieces import Piece, PieceKind, Pieces

__all__ = ["Taking", "Writing", "transcript_of"]

_KINDS: Final[dict[PieceKind, Kind]] = {
    "text": "output",
    "thinking": "thinking",
    "reflection": "reflection",
}
_ANSWERS: Final = ("output", "outside")


class Writing:
    """Reads one response. ``answers``: ``answer()`` is wanted, ``live``: as soon as it comes."""

    def __init__(
        self,
        dialect: str | Dialect = "reflection",
        prefilled: bool = False,
        *,
        answers: bool = False,
        live: bool = False,
    ) -> None:
        self._how = (dialect, prefilled)
        self._reader = Pieces()
        self._pieces: list[Piece] = []
        self._parser = Parser(dialect, prefilled)
        self._told: _Told | None = None
        self._calling: list[AIMessage] = []
        self._result: Transcript | None = None
        self._answer = _Answering(live) if answers else None

    def feed(self, message: str | BaseMessage) -> list[ProtocolEvent]:
        """Take a text, a message or a chunk; the events that it brings."""
        if isinstance(message, AIMessage) and (
            message.tool_calls or getattr(message, "tool_call_chunks", None)
        ):
            self._calling.append(message)
        return self.take(self._reader.read(message), own=self._reader.own)

    def take(self, pieces: Sequence[Piece], *, own: bool = False) -> list[ProtocolEvent]:
        """Take pieces that were read elsewhere."""
        events: list[ProtocolEvent] = []
        for piece in pieces:
            self._pieces.append(piece)
            if self._told is None and (own or piece.kind != "text"):
                events += self._tell()
            events += self._told.feed(piece) if self._told else self._parser.feed(piece.text)
        if self._answer:
            self._answer.feed(events, self._progress)
        return events

    def finish(self) -> list[ProtocolEvent]:
        """The response is over: the last events."""
        events = self._told.finish() if self._told else self._parser.finish()
        self._result = self._whole()
        if self._answer:
            self._answer.feed(events, self._progress)
            self._answer.finish(self._result.output)
        return events

    def answer(self) -> list[str]:
        """What has become certain of the answer's text since this was last asked."""
        return self._answer.taken() if self._answer else []

    @property
    def transcript(self) -> Transcript:
        """All of it, once it is over."""
        return self._result or self._whole()

    def taken(self) -> Taking:
        """What has come so far, to be looked at later."""
        taking = Taking(self._pieces, len(self._pieces), self._how, self._told is not None)
        if self._result is not None:
            taking.known = self._result
        return taking

    @property
    def _progress(self) -> Progress:
        if self._told:
            return Progress(None, 0)
        return Progress(self._parser.unsettled, self._parser.rereads)

    def _tell(self) -> list[ProtocolEvent]:
        """From here on the adapter tells sections apart; what came before is closed."""
        events = self._parser.finish() if len(self._pieces) > 1 else []
        before = self._parser.transcript if len(self._pieces) > 1 else Transcript()
        self._told = _Told(before)
        return events

    def _whole(self) -> Transcript:
        calls = _calls(self._calling)
        if self._told:
            return replace(self._told.transcript(answered=bool(calls)), tool_calls=calls)
        found = self._parser.transcript
        return replace(found, tool_calls=(*found.tool_calls, *calls)) if calls else found


class _Answering:
    """Turns events into the answer's text."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._certain = Answer()
        self._text = AnswerText()
        self._ready: list[str] = []

    def feed(self, events: list[ProtocolEvent], progress: Progress) -> None:
        if self._live:
            marked = (SectionStarted, SectionDelta, SectionEnded)
            seen = [e for e in events if isinstance(e, marked) and e.kind in _ANSWERS]
            self._ready += self._text.feed(seen)
        else:
            self._ready += self._text.feed(self._certain.feed(events, progress))

    def finish(self, output: str) -> None:
        if not self._live and (rest := self._text.finish(output)):
            self._ready.append(rest)

    def taken(self) -> list[str]:
        ready, self._ready = self._ready, []
        return ready


class _Told:
    """Sections that the adapter has told apart."""

    def __init__(self, before: Transcript) -> None:
        self._before = before
        self._sections: list[tuple[Kind, list[str]]] = []
        self._drafts: list[list[str]] = []
        self._current: tuple[PieceKind, object] | None = None

    @property
    def drafts(self) -> list[str]:
        return ["".join(parts) for parts in self._drafts]

    def feed(self, piece: Piece) -> list[ProtocolEvent]:
        # neighbouring texts are one answer, whatever blocks they stand in
        key = (piece.kind, None if piece.kind == "text" else piece.block)
        events: list[ProtocolEvent] = []
        if key != self._current:
            events += self.finish()
            self._current = key
            if piece.kind == "draft":
                self._drafts.append([])
            else:
                self._sections.append((_KINDS[piece.kind], []))
                events.append(SectionStarted(self._index, _KINDS[piece.kind]))
        if piece.kind == "draft":
            self._drafts[-1].append(piece.text)
            return events
        self._sections[-1][1].append(piece.text)
        return [*events, SectionDelta(self._index, _KINDS[piece.kind], piece.text)]

    def finish(self) -> list[ProtocolEvent]:
        current, self._current = self._current, None
        if current is None or current[0] == "draft":
            return []
        return [SectionEnded(self._index, _KINDS[current[0]])]

    def transcript(self, *, answered: bool) -> Transcript:
        sections = list(self._before.sections)
        source = [self._before.source]
        at = len(self._before.source)
        for kind, parts in self._sections:
            text = "".join(parts)
            sections.append(Section(kind, text, at, at + len(text)))
            source.append(text)
            at += len(text)
        answered = answered or any(k == "output" and "".join(p).strip() for k, p in self._sections)
        issues = () if answered else (Issue("missing_output", at, "no visible text"),)
        return replace(
            self._before, sections=tuple(sections), issues=issues, source="".join(source)
        )

    @property
    def _index(self) -> int:
        return len(self._before.sections) + len(self._sections) - 1


@dataclass(slots=True)
class Taking:
    """A response up to some piece. Its transcript is read when it is first asked for."""

    pieces: list[Piece]
    count: int
    how: tuple[str | Dialect, bool]
    told: bool
    known: Transcript | None = None

    @property
    def transcript(self) -> Transcript:
        """Its sections, as if it ended here."""
        if self.known is None:
            writing = Writing(*self.how)
            writing.take(self._joined(), own=self.told)
            writing.finish()
            self.known = writing.transcript
        return self.known

    @property
    def drafts(self) -> list[str]:
        """The answers among it that were rejected."""
        told = _Told(Transcript())
        for piece in self.pieces[: self.count]:
            told.feed(piece)
        return told.drafts

    def _joined(self) -> list[Piece]:
        """Its pieces; of a text without blocks one, which is read far faster than many."""
        pieces = self.pieces[: self.count]
        if any(p.kind != "text" for p in pieces) or not pieces:
            return pieces
        return [Piece("text", "".join(p.text for p in pieces))]


def transcript_of(
    message: str | BaseMessage, dialect: str | Dialect = "reflection", prefilled: bool = False
) -> Transcript:
    """The transcript of a whole message or text."""
    writing = Writing(dialect, prefilled)
    writing.feed(message)
    writing.finish()
    return writing.transcript


def _calls(messages: Sequence[AIMessage]) -> tuple[Call, ...]:
    """The calls of one message, or of its chunks."""
    if not messages:
        return ()
    first, *rest = messages
    if isinstance(first, AIMessageChunk) and rest:
        chunks = [m for m in rest if isinstance(m, AIMessageChunk)]
        first = first.__add__(chunks)  # adds a list in one pass
    return calls_in(first)
