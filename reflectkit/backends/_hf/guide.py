"""Follows an answer token by token, and says what its next token must be or must not be. Pure.

Where thinking begins and ends is read by the protocol's parser from the text, so that a tag counts
whether it is one token or several, and in every dialect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ...events import SectionDelta, SectionEnded, SectionStarted
from ...protocol import Parser
from ...protocol.closing import closing
from ...protocol.render import marks

if TYPE_CHECKING:
    from ...events import Kind, ProtocolEvent
    from ...protocol import Dialect

__all__ = ["Guide", "Vocabulary"]

_THOUGHT: Final = ("thinking", "reflection")
#: characters of the text's end that are kept: more than the longest marker has
_TAIL: Final = 64


class Vocabulary(Protocol):
    """What a guide asks of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """The token ids of ``text``; markers that are tokens count as one."""
        ...

    def beginning(self, text: str) -> Sequence[int]:
        """The tokens whose text begins with ``text``."""
        ...


class Guide:
    """Counts an answer's thinking by tokens, and keeps it between ``least`` and ``cap``.

    Inside thinking are the tokens between its tags, reflections and their tags included; ``cap``
    of them are let through, over all thinking sections together. Then the open tags are closed
    and, where the dialect marks the answer, the answer is opened: ``forced`` gives these tokens one
    by one. Before ``least`` tokens the tokens that would end thinking are ``banned``.

    ``opening``: the text that the answer goes on from (``Request.prefix``, or the opening tag of
    the chat template). What it holds of thinking is not counted.
    """

    def __init__(
        self,
        dialect: Dialect,
        vocabulary: Vocabulary,
        *,
        cap: int | None = None,
        least: int = 0,
        opening: str = "",
    ) -> None:
        self._dialect = dialect
        self._vocabulary = vocabulary
        self._cap = cap
        self._least = least
        self._parser = Parser(dialect)
        self._open: dict[int, Kind] = {}
        self._queue: deque[int] = deque()
        self._held = 0
        self._tail = ""
        self._ends = _ends(dialect) if least else ()
        #: tokens between the tags of thinking, those that were forced left out
        self.body = 0
        #: tokens of thinking, tags and reflections included
        self.thinking = 0
        if opening:
            self._follow(self._parser.feed(opening))
            self._check()

    @property
    def forced(self) -> int | None:
        """The token that must come next; None leaves it to the model."""
        return self._queue[0] if self._queue else None

    @property
    def holds(self) -> bool:
        """Thinking must not end yet."""
        return bool(self._open) and self.body < self._least

    @property
    def banned(self) -> Iterable[int]:
        """Tokens that must not come next."""
        if not self.holds:
            return
        for end in self._ends:
            for size in range(min(len(end) - 1, len(self._tail)) + 1):
                if self._tail.endswith(end[:size]):
                    yield from self._vocabulary.beginning(end[size:])

    def feed(self, text: str) -> None:
        """The next token has come; ``text`` is what it completes ("": nothing yet)."""
        inside, forced = bool(self._open), bool(self._queue)
        if forced:
            self._queue.popleft()
        events = self._parser.feed(text) if text else []
        began = self._follow(events)
        self._held += 1
        if inside or began:
            self.thinking += self._held
        if inside or events:
            self._held = 0
        # a token that shows that thinking began may be the first inside: some openers are certain
        # only with what follows them
        first = began and _text(events, self._open) == text
        self.body += bool(self._open) and (inside or first) and not forced
        self._tail = (self._tail + text)[-_TAIL:]
        self._check()

    def _follow(self, events: list[ProtocolEvent]) -> bool:
        """Keep track of what is open; whether thinking began."""
        began = False
        for event in events:
            if isinstance(event, SectionStarted) and event.kind in _THOUGHT:
                self._open[event.index] = event.kind
                began = True
            elif isinstance(event, SectionEnded):
                self._open.pop(event.index, None)
        return began

    def _check(self) -> None:
        spent = self._cap is not None and self.body >= self._cap
        if spent and self._open and not self._queue:
            text = closing(self._dialect, tuple(self._open.values()))
            begun = _overlap(self._tail, text)
            self._queue.extend(self._vocabulary.encode(text[begun:]))


def _text(events: Iterable[ProtocolEvent], places: Container[int]) -> str:
    """What was said in the sections at ``places``."""
    deltas = (e for e in events if isinstance(e, SectionDelta) and e.index in places)
    return "".join(e.text for e in deltas)


def _overlap(before: str, text: str) -> int:
    """How much of ``text`` stands at the end of ``before`` already, two characters at least: one
    alone may be anything."""
    sizes = range(min(len(before), len(text)), 1, -1)
    return next((size for size in sizes if before.endswith(text[:size])), 0)


def _ends(dialect: Dialect) -> tuple[str, ...]:
    """The markers that end thinking: its own closers, and the opener of the answer."""
    tag: Callable[[str], str] = "</{}>".format if dialect.match == "xml" else str
    closers = dialect.sections["thinking"].close if "thinking" in dialect.sections else ()
    opener = marks("output", dialect)[0]
    return (*map(tag, closers), *([opener] if opener else []))
