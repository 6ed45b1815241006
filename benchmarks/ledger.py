"""What keeping to a budget costs: reserve and commit, in memory, SQLite and Redis, beside LiteLLM.

    make bench   # or, in an environment with benchmarks/requirements.txt and this package's own:
    PYTHONPATH=. python benchmarks/ledger.py

A pair is what one call costs: ``hold`` and ``settle`` with one scope and one limit. Memory is
measured one call after the other, and with a thousand at once; SQLite and Redis over several
processes with several calls at once in each, so their latencies contain the others' work. LiteLLM's
``BudgetManager`` reads the user's cost and budget, then updates the cost: it reserves nothing, so
that calls at the same time pass its limit. Redis is a server of the benchmark's own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from reflectkit.budget.ledger import Demand
from reflectkit.budget.limits import Limit
from reflectkit.ledgers import Ledger, MemoryLedger, Scope, open_ledger
from reflectkit.ledgers.hold import hold

PROCESSES = 4
AT_ONCE = 32
DEMAND = Demand(prompt=100, completion=500)


@dataclass
class Figures:
    """Pairs a second, and the seconds that each took."""

    rate: float
    times: list[float]

    def line(self, name: str, peer: float) -> str:
        times = sorted(self.times)
        p50, p99 = (times[int(len(times) * share)] * 1e6 for share in (0.5, 0.99))
        ratio = f"{self.rate / peer:10.1f}" if peer else ""
        return f"  {name:38}{self.rate:12,.0f}{p50:10.1f}{p99:10.1f}{ratio}"


def scope(ledger: Ledger) -> Scope:
    return Scope("tenant", "acme", Limit(tokens=10**14, per="month"), ledger=ledger)


async def pairs(of: tuple[Scope, ...], count: int, times: list[float]) -> None:
    now = time.perf_counter
    for _ in range(count):
        begun = now()
        lease = await hold(of, DEMAND)
        await lease.settle(tokens=300)
        times.append(now() - begun)


async def in_memory(count: int, at_once: int) -> Figures:
    of = (scope(MemoryLedger()),)
    await pairs(of, 1_000, [])
    times: list[float] = []
    begun = time.perf_counter()
    await asyncio.gather(*(pairs(of, count // at_once, times) for _ in range(at_once)))
    return Figures(len(times) / (time.perf_counter() - begun), times)


def process(address: str, count: int, begin: Callable[[], object], results: Queue[Any]) -> None:
    """One of several: all begin together."""
    asyncio.run(_process(address, count, begin, results))


async def _process(
    address: str, count: int, begin: Callable[[], object], results: Queue[Any]
) -> None:
    ledger = open_ledger(address)
    of = (scope(ledger),)
    await pairs(of, 20, [])
    await asyncio.to_thread(begin)
    times: list[float] = []
    begun = time.time()
    await asyncio.gather(*(pairs(of, count // AT_ONCE, times) for _ in range(AT_ONCE)))
    results.put((begun, time.time(), times))
    await ledger.aclose()


def over_processes(address: str, count: int) -> Figures:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    running = [
        context.Process(target=process, args=(address, count, barrier.wait, results))
        for _ in range(PROCESSES)
    ]
    for one in running:
        one.start()
    found = [results.get() for _ in running]
    for one in running:
        one.join()
    times = [t for _, _, some in found for t in some]
    took = max(end for _, end, _ in found) - min(begun for begun, _, _ in found)
    return Figures(len(times) / took, times)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    path = folder / "redis"
    line = ["redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    server = subprocess.Popen(
        [*line, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
    )
    try:
        while not path.exists():
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait()


def litellm(count: int) -> Figures | None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched
    try:
        from litellm import BudgetManager, ModelResponse, Usage
    except ImportError:
        print("litellm: not installed, left out")
        return None
    usage = Usage(prompt_tokens=100, completion_tokens=200, total_tokens=300)
    response = ModelResponse(model="gpt-4o", usage=usage)
    manager = BudgetManager(project_name="ledger", client_type="local")
    manager.create_budget(total_budget=10**9, user="acme", duration="monthly")
    times = []
    begun = time.perf_counter()
    for _ in range(count):
        start = time.perf_counter()
        assert manager.get_current_cost("acme") <= manager.get_total_budget("acme")
        manager.update_cost(user="acme", completion_obj=response)
        times.append(time.perf_counter() - start)
    return Figures(len(times) / (time.perf_counter() - begun), times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=20_000, help="in memory; fewer elsewhere")
    count = parser.parse_args().pairs
    with tempfile.TemporaryDirectory(prefix="ledger-") as name:
        os.chdir(name)  # LiteLLM writes its file where it runs
        measure(Path(name), count)


def measure(folder: Path, count: int) -> None:
    rounds = [asyncio.run(in_memory(count, 1)) for _ in range(5)]
    rows = {
        "memory, one after the other": sorted(rounds, key=lambda f: f.rate)[2],
        "memory, 1,000 at once": asyncio.run(in_memory(count, 1_000)),
        f"SQLite, {PROCESSES} processes": over_processes(f"sqlite:{folder / 'l.db'}", count // 20),
    }
    if shutil.which("redis-server"):
        with redis_server(folder) as address:
            rows[f"Redis, {PROCESSES} processes"] = over_processes(address, count // 8)
    else:
        print("redis-server: not installed, left out")
    peer = litellm(count // 20)
    print(f"  {'':38}{'pairs / s':>12}{'p50 us':>10}{'p99 us':>10}{'of LiteLLM':>12}")
    for name, figures in rows.items():
        print(figures.line(name, peer.rate if peer else 0.0))
    if peer:
        print(peer.line("LiteLLM BudgetManager", peer.rate))
    rates = [figures.rate for figures in rounds]
    print(
        f"  memory over {len(rounds)} rounds: {min(rates):,.0f} to {max(rates):,.0f}, median "
        f"{statistics.median(rates):,.0f}"
    )


if __name__ == "__main__":
    main()
