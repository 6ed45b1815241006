"""What the correction loop costs beside the backend: CPU time an attempt, and many loops at once.

    PYTHONPATH=. python benchmarks/loop.py    # exits with 1 beyond 1 ms an attempt
    PYTHONPATH=. python benchmarks/loop.py --many 1000

A scripted backend answers at once and says what it cost, as servers do, so that the time is the
engine's own: request, reading, verdicts, policy, events. The floor is the same answers read from
the backend directly, without an engine. CPU times of this process, the best of several rounds:
what others do on the machine only adds to them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

from reflectkit import Client, Draft, Message, Request, Usage
from reflectkit.correction import Policy, Redraw, Restart, Revise, Vote, stop
from reflectkit.testing import ScriptedBackend

ATTEMPTS = 10
BAR = 0.001
USAGE = Usage(prompt=20, completion=90)
PIECES = ["<thinking>", *["Step by step. "] * 20, "</thinking>", "<output>", "41", "</output>"]
POLICIES: dict[str, Policy] = {
    "redraw": Redraw(stop.attempts(ATTEMPTS)),
    "revise": Revise(stop.attempts(ATTEMPTS)),
    "restart": Restart(stop.attempts(ATTEMPTS)),
    "vote, side by side": Vote(ATTEMPTS, ATTEMPTS),
}


class Wrong:
    """A verifier that costs nothing."""

    inline = True

    def __call__(self, draft: Draft) -> bool:
        return False


async def bare(backend: ScriptedBackend) -> None:
    """The same answers without an engine."""
    request = Request(messages=(Message("user", "What is 6 * 7?"),))
    for _ in range(ATTEMPTS):
        async for _chunk in backend.stream(request):
            pass


def loop(policy: Policy) -> Callable[[ScriptedBackend], Awaitable[Any]]:
    """A call of ten attempts."""
    return lambda backend: Client(backend, policy=policy, verify=Wrong()).ask("What is 6 * 7?")


def seconds(work: Callable[[ScriptedBackend], Awaitable[Any]], rounds: int) -> float:
    """CPU seconds an attempt, the best of so many rounds."""

    async def measured() -> list[float]:
        found = []
        for _ in range(rounds + 1):
            backend = ScriptedBackend(PIECES, repeat=True, usage=USAGE)
            gc.collect()
            begun = time.process_time()
            await work(backend)
            found.append((time.process_time() - begun) / ATTEMPTS)
        return found[1:]  # the first one imports

    return min(asyncio.run(measured()))


async def many(count: int) -> tuple[int, int, float]:
    """So many loops on one event loop: those that were completed, tasks left, seconds."""

    async def pause() -> None:
        await asyncio.sleep(0.001)

    backend = ScriptedBackend([*PIECES[:5], pause, *PIECES[5:]], repeat=True, usage=USAGE)
    client = Client(backend, policy=Revise(stop.attempts(3)), verify=Wrong())
    begun = time.perf_counter()
    replies = await asyncio.gather(*[client.ask("What is 6 * 7?") for _ in range(count)])
    whole = [r for r in replies if (r.status, len(r.attempts)) == ("exhausted", 3)]
    assert backend.opened == backend.closed == 3 * count
    return len(whole), len(asyncio.all_tasks()) - 1, time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--many", type=int, default=0, help="loops at once")
    options = parser.parse_args()
    if options.many:
        whole, left, took = asyncio.run(many(options.many))
        print(f"{whole} of {options.many} loops complete, {left} tasks left, {took:.2f} s")
        return int(whole != options.many or left != 0)
    floor = seconds(bare, options.rounds)
    print(f"{'backend alone':<20} {1e6 * floor:8.0f} us an attempt")
    over = {}
    for name, policy in POLICIES.items():
        over[name] = seconds(loop(policy), options.rounds) - floor
        print(f"{name:<20} {1e6 * over[name]:8.0f} us beside it")
    return int(max(over.values()) > BAR)


if __name__ == "__main__":
    raise SystemExit(main())
