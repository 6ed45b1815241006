"""How much of the thinking a consumer sees, enforced before anything reaches the consumer.

``full``: everything. ``summary``: how much thinking there was and where, and not a character of
it. ``hidden``: nothing but the answer. What may still turn out to be thinking is held until it
cannot; a response that ends before that is known (cut off, cancelled, failed) shows no such text.
Pure: events and values in, events and values out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from .errors import BackendError, BackendWireError
from .events import (
    Corrected,
    Markup,
    ProtocolEvent,
    SectionDelta,
    SectionEnded,
    SectionStarted,
)
from .messages import Request, Usage
from .reading import Progress
from .reply import ANSWERED, Attempt, Issue, Reply, Section, Summary, Transcript, Verdict

__all__ = [
    "Answer",
    "AnswerText",
    "Screen",
    "Show",
    "blame",
    "concealed",
    "shown_attempt",
    "shown_request",
    "summarised",
    "visible",
]

Show = Literal["full", "summary", "hidden"]

_REASONING = ("thinking", "reflection")


class Answer:
    """Lets the answer's events through, each once no later text can withdraw it.

    Text outside the sections of a dialect that marks its output is the answer only if no output
    comes: it waits for the end. When late evidence finds answer text where none was told of, the
    rest waits for the end too, so that the answer comes in its order.
    """

    def __init__(self) -> None:
        self._at = 0
        self._held: deque[tuple[int, ProtocolEvent]] = deque()
        self._rereads = 0
        self._late = False
        self._passed: dict[int, _Passed] = {}

    def feed(self, events: Iterable[ProtocolEvent], progress: Progress) -> list[ProtocolEvent]:
        """Take the next events, after which ``progress`` was made; what is certain now."""
        if progress.rereads != self._rereads:
            self._rereads = progress.rereads
            self._late |= bool(self._held)
        for event in events:
            self._take(event)
        ready = self._ready(progress.unsettled) if self._held else []
        for event in ready:
            self._count(event)
        return ready

    def finish(self, transcript: Transcript) -> list[ProtocolEvent]:
        """The rest of the answer of ``transcript``, which holds only what may be seen."""
        answer = _answer(transcript)
        sent: list[_Passed | None] = [*self._passed.values(), *[None] * len(answer)]
        return [
            event
            for (index, section), passed in zip(answer, sent, strict=False)
            for event in _rest(index, section, passed)
        ]

    def _take(self, event: ProtocolEvent) -> None:
        start, self._at = self._at, self._at + len(event.source)
        if isinstance(event, Corrected):
            self._late |= event.now == "output" or bool(self._held)
            self._held.clear()
        elif not isinstance(event, Markup) and event.kind == "output":
            self._held.append((start, event))

    def _ready(self, unsettled: int | None) -> list[ProtocolEvent]:
        if self._late:
            return []
        limit = self._at + 1 if unsettled is None else unsettled
        ready: list[ProtocolEvent] = []
        while self._held and self._held[0][0] < limit:
            start, event = self._held.popleft()
            cut = limit - start
            if isinstance(event, SectionDelta) and cut < len(event.text):
                self._held.appendleft((limit, replace(event, text=event.text[cut:])))
                event = replace(event, text=event.text[:cut])
            ready.append(event)
        return ready

    def _count(self, event: ProtocolEvent) -> None:
        match event:
            case SectionStarted(index=index):
                self._passed[index] = _Passed()
            case SectionDelta(index=index, text=text):
                self._passed[index].characters += len(text)
            case SectionEnded(index=index):
                self._passed[index].ended = True


@dataclass(slots=True)
class _Passed:
    """How much of a section has been let through."""

    characters: int = 0
    ended: bool = False


def _answer(transcript: Transcript) -> list[tuple[int, Section]]:
    numbered = list(enumerate(transcript.sections))
    marked = [(i, s) for i, s in numbered if s.kind == "output"]
    return marked or [(i, s) for i, s in numbered if s.kind == "outside"]


def _rest(index: int, section: Section, passed: _Passed | None) -> Iterator[ProtocolEvent]:
    if passed is None:
        yield SectionStarted(index, section.kind)
    text = section.text[passed.characters if passed else 0 :]
    if text:
        yield SectionDelta(index, section.kind, text)
    if passed is None or not passed.ended:
        yield SectionEnded(index, section.kind, closed=section.closed)


class AnswerText:
    """The answer as one text, in pieces: stripped, its sections joined by an empty line."""

    def __init__(self) -> None:
        self._begun = False
        self._space = ""
        self._sent = 0

    def feed(self, events: Iterable[ProtocolEvent]) -> list[str]:
        """Pieces of answer text; their concatenation is a prefix of the final answer."""
        return [piece for e in events if (piece := self._piece(e))]

    def finish(self, output: str) -> str:
        """What is missing to ``output``, the final answer."""
        rest, self._sent = output[self._sent :], len(output)
        return rest

    def _piece(self, event: ProtocolEvent) -> str:
        if isinstance(event, SectionStarted):
            self._begun, self._space = False, ""
        if not isinstance(event, SectionDelta):
            return ""
        text = self._space + event.text if self._begun else event.text.lstrip()
        if not self._begun and text:
            text = f"\n\n{text}" if self._sent else text
            self._begun = True
        piece = text.rstrip()
        self._space = text[len(piece) :]
        self._sent += len(piece)
        return piece


class Screen:
    """Turns a response's events into those that the consumer may see."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._answer = Answer()
        self._numbers: dict[int, int] = {}
        #: what the last ``feed`` made certain of the answer
        self.settled: list[ProtocolEvent] = []

    def feed(self, events: Sequence[ProtocolEvent], progress: Progress) -> list[ProtocolEvent]:
        """The visible ones of ``events``, or of those held before them.

        ``progress`` is the reader's after ``events``; at the end, before them: what is in doubt
        then is shown by ``finish``, as far as it may be.
        """
        self.settled = self._answer.feed(events, progress)
        match self._show:
            case "full":
                return list(events)
            case "summary":
                return [*(s for e in events for s in _shell(e)), *self.settled]
            case "hidden":
                return [self._renumbered(e) for e in self.settled]

    def finish(self, transcript: Transcript) -> list[ProtocolEvent]:
        """The response is over and ``transcript`` is what may be seen of it."""
        return [] if self._show == "full" else self._answer.finish(transcript)

    def _renumbered(self, event: ProtocolEvent) -> ProtocolEvent:
        if isinstance(event, Markup | Corrected):
            return event
        number = self._numbers.setdefault(event.index, len(self._numbers))
        if isinstance(event, SectionStarted):
            return replace(event, index=number, parent=None)
        return replace(event, index=number)


def _shell(event: ProtocolEvent) -> list[ProtocolEvent]:
    """A reasoning section's borders, without a character of it."""
    if isinstance(event, SectionStarted | SectionEnded) and event.kind in _REASONING:
        return [replace(event, source="")]
    return []


def visible(transcript: Transcript, show: Show, *, complete: bool = True) -> Transcript:
    """What may be seen of ``transcript``; ``complete``: the model ended the response itself.

    The answer's sections stay, and ``source`` and all positions shrink to them. ``summary`` keeps
    the others as empty shells, ``hidden`` drops them.
    """
    if show == "full":
        return transcript
    kept = _kept(transcript, complete=complete)
    shrunk = list(_shrunk(transcript, kept))
    return replace(
        transcript,
        sections=tuple(
            s if show == "summary" else replace(s, parent=None)
            for i, (s, _) in enumerate(shrunk)
            if show == "summary" or i in kept
        ),
        issues=tuple(Issue(i.kind, _border(i, transcript, shrunk)) for i in transcript.issues),
        source="".join(piece for _, piece in shrunk),
        prefilled=transcript.prefilled and show == "summary",
        payload=None,
    )


def _kept(transcript: Transcript, *, complete: bool) -> set[int]:
    """The sections whose text may be seen where the thinking may not."""
    return {i for i, _ in _answer(transcript)} if complete or _marked(transcript) else set()


def _shrunk(transcript: Transcript, kept: set[int]) -> Iterator[tuple[Section, str]]:
    """Every section as it is when only ``kept`` ones have text, and its piece of the source."""
    at = 0
    for i, section in enumerate(transcript.sections):
        piece = _source(transcript, section) if i in kept else ""
        text = section.text if i in kept else ""
        yield replace(section, text=text, start=at, end=at + len(piece)), piece
        at += len(piece)


def _border(issue: Issue, transcript: Transcript, shrunk: list[tuple[Section, str]]) -> int:
    """The end of what can be seen before an issue. Its detail is dropped: it may quote."""
    before = sum(s.start < issue.position for s in transcript.sections)
    return shrunk[before - 1][0].end if before else 0


def _marked(transcript: Transcript) -> bool:
    """A section was seen, so that text outside sections is no longer in doubt."""
    return transcript.prefilled or any(
        s.kind in _REASONING or (s.kind == "output" and s.end - s.start > len(s.text))
        for s in transcript.sections
    )


def _source(transcript: Transcript, section: Section) -> str:
    """A kept section with its markup, unless reasoning stands inside the same stretch."""
    if _crossed(transcript, section):
        return section.text
    return transcript.source[section.start : section.end]


def _crossed(transcript: Transcript, section: Section) -> bool:
    """Reasoning stands inside the same stretch of the source."""
    return any(
        s.kind in _REASONING and s.start < section.end and section.start < s.end
        for s in transcript.sections
    )


def summarised(transcript: Transcript, usage: Usage) -> Summary:
    """How much thinking there was."""
    return Summary(
        sections=len(transcript.of("thinking")),
        reflections=len(transcript.reflections),
        characters=len(transcript.thinking or ""),
        tokens=usage.thinking,
        exact=usage.exact,
    )


def concealed(reply: Reply, show: Show) -> Reply:
    """``reply`` as the consumer may see it, but for its attempts; see ``shown_attempt``."""
    complete = reply.ending in ANSWERED
    return replace(
        reply,
        transcript=visible(reply.transcript, show, complete=complete),
        record=reply.record if show == "full" else None,
        summary=None if show == "hidden" else summarised(reply.transcript, reply.usage),
    )


def shown_attempt(attempt: Attempt, show: Show, asked: Request) -> Attempt:
    """``attempt`` as the consumer may see it; ``asked`` is the request that came from them."""
    if show == "full":
        return attempt
    complete = attempt.finish in ("stop", "tool_calls")
    return replace(
        attempt,
        request=shown_request(attempt.request, show, asked),
        transcript=visible(attempt.transcript, show, complete=complete),
        verdicts=tuple(_said_of(v, attempt.transcript, complete) for v in attempt.verdicts),
        logprobs=(),
    )


def shown_request(request: Request, show: Show, asked: Request) -> Request:
    """``request`` without what came from the model: a later one carries drafts and feedback."""
    return request if show == "full" else replace(request, messages=asked.messages, prefix="")


def _said_of(verdict: Verdict, transcript: Transcript, complete: bool) -> Verdict:
    """A verdict without what may quote thinking: what is said of a place in the answer stays, at
    its place in what is shown; so does what a schema says of the whole."""
    kept = _kept(transcript, complete=complete)
    if verdict.start is None and verdict.by == "schema" and kept:
        return verdict
    if (place := _shown_place(verdict, transcript, kept)) is not None:
        value = None if isinstance(verdict.value, Issue) else verdict.value  # its detail may quote
        return replace(verdict, start=place[0], end=place[1], value=value)
    number = verdict.value if isinstance(verdict.value, int | float | Fraction) else None
    return replace(verdict, feedback="", start=None, end=None, value=number)


def _shown_place(
    verdict: Verdict, transcript: Transcript, kept: set[int]
) -> tuple[int, int] | None:
    """Where a verdict's place is in the source that is shown; None if not all of it is."""
    start, end = verdict.start, verdict.end
    if start is None or end is None:
        return None
    for i, (section, _) in enumerate(_shrunk(transcript, kept)):
        whole = transcript.sections[i]
        if i in kept and whole.start <= start <= end <= whole.end:
            moved = section.start - whole.start
            return None if _crossed(transcript, whole) else (start + moved, end + moved)
    return None


def blame(error: BackendError, transcript: Transcript, usage: Usage, show: Show) -> None:
    """Put what had come before it on ``error``."""
    error.partial = visible(transcript, show, complete=False)
    error.usage = usage
    if show != "full":
        _silence(error)


def _silence(error: BackendError) -> None:
    """Take the server's words out: what it sent may be thinking that could not be read."""
    error.__cause__ = error.__context__ = None
    if isinstance(error, BackendWireError):
        error.message = "The server's answer was not the protocol (its words are not shown)."
        error.args = (error.message,)
        error.__notes__ = []
