"""A hundred thousand random schedules of the books, and planted faults that the checker finds."""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from ledger_schedules import Schedule, survey
from reflectkit.budget import ledger
from reflectkit.budget.ledger import Account, Books, Granted, Holding, Order, Shelf, Use
from reflectkit.ledgers.memory import MemoryShelf

pytestmark = pytest.mark.long

SCHEDULES = 100_000


@pytest.mark.timeout(900)  # a busy machine takes that long
def test_no_schedule_leaks_blocks_overtakes_or_overspends() -> None:
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        runs = [pool.submit(survey, n, cores, SCHEDULES, 8) for n in range(cores)]
        assert [run.result() for run in runs] == [""] * cores


def test_long_schedules() -> None:
    for seed in range(100):
        Schedule(seed).run(300)


class Forgetful(Books):
    """Keeps what a commit should give back."""

    def commit(self, id: str, use: Use, now: int) -> Any:
        holding = self.shelf.holding(id)
        if holding and holding.state == "held":
            holding.amounts = [(key, amount // 2) for key, amount in holding.amounts]
        return super().commit(id, use, now)


class StaleShelf(MemoryShelf):
    """Every fourth read is of an older state, as in a store without transactions."""

    def __init__(self) -> None:
        super().__init__()
        self._reads = 0
        self._old: dict[str, Account] = {}
        fresh = self.account

        def account(key: str) -> Account | None:
            self._reads += 1
            found = fresh(key)
            if self._reads % 4 == 0 and key in self._old:
                return self._old[key]
            self._old[key] = copy.copy(found) if found else Account(key, 0, ledger.MOST)
            return found

        self.account = account  # type: ignore[assignment]  # the methods of one object are replaced


class Overtaking(Books):
    """Serves whoever comes, if there is room."""

    def _serve(self, now: int, before: str = "") -> set[str]:
        super()._serve(now, before)
        return set()


class Drowsy(Books):
    """Serves one of those in line, and forgets the next."""

    def _serve(self, now: int, before: str = "") -> set[str]:
        whole = self.shelf.waiting
        first = [*whole()][:1]
        self.shelf.waiting = lambda: first  # type: ignore[method-assign]  # a method of one object
        try:
            return super()._serve(now, before)
        finally:
            self.shelf.waiting = whole  # type: ignore[method-assign]  # a method of one object


class Twice(Books):
    """Gives back at a late commit what had come back by expiring."""

    def commit(self, id: str, use: Use, now: int) -> Any:
        self._expire(now)
        holding = self.shelf.holding(id)
        if holding and holding.state == "expired":
            for key, amount in holding.amounts:
                self._account(key, now).reserved -= amount
        return super().commit(id, use, now)


class Partial(Books):
    """Reserves at the first account alone."""

    def _grant(
        self, order: Order, weighed: Any, now: int, holding: Holding | None = None
    ) -> Granted:
        weighed.lines = weighed.lines[:1]
        return super()._grant(order, weighed, now, holding)


class Generous(Books):
    """Weighs with a token more than there is."""

    def _lines(self, order: Order, now: int) -> list[Any]:
        lines = super()._lines(order, now)
        for line in lines:
            line.cap += 1
        return lines


class Eternal(Books):
    """Takes nothing back from the dead."""

    def _expire(self, now: int) -> None:
        pass


class Leaving(MemoryShelf):
    """Puts those in line at its head."""

    def put(self, holding: Holding, keys: Collection[str] = ()) -> None:
        super().put(holding, keys)
        if keys:
            self._line = {holding.id: self._line.pop(holding.id), **self._line}


PLANTED: dict[str, tuple[type[Books], type[Shelf]]] = {
    cls.__name__: (cls, MemoryShelf)
    for cls in (Forgetful, Overtaking, Drowsy, Twice, Partial, Generous, Eternal)
} | {cls.__name__: (Books, cls) for cls in (StaleShelf, Leaving)}


def run_many(books: type[Books] = Books, shelf: type[Shelf] = MemoryShelf) -> None:
    for seed in range(2_000):
        Schedule(seed, books, shelf).run(20)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    books, shelf = PLANTED[name]
    with pytest.raises(AssertionError):
        run_many(books, shelf)


def test_windows_that_never_end_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_roll", lambda account, now: None)
    with pytest.raises(AssertionError):
        run_many()
