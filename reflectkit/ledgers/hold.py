"""Holding a call's tokens, calls and money from before it is sent until it is over."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ..budget.ledger import Granted, Order, Use, parts_of
from ..errors import BudgetExceeded, LedgerError

if TYPE_CHECKING:
    from ..budget.ledger import Claim, Demand, Short
    from .base import Ledger
    from .scope import Scope

__all__ = ["Lease", "hold"]

T = TypeVar("T")

_NOTHING = Use()


class _Names:
    """Ids that no other process has, of a forked one neither."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self._stem = f"{os.urandom(9).hex()}-"

    def next(self) -> str:
        return self._stem + str(next(self._numbers))


_NAMES = _Names()


class Lease:
    """What one call holds. It has to be settled or released; ``async with`` sees to that.

    ``completion``: tokens granted for the answer. ``bound_by``: the limit that allowed no more of
    them, "" if none did. ``late``: it had expired when it was settled, so others may have had its
    room meanwhile; what was used is recorded all the same.
    """

    __slots__ = ("_parts", "bound_by", "completion", "late")

    def __init__(self, completion: int) -> None:
        self._parts: tuple[tuple[Ledger, str], ...] = ()
        self.completion = completion
        self.bound_by = ""
        self.late = False

    def __repr__(self) -> str:
        return f"Lease(completion={self.completion}, bound_by={self.bound_by!r})"

    async def settle(self, *, tokens: int = 0, money: int = 0, calls: int = 1) -> None:
        """Record what was used (``money``: billionths), and give back the rest.

        Runs to its end in a task that is being cancelled, too. A second time it does nothing.
        Raises ``LedgerError`` when a store fails; what it holds then comes back by expiring.
        """
        if self._parts:
            await self._end(Use(tokens=tokens, money=money, calls=calls))

    async def release(self) -> None:
        """Give everything back: nothing was used."""
        if self._parts:
            await self._end(_NOTHING)

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.release()

    def _add(self, ledger: Ledger, id: str, granted: Granted) -> None:
        self._parts += ((ledger, id),)
        if granted.bound_by:
            scope = parts_of(granted.bound_by)[0]
            from ._words import limit_name

            self.completion = granted.completion
            self.bound_by = f"{scope} {limit_name(granted.bound_by)}"

    async def _end(self, use: Use) -> None:
        parts, self._parts = self._parts, ()
        failed: LedgerError | None = None
        for ledger, id in parts:
            try:
                if ledger.at_once:
                    done = await ledger.commit(id, use)
                else:
                    done = await _finished(partial(ledger.commit, id, use))
                self.late = self.late or done == "late"
            except LedgerError as error:
                failed = error
        if failed:
            raise failed


async def hold(scopes: Sequence[Scope], demand: Demand) -> Lease:
    """Reserve what a call needs in every scope, or in none.

    Waits where scopes say so. Raises ``BudgetExceeded``, or ``LedgerError`` when a store fails;
    nothing is held then, nor when the task is cancelled.
    """
    lease = Lease(demand.completion)
    try:
        for ledger, claims, patience in _by_ledger(scopes):
            if demand.completion != lease.completion:
                demand = replace(demand, completion=lease.completion)
            order = Order(id=_NAMES.next(), claims=claims, demand=demand)
            answer = await ledger.reserve(order) if ledger.at_once else None
            if not isinstance(answer, Granted):
                answer = await _insist(ledger, order, answer, patience)
            lease._add(ledger, order.id, answer)
    except BaseException:
        with suppress(LedgerError):
            await lease.release()
        raise
    return lease


def _by_ledger(scopes: Sequence[Scope]) -> Sequence[tuple[Ledger, tuple[Claim, ...], float]]:
    """What each ledger is asked, and for how long. The order of ledgers is the same for everybody,
    so that no two calls wait for one another."""
    if len(scopes) == 1:
        scope = scopes[0]
        return ((scope.ledger, (scope.claim,), scope.patience),)
    found: dict[int, tuple[Ledger, list[Scope]]] = {}
    for scope in dict.fromkeys(scopes):
        found.setdefault(id(scope.ledger), (scope.ledger, []))[1].append(scope)
    return [
        (
            ledger,
            tuple(scope.claim for scope in of),
            min((s.patience for s in of if s.claim.shortage == "wait"), default=0.0),
        )
        for ledger, of in sorted(found.values(), key=lambda pair: pair[0].address)
    ]


async def _insist(
    ledger: Ledger, order: Order, answer: Granted | Short | None, patience: float
) -> Granted:
    """Ask until the order is granted or refused; leave nothing behind in any other case."""
    began = monotonic()
    try:
        while True:
            if answer is None:
                answer = await _finished(partial(ledger.reserve, order))
            if isinstance(answer, Granted):
                return answer
            short, answer = answer, None
            await _next_time(ledger, order.id, short, began, patience)
    except BudgetExceeded:
        if short.waiting:
            await _leave(ledger, order)
        raise
    except BaseException:
        await _leave(ledger, order)
        raise


async def _leave(ledger: Ledger, order: Order) -> None:
    with suppress(LedgerError):
        await _finished(partial(ledger.commit, order.id, _NOTHING))


async def _next_time(ledger: Ledger, id: str, short: Short, began: float, patience: float) -> None:
    """Wait until asking again makes sense. Raises ``BudgetExceeded`` when it never does."""
    waited = monotonic() - began
    if not short.waiting or waited >= patience:
        from ._words import exceeded

        raise exceeded(short, waited=waited if short.waiting else None)
    change = max(0.001, (short.ends - short.at) / 1000)
    await ledger.wait(id, min(patience - waited, change))


async def _finished(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end, whatever happens to this task meanwhile; a cancel is passed on afterwards.

    Steps of a ledger may be begun again, and are, when an event loop that is being closed cancels
    them.
    """
    cancelled: asyncio.CancelledError | None = None
    task = asyncio.ensure_future(start())
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
        if task.cancelled():
            task = asyncio.ensure_future(start())
    if cancelled is not None:
        task.exception()  # seen; the cancel counts
        raise cancelled
    return task.result()
