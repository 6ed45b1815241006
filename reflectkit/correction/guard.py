"""Policies for when nobody but the model itself can judge: the first answer is worth something.

Models that are asked to look again break more right answers than they mend wrong ones (Huang et
al. 2023); so a later answer has to earn its place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..errors import BudgetExceeded
from ..messages import Message, Request
from ..values import value_key
from .feedback import ADDED, fresh, shortened_draft
from .judged import is_accepted, is_rejected
from .policies import Redraw, bound_of
from .policy import Bound, Flow, Policy, conclude, cut_short, single

if TYPE_CHECKING:
    from ..reply import Attempt

__all__ = ["Extend", "GuardedReflection", "ReflectIfUncertain", "SelfRevise"]

#: The turn that asks a model to look at its own answer.
LOOK_AGAIN: Final = (
    "Check that answer step by step, as if somebody else had given it. Then give your final answer."
)
_WAIT: Final = "\nWait, "


def _looked_at_again(request: Request, attempt: Attempt, number: int) -> Request:
    turns = (
        *request.messages,
        Message("assistant", shortened_draft(attempt)),
        Message("user", LOOK_AGAIN),
    )
    return replace(fresh(request, number, temperature=0.7), messages=turns)


@dataclass(frozen=True, slots=True)
class GuardedReflection:
    """The first answer stays, unless a verifier rejects it or independent answers agree on another.

    A rejected answer goes to ``otherwise``. Where nobody could judge, an independent answer is
    asked for; if it agrees with the first, that is the end. If not, further ones, up to ``agree``
    in all: the first answer is replaced only if all of them agree on another value.
    ``draw``: independent answers are drawn afresh (True), or the model looks at its own answer,
    which breaks several right answers in a hundred where drawing afresh breaks none to one.
    """

    agree: int = 2
    draw: bool = True
    otherwise: Policy = field(default_factory=Redraw)
    key: Callable[[str], Hashable | None] = value_key

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        other = bound_of(self.otherwise, request)
        most = None if other.attempts is None else 1 + max(self.agree, other.attempts)
        return Bound(attempts=most, added=max(ADDED, other.added))

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        first: Attempt = yield request
        if is_accepted(first):
            return conclude([first], first, "accepted")
        if is_rejected(first):
            return (yield from self._rejected(request, first))
        others: list[Attempt] = []
        values: list[Hashable | None] = []
        kept = self.key(first.transcript.output)
        while len(others) < self.agree:
            try:
                others.append((yield self._again(request, first, len(others) + 1)))
            except BudgetExceeded as error:
                return cut_short([first, *others], first, error)
            values.append(self.key(others[-1].transcript.output))
            if values[-1] in (None, kept) or values[-1] != values[0] or is_rejected(others[-1]):
                because = "nothing spoke against it strongly enough"
                return conclude([first, *others], first, "kept_first", because=because)
        because = f"{len(others)} independent answers agree on it against the first"
        return conclude([first, *others], others[0], "voted", because=because)

    def _again(self, request: Request, first: Attempt, number: int) -> Request:
        if self.draw:
            return fresh(request, number, temperature=0.7)
        return _looked_at_again(request, first, number)

    def _rejected(self, request: Request, first: Attempt) -> Flow:
        from .policies import _better

        kept = conclude([first], first, "exhausted", stopped_by="attempts")
        try:
            more = yield from self.otherwise.flow(fresh(request, 1, temperature=0.7))
        except BudgetExceeded as error:
            return cut_short([first], first, error)
        return _better(kept, more)


@dataclass(frozen=True, slots=True)
class SelfRevise:
    """The model looks at its own answer ``rounds`` times, and its last word counts.

    It is here to be compared with, and loses: use ``GuardedReflection``.
    """

    rounds: int = 1

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return Bound(attempts=1 + self.rounds, added=ADDED)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        done: list[Attempt] = [(yield request)]
        while len(done) <= self.rounds:
            try:
                done.append((yield _looked_at_again(request, done[-1], len(done))))
            except BudgetExceeded as error:
                return cut_short(done, done[-1], error)
        return conclude(done, done[-1], "unverified", because="it is the last word")


@dataclass(frozen=True, slots=True)
class Extend:
    """A rejected answer is thought about for longer: its thinking is gone on with behind ``text``,
    ``times`` at most (budget forcing, Muennighoff et al. 2025). Needs a backend that goes on from a
    prefix."""

    times: int = 2
    text: str = _WAIT

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most: the prefix is counted as an addition to the prompt."""
        most = request.max_tokens
        return Bound(attempts=1 + self.times, added=(most or 0) * self.times + ADDED)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        done: list[Attempt] = [(yield request)]
        while not is_accepted(done[-1]) and len(done) <= self.times:
            prefix = _thought_so_far(done[-1])
            if not prefix:
                break
            try:
                done.append((yield replace(request, prefix=prefix + self.text)))
            except BudgetExceeded as error:
                return cut_short(done, done[-1], error)
        best = done[-1] if not is_rejected(done[-1]) else done[0]
        status = "accepted" if is_accepted(best) else "exhausted"
        return conclude(done, best, status, stopped_by="" if is_accepted(best) else "times")  # type: ignore[arg-type]


def _thought_so_far(attempt: Attempt) -> str:
    """The source up to the end of its thinking, which is left open; "" where there is none."""
    tops = [s for s in attempt.transcript.sections if s.kind == "thinking" and s.parent is None]
    if not tops:
        return ""
    last = tops[-1]
    source = attempt.transcript.source[: last.end]
    return source[: source.rfind("<")] if last.closed and source.endswith(">") else source


@dataclass(frozen=True, slots=True)
class ReflectIfUncertain:
    """One answer; and ``then`` only where ``doubt`` finds it uncertain: more than ``above``, from 0
    (sure) to 1. None is no doubt. The usual doubt is that of its tokens' log-probabilities, where
    they were asked for."""

    then: Policy = field(default_factory=GuardedReflection)
    above: float = 0.2
    doubt: Callable[[Attempt], float | None] | None = None

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        then = bound_of(self.then, request)
        most = None if then.attempts is None else 1 + then.attempts
        return Bound(attempts=most, added=then.added)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        from .policies import _better

        reply = yield from single().flow(request)
        if reply.status == "accepted" or reply.status in ("budget", "deadline"):
            return reply
        doubt = (self.doubt or token_doubt)(reply.attempt)
        if not is_rejected(reply.attempt) and (doubt is None or doubt <= self.above):
            return replace(reply, status="kept_first", because="it was certain enough")
        try:
            more = yield from self.then.flow(request)
        except BudgetExceeded as error:
            return cut_short(reply.attempts, reply.attempt, error)
        return (
            _better(reply, more)
            if is_rejected(more.attempt)
            else replace(
                more, attempts=(*reply.attempts, *more.attempts), usage=reply.usage + more.usage
            )
        )


def token_doubt(attempt: Attempt) -> float | None:
    """One minus the geometric mean of the tokens' probabilities; None where they are not known."""
    from math import exp

    found = [row.get("logprob") for row in attempt.logprobs]
    known = [float(value) for value in found if isinstance(value, int | float)]
    return 1.0 - exp(sum(known) / len(known)) if known else None
