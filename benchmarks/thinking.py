"""Thinking under a cap kept on the client's side: is it obeyed, does an answer follow, is it right?

    python benchmarks/thinking.py                       # the embedded model in this process
    python benchmarks/thinking.py --url http://127.0.0.1:8000/v1 --model nano-reflect
    python benchmarks/thinking.py --picture caps.png    # accuracy against cap (needs matplotlib)

200 problems of two and three operations a cap, greedy. A server must run the embedded weights,
whose tokenizer counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from reflectkit import Client
from reflectkit.backends.base import Backend
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.backends.wrapup import WrapUpBackend
from reflectkit.errors import ReflectKitError
from reflectkit.reply import Reply

CAPS = (0, 16, 32, 64, 128)
GRACE = 8
PROBLEMS = 200


@dataclass
class Row:
    """Of one cap: how many runs kept to it, ended in an answer, had clean text, were right."""

    within: int = 0
    answered: int = 0
    clean: int = 0
    right: int = 0
    tokens: int = 0


def problems(count: int, seed: int = 3) -> list[tuple[str, str]]:
    """Questions and answers, within the numbers that the model knows."""
    rng = random.Random(seed)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        a, b, c, d = (rng.randint(2, 9) for _ in range(4))
        text, value = rng.choice(
            [
                (f"{a} * {b} + {c}", a * b + c),
                (f"({a} + {b}) * {c}", (a + b) * c),
                (f"({a} * {b} + {c}) * {d}", (a * b + c) * d),
                (f"{a} + {b} * {c} - {d}", a + b * c - d),
            ]
        )
        if 0 <= value <= 400:
            found.append((f"What is {text}?", str(value)))
    return found


async def measure(backend: Backend, count: Callable[[str], int], cap: int | None, many: int) -> Row:
    """All problems under one cap; None is no cap."""
    capped = (
        backend if cap is None else WrapUpBackend(backend, thinking=cap, grace=GRACE, count=count)
    )
    row = Row()
    async with Client(capped, mode="trained", temperature=0.0) as client:
        for question, answer in problems(many):
            try:
                reply = await client.ask(question)
            except ReflectKitError as error:
                print(f"  {question} {error}")
                continue
            _judge(row, reply, answer, count, cap)
    return row


def _judge(
    row: Row, reply: Reply, answer: str, count: Callable[[str], int], cap: int | None
) -> None:
    thinking = [s for s in reply.sections if s.kind == "thinking"]
    spent = sum(count(reply.transcript.source[s.start : s.end]) - 2 for s in thinking)
    # the markup of a reflection that had to be closed comes on top
    row.within += cap is None or spent <= cap + GRACE + 1
    row.answered += bool(reply.output.strip())
    row.clean += "<" not in reply.output and "\n" not in reply.output.strip()
    row.right += reply.output.strip() == answer
    row.tokens += reply.usage.completion


async def main() -> None:
    """Print the table; draw the picture if one is wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url")
    parser.add_argument("--model", default="nano-reflect")
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    parser.add_argument("--picture")
    options = parser.parse_args()
    async with NanoBackend("nano-reflect") as here:
        await here.load()
        assert here.count is not None
        key = os.environ.get("REFLECTKIT_API_KEY")
        there = options.url and OpenAIBackend(options.url, model=options.model, api_key=key)
        rows: dict[int | None, Row] = {}
        print("  cap  within  answered  clean   right  tokens an answer")
        for cap in (*CAPS, None):
            row = rows[cap] = await measure(there or here, here.count, cap, options.problems)
            shares = [100 * n / options.problems for n in (row.within, row.answered, row.clean)]
            print(
                f"{'none' if cap is None else cap:>5} {shares[0]:6.1f}% {shares[1]:8.1f}% "
                f"{shares[2]:5.1f}% {100 * row.right / options.problems:6.1f}% "
                f"{row.tokens / options.problems:7.1f}"
            )
        if there:
            await there.aclose()
    if options.picture:
        draw(rows, options.problems, options.picture)


def draw(rows: dict[int | None, Row], many: int, path: str) -> None:
    """Accuracy against cap, beside the run without one."""
    import matplotlib.pyplot as plt

    caps = [cap for cap in rows if cap is not None]
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.plot(caps, [100 * rows[cap].right / many for cap in caps], marker="o", label="capped")
    free = 100 * rows[None].right / many
    axes.axhline(free, color="tab:gray", linestyle="--", label="without a cap")
    axes.set(xlabel=f"tokens of thinking at most (grace {GRACE})", ylabel="right answers, %")
    axes.set_ylim(0, 105)
    axes.legend()
    figure.savefig(path, dpi=150)
    print(f"drew {path}")


if __name__ == "__main__":
    asyncio.run(main())
