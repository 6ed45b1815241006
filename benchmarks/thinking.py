"""Thinking under a cap: is it kept, does an answer follow, is it right, and what does it cost?

    python benchmarks/thinking.py                            # the embedded model in this process
    python benchmarks/thinking.py --on-this-side             # the same, its own budget field unused
    python benchmarks/thinking.py --url http://127.0.0.1:8000/v1 --at-once 8 --json rows.json
    python benchmarks/thinking.py --transformers FOLDER      # transformers in this process
    python benchmarks/thinking.py --draw rows.json --picture caps.svg       # needs matplotlib

200 held-out problems of two to four operations under each cap, greedy. A server must run the
embedded weights: their tokenizer checks the caps, and counts for the client too unless --estimate
leaves that to what the client can learn. Columns, in % of the problems: thinking within cap and
grace; ended in an output, or in a reply that says there is none; outputs without a tag and without
a line of the thinking; right answers. Then tokens and requests an answer, how the
answers were come by, and who made the cap hold. Exits with 1 where a bar is missed: 99 % within,
all ended, none astray.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from reflectkit import Budget, Client
from reflectkit.backends.base import Backend, Capabilities, capabilities_of
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.budget import LearnedCounter
from reflectkit.comparison.heldout.problems import Problem, heldout
from reflectkit.counters import counter_for
from reflectkit.errors import ReflectKitError
from reflectkit.messages import Chunk, Request
from reflectkit.reply import Reply

CAPS = (16, 32, 64, 128)
GRACE = 8
MODEL = "nano-reflect"
WITHIN = 0.99
TAG = re.compile(r"</?(?:thinking|reflection|output)\b|<\|")


class OnThisSide:
    """A backend whose server is not told how much to think: the client has to cut."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def capabilities(self) -> Capabilities:
        known = capabilities_of(self._inner)
        return replace(known, reasoning=frozenset(), caps_thinking=False)

    def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        assert request.reasoning is None
        return self._inner.stream(request)


@dataclass
class Row:
    """One cap on one engine. Numbers of problems, but for the last five."""

    engine: str
    cap: int | None
    problems: int = 0
    within: int = 0
    answered: int = 0
    unanswered: int = 0
    clean: int = 0
    right: int = 0
    tokens: int = 0
    requests: int = 0
    seconds: float = 0.0
    endings: dict[str, int] = field(default_factory=dict)
    enforced: dict[str, int] = field(default_factory=dict)

    @property
    def meets(self) -> bool:
        """The bars."""
        ended = self.answered + self.unanswered == self.problems
        return ended and self.clean == self.problems and self.within >= WITHIN * self.problems

    def __str__(self) -> str:
        share = [
            100 * n / self.problems
            for n in (self.within, self.answered, self.unanswered, self.clean, self.right)
        ]
        return (
            f"{'none' if self.cap is None else self.cap:>5}{share[0]:7.1f}{share[1]:9.1f}"
            f"{share[2]:8.1f}{share[3]:7.1f}{share[4]:7.1f}{self.tokens / self.problems:8.1f}"
            f"{self.requests / self.problems:10.2f}  {_told(self.endings)}; {_told(self.enforced)}"
        )


HEADER = "  cap within answered no answer clean  right  tokens  requests  how; enforced by"


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name or '-'} {n}" for name, n in sorted(counts.items())) or "-"


async def measure(client: Client, row: Row, problems: list[Problem], at_once: int) -> Row:
    """All problems under the row's cap."""
    budget = None if row.cap is None else Budget(thinking=row.cap, grace=GRACE)
    row.problems = len(problems)
    free, started = asyncio.Semaphore(at_once), time.monotonic()
    how, who = Counter[str](), Counter[str]()

    async def one(problem: Problem) -> None:
        async with free:
            try:
                reply = await client.ask(problem.question, budget=budget)
            except ReflectKitError as error:
                print(f"  {problem.question} {type(error).__name__}: {error}")
                how[type(error).__name__] += 1
                return
        judge(row, reply, problem)
        how[reply.ending] += 1
        who.update(g.enforced_by for g in reply.grants if g.limit == "thinking")

    await asyncio.gather(*map(one, problems))
    row.endings, row.enforced = dict(how), dict(who)
    row.seconds = time.monotonic() - started
    return row


def judge(row: Row, reply: Reply, problem: Problem) -> None:
    """Add a reply to its row."""
    output, attempt = reply.output.strip(), reply.attempts[0]
    clean = not TAG.search(output) and not any(line in output for line in _lines(reply))
    within = row.cap is None or _thought(reply) <= row.cap + GRACE
    row.within += within
    row.answered += bool(output)
    row.unanswered += not output and reply.ending == "unanswered"
    row.clean += clean
    row.right += output == problem.answer
    row.tokens += reply.usage.completion
    row.requests += attempt.requests
    if not (clean and within):
        print(f"  {reply.ending}: {reply.transcript.source!r}")


def _lines(reply: Reply) -> list[str]:
    """What was thought, line by line; single words may stand in an answer too."""
    found = [text.strip() for text in TAG.split(reply.thinking or "")]
    lines = [line.strip() for text in found for line in text.splitlines()]
    return [line for line in lines if line.count(" ") > 1]


def _thought(reply: Reply) -> int:
    """Tokens between the outermost tags of thinking, by the model's own tokenizer."""
    source, count = reply.transcript.source, counter_for(MODEL).count
    inside = [source[s.start : s.end] for s in reply.sections if s.kind == "thinking"]
    inside = [text.removeprefix("<thinking>").removesuffix("</thinking>") for text in inside]
    if reply.ending not in ("complete", "extended"):
        # the end of a reflection that was cut is not the model's
        inside = [text.removesuffix("</reflection>") for text in inside]
    return sum(count(text, special=True) for text in inside)


async def run(options: argparse.Namespace) -> list[Row]:
    """Print a row for each cap."""
    problems = heldout("arithmetic", options.problems, sizes=(2, 3, 4))
    rows = []
    async with AsyncExitStack() as stack:
        backend, name = await _backend(options, stack)
        if options.on_this_side:
            backend, name = OnThisSide(backend), f"{name}, on this side"
        counter = LearnedCounter() if options.estimate else counter_for(MODEL)
        name += ", estimated" if options.estimate else ""
        client = Client(backend, mode="trained", temperature=0.0, counter=counter)
        print(f"{name}: {len(problems)} problems a cap\n{HEADER}")
        for cap in (*options.caps, None):
            row = await measure(client, Row(name, cap), problems, options.at_once)
            print(row, flush=True)
            rows.append(row)
    return rows


async def _backend(options: argparse.Namespace, stack: AsyncExitStack) -> tuple[Backend, str]:
    """What is measured, and what it is called."""
    if options.url:
        key = os.environ.get("REFLECTKIT_API_KEY")
        server = OpenAIBackend(options.url, model=options.model, api_key=key)
        await stack.enter_async_context(server)
        return server, options.name or f"{await server.kind()} server"
    if options.transformers:
        from reflectkit.backends.transformers import TransformersBackend

        here = TransformersBackend(options.transformers, name=MODEL, max_batch=options.at_once)
        return await stack.enter_async_context(here), options.name or "transformers, in process"
    nano = await stack.enter_async_context(NanoBackend(MODEL))
    return nano, options.name or "llama.cpp, in process"


def read(files: Iterable[str]) -> list[Row]:
    """Rows of earlier runs, in their order."""
    return [Row(**json.loads(line)) for file in files for line in Path(file).open()]


def draw(rows: list[Row], path: str) -> None:
    """Right answers and tokens an answer against the cap, beside the runs without one."""
    import matplotlib.pyplot as plt

    caps = sorted({row.cap for row in rows if row.cap is not None})
    places: dict[int | None, int] = {cap: place for place, cap in enumerate([*caps, None])}
    engines = list(dict.fromkeys(row.engine for row in rows))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for number, engine in enumerate(engines):
        own = [row for row in rows if row.engine == engine]
        at = [places[row.cap] + 0.06 * (number - (len(engines) - 1) / 2) for row in own]
        for axis, values in (
            (axes[0], [100 * row.right / row.problems for row in own]),
            (axes[1], [row.tokens / row.problems for row in own]),
        ):
            axis.plot(at, values, marker="osD^vP"[number % 6], markersize=4, lw=1, label=engine)
    for axis, label in zip(axes, ("right answers, %", "tokens an answer"), strict=True):
        ticks = ["no cap" if cap is None else str(cap) for cap in places]
        axis.set_xticks(list(places.values()), ticks)
        axis.set(xlabel=f"tokens of thinking at most (grace {GRACE})", ylabel=label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=150)
    print(f"drew {path}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", help="a server of the embedded weights")
    parser.add_argument("--model", default=MODEL, help="what the server calls them")
    parser.add_argument("--transformers", metavar="FOLDER", help="the weights as a folder")
    parser.add_argument("--name", help="what the rows are called")
    parser.add_argument("--on-this-side", action="store_true", help="the server is not told")
    parser.add_argument("--estimate", action="store_true", help="nobody counts for the client")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--caps", type=int, nargs="*", default=CAPS)
    parser.add_argument("--json", metavar="FILE", help="append the rows, one JSON object a line")
    parser.add_argument("--draw", nargs="+", metavar="FILE", help="only draw rows of such files")
    parser.add_argument("--picture", default="thinking-caps.svg")
    options = parser.parse_args()
    if options.draw:
        draw(read(options.draw), options.picture)
        return 0
    rows = asyncio.run(run(options))
    if options.json:
        with Path(options.json).open("a") as file:
            file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
    return 0 if all(row.meets for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
