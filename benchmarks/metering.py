"""What a budget costs the stream: CPU time a chunk, with limits that never bite and without any.

    make bench   # or, in an environment with benchmarks/requirements.txt and this package's own:
    PYTHONPATH=. python benchmarks/metering.py            # says yes or no to the bar of 15 %
    PYTHONPATH=. python benchmarks/metering.py --rounds 61 --json

The server of streams.py sends answers of 200 chunks, all at once or paced by 1 ms; "running" ones
say in each chunk how many tokens there are so far. With and without a budget take turns on the same
stream in one process, every other round backwards; CPU times of this process alone. The share is
what the budget adds to the client's whole time on the stream: the median over the rounds, and a
bootstrap interval of that (95 %).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import statistics
import sys
import time

from reflectkit import Budget, Client
from streams import CHUNKS, serving

BAR = 0.15
STREAMS = ("burst", "paced", "burst/running", "paced/running")
#: limits of every kind that is counted while an answer comes, none of which is ever reached
LIMITS = Budget(thinking=100_000, output=100_000, total=10_000_000)


async def ask(client: Client) -> None:
    """One answer, read to its end."""
    async with client.stream("hi") as stream:
        async for _ in stream:
            pass
        reply = await stream.reply()
    assert reply.usage.completion == CHUNKS
    assert reply.thinking
    assert reply.ending == "complete"


async def rounds(url: str, count: int) -> dict[str, list[float]]:
    """CPU microseconds a chunk, without a budget and with one, round by round."""
    async with Client(f"{url}/v1", model="m", mode="plain") as plain:
        ways = {"without": plain, "with": plain.with_options(budget=LIMITS)}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(count + 1):
            for name, client in list(ways.items())[:: 1 if turn % 2 else -1]:
                gc.collect()
                start = time.process_time()
                await ask(client)
                if turn:  # the first turn opens connections and loads modules
                    taken[name].append((time.process_time() - start) / CHUNKS * 1e6)
    return taken


def figures(taken: dict[str, list[float]], seed: int = 0) -> dict[str, float]:
    """Medians, and the share that is added with its interval."""
    shares = [w / o - 1 for o, w in zip(taken["without"], taken["with"], strict=True)]
    rng = random.Random(seed)
    again = sorted(statistics.median(rng.choices(shares, k=len(shares))) for _ in range(2000))
    found = {name: statistics.median(times) for name, times in taken.items()}
    return {**found, "share": statistics.median(shares), "low": again[49], "high": again[1949]}


async def measure(count: int) -> dict[str, dict[str, float]]:
    with serving() as root:
        return {kind: figures(await rounds(f"{root}/{kind}", count)) for kind in STREAMS}


def show(found: dict[str, dict[str, float]]) -> None:
    print(f"{CHUNKS} chunks: CPU microseconds a chunk")
    print(f"  {'':16}{'without':>9}{'with':>9}{'share':>9}   95 %")
    for kind, row in found.items():
        print(
            f"  {kind:16}{row['without']:9.1f}{row['with']:9.1f}{row['share']:9.1%}"
            f"   {row['low']:.1%} to {row['high']:.1%}"
        )
    worst = max(row["share"] for row in found.values())
    print(
        f"{'yes' if worst <= BAR else 'NO'}: at most {worst:.1%} of it is metering (bar {BAR:.0%})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options.rounds))
    print(json.dumps(found)) if options.json else show(found)
    return 0 if all(row["share"] <= BAR for row in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
