"""How fast the embedded model is: bare llama.cpp, through the backend, through the client.

    python benchmarks/embedded.py                   # one core; says yes or no to the bars
    python benchmarks/embedded.py --model nano-base --rounds 21 --json
    python benchmarks/embedded.py --model model.gguf --cores 0

All ways make the same number of tokens, greedy, the end of the turn switched off. They take turns,
every other round backwards, so that a drifting machine hits them alike; figures are medians over
rounds. The second figure leaves out what other programs took of the core. "Bare" is llama.cpp's
own callback with the same JSON, counting and nothing else. The process is held to one core
(--cores 0: not held), so that no part gets a core of its own. The start is measured from the start
of a fresh interpreter to the first piece of an answer.
"""

# ruff: noqa: E402 - this checkout is put on the path before reflectkit is imported

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if not os.environ.get("REFLECTKIT_TEST_INSTALLED"):
    sys.path.insert(0, str(ROOT))

import reflectkit
from reflectkit.backends._wire import body
from reflectkit.backends.nano import NanoBackend
from reflectkit.messages import Message, Request

QUESTION = "What is (2 + 2) * 7?"
#: tokens a second on one core, milliseconds for a warm answer, seconds to the first token
BARS = {"client": 2000.0, "warm": 100.0, "start": 3.0}
FIRST = """
import asyncio, sys
sys.path[:0] = sys.argv[2:]
import reflectkit
async def main():
    async with reflectkit.Client(model=sys.argv[1]) as client:
        async with client.stream("What is (2 + 2) * 7?") as stream:
            async for event in stream:
                if getattr(event, "text", ""):
                    return
asyncio.run(main())
"""

Way = Callable[[int], Awaitable[None]]


def request(tokens: int) -> Request:
    """``tokens`` tokens, whatever the model would rather do."""
    return Request(
        messages=(Message("user", QUESTION),),
        max_tokens=tokens,
        temperature=0.0,
        extra={"ignore_eos": True},
    )


async def bare(backend: NanoBackend, tokens: int) -> None:
    """llama.cpp alone: JSON chunks into a callback that counts."""
    engine = backend._lease.ready
    assert engine is not None
    seen = 0

    def count(_: object) -> bool:
        nonlocal seen
        seen += 1
        return False

    engine.chat(
        body(request(tokens), model="", extra={"reasoning_format": "none"}),
        count,
    )


async def through_backend(backend: NanoBackend, tokens: int) -> None:
    """Chunks, as a backend gives them."""
    last = None
    async with aclosing(backend.stream(request(tokens))) as stream:  # type: ignore[type-var]  # a generator, by its type any iterator
        async for chunk in stream:
            last = chunk
    assert last is not None
    assert last.usage is not None
    assert last.usage.completion == tokens, last


async def through_client(client: reflectkit.Client, tokens: int) -> None:
    """Events, parsed, as an application gets them."""
    async with client.stream(
        QUESTION, max_tokens=tokens, temperature=0.0, extra={"ignore_eos": True}
    ) as stream:
        async for _ in stream:
            pass
    reply = await stream.reply()
    assert reply.usage.completion == tokens, reply.usage


async def seconds(way: Way, tokens: int) -> tuple[float, float]:
    """How long one answer of ``tokens`` tokens takes: by the clock, and of the processor."""
    began, before = time.perf_counter(), time.process_time()
    await way(tokens)
    return time.perf_counter() - began, time.process_time() - before


async def rates(
    ways: dict[str, Way], tokens: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Tokens a second of each way, by both clocks, in turns; the first round is not counted."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name in ways if number % 2 else reversed(ways):
            wall, busy = await seconds(ways[name], tokens)
            if number >= 0:
                found[name].append((tokens / wall, tokens / busy))
    return found


async def warm_answer(client: reflectkit.Client, rounds: int) -> float:
    """Milliseconds for the demo's question, model loaded."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await client.ask(QUESTION)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def first_token(model: str) -> float:
    """Seconds from the start of a fresh interpreter to the first piece of text."""
    command = [sys.executable, "-c", FIRST, model]
    if not os.environ.get("REFLECTKIT_TEST_INSTALLED"):
        command.append(str(ROOT))
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, check=True, timeout=60)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def measure(model: str, tokens: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    began = time.perf_counter()
    backend = NanoBackend(model)
    await backend.load()
    loading = time.perf_counter() - began
    async with backend, reflectkit.Client(backend) as client:
        ways: dict[str, Way] = {
            "bare": lambda n: bare(backend, n),
            "backend": lambda n: through_backend(backend, n),
            "client": lambda n: through_client(client, n),
        }
        found = await rates(ways, tokens, rounds)
        warm = await warm_answer(client, rounds)
    return {
        "tokens_per_second": _medians(found, 0),
        "tokens_per_busy_second": _medians(found, 1),
        "load_ms": loading * 1e3,
        "warm_answer_ms": warm,
    }


def _medians(found: dict[str, list[tuple[float, float]]], clock: int) -> dict[str, float]:
    return {name: statistics.median(f[clock] for f in figures) for name, figures in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="nano-reflect")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    result = asyncio.run(measure(options.model, options.tokens, options.rounds))
    result["start_s"] = first_token(options.model)
    good = {
        "client": result["tokens_per_second"]["client"] >= BARS["client"],
        "warm": result["warm_answer_ms"] <= BARS["warm"],
        "start": result["start_s"] <= BARS["start"],
    }
    if options.json:
        print(json.dumps({**result, "good": good}, indent=1))
    else:
        report(options.model, result, good)
    return 0 if all(good.values()) else 1


def report(model: str, result: dict[str, Any], good: dict[str, bool]) -> None:
    """The same for people."""
    say = {True: "yes", False: "NO"}
    print(f"{model}, greedy")
    busy = result["tokens_per_busy_second"]
    for name, figure in result["tokens_per_second"].items():
        share = busy[name] / busy["bare"]
        print(
            f"  {name:8} {figure:6.0f} tokens/s   {busy[name]:6.0f} per second of the processor, "
            f"{share:.2f} of bare"
        )
    print(f"  loading {result['load_ms']:.0f} ms")
    print(f"  client at {BARS['client']:.0f} tokens/s or more: {say[good['client']]}")
    warm, start = result["warm_answer_ms"], result["start_s"]
    print(f"  warm answer {warm:.0f} ms; at most {BARS['warm']:.0f}: {say[good['warm']]}")
    bar, yes = BARS["start"], say[good["start"]]
    print(f"  first token {start:.2f} s after the start; at most {bar:.0f}: {yes}")


if __name__ == "__main__":
    sys.exit(main())
