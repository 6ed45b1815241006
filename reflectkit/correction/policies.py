"""The usual policies. Each is a value; ``then`` puts one after another; your own is a generator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import BudgetExceeded, ConfigurationError
from ..reply import Reply
from ..values import value_key
from . import stop
from .feedback import ADDED, fresh, lessons, revision
from .judged import best_of_all, failed, is_accepted, is_rejected
from .policy import Bound, Elsewhere, Flow, Policy, Step, conclude, cut_short, status_of
from .stop import Check, State, rule

if TYPE_CHECKING:
    from ..messages import Request
    from ..reply import Attempt, Status, Verdict

__all__ = [
    "BestOf",
    "Correct",
    "Escalate",
    "Redraw",
    "Restart",
    "RetryInvalid",
    "Revise",
    "Then",
    "Vote",
    "better",
    "bound_of",
]

#: how freely another draft is drawn where the request is greedy
_FREELY: Final = 0.7
_THREE: Final = stop.attempts(3)
#: A loop ends here, whatever its rules say.
_CEILING: Final = stop.attempts(100)

Again = Callable[["Request", Sequence["Attempt"]], "Request | None"]


def _loop(request: Request, until: Check, again: Again) -> Flow:
    """Ask until an answer is accepted, a rule says stop, or nobody can tell what is wrong."""
    ends, done = rule(until) | _CEILING, list[Any]()
    step: Request | None = request
    while step is not None:
        try:
            done.append((yield step))
        except BudgetExceeded as error:
            if not done:
                raise
            return cut_short(done, best_of_all(done), error)
        if is_accepted(done[-1]):
            return conclude(done, done[-1], "accepted")
        if not is_rejected(done[-1]):
            break
        if reason := ends(State(tuple(done))):
            return conclude(done, best_of_all(done), "exhausted", stopped_by=reason)
        step = again(request, done)
    best = best_of_all(done)
    return conclude(done, best, status_of(best))


@dataclass(frozen=True, slots=True)
class _Looping:
    """What the looping policies share: when they stop, after 100 attempts in any case."""

    stop: Check = field(default=_THREE)

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return Bound(attempts=(rule(self.stop) | _CEILING).most, added=ADDED)


@dataclass(frozen=True, slots=True)
class Redraw(_Looping):
    """A rejected answer is asked for again, as if for the first time.

    Nothing is said of what was wrong: each draft is independent. ``temperature``: at least this for
    the later ones, since a greedy model would only repeat itself.
    """

    temperature: float | None = _FREELY

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most: no retry's prompt is longer than the first."""
        return replace(_Looping.bound(self, request), added=0)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        return _loop(
            request,
            self.stop,
            lambda first, done: fresh(first, len(done), temperature=self.temperature),
        )


@dataclass(frozen=True, slots=True)
class Revise(_Looping):
    """A rejected answer goes back as a turn, with what is wrong with it, to be put right.

    Each retry begins at the question: it carries the last draft's output and the feedback on it,
    not what came before (Self-Refine, Madaan et al. 2023, with feedback from verifiers).
    """

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        return _loop(
            request, self.stop, lambda first, done: revision(first, done[-1], failed(done[-1]))
        )


@dataclass(frozen=True, slots=True)
class Correct(_Looping):
    """What is wrong in form goes back with the place where it is wrong; what is wrong in content is
    asked for again as if for the first time.

    This is what ``attempts=`` and ``verify=`` mean by themselves. A model mends a form that it is
    shown the fault of; of a wrong result it does better to think anew than to defend it
    (``benchmarks/policies.py`` measures it; see the page on policies).
    """

    temperature: float | None = _FREELY

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        return _loop(request, self.stop, self._again)

    def _again(self, first: Request, done: Sequence[Attempt]) -> Request:
        invalid = _invalid_again(first, done)
        if invalid is not None and len(_invalid(done[-1])) == len(failed(done[-1])):
            return invalid
        return fresh(first, len(done), temperature=self.temperature)


@dataclass(frozen=True, slots=True)
class RetryInvalid(_Looping):
    """As ``Revise``, but only what is invalid is sent back: wrong in form, by a schema's or the
    protocol's verdict. An answer that is wrong in content ends it."""

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        return _loop(request, self.stop, _invalid_again)


def _invalid_again(first: Request, done: Sequence[Attempt]) -> Request | None:
    invalid = _invalid(done[-1])
    return revision(first, done[-1], invalid) if invalid else None


def _invalid(attempt: Attempt) -> list[Verdict]:
    return [v for v in failed(attempt) if v.by == "schema" or v.name == "protocol"]


@dataclass(frozen=True, slots=True)
class Restart(_Looping):
    """A rejected answer is forgotten: the question is asked afresh, with short lessons from what
    went wrong (Reflexion, Shinn et al. 2023, with lessons from verifiers)."""

    temperature: float | None = _FREELY

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        return _loop(request, self.stop, self._again)

    def _again(self, first: Request, done: Sequence[Attempt]) -> Request:
        return lessons(fresh(first, len(done), temperature=self.temperature), done)


@dataclass(frozen=True, slots=True)
class BestOf:
    """``n`` drafts; the one that verifiers or a judge grade highest is the reply.

    They are asked ``at_once`` at a time, and no more once one is accepted.
    """

    n: int = 4
    at_once: int = 1
    _: KW_ONLY
    temperature: float | None = _FREELY

    def __post_init__(self) -> None:
        _check_draws(self.n, self.at_once)

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return Bound(attempts=self.n)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        done = yield from _drawn(self, request, lambda done: any(map(is_accepted, done)))
        if isinstance(done, Reply):
            return done
        best = best_of_all(done)
        status: Status = "accepted" if is_accepted(best) else "exhausted"
        if not any(v.ok is not None or v.score is not None for a in done for v in a.verdicts):
            status = "kept_first"
        return conclude(done, best, status, stopped_by="" if status == "accepted" else "attempts")

    def _best(self, done: Sequence[Attempt]) -> Attempt:
        return best_of_all(done)


@dataclass(frozen=True, slots=True)
class Vote:
    """Self-consistency (Wang et al. 2022): up to ``n`` drafts, and the value that most come to.

    Answers are compared by ``key``. Drafts that a verifier rejects have no vote, unless all are
    rejected. It stops as soon as the leader is ahead for certain, or, from ``least`` drafts on,
    with the probability ``sure`` (Adaptive-Consistency, Aggarwal et al. 2023: the leader against
    the runner-up under a Beta distribution). ``at_once``: drafts asked for side by side.
    """

    n: int = 9
    at_once: int = 1
    _: KW_ONLY
    least: int = 2
    sure: float = 0.95
    temperature: float | None = _FREELY
    key: Callable[[str], Hashable | None] = value_key

    def __post_init__(self) -> None:
        _check_draws(self.n, self.at_once)
        if not 0.5 <= self.sure <= 1:
            raise ConfigurationError(f"sure is {self.sure}.", hint="Give 0.5 to 1.")

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return Bound(attempts=self.n)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        done = yield from _drawn(self, request, self._settled)
        if isinstance(done, Reply):
            return done
        best, votes, of = self._winner(done)
        if not votes:
            return conclude(done, best, "exhausted", stopped_by="attempts")
        return conclude(done, best, "voted", because=f"{votes} of {of} drafts agree")

    def _best(self, done: Sequence[Attempt]) -> Attempt:
        return self._winner(done)[0]

    def _counts(self, done: Sequence[Attempt]) -> dict[Hashable, list[Attempt]]:
        voters = [a for a in done if not is_rejected(a)] or list(done)
        found: dict[Hashable, list[Attempt]] = {}
        for attempt in voters:
            value = self.key(attempt.transcript.output)
            if value is not None:
                found.setdefault(value, []).append(attempt)
        return found

    def _winner(self, done: Sequence[Attempt]) -> tuple[Attempt, int, int]:
        """The first draft of the largest group, its votes, and how many were cast."""
        groups = self._counts(done)
        if not groups:
            return best_of_all(done), 0, 0
        largest = max(groups.values(), key=len)
        return largest[0], len(largest), sum(map(len, groups.values()))

    def _settled(self, done: Sequence[Attempt]) -> bool:
        if all(map(is_rejected, done)):  # the next one may have a vote
            return False
        sizes = sorted((len(g) for g in self._counts(done).values()), reverse=True)
        first, second = (*sizes, 0, 0)[:2]
        if first - second > self.n - len(done):
            return True
        ahead = first > second and _leads(first, second) >= self.sure
        return ahead and len(done) >= self.least


def _leads(first: int, second: int) -> float:
    """The probability that the leader is more than half of the two, from their counts: that a
    Beta(first + 1, second + 1) variable is above 1/2, as a sum of binomial terms."""
    from math import comb

    n = first + second + 1
    return float(sum(comb(n, k) for k in range(first + 1)) / 2**n)


def _drawn(
    policy: BestOf | Vote, request: Request, enough: Callable[[Sequence[Attempt]], bool]
) -> Generator[Step, Any, list[Attempt] | Reply]:
    """Independent drafts until there are ``enough`` or ``n``, the very first one as it was asked;
    the reply, where no more of them can be paid."""
    done: list[Attempt] = []
    while len(done) < policy.n and not (done and enough(done)):
        numbers = range(len(done), min(len(done) + policy.at_once, policy.n))
        try:
            done += yield tuple(
                fresh(request, i, temperature=policy.temperature) if i else request for i in numbers
            )
        except BudgetExceeded as error:
            if not done:
                raise
            return cut_short(done, policy._best(done), error)
    return done


def _check_draws(n: int, at_once: int) -> None:
    if n < 1 or at_once < 1:
        raise ConfigurationError(f"n is {n} and at_once {at_once}.", hint="Both must be 1 or more.")


@dataclass(frozen=True, slots=True)
class Then:
    """``first``; and ``second``, with other draws, where that was not accepted. The better reply is
    kept."""

    first: Policy
    second: Policy

    def bound(self, request: Request, /) -> Bound:
        """What both may cost at most."""
        return bound_of(self.second, request).after(bound_of(self.first, request))

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        reply = yield from self.first.flow(request)
        if reply.status in ("accepted", "budget", "deadline"):
            return reply
        again = fresh(request, len(reply.attempts), temperature=_FREELY)
        try:
            more = yield from self.second.flow(again)
        except BudgetExceeded as error:
            return cut_short(reply.attempts, reply.attempt, error)
        return better(reply, more)


def better(reply: Reply, more: Reply) -> Reply:
    """The better of two replies, of equals the first; it accounts for the attempts of both, and
    says what stopped the second."""
    attempts = (*reply.attempts, *more.attempts)
    usage = reply.usage + more.usage
    if best_of_all([reply.attempt, more.attempt]) is not reply.attempt:
        return replace(more, attempts=attempts, usage=usage)
    unpaid = more.status in ("budget", "deadline")
    return replace(
        reply,
        attempts=attempts,
        usage=usage,
        status=more.status if unpaid else reply.status,
        stopped_by=more.stopped_by or reply.stopped_by,
    )


@dataclass(frozen=True, slots=True)
class Escalate:
    """``first``; where that is not accepted, another ``client`` answers, ``times`` at most: from
    prompted to trained, from small to large."""

    first: Policy
    client: Any
    _: KW_ONLY
    times: int = 1

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most, in attempts; the other client's prompts are its own."""
        return Bound(attempts=self.times).after(bound_of(self.first, request))

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        reply = yield from self.first.flow(request)
        done = list(reply.attempts)
        for _ in range(self.times):
            if reply.status in ("accepted", "voted", "deadline"):
                return reply
            try:
                done.append((yield Elsewhere(self.client)))
            except BudgetExceeded as error:
                return cut_short(done, reply.attempt, error)
            last = done[-1]
            stands = bool(last.transcript.output) and not is_rejected(last)
            best = last if stands else best_of_all([reply.attempt, last])
            status = status_of(best)
            reply = conclude(done, best, status, stopped_by="" if status == "accepted" else "times")
        return reply


def bound_of(policy: Policy, request: Request) -> Bound:
    """The policy's bound; of one that gives none, that it has none."""
    bound = getattr(policy, "bound", None)
    found = bound(request) if callable(bound) else None
    return found if isinstance(found, Bound) else Bound(attempts=None)
