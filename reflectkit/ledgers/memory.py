"""A ledger in this process's memory."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..budget.ledger import MOST, Books, Holding, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..budget.ledger import Account, Balance, Committed, Granted, Order, Short, Use

__all__ = ["MemoryLedger", "MemoryShelf"]

_NUMBERS = itertools.count(1)


class MemoryShelf:
    """Dictionaries."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._holdings: dict[str, Holding] = {}
        self._line: dict[str, tuple[Holding, tuple[str, ...]]] = {}
        self._waited_for: Counter[str] = Counter()
        self._limits: dict[str, dict[str, int]] = {}
        self._mortal: dict[str, Holding] = {}
        self.account = self._accounts.get
        self.holding = self._holdings.get

    def open(self, account: Account) -> None:
        self._accounts[account.key] = account

    def close(self, key: str) -> None:
        del self._accounts[key]

    def accounts(self, scope: str) -> list[Account]:
        found = self._accounts.values()
        return [a for a in found if not scope or parts_of(a.key)[0] == scope]

    def put(self, holding: Holding, keys: Collection[str] = ()) -> None:
        self._holdings[holding.id] = holding
        if holding.deadline < MOST:
            self._mortal[holding.id] = holding
        if keys:
            _, before = self._line.get(holding.id, (holding, ()))
            self._waited_for -= Counter(before)
            self._waited_for.update(keys)
            self._line[holding.id] = holding, tuple(keys)

    def drop(self, holding: Holding) -> None:
        del self._holdings[holding.id]
        if self._mortal:
            self._mortal.pop(holding.id, None)
        if holding.state == "waiting":
            self._waited_for -= Counter(self._line.pop(holding.id)[1])

    def waiting(self) -> Iterable[Holding]:
        return [holding for holding, _ in self._line.values()]

    def waited_for(self) -> Collection[str]:
        return self._waited_for

    def overdue(self, now: int) -> Iterable[Holding]:
        if not self._mortal:
            return ()
        found = [h for h in self._mortal.values() if h.deadline <= now]
        return sorted(found, key=lambda h: (h.deadline, h.id))

    def limits(self, scope: str) -> dict[str, int]:
        if scope or not self._limits:
            return self._limits.get(scope, {})
        return {key: most for of in self._limits.values() for key, most in of.items()}

    def limit(self, key: str, most: int | None) -> None:
        scope = parts_of(key)[0]
        limits = {k: m for k, m in self._limits.get(scope, {}).items() if k != key}
        if most is not None:
            limits[key] = most
        self._limits[scope] = limits
        if not limits:
            del self._limits[scope]


class MemoryLedger:
    """Keeps accounts in memory: for one process, its threads and event loops. Ends with it.

    A reservation lives until it is settled; waiting is first come, first served. A process that
    was forked goes on with a copy of its own. ``clock``: seconds since 1970.
    """

    at_once = True

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.address = f"memory:{next(_NUMBERS)}"
        self._clock = clock
        self._books = Books(MemoryShelf())
        self._lock = threading.Lock()
        self._sleepers: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = {}

    def __repr__(self) -> str:
        return "MemoryLedger()"

    async def reserve(self, order: Order) -> Granted | Short:
        with self._lock:
            answer = self._books.reserve(order, int(self._clock() * 1000))
            if self._books.moved:
                self._wake()
        return answer

    async def commit(self, id: str, use: Use) -> Committed:
        with self._lock:
            answer = self._books.commit(id, use, int(self._clock() * 1000))
            if self._books.moved:
                self._wake()
        return answer

    async def wait(self, id: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        with self._open() as (books, _):
            holding = books.shelf.holding(id)
            if holding is None or holding.state != "waiting":
                return
            future = loop.create_future()
            self._sleepers[id] = loop, future
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            self._sleepers.pop(id, None)

    async def balances(self, scope: str = "") -> list[Balance]:
        with self._open() as (books, now):
            return books.balances(scope, now)

    async def top_up(self, key: str, amount: int) -> None:
        with self._open() as (books, now):
            books.top_up(key, amount, now)

    async def limit(self, key: str, most: int | None) -> None:
        with self._open() as (books, now):
            books.limit(key, most, now)

    async def reset(self, scope: str) -> None:
        with self._open() as (books, now):
            books.reset(scope, now)

    async def aclose(self) -> None:
        """Nothing is open."""

    @contextmanager
    def _open(self) -> Iterator[tuple[Books, int]]:
        with self._lock:
            yield self._books, int(self._clock() * 1000)
            self._wake()

    def _wake(self) -> None:
        """Tell those who were served; each on its own event loop, which may be closed by now."""
        for id in self._books.moved:
            if id in self._sleepers:
                loop, future = self._sleepers.pop(id)
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_resolve, future)
        self._books.moved.clear()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
