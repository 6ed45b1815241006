"""SQLite and Redis when things go wrong: wrong files, locks, forks, passwords, lost connections."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reflectkit.budget.ledger import Demand
from reflectkit.budget.limits import Limit
from reflectkit.errors import BudgetExceeded, ConfigurationError, LedgerError
from reflectkit.ledgers import RedisLedger, Scope, SharedLedger, SQLiteLedger, open_ledger
from reflectkit.ledgers.hold import hold
from servers_of_ledgers import RedisServer

DEMAND = Demand(prompt=10, completion=50)


def acme(ledger: SharedLedger, **more: Any) -> Scope:
    return Scope("tenant", "acme", Limit(tokens=100), ledger=ledger, **more)


async def figures(scope: Scope) -> tuple[int, int]:
    (balance,) = await scope.balances()
    return balance.spent, balance.reserved


@pytest.fixture(params=["sqlite", "redis"])
async def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[SharedLedger]:
    made: SharedLedger
    if request.param == "sqlite":
        made = SQLiteLedger(tmp_path / "l.db", ttl=0.4)
    else:
        made = RedisLedger(redis_server.url, ttl=0.4, prefix=f"{tmp_path.name}")
    yield made
    await made.aclose()


async def test_a_heartbeat_keeps_what_is_held(ledger: SharedLedger) -> None:
    scope = acme(ledger)
    lease = await hold([scope], DEMAND)
    await asyncio.sleep(1.0)
    assert await figures(scope) == (0, 60)
    await lease.settle(tokens=5)
    assert lease.late is False
    assert await figures(scope) == (5, 0)


async def test_a_loop_that_is_held_up_is_late_and_says_so(ledger: SharedLedger) -> None:
    scope = acme(ledger)
    lease = await hold([scope], DEMAND)
    time.sleep(0.6)  # noqa: ASYNC251 - a heartbeat cannot come now
    assert await figures(scope) == (0, 0)
    await lease.settle(tokens=5)
    assert lease.late is True
    assert await figures(scope) == (5, 0)


async def test_waiting_across_ledgers_of_the_same_store(ledger: SharedLedger) -> None:
    scope = acme(ledger, shortage="wait", patience=5)
    lease = await hold([scope], DEMAND)
    waiting = asyncio.create_task(hold([scope], DEMAND))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await lease.settle(tokens=1)
    granted = await asyncio.wait_for(waiting, 2)
    assert await figures(scope) == (1, 60)
    await granted.release()
    impatient = acme(ledger, shortage="wait", patience=0.1)
    async with await hold([scope], DEMAND):
        with pytest.raises(BudgetExceeded, match="waited"):
            await hold([impatient], DEMAND)
    assert await figures(scope) == (1, 0)


async def test_closed_is_closed(ledger: SharedLedger) -> None:
    await ledger.balances()
    await ledger.aclose()
    await ledger.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await ledger.balances()


def test_one_event_loop_after_another(tmp_path: Path, redis_server: RedisServer) -> None:
    for ledger in (SQLiteLedger(tmp_path / "l.db"), RedisLedger(redis_server.url, prefix="loops")):
        scope = acme(ledger)

        async def call(scope: Scope = scope) -> None:
            await (await hold([scope], DEMAND)).settle(tokens=10)

        for _ in range(3):
            asyncio.run(call())

        async def look(scope: Scope = scope, ledger: SharedLedger = ledger) -> tuple[int, int]:
            try:
                return await figures(scope)
            finally:
                await ledger.aclose()

        assert asyncio.run(look()) == (30, 0)


FORKED = """
import asyncio, os, sys
from reflectkit.errors import ConfigurationError
from reflectkit.ledgers import open_ledger
ledger = open_ledger(sys.argv[1])
asyncio.run(ledger.balances())
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
try:
    asyncio.run(ledger.balances())
except ConfigurationError as error:
    print(error, flush=True)
os._exit(0)
"""


def test_a_forked_process_is_told_to_make_its_own(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    for address in (f"sqlite:{tmp_path / 'l.db'}", redis_server.url):
        line = [sys.executable, "-W", "ignore", "-c", FORKED, address]
        told = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
        assert "Make a ledger of the same address in each process" in told.stdout


async def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello, this is no database at all" * 50)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for path, words in ((text, "not a database"), (other, "no ledger"), (tmp_path, "unable")):
        ledger = SQLiteLedger(path)
        with pytest.raises(LedgerError, match=words) as caught:
            await hold([acme(ledger)], DEMAND)
        assert caught.value.hint
        await ledger.aclose()
    assert text.read_text().startswith("hello")


async def test_a_file_that_somebody_locks(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    ledger = SQLiteLedger(path, busy=0.2)
    scope = acme(ledger)
    await (await hold([scope], DEMAND)).settle(tokens=1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked") as caught:
        await hold([scope], DEMAND)
    assert caught.value.retryable
    other.execute("ROLLBACK")
    other.close()
    assert await figures(scope) == (1, 0)
    await ledger.aclose()


@pytest.mark.parametrize("path", ["", ":memory:", "a\0b"])
def test_names_that_are_no_file(path: str) -> None:
    with pytest.raises(ConfigurationError):
        SQLiteLedger(path)


@pytest.mark.parametrize("more", [{"ttl": 0}, {"ttl": 1, "poll": 1}, {"poll": 0}, {"ttl": 10**9}])
def test_times_that_do_not_fit(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="do not fit"):
        SQLiteLedger("x", **more)


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    ledger = RedisLedger(f"unix://:hunter2@{tmp_path}/nobody")
    with pytest.raises(LedgerError, match="cannot be reached") as caught:
        await hold([acme(ledger)], DEMAND)
    assert caught.value.retryable
    assert "hunter2" not in f"{caught.value!r}{caught.value}{ledger!r}{ledger.address}"
    await ledger.aclose()


@pytest.mark.parametrize("url", ["http://host", "redis//host", "", "redis://host:port"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError):
        RedisLedger(url)


async def test_a_password_is_asked_for_and_never_shown() -> None:
    with RedisServer(password="hunter2") as server:
        wrong = RedisLedger(server.url.replace("hunter2", "hunter3"))
        none = RedisLedger(f"unix://{server.socket}")
        right = RedisLedger(server.url)
        assert await right.balances() == []
        for ledger in (wrong, none):
            with pytest.raises(LedgerError) as caught:
                await ledger.balances()
            assert "hunter" not in f"{caught.value!r}{caught.value}{ledger!r}{right!r}"
            assert not caught.value.retryable
        for ledger in (wrong, none, right):
            await ledger.aclose()


async def test_a_server_that_restarts_is_found_again_and_sent_the_script() -> None:
    with RedisServer() as server:
        ledger = RedisLedger(server.url)
        scope = acme(ledger)
        await (await hold([scope], DEMAND)).settle(tokens=5)
        server.stop()
        again = asyncio.create_task(hold([scope], DEMAND))
        await asyncio.sleep(0.1)
        server.start()
        await (await again).settle(tokens=7)
        assert await figures(scope) == (7, 0)  # this server keeps nothing on disk
        await ledger.aclose()


async def test_keys_that_are_somebody_elses(redis_server: RedisServer) -> None:
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(redis_server.url)
    await client.set("{theirs}:accounts", "x")
    ledger = RedisLedger(client, prefix="theirs")
    with pytest.raises(LedgerError, match="WRONGTYPE") as caught:
        await hold([acme(ledger)], DEMAND)
    assert "prefix" in caught.value.hint
    await ledger.aclose()
    assert await client.ping()  # a client that was handed over stays open
    own = RedisLedger(client, prefix="ours")
    await (await hold([acme(own)], DEMAND)).settle(tokens=5)
    assert await figures(acme(own)) == (5, 0)
    await client.aclose()


async def test_one_round_trip_each_way(redis_server: RedisServer) -> None:
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(redis_server.url)
    ledger = RedisLedger(redis_server.url, prefix="trips")
    await (await hold([acme(ledger)], DEMAND)).release()

    async def commands() -> int:
        stats = await client.info("commandstats")
        return sum(int(v["calls"]) for k, v in stats.items() if k.startswith("cmdstat_eval"))

    before = await commands()
    for _ in range(10):
        await (await hold([acme(ledger)], DEMAND)).settle(tokens=1)
    assert await commands() - before == 20
    await ledger.aclose()
    await client.aclose()


def test_ledgers_by_address(tmp_path: Path) -> None:
    assert isinstance(open_ledger(f"sqlite:{tmp_path}/l.db"), SQLiteLedger)
    assert isinstance(open_ledger("redis://localhost"), RedisLedger)
    with pytest.raises(ConfigurationError):
        open_ledger("postgres://localhost")
    assert not os.listdir(tmp_path)  # nothing is opened before it is used
