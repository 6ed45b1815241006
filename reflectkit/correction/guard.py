"""Policies for when nobody but the model itself can judge: the first answer is worth something.

Models that are asked to look again break more right answers than they mend wrong ones (Huang et
al. 2023); so a later answer has to earn its place.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import BudgetExceeded, ConfigurationError
from ..messages import Message, Request
from ..protocol.dialects import find_dialect
from ..values import value_key
from .feedback import ADDED, fresh, shortened_draft
from .judged import best_of_all, is_accepted, is_rejected
from .policies import Redraw, better, bound_of
from .policy import Bound, Flow, Policy, Step, conclude, cut_short, single, status_of

if TYPE_CHECKING:
    from ..protocol import Dialect
    from ..reply import Attempt, Reply

__all__ = ["Extend", "GuardedReflection", "ReflectIfUncertain", "SelfRevise"]

#: The turn that asks a model to look at its own answer.
LOOK_AGAIN: Final = (
    "Check that answer step by step, as if somebody else had given it. Then give your final answer."
)
_WAIT: Final = "\nWait, "
#: how freely another answer is drawn where the request is greedy
_FREELY: Final = 0.7


def _looked_at_again(request: Request, attempt: Attempt, number: int) -> Request:
    turns = (
        *request.messages,
        Message("assistant", shortened_draft(attempt)),
        Message("user", LOOK_AGAIN),
    )
    return replace(fresh(request, number, temperature=_FREELY), messages=turns, prefix="")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedReflection:
    """The first answer stays, unless a verifier rejects it or independent answers agree on another.

    A rejected answer goes to ``otherwise``. Where nobody could judge, an independent answer is
    asked for; if it agrees with the first, that is the end. If not, further ones, up to ``agree``
    in all: the first answer is replaced only if all of them agree on another value, or a verifier
    accepts one of them, or it is none at all.
    ``draw``: independent answers are drawn afresh (True), or the model looks at its own answer,
    which breaks several right answers in a hundred where drawing afresh breaks none to one.

    Raises ``ConfigurationError`` for ``agree`` below 2: one answer is no agreement.
    """

    agree: int = 2
    draw: bool = True
    _: KW_ONLY
    otherwise: Policy = field(default_factory=Redraw)
    key: Callable[[str], Hashable | None] = value_key

    def __post_init__(self) -> None:
        if self.agree < 2:
            raise ConfigurationError(
                f"agree is {self.agree}: any other answer would replace the first.",
                hint="Give 2 or more.",
            )

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        other = bound_of(self.otherwise, request)
        if other.attempts is not None:
            other = replace(other, attempts=max(self.agree, other.attempts))
        return other.after(Bound(attempts=1, added=ADDED))

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        first: Attempt = yield request
        if is_accepted(first):
            return conclude([first], first, "accepted")
        if is_rejected(first):
            return (yield from self._rejected(request, first))
        done, values = [first], [self.key(first.transcript.output)]
        while len(done) <= self.agree:
            try:
                done.append((yield self._again(request, first, len(done))))
            except BudgetExceeded as error:
                return cut_short(done, _standing(done), error)
            values.append(self.key(done[-1].transcript.output))
            if is_accepted(done[-1]):
                return conclude(done, done[-1], "accepted")
            if is_rejected(done[-1]) or values[-1] in (None, values[0]) or values[-1] != values[1]:
                return self._kept(done)
        because = f"{self.agree} independent answers agree on it against the first"
        return conclude(done, done[1], "voted", because=because)

    def _kept(self, done: Sequence[Attempt]) -> Reply:
        best = _standing(done)
        if best is not done[0]:
            return conclude(done, best, status_of(best), because="the first was no answer")
        because = "nothing spoke against it strongly enough"
        return conclude(done, best, "kept_first", because=because)

    def _again(self, request: Request, first: Attempt, number: int) -> Request:
        if self.draw:
            return fresh(request, number, temperature=_FREELY)
        return _looked_at_again(request, first, number)

    def _rejected(self, request: Request, first: Attempt) -> Flow:
        kept = conclude([first], first, "exhausted")
        try:
            more = yield from self.otherwise.flow(fresh(request, 1, temperature=_FREELY))
        except BudgetExceeded as error:
            return cut_short([first], first, error)
        return better(kept, more)


def _standing(done: Sequence[Attempt]) -> Attempt:
    """The first answer; where that is none, the best of the others."""
    return done[0] if done[0].transcript.output else best_of_all(done)


@dataclass(frozen=True, slots=True)
class SelfRevise:
    """The model looks at its own answer ``rounds`` times, and its last answer counts.

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
                return cut_short(done, _last(done), error)
        best = _last(done)
        return conclude(done, best, status_of(best), because="it is the last word")


def _last(done: Sequence[Attempt]) -> Attempt:
    """The last that has an answer."""
    return next((a for a in reversed(done) if a.transcript.output), done[-1])


@dataclass(frozen=True, slots=True)
class Extend:
    """What is not accepted is thought about for longer: its thinking is gone on with behind
    ``text``, ``times`` at most (budget forcing, Muennighoff et al. 2025). Needs a backend that goes
    on from a prefix."""

    times: int = 2
    text: str = _WAIT

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most: the prefix is counted as an addition to the prompt."""
        added = self.times * len(self.text.encode())
        return Bound(attempts=1 + self.times, added=added, repeats=self.times)

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
                return cut_short(done, _thought_out(done), error)
        best = _thought_out(done)
        status = status_of(best)
        return conclude(done, best, status, stopped_by="" if status == "accepted" else "times")


def _thought_out(done: Sequence[Attempt]) -> Attempt:
    """The last that has an answer and was not rejected: it was thought about the longest."""
    stands = (a for a in reversed(done) if a.transcript.output and not is_rejected(a))
    return next(stands, best_of_all(done))


def _thought_so_far(attempt: Attempt) -> str:
    """All that was written up to the end of its thinking, which is left open; "" where there is
    none, or where a server has split it off, so that nothing can be put before its end."""
    transcript = attempt.transcript
    tops = [s for s in transcript.sections if s.kind == "thinking" and s.parent is None]
    if not tops:
        return ""
    last = tops[-1]
    markup = last.end - last.start > len(last.text)
    if not (markup or transcript.prefilled or attempt.request.prefix):
        return ""
    source = transcript.source[: last.end]
    return attempt.request.prefix + (_opened(source, attempt.dialect) if last.closed else source)


def _opened(source: str, dialect: str | Dialect) -> str:
    """``source`` without the closing markup at its end."""
    closers = find_dialect(dialect).sections["thinking"].close
    for closer in closers:
        if source.endswith(closer):
            return source.removesuffix(closer)
    return source[: source.rfind("<")] if source.endswith(">") else source


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectIfUncertain:
    """One answer; and ``then``, with this answer as its first, only where ``doubt`` finds it
    uncertain: more than ``above``, from 0 (sure) to 1. None is no doubt. The usual doubt is that of
    its tokens' log-probabilities, where they were asked for."""

    then: Policy = field(default_factory=GuardedReflection)
    above: float = 0.2
    _: KW_ONLY
    doubt: Callable[[Attempt], float | None] | None = None

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return bound_of(self.then, request).after(Bound(attempts=1))

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        reply = yield from single().flow(request)
        if reply.status in ("accepted", "budget", "deadline"):
            return reply
        doubt = (self.doubt or token_doubt)(reply.attempt)
        if not is_rejected(reply.attempt) and (doubt is None or doubt <= self.above):
            return replace(reply, status="kept_first", because="it was certain enough")
        try:
            more = yield from _going_on(self.then, request, reply.attempt)
        except BudgetExceeded as error:
            return cut_short(reply.attempts, reply.attempt, error)
        known = any(a.number == reply.chosen for a in more.attempts)
        return more if known else better(reply, more)


def _going_on(policy: Policy, request: Request, first: Attempt) -> Flow:
    """The policy's flow, told at once that its first request was answered with ``first``."""
    with closing(policy.flow(request)) as flow:
        try:
            step: Step = next(flow)
            if step == request:
                step = flow.send(first)
            elif isinstance(step, tuple) and step[0] == request:
                step = flow.send((first, *(yield from _as_far_as_paid(step[1:]))))
            while True:
                try:
                    answer = yield step
                except BudgetExceeded as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            reply: Reply = end.value
            return reply


def _as_far_as_paid(step: tuple[Request, ...]) -> Generator[Step, Any, tuple[Attempt, ...]]:
    try:
        return (yield step) if step else ()
    except BudgetExceeded:
        return ()


def token_doubt(attempt: Attempt) -> float | None:
    """One minus the geometric mean of the tokens' probabilities; None where they are not known."""
    from math import exp

    found = [row.get("logprob") for row in attempt.logprobs]
    known = [float(value) for value in found if isinstance(value, int | float)]
    return 1.0 - exp(sum(known) / len(known)) if known else None
