"""What is asked next, and when it is enough: generators that know nothing of I/O.

A policy's ``flow`` yields a request, is sent the attempt that came of it, and returns the reply.
The engine does the awaiting, so one policy serves every colour of caller.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import ClassVar, Protocol

from ..messages import FinishReason, Request, Usage
from ..reply import Attempt, Ending, Reply, Status

__all__ = ["ENDINGS", "Policy", "conclude", "is_live", "single"]

#: What a backend's finish reason means for the reply.
ENDINGS: dict[FinishReason, Ending] = {
    "stop": "complete",
    "tool_calls": "complete",
    "length": "length",
    "content_filter": "stopped",
    "cancelled": "cancelled",
    "error": "error",
}


class Policy(Protocol):
    """Decides the next request from the attempts so far.

    An optional attribute ``live`` says whether the first attempt's answer is always the reply's,
    so that its text may be shown as final while it comes. Without it the answer waits for the end.
    """

    def flow(self, request: Request, /) -> Generator[Request, Attempt, Reply]:
        """Yield requests, be sent their attempts, return the reply."""
        ...


@dataclass(frozen=True, slots=True)
class _Single:
    live: ClassVar[bool] = True

    def flow(self, request: Request, /) -> Generator[Request, Attempt, Reply]:
        attempt = yield request
        return conclude([attempt], attempt)


def single() -> Policy:
    """Ask once; whatever comes is the reply."""
    return _Single()


def _ending(attempt: Attempt) -> Ending:
    ending = ENDINGS[attempt.finish]
    return attempt.wrap or ending if ending == "complete" else ending


def is_live(policy: Policy) -> bool:
    """Whether the answer of the first attempt is final as it comes (see ``Policy``)."""
    return bool(getattr(policy, "live", False))


def conclude(attempts: Sequence[Attempt], best: Attempt, status: Status = "unverified") -> Reply:
    """The reply that presents ``best`` and accounts for all ``attempts``."""
    if best.wrap == "unanswered" and status == "unverified":
        status = "deadline" if best.cut == "seconds" else "budget"
    return Reply(
        transcript=best.transcript,
        attempts=tuple(attempts),
        usage=reduce(add, (a.usage for a in attempts), Usage()),
        model=best.model,
        ending=_ending(best),
        status=status,
        stopped_by="content_filter" if best.finish == "content_filter" else best.bound_by,
    )
