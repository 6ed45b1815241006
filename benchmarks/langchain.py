"""What a stream costs through LangChain: CPU time a chunk, beside raw httpx and ChatOpenAI.

    make bench   # or, in the environment of `make langchain`:
    python benchmarks/langchain.py

The server, the answers (200 chunks with thinking in tags, at once or paced by 1 ms) and the method
are those of ``streams.py``: all take turns in one process; "over" is CPU time beyond httpx and
``json.loads``, and the last column its share of what the peer takes beyond it: ``ChatOpenAI`` with
messages of the same form, the default one or "v1". Every event of an answer is a chunk of
``astream`` on both sides, and both ask for usage. Ours parses sections, the peer does not.

Then what importing the chat model costs, each time in a process of its own, beside importing
LangChain's own base class.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from streams import CHUNKS, Way, raw, serving

BASE = "import langchain_core.language_models.chat_models"
OURS = "from langchain_reflectkit import ChatReflectKit"


async def _ask(model: Any) -> int:
    found = text = 0
    async for chunk in model.astream("hi"):
        found += 1
        text += len(chunk.text)
    assert found >= CHUNKS
    assert text
    return found


def _way(make: Callable[[str], Any]) -> tuple[Way, Callable[[], Awaitable[None]]]:
    models: dict[str, Any] = {}

    async def ask(url: str) -> int:
        if url not in models:
            models[url] = make(url)
        return await _ask(models[url])

    async def close() -> None:
        for model in models.values():
            if hasattr(model, "aclose"):
                await model.aclose()

    return ask, close


async def ours(**settings: Any) -> tuple[Way, Callable[[], Awaitable[None]]]:
    from langchain_reflectkit import ChatReflectKit

    return _way(lambda url: ChatReflectKit(base_url=url, model="m", mode="plain", **settings))


async def ours_v1() -> tuple[Way, Callable[[], Awaitable[None]]]:
    return await ours(output_version="v1")


async def openai(**settings: Any) -> tuple[Way, Callable[[], Awaitable[None]]]:
    from langchain_openai import ChatOpenAI

    return _way(
        lambda url: ChatOpenAI(
            base_url=url, model="m", api_key="none", max_retries=0, stream_usage=True, **settings
        )
    )


async def openai_v1() -> tuple[Way, Callable[[], Awaitable[None]]]:
    return await openai(output_version="v1")


WAYS = {
    "httpx and json.loads": raw,
    "ChatReflectKit": ours,
    "ChatReflectKit, v1": ours_v1,
    "ChatOpenAI": openai,
    "ChatOpenAI, v1": openai_v1,
}


async def compare(root: str, rounds: int) -> None:
    made = {name: await make() for name, make in WAYS.items()}
    for pace in ("burst", "paced"):
        taken: dict[str, list[float]] = {name: [] for name in made}
        for turn in range(rounds + 1):
            for name, (ask, _) in made.items():
                gc.collect()
                start = time.process_time()
                await ask(f"{root}/{pace}/v1")
                if turn:  # the first turn opens connections and loads modules
                    taken[name].append((time.process_time() - start) / CHUNKS * 1e6)
        show(pace, taken)
    for _, close in made.values():
        await close()


def show(pace: str, taken: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(times) for name, times in taken.items()}
    floor = medians["httpx and json.loads"]
    print(f"\n{CHUNKS} chunks, {pace}: CPU microseconds a chunk")
    print(f"  {'':24}{'all':>8}{'over':>8}{'of':>10}")
    for name, cost in medians.items():
        peer = "ChatOpenAI, v1" if name.endswith("v1") else "ChatOpenAI"
        share = (cost - floor) / (medians[peer] - floor)
        print(f"  {name:24}{cost:8.1f}{cost - floor:8.1f}{share:10.2f} {peer}")


def imports(rounds: int) -> None:
    code = "import time; {}; print(time.process_time())"
    taken: dict[str, list[float]] = {BASE: [], OURS: []}
    env = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    for turn in range(rounds + 1):
        for what, times in taken.items():
            command = [sys.executable, "-c", code.format(what)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
            if turn:  # the first turn writes byte code
                times.append(float(done.stdout))
    base, mine = (statistics.median(times) for times in taken.values())
    print("\nimports: CPU milliseconds of a process")
    print(f"  {BASE:52}{base * 1e3:8.0f}\n  {OURS:52}{mine * 1e3:8.0f}  {mine / base:.2f} of it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    imports(options.rounds // 2)
    with serving() as root:
        asyncio.run(compare(root, options.rounds))


if __name__ == "__main__":
    main()
