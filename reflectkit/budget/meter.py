"""Counts an answer's thinking while it comes, and says where it has to end. Pure.

The text is followed by the protocol's parser, so that it works in every dialect; how many tokens a
text has is asked of a counter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..events import SectionEnded, SectionStarted
from ..protocol import Parser
from ..protocol.closing import closing

if TYPE_CHECKING:
    from ..events import Kind, ProtocolEvent
    from ..protocol import Dialect

__all__ = ["Meter", "Passed"]

_THOUGHT: Final = ("thinking", "reflection")
#: after a line or a sentence; what follows a cut there begins anew
_BOUNDARY: Final = re.compile(r"\n|(?<=[.!?;])\s")


@dataclass(frozen=True, slots=True)
class Passed:
    """What of a piece may be passed on. ``spent``: thinking must end behind it."""

    text: str
    spent: bool = False


class Meter:
    """Lets ``cap`` tokens of thinking through, and up to ``grace`` more to end at a boundary.

    The tokens are those between the tags of thinking, reflections and their tags included, over
    all thinking of the answer. ``count`` gives a text's tokens. What is passed on is what the
    parser has taken in: a piece that may become a tag is held until it is one or none.
    """

    def __init__(
        self,
        dialect: Dialect,
        count: Callable[[str], int],
        *,
        cap: int,
        grace: int = 0,
        prefilled: bool = False,
        opening: str = "",
    ) -> None:
        self._dialect = dialect
        self._count = count
        self._cap, self._grace = cap, grace
        self._parser = Parser(dialect, prefilled)
        self._open: dict[int, Kind] = {}
        self._body = ""
        # tokens at the last count, and bytes since: no text has more tokens than bytes, so it is
        # counted again only when it may have reached the cap
        self._known = self._fresh = 0
        #: everything that was passed on
        self.text = ""
        for event in self._parser.feed(opening) if opening else ():
            self._follow(event)

    @property
    def thinking(self) -> int:
        """Tokens of thinking so far."""
        return self._count(self._body) if self._body else 0

    @property
    def open(self) -> bool:
        """Thinking is under way."""
        return bool(self._open)

    @property
    def answered(self) -> bool:
        """Some answer has come."""
        return bool(self._parser.transcript.output.strip())

    @property
    def body(self) -> str:
        """The thinking so far, reflections and their tags included."""
        return self._body

    def close(self) -> str:
        """The text that ends thinking here and opens the answer."""
        return closing(self._dialect, tuple(self._open.values()))

    def feed(self, piece: str) -> Passed:
        """Take the next piece of content."""
        return self._passed(self._parser.feed(piece))

    def feed_reasoning(self, piece: str) -> Passed:
        """Take a piece of thinking that the server sent apart; the whole of it counts."""
        kept = self._kept(piece)
        self._add(kept)
        return Passed(kept, spent=len(kept) < len(piece) or self._full())

    def finish(self) -> str:
        """The answer is over: what was held back. Thinking that nothing closed stays ``open``."""
        last = self._parser.finish()
        unclosed = {e.index for e in last if isinstance(e, SectionEnded) and not e.closed}
        under_way = {index: kind for index, kind in self._open.items() if index in unclosed}
        text = self._passed(last).text
        self._open = under_way
        return text

    def _passed(self, events: list[ProtocolEvent]) -> Passed:
        parts: list[str] = []
        for event in events:
            inside = bool(self._open) and not _ends_all(event, self._open)
            source = event.source
            kept = self._kept(source) if inside else source
            parts.append(kept)
            if inside:
                self._add(kept)
            if len(kept) < len(source):
                return self._given(parts, spent=True)
            self._follow(event)
            if self._open and self._full():
                return self._given(parts, spent=True)
        return self._given(parts)

    def _given(self, parts: list[str], *, spent: bool = False) -> Passed:
        text = "".join(parts)
        self.text += text
        return Passed(text, spent)

    def _follow(self, event: ProtocolEvent) -> None:
        if isinstance(event, SectionStarted) and event.kind in _THOUGHT:
            self._open[event.index] = event.kind
        elif isinstance(event, SectionEnded):
            self._open.pop(event.index, None)

    def _add(self, text: str) -> None:
        self._body += text
        self._fresh += len(text.encode("utf-8", "surrogatepass"))

    def _may_reach(self, tokens: int, more: str = "") -> bool:
        return self._known + self._fresh + len(more.encode("utf-8", "surrogatepass")) >= tokens

    def _full(self) -> bool:
        """The cap is reached, and this is a good place to end, or the grace is used up as well."""
        if not self._may_reach(self._cap):
            return False
        tokens = self._known = self._count(self._body)
        self._fresh = 0
        at_boundary = self._body.endswith("\n") or self._body.endswith(">")
        return tokens >= self._cap + (0 if at_boundary else self._grace)

    def _kept(self, piece: str) -> str:
        """The beginning of ``piece`` that may pass: to the first boundary from the cap on, or as
        far as cap and grace reach."""
        if not self._may_reach(self._cap, piece) or self._count(self._body + piece) < self._cap:
            return piece
        fits = self._longest(piece, self._cap + self._grace)
        for boundary in _BOUNDARY.finditer(piece, 0, fits):
            if self._count(self._body + piece[: boundary.end()]) >= self._cap:
                return piece[: boundary.end()]
        return piece[:fits]

    def _longest(self, piece: str, most: int) -> int:
        if self._count(self._body + piece) <= most:
            return len(piece)
        low, high = 0, len(piece)
        while low < high:
            middle = (low + high + 1) // 2
            if self._count(self._body + piece[:middle]) <= most:
                low = middle
            else:
                high = middle - 1
        return low


def _ends_all(event: ProtocolEvent, open_: dict[int, Kind]) -> bool:
    """The event closes the outermost section of thinking: its markup is no part of it."""
    return isinstance(event, SectionEnded) and list(open_) == [event.index]
