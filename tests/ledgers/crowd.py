"""Many calls at once under one cap, with failures and cancels everywhere. Also run as a process:

python crowd.py ADDRESS SEED CALLS   # begins at a line of input; prints the tokens it settled
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from contextlib import suppress

from reflectkit.budget.ledger import Demand, Shortage
from reflectkit.budget.limits import Limit
from reflectkit.errors import BudgetExceeded
from reflectkit.ledgers import Ledger, RedisLedger, Scope, SQLiteLedger
from reflectkit.ledgers.hold import hold

CAP = 30_000
TTL = 6.0  # a busy machine must not be late with the heartbeat
POLICIES: tuple[Shortage, ...] = ("reject", "wait", "wait", "shrink")


class BackendFailed(Exception):
    """What goes wrong at the model's side."""


def scopes(ledger: Ledger, shortage: Shortage, patience: float) -> tuple[Scope, ...]:
    """A tenant of a global cap, two limits each."""
    return (
        Scope(
            "tenant",
            "acme",
            Limit(tokens=CAP),
            Limit(calls=100_000),
            ledger=ledger,
            shortage=shortage,
            patience=patience,
        ),
        Scope("global", "all", Limit(tokens=2 * CAP), ledger=ledger, shortage="wait", patience=30),
    )


async def one(of: Sequence[Scope], rng: random.Random, settled: list[int]) -> None:
    """A call: it takes up to what it was granted, some of it fail, and all of it settles."""
    prompt = rng.randint(5, 50)
    completion = rng.randint(50, 400)
    lease = await hold(of, Demand(prompt=prompt, completion=completion, least=20))
    used = prompt
    try:
        for _ in range(rng.randint(1, 5)):
            await asyncio.sleep(rng.random() * 0.01)
            used += lease.completion // 5
            if rng.random() < 0.05:
                raise BackendFailed
    finally:
        settled.append(used)
        await lease.settle(tokens=used)


async def crowd(ledger: Ledger, seed: int, calls: int) -> int:
    """So many calls at once; nearly a third is cancelled somewhere, some of them twice."""
    rng, loop = random.Random(seed), asyncio.get_running_loop()
    settled: list[int] = []
    kinds = {how: scopes(ledger, how, patience=20.0) for how in POLICIES}
    tasks = []
    for _ in range(calls):
        own = random.Random(rng.random())
        task = asyncio.create_task(one(kinds[rng.choice(POLICIES)], own, settled))
        tasks.append(task)
        for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 2))):
            loop.call_later(rng.random() * 0.4, task.cancel)
    for task in tasks:
        with suppress(BudgetExceeded, BackendFailed, asyncio.CancelledError):
            await task
    return sum(settled)


def open_shared(address: str, ttl: float = TTL) -> SQLiteLedger | RedisLedger:
    """The ledger of an address, with leases that expire soon."""
    if address.startswith("sqlite:"):
        return SQLiteLedger(address.removeprefix("sqlite:"), ttl=ttl, busy=60)
    return RedisLedger(address, ttl=ttl, timeout=30)


async def main(address: str, seed: str, calls: str) -> None:
    ledger = open_shared(address)
    print("ready", flush=True)
    sys.stdin.readline()
    print(await crowd(ledger, int(seed), int(calls)), flush=True)
    await ledger.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
