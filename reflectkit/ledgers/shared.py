"""What ledgers of several processes share: leases are renewed while they are held, and calls in
line ask from time to time whether they were served."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from ..budget.ledger import Balance, Committed, Granted, Order, Short, Use
from ..errors import ConfigurationError, LedgerError

__all__ = ["SharedLedger"]

#: a lease is renewed so often in its time
_RENEWALS: Final = 3
#: more than this many ids are not renewed in one step, so that others come between
_AT_ONCE: Final = 500

#: so many operations go into one step at most
_TOGETHER: Final = 64

#: an operation of ``Books``, and its arguments but for the time
Step: TypeAlias = tuple[str, tuple[Any, ...]]
Renew: TypeAlias = Callable[[list[str]], Awaitable[list[str | None]]]


class SharedLedger(ABC):
    """A ledger whose leases expire, so that those of a dead process come back.

    A store has to say how to do several operations of ``Books`` in one step (``_perform``); what
    is asked while a step is under way goes into the next. Heartbeat and waiting stand here.
    ``ttl``: seconds that a lease lives without a heartbeat. ``poll``: seconds between two looks of
    those in line.
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
        self._closed = False
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    async def reserve(self, order: Order) -> Granted | Short:
        """Take what the order needs, and keep it alive."""
        answer: Granted | Short = await self._do("reserve", order)
        if isinstance(answer, Granted):
            self._mine.pulse.hold(order.id)
        return answer

    async def commit(self, id: str, use: Use) -> Committed:
        """Record what was used; the heartbeat of this lease ends."""
        self._check()
        self._mine.pulse.let_go(id)
        outcome: Committed = await self._do("commit", id, use)
        return outcome

    async def wait(self, id: str, seconds: float) -> None:
        """Return when the order may have been served, at the latest after ``seconds``."""
        self._check()
        await self._mine.pulse.wait(id, seconds)

    async def balances(self, scope: str = "") -> list[Balance]:
        """How the accounts of a scope ("": of all) stand."""
        found: list[Balance] = await self._do("balances", scope)
        return found

    async def top_up(self, key: str, amount: int) -> None:
        """Add to an account's room for the present window."""
        await self._do("top_up", key, amount)

    async def limit(self, key: str, most: int | None) -> None:
        """Set a limit of the ledger's own, or (None) take it away."""
        await self._do("limit", key, most)

    async def reset(self, scope: str) -> None:
        """Forget what a scope spent."""
        await self._do("reset", scope)

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of files and connections."""
        self._closed = True

    @abstractmethod
    async def _perform(self, steps: list[Step]) -> list[Any]:
        """The answers of ``Books`` to these operations, done in one transaction."""

    async def _do(self, name: str, *arguments: Any) -> Any:
        self._check()
        if self._closed:
            raise ConfigurationError(f"{self!r} is closed.", hint="Make a new one.")
        return await self._mine.batch.do(name, arguments)

    async def _renew(self, ids: list[str]) -> list[str | None]:
        states: list[str | None] = await self._do("renew", ids)
        return states

    def _check(self) -> None:
        """A file or connection that two processes share after a fork is broken for both."""
        if os.getpid() != self._process:
            raise ConfigurationError(
                f"{self!r} was made in the process that this one was forked from.",
                hint="Make a ledger of the same address in each process, after the fork.",
            )

    @property
    def _mine(self) -> _Loop:
        """What belongs to this event loop."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            forget_closed(self._loops)
            pulse = _Pulse(self._renew, self._ttl / 1000 / _RENEWALS, self._poll)
            found = self._loops[loop] = _Loop(pulse, _Batch(self._perform))
        return found


def forget_closed(by_loop: MutableMapping[asyncio.AbstractEventLoop, Any]) -> None:
    """What was kept for a loop holds on to it, so that it does not go by itself."""
    for loop in [loop for loop in by_loop if loop.is_closed()]:
        del by_loop[loop]


class _Batch:
    """Does what several tasks ask for in one step, in the order of asking."""

    def __init__(self, perform: Callable[[list[Step]], Awaitable[list[Any]]]) -> None:
        self._perform = perform
        self._asked: list[tuple[Step, asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def do(self, name: str, arguments: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._asked.append(((name, arguments), future))
        if self._task is None:
            self._task = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._asked:
                some, self._asked = self._asked[:_TOGETHER], self._asked[_TOGETHER:]
                await self._step(some)
        finally:
            self._task = None
            for _, future in self._asked:
                future.cancel()
            self._asked.clear()

    async def _step(self, some: list[tuple[Step, asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._perform([step for step, _ in some])
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            for _, future in some:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in some:
                future.cancel()
            raise
        else:
            for (_, future), answer in zip(some, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


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


class _Loop(NamedTuple):
    """What a ledger has on one event loop."""

    pulse: _Pulse
    batch: _Batch
