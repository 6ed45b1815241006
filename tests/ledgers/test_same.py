"""One rule book: memory's books, SQLite and Redis give the same answers to the same operations."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger_schedules import Schedule
from reflectkit.budget.accounts import Shortage
from reflectkit.budget.ledger import (
    MOST,
    PERIODS,
    UNITS,
    Books,
    Cap,
    Claim,
    Demand,
    Order,
    Shelf,
    Use,
    account_key,
    window,
)
from reflectkit.ledgers import RedisLedger, SharedLedger, SQLiteLedger
from reflectkit.ledgers.memory import MemoryShelf
from servers_of_ledgers import RedisServer

pytestmark = pytest.mark.long

TTL = 40.0
SCOPES = ("tenant:acme", "tenant:other/two", "global:all")
#: 2026-02-27, shortly before midnight: days and a month begin soon
START = 1_772_236_700.0


class Clock:
    """Seconds that the test sets; now and then it steps back."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Script:
    """Random operations that go on from what was answered."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._seed = seed
        self._ids: list[str] = []
        self._orders: dict[str, Order] = {}

    def next(self) -> tuple[str, tuple[Any, ...]]:
        names = ("reserve", "again", "commit", "renew", "top_up", "limit", "reset", "balances")
        (name,) = self._rng.choices(names, (30, 8, 22, 10, 4, 4, 1, 6))
        made: tuple[str, tuple[Any, ...]] = getattr(self, f"_{name}")()
        return made

    def pause(self) -> float:
        return self._rng.choice((0, 0, 0.1, 0.5, 2, 5, 9, 11, 30, 61, -3, 3_600, 86_400))

    def size(self) -> int:
        return self._rng.choice((1, 1, 1, 2, 5))

    def _reserve(self) -> tuple[str, tuple[Any, ...]]:
        id = f"{self._seed}-{len(self._ids)}"
        self._ids.append(id)
        scopes = self._rng.sample(SCOPES, self._rng.randint(1, 3))
        self._orders[id] = Order(
            id=id, claims=tuple(self._claim(s) for s in scopes), demand=self._demand()
        )
        return "reserve", (self._orders[id],)

    def _claim(self, scope: str) -> Claim:
        keys = {self._key(scope) for _ in range(self._rng.randint(0, 2))}
        caps = tuple(Cap(key, self._figure()) for key in sorted(keys))
        ways: tuple[Shortage, ...] = ("reject", "wait", "wait", "shrink")
        shortage = self._rng.choice(ways)
        return Claim(scope=scope, caps=caps, shortage=shortage)

    def _key(self, scope: str) -> str:
        unit = self._rng.choice(UNITS)
        return account_key(scope, unit, self._rng.choice((None, *PERIODS)))

    def _figure(self) -> int:
        return self._rng.choice((0, 3, 50, 100, 100, 200, 1_000, 5 * 10**15, MOST))

    def _demand(self) -> Demand:
        rng = self._rng
        completion = rng.choice((0, 1, 20, 60, 150, 4 * 10**12))
        least = rng.choice((None, 0, 1, 10))
        return Demand(
            prompt=rng.choice((0, 5, 40)),
            completion=completion,
            least=None if least is None else min(least, completion),
            price_prompt=rng.choice((0, 3)),
            price_completion=rng.choice((0, 7, 999)),
            calls=rng.choice((1, 1, 0)),
        )

    def _again(self) -> tuple[str, tuple[Any, ...]]:
        return ("reserve", (self._orders[self._id()],)) if self._ids else self._balances()

    def _id(self) -> str:
        return self._rng.choice(self._ids[-12:]) if self._ids else "nobody"

    def _commit(self) -> tuple[str, tuple[Any, ...]]:
        figures = {unit: self._rng.choice((0, 1, 30, 90, 250)) for unit in UNITS}
        return "commit", (self._id(), Use(**figures))

    def _renew(self) -> tuple[str, tuple[Any, ...]]:
        return "renew", ([self._id() for _ in range(self._rng.randint(0, 4))],)

    def _top_up(self) -> tuple[str, tuple[Any, ...]]:
        return "top_up", (self._key(self._rng.choice(SCOPES)), self._rng.choice((1, 70)))

    def _limit(self) -> tuple[str, tuple[Any, ...]]:
        most = self._rng.choice((None, None, 0, 80, 10**6))
        return "limit", (self._key(self._rng.choice(SCOPES)), most)

    def _reset(self) -> tuple[str, tuple[Any, ...]]:
        return "reset", (self._rng.choice(SCOPES),)

    def _balances(self) -> tuple[str, tuple[Any, ...]]:
        return "balances", (self._rng.choice(("", *SCOPES)),)


async def compare(
    ledger: SharedLedger, clock: Clock, seed: int, steps: int, books: type[Books] = Books
) -> dict[str, int]:
    """Drive both with one script; returns how often each answer came."""
    script, reference = Script(seed), books(MemoryShelf(), int(TTL * 1000))
    seen: dict[str, int] = {}
    for step in range(steps):
        clock.now += script.pause()
        batch = [script.next() for _ in range(script.size())]
        now = int(clock.now * 1000)
        expected = [getattr(reference, name)(*arguments, now) for name, arguments in batch]
        got = await ledger._perform(batch)
        assert got == expected, f"seed {seed}, step {step}: {batch}"
        for (name, _), answer in zip(batch, got, strict=True):
            kind = f"{name} {type(answer).__name__} {getattr(answer, 'waiting', '')}"
            seen[kind] = seen.get(kind, 0) + 1
    now = int(clock.now * 1000)
    assert await ledger.balances() == reference.balances("", now)
    return seen


@pytest.fixture(params=["sqlite", "redis"])
def made(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> Callable[[Clock, str], SharedLedger]:
    def make(clock: Clock, name: str) -> SharedLedger:
        if request.param == "sqlite":
            return SQLiteLedger(tmp_path / f"{name}.db", ttl=TTL, clock=clock)
        return RedisLedger(redis_server.url, ttl=TTL, clock=clock, prefix=f"{tmp_path.name}-{name}")

    return make


async def test_the_same_operations_have_the_same_answers(
    made: Callable[[Clock, str], SharedLedger],
) -> None:
    seen: dict[str, int] = {}
    for seed in range(40):
        clock = Clock()
        ledger = made(clock, str(seed))
        try:
            for kind, count in (await compare(ledger, clock, seed, 120)).items():
                seen[kind] = seen.get(kind, 0) + count
        finally:
            await ledger.aclose()
    # the script reaches every kind of answer
    assert {"reserve Granted ", "reserve Short True", "reserve Short False"} <= set(seen)
    assert min(seen.values()) > 10


class Recorded(Books):
    """Writes down what it was asked and what it said."""

    def __init__(self, shelf: Shelf, ttl: int | None = None) -> None:
        super().__init__(shelf, ttl)
        self.record: list[tuple[str, tuple[Any, ...], int, Any]] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("reserve", "commit", "renew", "top_up", "limit"):
            return found

        def recorded(*arguments: Any) -> Any:
            answer = found(*arguments)
            self.record.append((name, arguments[:-1], arguments[-1], answer))
            return answer

        return recorded


async def test_the_schedules_of_the_books_have_the_same_answers(
    made: Callable[[Clock, str], SharedLedger],
) -> None:
    """Those crowd on few accounts, so that long lines form."""
    for seed in range(24):
        schedule = Schedule(seed, Recorded, ttls=(10_000, 10**12))
        schedule.run(120)
        clock = Clock()
        ledger = made(clock, f"schedule-{seed}")
        ledger._ttl = schedule.books.ttl or 0
        assert isinstance(schedule.books, Recorded)
        for name, arguments, now, answer in schedule.books.record:
            clock.now = now / 1000
            assert await ledger._perform([(name, arguments)]) == [answer], (seed, now, name)
        await ledger.aclose()


class Forgetful(Books):
    """Gives nothing back at a commit of less than was reserved."""

    def commit(self, id: str, use: Use, now: int) -> Any:
        holding = self.shelf.holding(id)
        if holding and holding.state == "held":
            holding.amounts = tuple((key, 0) for key, _ in holding.amounts)
        return super().commit(id, use, now)


async def test_a_difference_is_found(made: Callable[[Clock, str], SharedLedger]) -> None:
    clock = Clock()
    ledger = made(clock, "planted")
    try:
        with pytest.raises(AssertionError):
            await compare(ledger, clock, 1, 400, Forgetful)
    finally:
        await ledger.aclose()


async def test_redis_knows_the_calendar(redis_server: RedisServer) -> None:
    clock = Clock()
    ledger = RedisLedger(redis_server.url, clock=clock, prefix="calendar")
    key = account_key("tenant:acme", "calls", "month")
    await ledger.limit(key, 5)
    rng = random.Random(7)
    for _ in range(2_000):
        clock.now = rng.uniform(0, 8e9)  # to the year 2223
        if rng.random() < 0.3:  # the edges of months
            edge = window("month", int(clock.now * 1000))[rng.randint(0, 1)]
            clock.now = (edge + rng.choice((-1, 0, 1))) / 1000
            clock.now = max(clock.now, 0)
        (balance,) = await ledger.balances("tenant:acme")
        assert balance.ends == window("month", int(clock.now * 1000))[1]
    await ledger.aclose()
