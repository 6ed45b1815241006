"""Scopes around calls, and holding what a call needs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from reflectkit.budget.ledger import Balance, Committed, Demand, Use
from reflectkit.budget.limits import Limit
from reflectkit.errors import BudgetExceeded, ConfigurationError
from reflectkit.ledgers import (
    Lease,
    Ledger,
    MemoryLedger,
    Scope,
    SQLiteLedger,
    current_scopes,
    default_ledger,
)
from reflectkit.ledgers.hold import hold

DEMAND = Demand(prompt=10, completion=50)


def acme(ledger: Ledger | None = None, tokens: int = 100, **more: Any) -> Scope:
    return Scope("tenant", "acme", Limit(tokens=tokens, per="day"), ledger=ledger, **more)


async def only(scope: Scope) -> Balance:
    (balance,) = await scope.balances()
    return balance


def test_scopes_nest_and_count_once() -> None:
    outer, inner = acme(), Scope("run", "7")
    with outer, inner, outer:
        assert current_scopes() == (outer, inner)
    assert current_scopes() == ()


async def test_tasks_inherit_the_scopes_around_them() -> None:
    scope, run = acme(), Scope("run", "7")

    async def child() -> tuple[Scope, ...]:
        async with run:
            await asyncio.sleep(0)
            return current_scopes()

    async with scope:
        assert list(await asyncio.gather(child(), child())) == [(scope, run)] * 2
        assert current_scopes() == (scope,)


async def test_a_call_without_scopes_is_free() -> None:
    lease = await hold((), DEMAND)
    assert (lease.completion, lease.bound_by, lease.late) == (50, "", False)
    await lease.settle(tokens=5)


def test_holding_loads_no_store() -> None:
    code = "import sys, reflectkit.ledgers.hold; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    heavy = {"sqlite3", "redis", "pydantic", "reflectkit.ledgers.memory"}
    assert not heavy & set(out.stdout.split())


async def test_the_default_is_one_ledger_of_the_process() -> None:
    scope = Scope("tenant", "of-this-test", Limit(calls=1))
    assert scope.ledger is default_ledger() is Scope("run", "x").ledger
    await (await hold([scope], DEMAND)).settle(tokens=60)
    with pytest.raises(BudgetExceeded):
        await hold([Scope("tenant", "of-this-test", Limit(calls=1))], DEMAND)


async def test_the_refusal_says_what_and_when() -> None:
    clock = 1_772_236_800.0 - 600
    ledger = MemoryLedger(clock=lambda: clock)
    scope = acme(ledger)
    held = await hold([scope], DEMAND)
    with pytest.raises(BudgetExceeded) as caught:
        await hold([scope], DEMAND)
    error = caught.value
    assert (error.scope, error.limit, error.spent) == ("tenant:acme", "tokens per day", 0)
    assert error.retry_after == 600
    assert error.message == (
        "tenant:acme has 40 of 100 tokens per day left (60 reserved), and the call may need 60."
    )
    assert error.hint == "The limit starts anew in 10 min."
    await held.settle(tokens=12)
    assert (await only(scope)).spent == 12


@pytest.mark.parametrize(
    ("limit", "hint", "again"),
    [
        (Limit(tokens=59, per="day"), "No window of this limit is that large", False),
        (Limit(tokens=59), "It does not start anew", False),
        (Limit(money=0.5, per="month"), "No window of this limit is that large", False),
    ],
)
async def test_what_never_fits(limit: Limit, hint: str, again: bool) -> None:
    scope = Scope("tenant", "acme", limit, ledger=MemoryLedger(), shortage="wait", patience=9)
    demand = Demand(prompt=10, completion=50, price_prompt=10**7, price_completion=10**7)
    with pytest.raises(BudgetExceeded) as caught:
        await asyncio.wait_for(hold([scope], demand), 1)
    assert caught.value.hint.startswith(hint)
    assert (caught.value.retry_after is not None) == again


async def test_shrinking_names_the_limit() -> None:
    scope = acme(MemoryLedger(), 40, shortage="shrink")
    lease = await hold([scope], Demand(prompt=10, completion=50, least=20))
    assert (lease.completion, lease.bound_by) == (30, "tenant:acme tokens per day")


async def test_waiting_is_in_turn() -> None:
    scope = acme(MemoryLedger(), shortage="wait", patience=5)
    first = await hold([scope], Demand(prompt=0, completion=100))
    came: list[int] = []

    async def one(number: int) -> None:
        lease = await hold([scope], Demand(prompt=0, completion=90 - number))
        came.append(number)
        await lease.release()

    tasks = [asyncio.create_task(one(number)) for number in range(50)]
    await asyncio.sleep(0.01)
    assert came == []
    await first.release()
    await asyncio.gather(*tasks)
    assert came == list(range(50))


async def test_patience_has_an_end_and_leaves_the_line() -> None:
    scope = acme(MemoryLedger(), shortage="wait", patience=0.05)
    first = await hold([scope], Demand(prompt=0, completion=100))
    with pytest.raises(BudgetExceeded, match="has waited for 0"):
        await hold([scope], DEMAND)
    await first.release()
    assert (await only(scope)).reserved == 0
    async with await hold([scope], DEMAND):
        assert (await only(scope)).reserved == 60
    assert (await only(scope)).reserved == 0


async def test_waiting_ends_when_a_window_begins() -> None:
    now = [1_772_236_799.9]  # a tenth of a second before midnight
    ledger = MemoryLedger(clock=lambda: now[0])
    scope = acme(ledger, shortage="wait", patience=5)
    await (await hold([scope], Demand(prompt=0, completion=100))).settle(tokens=100)
    waiting = asyncio.create_task(hold([scope], DEMAND))
    await asyncio.sleep(0.02)
    now[0] += 0.2
    assert (await asyncio.wait_for(waiting, 1)).completion == 50


async def test_several_ledgers_are_all_or_nothing() -> None:
    one, other = MemoryLedger(), MemoryLedger()
    rich, poor = acme(one), Scope("global", "all", Limit(tokens=20), ledger=other)
    for scopes in ([rich, poor], [poor, rich]):
        with pytest.raises(BudgetExceeded):
            await hold(scopes, DEMAND)
    assert (await only(rich)).reserved == 0
    plenty = Scope("global", "more", Limit(tokens=200), ledger=other, shortage="shrink")
    lease = await hold([rich, plenty], DEMAND)
    await lease.settle(tokens=33)
    assert [(b.spent, b.reserved) for b in (await only(rich), await only(plenty))] == [(33, 0)] * 2


async def test_the_same_scope_twice_counts_once() -> None:
    ledger = MemoryLedger()
    scope = acme(ledger)
    lease = await hold([scope, scope, acme(ledger, 90)], DEMAND)
    assert (await only(scope)).reserved == 60
    await lease.settle(tokens=7)
    await lease.settle(tokens=7)
    assert (await only(scope)).spent == 7


async def test_settling_is_not_lost_in_a_task_that_is_cancelled_twice(tmp_path: Path) -> None:
    ledger = SQLiteLedger(tmp_path / "l.db")
    scope = acme(ledger)
    lease = await hold([scope], DEMAND)

    async def call() -> None:
        try:
            await asyncio.sleep(9)
        finally:
            await lease.settle(tokens=21)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(await only(scope)).spent, (await only(scope)).reserved] == [21, 0]
    await ledger.aclose()


class Slow(MemoryLedger):
    """A store of somebody's own, whose steps a cancel could cut."""

    at_once = False

    async def commit(self, id: str, use: Use) -> Committed:
        await asyncio.sleep(0.01)
        return await super().commit(id, use)


async def test_a_store_that_can_be_cut_is_not() -> None:
    scope = acme(Slow())
    lease = await hold([scope], DEMAND)
    task = asyncio.create_task(lease.settle(tokens=21))
    for _ in range(3):
        await asyncio.sleep(0.002)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(await only(scope)).spent, (await only(scope)).reserved] == [21, 0]


def test_a_loop_that_is_closed_around_a_call_loses_nothing(tmp_path: Path) -> None:
    """``asyncio.run`` cancels every task at its end, those that settle among them."""
    ledger = SQLiteLedger(tmp_path / "l.db")
    scope = acme(ledger)

    async def call() -> None:
        lease: Lease = await hold([scope], DEMAND)
        try:
            await asyncio.sleep(9)
        finally:
            await lease.settle(tokens=21)

    async def leave() -> None:
        asyncio.create_task(call())  # noqa: RUF006 - left alone on purpose
        while not [b for b in await scope.balances() if b.reserved]:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)

    async def look() -> Balance:
        try:
            return await only(scope)
        finally:
            await ledger.aclose()

    asyncio.run(leave())
    found = asyncio.run(look())
    assert (found.spent, found.reserved) == (21, 0)


def test_threads_with_loops_of_their_own_share_memory() -> None:
    scope = Scope("tenant", "acme", Limit(tokens=4_000), ledger=MemoryLedger(), shortage="wait")
    failed: list[BaseException] = []

    async def calls() -> None:
        async def one() -> None:
            lease = await hold([scope], Demand(prompt=0, completion=1_900))
            await asyncio.sleep(0)
            await lease.settle(tokens=10)

        await asyncio.gather(*(one() for _ in range(50)))

    def work() -> None:
        try:
            asyncio.run(calls())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    found = asyncio.run(only(scope))
    assert (found.spent, found.reserved) == (2_000, 0)


async def test_topping_up_storing_and_forgetting() -> None:
    scope = acme(MemoryLedger())
    await scope.top_up(Limit(tokens=20, per="day"))
    async with await hold([scope], Demand(prompt=0, completion=120)) as lease:
        await lease.settle(tokens=120)
    await scope.store(Limit(calls=1, per="hour"))
    await scope.reset()
    async with await hold([scope], DEMAND) as lease:
        await lease.settle(tokens=1)
    with pytest.raises(BudgetExceeded, match="calls per hour"):
        await hold([scope], DEMAND)
    await scope.unstore(Limit(calls=0, per="hour"))
    await (await hold([scope], DEMAND)).release()


@pytest.mark.parametrize(
    ("kind", "name", "more"),
    [
        ("Tenant", "a", {}),
        ("", "a", {}),
        ("tenant:x", "a", {}),
        ("tenant", "", {}),
        ("tenant", "a\nb", {}),
        ("tenant", "\ud800", {}),
        ("tenant", "a" * 201, {}),
        ("tenant", 7, {}),
        ("tenant", "a", {"shortage": "panic"}),
        ("tenant", "a", {"patience": -1}),
        ("tenant", "a", {"patience": float("nan")}),
        ("tenant", "a", {"patience": "long"}),
    ],
)
def test_scopes_that_cannot_be(kind: Any, name: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Scope(kind, name, **more)
    assert caught.value.hint


def test_limits_of_a_scope_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="two limits of the same kind"):
        Scope("tenant", "a", Limit(tokens=5), Limit(tokens=6))
    with pytest.raises(ConfigurationError, match="A int is no limit"):
        Scope("tenant", "a", 5)  # type: ignore[arg-type]  # wrong on purpose
    assert repr(Scope("tenant", "a/b:c", Limit(tokens=5))) == (
        "Scope('tenant:a/b:c', Limit(tokens=5, per=None))"
    )
