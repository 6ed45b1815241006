"""What reflecting costs: tokens an answer with reflections, beside the same thinking without any.

    python benchmarks/overhead.py                    # 500 held-out problems a task, both ways
    python benchmarks/overhead.py --problems 50 --json

The embedded weights that were trained to reflect, greedy, in this process: once asked to check each
step inside reflections (mode "trained"), once asked to think only (mode "plain", with the system
text that the weights know for it). Ratios are of the sums over a task's problems; the interval (95
%) is a bootstrap over problems, both ways of one drawn together. Phases are as ``reply.usage``
splits them: thinking without its reflections, reflections, and all else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import asdict, dataclass
from typing import Any

from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.comparison.heldout.problems import TASKS, Problem, heldout
from reflectkit.models.profiles import profile_for
from reflectkit.reply import Reply

MODEL = "nano-reflect"
AT_ONCE = 4
DRAWS = 2000


@dataclass(frozen=True)
class Cost:
    """The tokens of one answer by phase, and whether it was right."""

    thinking: int
    reflections: int
    output: int
    right: bool

    @property
    def tokens(self) -> int:
        return self.thinking + self.reflections + self.output


def cost(reply: Reply, problem: Problem) -> Cost:
    """What the reply's usage says."""
    usage = reply.usage
    thinking, reflections = usage.thinking or 0, usage.reflections or 0
    return Cost(
        thinking=thinking - reflections,
        reflections=reflections,
        output=usage.completion - thinking,
        right=reply.output.strip() == problem.answer,
    )


async def costs(client: Client, problems: list[Problem]) -> list[Cost]:
    """All problems, some at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(problem: Problem) -> Cost:
        async with free:
            return cost(await client.ask(problem.question), problem)

    return await asyncio.gather(*map(one, problems))


def ratio(pairs: list[tuple[Cost, Cost]]) -> float:
    """Tokens with reflections, by those without."""
    return sum(r.tokens for r, _ in pairs) / sum(t.tokens for _, t in pairs)


def interval(pairs: list[tuple[Cost, Cost]], seed: int = 0) -> tuple[float, float]:
    """Of the ratio: 95 % of the bootstrap's draws lie within."""
    rng = random.Random(seed)
    found = sorted(ratio(rng.choices(pairs, k=len(pairs))) for _ in range(DRAWS))
    return found[DRAWS // 40], found[-DRAWS // 40 - 1]


def summary(pairs: list[tuple[Cost, Cost]]) -> dict[str, object]:
    """Means of both ways, and their ratio with its interval."""
    ways = {"reflecting": [r for r, _ in pairs], "thinking": [t for _, t in pairs]}
    means = {
        way: {name: sum(asdict(c)[name] for c in found) / len(found) for name in asdict(found[0])}
        for way, found in ways.items()
    }
    return {"problems": len(pairs), **means, "ratio": ratio(pairs), "interval": interval(pairs)}


async def measure(problems: int) -> dict[str, dict[str, object]]:
    """Task -> its summary; "all" at the end."""
    found: dict[str, list[tuple[Cost, Cost]]] = {}
    async with NanoBackend(MODEL, parallel=AT_ONCE) as model:
        reflecting = Client(model, mode="trained", temperature=0.0)
        think = profile_for("nano-base").system
        thinking = Client(model, mode="plain", dialect="reflection", system=think, temperature=0.0)
        for task in TASKS:
            asked = heldout(task, problems)
            both = await costs(reflecting, asked), await costs(thinking, asked)
            found[task] = list(zip(*both, strict=True))
            print(line(task, summary(found[task])), file=sys.stderr, flush=True)
    found["all"] = [pair for pairs in found.values() for pair in pairs]
    return {task: summary(pairs) for task, pairs in found.items()}


HEADER = "task        way          right  thinking  reflections  output  tokens   ratio  95 %"


def line(task: str, row: dict[str, Any]) -> str:
    """The two lines of a task."""
    lines = []
    for way in ("reflecting", "thinking"):
        mean: dict[str, float] = row[way]
        phases = [mean[name] for name in ("thinking", "reflections", "output")]
        lines.append(
            f"{task:11} {way:11}{mean['right']:7.3f}{phases[0]:10.1f}{phases[1]:13.1f}"
            f"{phases[2]:8.1f}{sum(phases):8.1f}"
        )
    low, high = row["interval"]
    return f"{lines[0]}{row['ratio']:8.2f}  {low:.2f} to {high:.2f}\n{lines[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", type=int, default=500, help="a task")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options.problems))
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join([HEADER, *(line(task, row) for task, row in found.items())]))


if __name__ == "__main__":
    main()
