"""What is asked next, and when it is enough: generators that know nothing of I/O.

A policy's ``flow`` yields a request, is sent the attempt that came of it, with the verdicts on it,
and returns the reply. The engine does the awaiting, so one policy serves every colour of caller.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..messages import FinishReason, Request, Usage
from ..reply import Attempt, Ending, Reply, Status
from .judged import best_of_all, is_accepted, is_rejected, why

if TYPE_CHECKING:
    from ..errors import BudgetExceeded

__all__ = [
    "ENDINGS",
    "Bound",
    "Elsewhere",
    "Flow",
    "Policy",
    "Step",
    "advance",
    "conclude",
    "cut_short",
    "is_live",
    "out_of_budget",
    "single",
    "status_of",
]

#: What a backend's finish reason means for the reply.
ENDINGS: dict[FinishReason, Ending] = {
    "stop": "complete",
    "tool_calls": "complete",
    "length": "length",
    "content_filter": "stopped",
    "cancelled": "cancelled",
    "error": "error",
}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same question, asked of another ``client`` in that one's own mode and words."""

    client: Any


#: What a policy may yield: a request; several, which are asked side by side and answered by as many
#: attempts in their order; or a question to another client.
Step = Request | tuple[Request, ...] | Elsewhere
Flow = Generator[Step, Any, Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a policy may cost at most. None: it is not bounded by the policy itself.

    ``attempts``: answers. ``added``: tokens that a retry's prompt may have beyond the first one's,
    and ``repeats``: so many whole answers beside them.
    """

    attempts: int | None
    added: int = 0
    repeats: int = 0

    def tokens(self, prompt: int, max_tokens: int) -> int | None:
        """Of all attempts together, where one prompt has ``prompt`` tokens at most and one answer
        ``max_tokens``."""
        if self.attempts is None:
            return None
        more = self.added + self.repeats * max_tokens
        return self.attempts * (prompt + max_tokens) + max(0, self.attempts - 1) * more

    def after(self, first: Bound) -> Bound:
        """Of ``first`` and then this."""
        known = self.attempts is not None and first.attempts is not None
        return Bound(
            attempts=(self.attempts or 0) + (first.attempts or 0) if known else None,
            added=max(self.added, first.added),
            repeats=max(self.repeats, first.repeats),
        )


class Policy(Protocol):
    """Decides the next request from the attempts so far.

    An optional attribute ``live`` says whether the first attempt's answer is always the reply's,
    so that its text may be shown as final while it comes. Without it the answer waits for the end.
    An optional method ``bound(request)`` gives the ``Bound``. Where no further attempt can be paid,
    ``BudgetExceeded`` is thrown into ``flow``, which may still return a reply.
    """

    def flow(self, request: Request, /) -> Flow:
        """Yield requests, be sent their attempts, return the reply."""
        ...


@dataclass(frozen=True, slots=True)
class _Single:
    live: ClassVar[bool] = True

    def flow(self, request: Request, /) -> Flow:
        attempt = yield request
        return conclude([attempt], attempt, status_of(attempt))

    def bound(self, request: Request, /) -> Bound:
        return Bound(attempts=1)


def single() -> Policy:
    """Ask once; whatever comes is the reply."""
    return _Single()


def status_of(attempt: Attempt) -> Status:
    """Of a reply that has this answer because nothing more is asked."""
    if is_accepted(attempt):
        return "accepted"
    return "exhausted" if is_rejected(attempt) else "unverified"


def _ending(attempt: Attempt) -> Ending:
    ending = ENDINGS[attempt.finish]
    return attempt.wrap or ending if ending == "complete" else ending


def is_live(policy: Policy) -> bool:
    """Whether the answer of the first attempt is final as it comes (see ``Policy``)."""
    return bool(getattr(policy, "live", False))


def conclude(
    attempts: Sequence[Attempt],
    best: Attempt,
    status: Status = "unverified",
    *,
    stopped_by: str = "",
    because: str = "",
) -> Reply:
    """The reply that presents ``best`` and accounts for all ``attempts``."""
    if best.wrap == "unanswered" and status == "unverified":
        status = "deadline" if best.cut == "seconds" else "budget"
    filtered = "content_filter" if best.finish == "content_filter" else ""
    return Reply(
        transcript=best.transcript,
        attempts=tuple(attempts),
        usage=reduce(add, (a.usage for a in attempts), Usage()),
        model=best.model,
        ending=_ending(best),
        status=status,
        stopped_by=stopped_by or filtered or best.bound_by,
        chosen=best.number,
        because=because or why(best),
    )


def advance(flow: Flow, result: Any) -> Step | Reply:
    """What a flow wants next, told the result of its last step (None: it has just begun)."""
    try:
        return next(flow) if result is None else flow.send(result)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


def out_of_budget(flow: Flow, attempts: Sequence[Attempt], error: BudgetExceeded) -> Step | Reply:
    """What a flow wants next where its last step could not be paid; where it has no answer to that,
    the best of ``attempts`` is the reply's."""
    from ..errors import BudgetExceeded

    try:
        return flow.throw(error)
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    except BudgetExceeded:
        if not attempts:
            raise
        return cut_short(attempts, best_of_all(attempts), error)


def cut_short(attempts: Sequence[Attempt], best: Attempt, error: BudgetExceeded) -> Reply:
    """The reply where no further attempt could be paid."""
    status: Status = "deadline" if error.limit == "seconds" else "budget"
    return conclude(attempts, best, status, stopped_by=f"{error.limit} ({error.scope})")
