"""Counts an answer while it comes, phase by phase, and says whether it may go on. Pure.

It is charged with the parser's events, so it works in every dialect and costs a few additions for
most pieces: no text has more tokens than bytes, so it is counted only where a limit may be near.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ..events import Corrected, Markup, SectionDelta, SectionEnded, SectionStarted

if TYPE_CHECKING:
    from ..events import Kind, ProtocolEvent

__all__ = ["Caps", "Cut", "Meter", "Tally"]

#: Why an answer may not go on: thinking is spent; this reflection is; all reflections are; it
#: thought too little to stop; the output is long enough; the whole answer is; its time is over; it
#: would end without saying anything.
Cut = Literal[
    "thinking",
    "reflection",
    "reflections",
    "thinking_floor",
    "output",
    "completion",
    "seconds",
    "blank",
]

#: a line or a sentence has ended: what follows a cut there begins anew
_BOUNDARY: Final = re.compile(r"(?:[\n>]|[.!?;]\s+)\Z")
_FAR: Final = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The limits of one answer, in tokens; None sets none.

    ``grace``: how far thinking may go beyond its cap to end at a boundary (a reflection at most a
    quarter of its own); ``eager``: whether it
    ends at the first one (False: a server was told of the cap, and is left to end it by itself).
    ``completion``: the whole answer.
    """

    thinking: int | None = None
    thinking_floor: int = 0
    reflection: int | None = None
    reflections: int | None = None
    grace: int = 0
    eager: bool = True
    output: int | None = None
    completion: int | None = None


class Tally:
    """The tokens of a text that grows; counted only when asked for, and never twice."""

    __slots__ = ("_base", "_count", "_counted", "_parts", "_since", "fresh")

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._parts: list[str] = []
        #: tokens that a server told of; of the text since then; and bytes since that was counted
        self._base = self._counted = self._since = 0
        #: bytes since a server last said how many tokens there were
        self.fresh = 0

    def add(self, text: str, bytes_: int) -> None:
        """More text, of so many bytes."""
        self._parts.append(text)
        self._since += bytes_
        self.fresh += bytes_

    @property
    def most(self) -> int:
        """More tokens than this it cannot have; cheap."""
        return self._base + self._counted + self._since

    def tokens(self, more: str = "") -> int:
        """Its tokens, with ``more`` behind it."""
        if more:
            return self._base + self._count(self.text + more)
        if self._since:
            self._counted, self._since = self._count(self.text), 0
        return self._base + self._counted

    @property
    def text(self) -> str:
        """What has to be counted on this side."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def told(self, tokens: int) -> None:
        """A server has said that what came since it last did was ``tokens``."""
        self._base += tokens
        self._parts = []
        self._counted = self._since = self.fresh = 0

    def settle(self) -> None:
        """What came so far stays as it was counted: no later word of a server is about it."""
        self.told(self.tokens() - self._base)

    def reset(self) -> None:
        """Begin anew."""
        self._base = 0
        self.told(0)


class Meter:
    """Follows one answer under ``caps``. ``count`` gives a text's tokens; whether it is ``exact``
    may be known only once a model is loaded. ``sure``: the limits where there is no doubt about
    counts, because a server tells how many tokens it has written.

    Tokens of thinking are those between its outermost tags, reflections and their tags included,
    over all thinking of the answer.
    """

    def __init__(
        self,
        caps: Caps,
        count: Callable[[str], int],
        *,
        exact: Callable[[], bool] = lambda: False,
        sure: Caps | None = None,
        prefilled: bool = False,
    ) -> None:
        self.caps = caps
        self._sure = sure or caps
        self._exact = exact
        self._open: dict[int, Kind] = {0: "thinking"} if prefilled else {}
        self._thought, self._said = Tally(count), Tally(count)
        self._reflected, self._all_reflected = Tally(count), Tally(count)
        #: what a server told of last, and the part of it that the tallies know: they take it in
        #: where a phase changes, and from ``_near`` on, where a limit may be reached
        self._running = self._reported = 0
        self._near = 0
        self._thoughts: list[str] = []
        self._in_reflection = self._own = False
        self._longest = 0
        #: a server has told how many tokens there are
        self.told = False
        #: reflections that have begun
        self.reflections = 0
        #: something that is not thinking has come
        self.answered = False
        #: the section of the answer under way; it may be blank so far
        self.output_open: int | None = None

    # --- what was counted

    @property
    def thinking(self) -> int:
        """Tokens of thinking so far."""
        self._settle()
        return self._thought.tokens()

    @property
    def reflected(self) -> int:
        """Tokens of all reflections so far."""
        self._settle()
        return self._all_reflected.tokens()

    @property
    def output(self) -> int:
        """Tokens of everything else so far."""
        self._settle()
        return self._said.tokens()

    @property
    def longest_reflection(self) -> int:
        """Tokens of the longest reflection that has ended, or of the present one."""
        self._settle()
        return max(self._longest, self._reflected.tokens())

    @property
    def thought(self) -> str:
        """The thinking so far, reflections and their tags included."""
        return "".join(self._thoughts)

    @property
    def open(self) -> tuple[Kind, ...]:
        """The sections of thinking under way, outermost first."""
        return tuple(self._open.values())

    # --- charging

    def charge(self, events: Iterable[ProtocolEvent], *, own: bool = False) -> None:
        """Take what the parser made of the next piece; an ``own`` one was not the model's."""
        self._own = own
        for event in events:
            kind = type(event)
            if kind is not SectionDelta and self._running:
                self._settle()
            if kind is SectionDelta:
                self._text(event.text)  # type: ignore[union-attr]  # narrowed by ``kind``
            elif kind is SectionStarted:
                self._started(event)  # type: ignore[arg-type]  # narrowed by ``kind``
            elif kind is SectionEnded:
                self._ended(event)  # type: ignore[arg-type]  # narrowed by ``kind``
            elif kind is Markup:
                self._text(event.source)
            elif kind is Corrected and event.now == "thinking":  # type: ignore[union-attr]  # narrowed by ``kind``
                self._reread()

    def running(self, completion: int) -> bool:
        """A server says how many tokens it has written by now: better than any estimate of ours.
        True if a limit may be near."""
        if completion <= self._running or self._exact():
            return False
        self._running = completion
        if not self.told:
            self._settle()
        return self.told and completion >= self._near

    def _settle(self) -> None:
        """The tallies take in what a server told of last."""
        tokens = self._running - self._reported
        total = self._thought.fresh + self._said.fresh
        if tokens <= 0 or not total:
            return
        self._reported = self._running
        self.told, self.caps = True, self._sure
        thought = round(tokens * self._thought.fresh / total)
        if self._thought.fresh:
            for part in (self._reflected, self._all_reflected):
                part.told(round(thought * part.fresh / self._thought.fresh))
        self._thought.told(thought)
        self._said.told(tokens - thought)

    def next_request(self) -> None:
        """What comes now answers another request, whose usage begins at nothing."""
        self._settle()
        self._running = self._reported = self._near = 0
        for tally in (self._thought, self._said, self._reflected, self._all_reflected):
            tally.settle()

    def _text(self, text: str) -> None:
        bytes_ = 0 if self._own else size(text)
        if not self._open:
            self.answered = self.answered or not text.isspace()
            if self.answered and bytes_:  # blanks before an answer are none of it
                self._said.add(text, bytes_)
            return
        self._thoughts.append(text)
        if bytes_:
            self._thought.add(text, bytes_)
        if self._in_reflection and bytes_:
            self._reflected.add(text, bytes_)
            self._all_reflected.add(text, bytes_)

    def _started(self, event: SectionStarted) -> None:
        if event.kind == "output":
            self.output_open = event.index
        if event.kind not in ("thinking", "reflection"):
            return
        if self._open:
            self._text(event.source)
        self._open[event.index] = event.kind
        if event.kind == "reflection" and not self._in_reflection:
            self._in_reflection = True
            self.reflections += 1
            if self.caps.reflection is not None:
                self._longest = self.longest_reflection
            self._reflected.reset()

    def _ended(self, event: SectionEnded) -> None:
        if event.index == self.output_open:
            self.output_open = None
        if self._open.pop(event.index, None) and self._open:
            self._in_reflection = "reflection" in self._open.values()
            self._text(event.source)
        elif not self._open:
            self._in_reflection = False

    def _reread(self) -> None:
        """A closer without an opener: what was taken for the answer was thinking."""
        text = self._said.text
        self._thought.add(text, size(text))
        self._thoughts.append(text)
        self._said.reset()
        self.answered = False

    # --- deciding

    def slack(self) -> int:
        """So many bytes may pass before it has to be asked again."""
        self._settle()
        caps, room = self.caps, [_FAR]
        if caps.thinking is not None:
            room.append(caps.thinking - self._thought.most)
        if caps.reflection is not None:
            room.append(caps.reflection - self._reflected.most)
        if caps.output is not None:
            room.append(caps.output - self._said.most)
        if caps.completion is not None:
            room.append(caps.completion - self._thought.most - self._said.most)
        least = min(room)
        self._near = self._reported + least
        return least

    def due(self, more: str = "") -> Cut | None:
        """Why it may not go on; with ``more``, why that may not pass any more."""
        self._settle()
        caps = self.caps
        if self._open:
            if self._full(self._thought, caps.thinking, more):
                return "thinking"
            cap, few = caps.reflection, (caps.reflection or 0) // 4
            if self._in_reflection and self._full(self._reflected, cap, more, most=few):
                return "reflection"
        elif self._over(self._said, caps.output, more):
            return "output"
        return "completion" if self._all_over(more) else None

    def recount(self) -> None:
        """Count what ``slack`` only bounds."""
        for tally in (self._thought, self._reflected, self._said):
            tally.tokens()

    def _full(self, tally: Tally, cap: int | None, more: str, *, most: int = _FAR) -> bool:
        """The cap is reached and this is a good place to end, or the grace is used up as well."""
        if cap is None or tally.most + size(more) < cap:
            return False
        grace = min(self.caps.grace, most)
        if more:
            return tally.tokens(more) > cap + grace
        last = self._thoughts[-1] if self._thoughts else "\n"
        good = self.caps.eager and bool(_BOUNDARY.search(last))
        return tally.tokens() >= cap + (0 if good else grace)

    def _over(self, tally: Tally, cap: int | None, more: str) -> bool:
        """It has passed the cap: an answer of just that length may be complete."""
        return cap is not None and tally.most + size(more) > cap and tally.tokens(more) > cap

    def _all_over(self, more: str) -> bool:
        cap = self.caps.completion
        if cap is None or self._thought.most + self._said.most + size(more) <= cap:
            return False
        return self._thought.tokens() + self._said.tokens(more) > cap


def size(text: str) -> int:
    """Bytes of UTF-8: a text has no more tokens."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
