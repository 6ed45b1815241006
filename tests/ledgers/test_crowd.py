"""A thousand calls on one cap, in one process and in four, one of them killed: never beyond the
cap, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import crowd
from crowd import CAP, TTL, open_shared, scopes
from reflectkit.budget.ledger import Demand
from reflectkit.ledgers import Ledger, MemoryLedger
from reflectkit.ledgers.hold import hold
from servers_of_ledgers import RedisServer

pytestmark = pytest.mark.long

TOKENS = "tenant:acme/tokens/ever"


async def test_a_thousand_calls_in_memory() -> None:
    ledger = MemoryLedger()
    settled = await crowd.crowd(ledger, 1, 1_000)
    balances = {b.key: b for b in await ledger.balances()}
    assert balances[TOKENS].spent == settled == balances["global:all/tokens/ever"].spent
    assert CAP * 0.7 < settled <= CAP
    assert [b.reserved for b in balances.values()] == [0, 0, 0]


@pytest.fixture(params=["sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer) -> str:
    return f"sqlite:{tmp_path / 'l.db'}" if request.param == "sqlite" else redis_server.url


async def start(address: str, seed: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        crowd.__file__,
        address,
        str(seed),
        "250",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()) == b"ready\n"
    return process


async def finish(process: asyncio.subprocess.Process) -> int:
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0
    return int(out)


async def until(ledger: Ledger, holds: Callable[[int], bool], seconds: float) -> None:
    """Return as soon as what is reserved is as it should be."""
    async with asyncio.timeout(seconds):
        for _ in iter(int, 1):
            if holds(sum(b.reserved for b in await ledger.balances())):
                return
            await asyncio.sleep(0.01)


async def test_four_processes_and_one_of_them_killed(address: str) -> None:
    ledger = open_shared(address)
    await ledger.reset("tenant:acme")
    await ledger.reset("global:all")
    processes = [await start(address, seed) for seed in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
    await until(ledger, lambda tokens: tokens > 0, 30)
    await asyncio.sleep(0.1)
    processes[0].kill()  # SIGKILL: nothing of it runs any more
    settled = sum([await finish(process) for process in processes[1:]])
    await processes[0].communicate()
    await until(ledger, lambda tokens: tokens == 0, TTL + 2)  # a dead process's come back
    balances = {b.key: b for b in await ledger.balances()}
    assert settled <= balances[TOKENS].spent <= CAP
    assert balances[TOKENS].spent > CAP * 0.7
    await ledger.aclose()


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
async def test_a_cancel_at_every_await_leaves_nothing(
    kind: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    """The cancel comes ever later: while a call reserves, waits, works, or settles."""
    shared = f"sqlite:{tmp_path / 'l.db'}" if kind == "sqlite" else redis_server.url
    ledger = MemoryLedger() if kind == "memory" else open_shared(shared, ttl=60)
    await ledger.reset("tenant:acme")
    await ledger.reset("global:all")
    pauses = {"memory": 0.0005, "sqlite": 0.0005, "redis": 0.0004}
    of = scopes(ledger, "wait", patience=30)
    whole = Demand(prompt=0, completion=CAP)
    settled: list[int] = []
    for turn in range(80):
        holder = await hold(of, whole)
        task = asyncio.create_task(crowd.one(of, random.Random(turn), settled))
        await asyncio.sleep(pauses[kind] * turn / 2)
        await holder.release()
        await asyncio.sleep(pauses[kind] * turn / 2)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        balances = {b.key: b for b in await ledger.balances("tenant:acme")}
        assert balances[TOKENS].reserved == 0, turn
        assert balances[TOKENS].spent == sum(settled)
        await ledger.reset("tenant:acme")
        await ledger.reset("global:all")
        settled.clear()
    await ledger.aclose()
