"""How one answer is come by under a budget: what is sent, in which order, until there is one.

A generator that knows nothing of I/O: it yields steps and is sent what came of them. The rungs,
each taken where the one before gave no answer: the server's own budget; a cut at a boundary;
thinking closed and the answer gone on with; a turn that asks for it; the last result stated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import BackendStatus, ConfigurationError, MissingCapability, ReflectKitError
from ..messages import FinishReason, Message, ReasoningBudget, Request, Wrap
from ..protocol import neutralise
from ..protocol.closing import closing
from ..protocol.render import marks
from .gate import Gate
from .purse import WRAP_UP, Allowance, Purse
from .trust import Trust
from .wrapup import ANSWER_NOW, EXTEND, Asked, Continued, Through, stated

if TYPE_CHECKING:
    from ..protocol import Dialect

__all__ = ["Ended", "FindOut", "Ladder", "Say", "Send", "Step"]

#: more than six extensions only go round in circles (s1, section 4)
_EXTENSIONS: Final = 4
#: tokens that an answer has that is asked for where nothing else limits it
_ANSWER: Final = 512
#: what tags add to a prompt; the turn that asks takes as much again
_FRAME: Final = WRAP_UP // 2
#: parts of a server's budget that end or shorten its thinking, and how that is said
_QUIET: Final = {
    "enabled": ReasoningBudget(enabled=False),
    "effort": ReasoningBudget(effort="low"),
}


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``request``; its chunks go to the gate, by way of ``through``.

    ``may_fail``: an error before anything has come is an answer too.
    """

    request: Request
    through: Through | None = None
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """Text of our own, read as if the model had written it."""

    text: str


@dataclass(frozen=True, slots=True)
class FindOut:
    """Find out whether the backend goes on from a prefix, and how its thinking can be told off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of a ``Send``. ``over``: the time is over, and nothing more may be sent."""

    error: ReflectKitError | None = None
    finish: FinishReason = "stop"
    over: bool = False


Step = Send | Say | FindOut


@dataclass(slots=True, kw_only=True)
class Ladder:
    """One answer. ``prompt``: its tokens, at most; ``count`` gives a text's tokens.

    ``written`` tokens of completion were paid for so far (kept up by who sends).
    ``continues``, ``knobs`` and ``caps_thinking``: what the backend can do, once it was found out.
    """

    request: Request
    gate: Gate
    allowance: Allowance
    purse: Purse
    trust: Trust
    dialect: Dialect
    count: Callable[[str], int]
    prompt: int
    #: the request with the server's own budget in it, where it takes one
    told: Request | None = None
    written: int = 0
    continues: bool = False
    knobs: frozenset[str] = frozenset()
    caps_thinking: bool = False
    extended: int = 0
    #: faults that were seen for the first time
    lost: list[str] = field(default_factory=list)
    _over: bool = False

    def climb(self) -> Generator[Step, Any, Wrap]:
        """Yields steps, is sent what came of them, and returns how the answer was come by."""
        ended = yield from self._draft()
        if not self._lacks_answer(ended):
            return "extended" if self.extended else ""
        return (yield from self._wrap_up())

    # --- the answer as it comes by itself

    def _draft(self) -> Generator[Step, Any, Ended]:
        ended: Ended = yield Send(self.told or self.request, may_fail=self.told is not None)
        if ended.error is not None:
            self._refused(ended.error)
            ended = yield Send(self.request)
        while self.gate.cut in ("reflection", "thinking_floor") and self.extended < _EXTENSIONS:
            more = yield from self._more_thinking()
            if more is None:
                break
            ended = more
        self._over = ended.over
        if self.gate.cut == "thinking" and self.told is not None:
            self._lose("ignores_thinking")
        if self.gate.cut == "completion":
            self._lose("ignores_max_tokens")
        return ended

    def _refused(self, error: ReflectKitError) -> None:
        self.told = None
        if not isinstance(error, ConfigurationError | MissingCapability):
            self._lose("refuses_thinking")

    def _more_thinking(self) -> Generator[Step, Any, Ended | None]:
        """Thinking goes on: behind a reflection that was closed, or where it ended too soon."""
        room = self._room(self._prompt_again)
        if not (yield from self._can_continue()) or room == 0:
            return None
        self.extended += 1
        opener, closer = marks("reflection", self.dialect)
        yield Say(closer if self.gate.cut == "reflection" else f"\n{opener}" if opener else EXTEND)
        ended: Ended = yield Send(self._onwards(room), may_fail=True)
        self._doubt_prefix(ended)
        return ended

    def _lacks_answer(self, ended: Ended) -> bool:
        meter, cut = self.gate.meter, self.gate.cut
        if cut in ("output", "completion"):
            return bool(meter.open)
        if cut or meter.open:
            return True
        if meter.answered or ended.finish not in ("stop", "length"):
            return False
        if ended.finish == "length" and not meter.thought:
            self._lose("hides_thinking")
        return True

    # --- the answer that has to be seen to

    def _wrap_up(self) -> Generator[Step, Any, Wrap]:
        meter = self.gate.meter
        meter.answered = False
        opened = self.gate.apart or meter.output_open is not None
        ends = "" if opened else closing(self.dialect, meter.open)
        room = self._room(self._prompt_again)
        if room != 0 and self.gate.cut != "blank" and (yield from self._can_continue()):
            yield Say(ends)
            ends = ""
            answer = Continued(self.request.prefix + self.gate.text, self.dialect)
            ended: Ended = yield Send(self._onwards(room), answer, may_fail=True)
            self._doubt_prefix(ended, dropped=answer.dropped)
            if meter.answered:
                return "closed"
        return (yield from self._asked(ends))

    def _asked(self, ends: str) -> Generator[Step, Any, Wrap]:
        """The answer to a turn of its own; else the last result stated; else none."""
        yield Say("")  # what cut the answer does not cut the next
        text = yield from self._answer_now()
        wrap: Wrap = "asked" if text else "salvaged"
        text = text or stated(self.gate.meter.thought)
        if not text:
            return "unanswered"
        opener, closer = marks("output", self.dialect)
        yield Say(ends + text + (closer if opener and not self.gate.apart else ""))
        return wrap

    def _answer_now(self) -> Generator[Step, Any, str]:
        room = self._room(self._prompt_again + _FRAME)
        if room == 0:
            return ""
        yield FindOut()
        most = _ANSWER if room is None else room
        asking = replace(self._turn(), max_tokens=most)
        thinking = self._thinking_left
        for quiet in (*self._quietly(asking, thinking), asking):
            answer = Asked(self.dialect, self.count, most, thinking)
            ended: Ended = yield Send(quiet, answer, may_fail=True)
            if ended.error is None:
                return answer.answer
        return ""

    @property
    def _thinking_left(self) -> int | None:
        """Tokens that may still be thought where the answer is asked for; None: any number."""
        cap = self.allowance.caps.thinking
        if cap is None:
            return None
        return max(0, cap + self.allowance.caps.grace - self.gate.meter.thinking)

    def _quietly(self, asking: Request, thinking: int | None) -> list[Request]:
        """The request with the server told to think no more, where it has a field for that."""
        ways = dict(_QUIET)
        if self.caps_thinking and not {"ignores_thinking", "refuses_thinking"} & self.trust.faults:
            ways = {"tokens": ReasoningBudget(tokens=thinking or 0), **ways}
        found = [replace(asking, reasoning=way) for part, way in ways.items() if part in self.knobs]
        return found[:1]

    def _turn(self) -> Request:
        thought = neutralise(self.gate.meter.thought.strip(), self.dialect)
        turns = (
            *self.request.messages,
            Message("assistant", thought or "I have not decided yet."),
            Message("user", ANSWER_NOW),
        )
        return replace(self.request, messages=turns, prefix="", reasoning=None)

    # --- what is left

    @property
    def _prompt_again(self) -> int:
        """Tokens of a prompt that repeats this one and what was written behind it."""
        meter = self.gate.meter
        return self.prompt + meter.thinking + meter.output + _FRAME

    def _room(self, prompt: int) -> int | None:
        """Tokens that a further request may write; None: any number; 0: it must not be sent."""
        if self._over or not self.allowance.wraps:
            return 0
        limits = [self.purse.completions(prompt)]
        if (most := self.allowance.caps.completion) is not None:
            limits.append(most - self.written)
        if (output := self.allowance.caps.output) is not None:
            limits.append(output)
        known = [n for n in limits if n is not None]
        return max(0, min(known)) if known else None

    def _onwards(self, room: int | None) -> Request:
        prefix = self.request.prefix + self.gate.text
        return replace(self.request, prefix=prefix, max_tokens=room, reasoning=None)

    def _can_continue(self) -> Generator[Step, Any, bool]:
        if self.gate.apart or "drops_prefix" in self.trust or self._over:
            return False
        yield FindOut()
        return self.continues

    def _doubt_prefix(self, ended: Ended, *, dropped: bool = False) -> None:
        error = ended.error
        refused = isinstance(error, MissingCapability) or (
            isinstance(error, BackendStatus) and not error.retryable
        )
        if dropped or refused:
            self._lose("drops_prefix")

    def _lose(self, fault: str) -> None:
        if self.trust.lose(fault):
            self.lost.append(fault)
