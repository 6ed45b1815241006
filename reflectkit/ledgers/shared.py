"""What ledgers of several processes share: leases are renewed while they are held, and calls in
line ask from time to time whether they were served."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from weakref import WeakKeyDictionary

from ..budget.ledger import Balance, Committed, Granted, Order, Short, Use
from ..errors import ConfigurationError, LedgerError

__all__ = ["SharedLedger"]

#: a lease is renewed so often in its time
_RENEWALS: Final = 3
#: more than this many ids are not renewed in one step, so that others come between
_AT_ONCE: Final = 500

Renew = Callable[[list[str]], Awaitable[list[str | None]]]


class SharedLedger(ABC):
    """A ledger whose leases expire, so that those of a dead process come back.

    A store has to say how to reserve, commit and renew in one step each; heartbeat and waiting
    stand here. ``ttl``: seconds that a lease lives without a heartbeat. ``poll``: seconds between
    two looks of those in line.
    """

    address: str
    at_once = False

    def __init__(self, *, ttl: float, poll: float) -> None:
        if not 0.1 <= ttl <= 86_400 or not 0 < poll <= ttl / 8:
            raise ConfigurationError(
                f"ttl={ttl!r} and poll={poll!r} do not fit.",
                hint="ttl is from 0.1 s to a day, and poll at most an eighth of it.",
            )
        self._ttl = int(ttl * 1000)
        self._poll = poll
        self._process = os.getpid()
        self._pulses: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pulse] = WeakKeyDictionary()

    async def reserve(self, order: Order) -> Granted | Short:
        """Take what the order needs, and keep it alive."""
        self._check()
        answer = await self._reserve(order)
        if isinstance(answer, Granted):
            self._pulse.hold(order.id)
        return answer

    async def commit(self, id: str, use: Use) -> Committed:
        """Record what was used; the heartbeat of this lease ends."""
        self._check()
        self._pulse.let_go(id)
        return await self._commit(id, use)

    async def wait(self, id: str, seconds: float) -> None:
        """Return when the order may have been served, at the latest after ``seconds``."""
        self._check()
        await self._pulse.wait(id, seconds)

    @abstractmethod
    async def _reserve(self, order: Order) -> Granted | Short: ...

    @abstractmethod
    async def _commit(self, id: str, use: Use) -> Committed: ...

    @abstractmethod
    async def _renew(self, ids: list[str]) -> list[str | None]: ...

    @abstractmethod
    async def balances(self, scope: str = "") -> list[Balance]:
        """How the accounts of a scope ("": of all) stand."""

    @abstractmethod
    async def top_up(self, key: str, amount: int) -> None:
        """Add to an account's room for the present window."""

    @abstractmethod
    async def limit(self, key: str, most: int | None) -> None:
        """Set a limit of the ledger's own, or (None) take it away."""

    @abstractmethod
    async def reset(self, scope: str) -> None:
        """Forget what a scope spent."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of files and connections."""

    def _check(self) -> None:
        """A file or connection that two processes share after a fork is broken for both."""
        if os.getpid() != self._process:
            raise ConfigurationError(
                f"{self!r} was made in the process that this one was forked from.",
                hint="Make a ledger of the same address in each process, after the fork.",
            )

    @property
    def _pulse(self) -> _Pulse:
        loop = asyncio.get_running_loop()
        if loop not in self._pulses:
            self._pulses[loop] = _Pulse(self._renew, self._ttl / 1000 / _RENEWALS, self._poll)
        return self._pulses[loop]


class _Pulse:
    """Leases and waiters of one event loop."""

    def __init__(self, renew: Renew, beat: float, poll: float) -> None:
        self._renew = renew
        self._beat, self._poll = beat, poll
        self._held: dict[str, float] = {}
        self._sleepers: dict[str, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._took = 0.0

    def hold(self, id: str) -> None:
        """Renew this lease from now on."""
        self._held[id] = _now()
        self._schedule()

    def let_go(self, id: str) -> None:
        """Renew it no longer."""
        self._held.pop(id, None)

    async def wait(self, id: str, seconds: float) -> None:
        future = self._sleepers[id] = asyncio.get_running_loop().create_future()
        self._schedule()
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            self._sleepers.pop(id, None)

    def _schedule(self) -> None:
        """See to it that the next look comes in time, and that there is one at all."""
        if self._task is not None or not (self._held or self._sleepers):
            return
        loop = asyncio.get_running_loop()
        # where a look takes long, a store is busy enough
        at = loop.time() + (max(self._poll, 8 * self._took) if self._sleepers else self._beat)
        if self._timer is None or self._timer.when() > at:
            if self._timer:
                self._timer.cancel()
            self._timer = loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._renewal())
        self._task.add_done_callback(self._looked)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and not isinstance(task.exception(), LedgerError | None):
            for future in self._sleepers.values():  # they will see for themselves
                _resolve(future)
            return
        if not asyncio.get_running_loop().is_closed():
            self._schedule()

    async def _renewal(self) -> None:
        began = _now()
        due = began - self._beat / 2
        ids = [*self._sleepers, *(id for id, last in self._held.items() if last <= due)]
        for some in _groups(ids):
            for id, state in zip(some, await self._renew(some), strict=True):
                if id in self._held:
                    self._held[id] = _now()
                if state != "waiting" and (future := self._sleepers.get(id)):
                    _resolve(future)
        self._took = min(_now() - began, self._beat / 8)


def _groups(ids: list[str]) -> Iterable[list[str]]:
    return (ids[i : i + _AT_ONCE] for i in range(0, len(ids), _AT_ONCE))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
