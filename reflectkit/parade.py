"""The answers as they pass before a reader: which one stands, and which no longer counts. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .correction.judged import is_rejected
from .events import Accepted, Event, ProtocolEvent, Retracted
from .visibility import AnswerText

if TYPE_CHECKING:
    from .reply import Attempt, Reply

__all__ = ["Parade"]


class Parade:
    """Sorts answer text into what is final and what may still be withdrawn.

    ``live``: the first attempt's answer is the reply's in any case, so its text is final as it
    comes; else the answer comes at the end.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._texts: dict[int, AnswerText] = {}
        self._standing = 0
        self._retracted: set[int] = set()
        #: final answer text that nobody has taken yet
        self.answer: deque[str] = deque()
        #: the answers as they come, one after the other, and what no longer counts
        self.drafts: deque[str | Retracted] = deque()
        #: the same, for whoever makes objects of them
        self.parts: deque[str | Retracted] = deque()

    def text(self, number: int, certain: Iterable[ProtocolEvent]) -> None:
        """Events of the answer of attempt ``number``, which that attempt will not take back."""
        pieces = self._text(number).feed(certain)
        if self._live and number == 1:
            self.answer += pieces
        self._show(number, pieces)

    def over(self, attempt: Attempt) -> None:
        """The attempt is over: the rest of its answer."""
        rest = self._text(attempt.number).finish(attempt.transcript.output)
        if self._live and attempt.number == 1 and rest:
            self.answer.append(rest)
        self._show(attempt.number, [rest] if rest else [])

    def next_attempt(self, attempts: Sequence[Attempt]) -> list[Event]:
        """Another attempt follows: what was rejected is withdrawn."""
        return [event for a in attempts if is_rejected(a) for event in self._retract(a)]

    def conclude(self, reply: Reply, *, said: bool) -> list[Event]:
        """The reply is known: the other answers are withdrawn. ``said``: it is worth an event."""
        others = [a for a in reply.attempts if a.number != reply.chosen]
        events = [event for attempt in others for event in self._retract(attempt)]
        if not self._live and reply.output:
            self.answer.append(reply.output)
        if self._standing != reply.chosen and reply.output:
            self._tell(reply.output)
        return [*events, *([Accepted(reply.chosen, reply.status)] if said else [])]

    def _text(self, number: int) -> AnswerText:
        if number not in self._texts:
            self._texts[number] = AnswerText()
        return self._texts[number]

    def _show(self, number: int, pieces: list[str]) -> None:
        """One answer stands at a time; those beside it are not shown."""
        if pieces and self._standing in (0, number):
            self._standing = number
            self._tell(*pieces)

    def _retract(self, attempt: Attempt) -> list[Event]:
        number = attempt.number
        if number in self._retracted or not attempt.transcript.output:
            return []
        self._retracted.add(number)
        if self._standing == number:
            self._standing = 0
            self._tell(Retracted(number))
        return [Retracted(number)]

    def _tell(self, *parts: str | Retracted) -> None:
        self.drafts += parts
        self.parts += parts
