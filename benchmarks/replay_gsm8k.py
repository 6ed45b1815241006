"""The correction loop on recorded solutions: what policies make of real right and wrong answers.

    PYTHONPATH=. python benchmarks/replay_gsm8k.py example_model_solutions.jsonl

The file is that of github.com/openai/grade-school-math (MIT licence): 1,319 questions, each solved
by four models, with a mark that says whether the result is right. An item's four solutions are
handed out in order, one an attempt, so no model is asked and every run gives the same figures. Each
of the four models is the first one once. The working is replayed as thinking, the result behind
``A:`` as the answer; the calculator's notes are left out.

With a verifier that knows the result, redrawing must reach the ceiling: the share of items with a
right solution among the first k. The step checker knows nothing but arithmetic.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reflectkit import Client
from reflectkit.correction import GuardedReflection, Policy, Redraw, Vote, stop
from reflectkit.messages import Usage
from reflectkit.testing import ScriptedBackend
from reflectkit.verify import Numeric, Steps
from shares import difference, points, share

RUNS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
NOTE = re.compile(r"<<[^<>\n]*>>")
TRIES = (2, 4)
PRECISION = 0.99  # of the right solutions, those that the step checker leaves alone


@dataclass(frozen=True)
class Item:
    """A question, its result, and the solutions with their marks, in the order of asking."""

    question: str
    result: str
    solutions: tuple[str, ...]
    marks: tuple[bool, ...]

    def ceiling(self, k: int) -> bool:
        """Whether one of the first k solutions is right."""
        return any(self.marks[:k])


def replayed(solution: str) -> str:
    """A solution as a response of the protocol."""
    working, _, result = NOTE.sub("", solution).rpartition("\nA:")
    return f"<thinking>\n{working}\n</thinking>\n<output>\n{result.strip()}\n</output>"


def items(path: Path, first: str) -> Iterator[Item]:
    """All items; the solution of the model ``first`` comes first, the others follow in turn."""
    at = RUNS.index(first)
    order = RUNS[at:] + RUNS[:at]
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        yield Item(
            row["question"],
            row["ground_truth"].rpartition("A:")[2].strip().replace(",", ""),
            tuple(replayed(row[run]["solution"]) for run in order),
            tuple(row[run]["is_correct"] for run in order),
        )


def arms(result: str) -> dict[str, tuple[Policy, tuple[Any, ...]]]:
    """Every arm: a policy, and what judges its answers."""
    exact, steps = (Numeric(result, by="rule"),), (Steps(),)
    redraws = {f"redraw, exact, {k} tries": (Redraw(stop=stop.attempts(k)), exact) for k in TRIES}
    return {
        **redraws,
        "redraw, steps, 4 tries": (Redraw(stop=stop.attempts(4)), steps),
        "vote of 4": (Vote(n=4), ()),
        "guarded": (GuardedReflection(), ()),
    }


@dataclass(frozen=True)
class Outcome:
    """One arm on one item: is the reply right, how many attempts, what was said of the first."""

    right: bool
    attempts: int
    said: bool | None


async def play(item: Item) -> dict[str, Outcome]:
    """One item through all arms."""
    found = {}
    for name, (policy, verifiers) in arms(item.result).items():
        backend = ScriptedBackend(*item.solutions, usage=Usage(prompt=1, completion=1))
        client = Client(backend, mode="plain", dialect="reflection")
        reply = await client.ask(item.question, policy=policy, verify=verifiers)
        verdicts = reply.attempts[0].verdicts
        found[name] = Outcome(
            item.marks[reply.chosen - 1],
            len(reply.attempts),
            verdicts[0].ok if verdicts else None,
        )
    return found


@dataclass(frozen=True)
class Judged:
    """What a verifier said of right and of wrong first solutions."""

    right: int
    flagged_right: int
    wrong: int
    flagged_wrong: int

    @property
    def precision(self) -> float:
        """Of the right ones, the share that is left alone."""
        return 1 - self.flagged_right / max(1, self.right)


def judged(marks: Sequence[bool], outcomes: Iterable[Outcome]) -> Judged:
    """Count what was said of the first solutions."""
    pairs = list(zip(marks, outcomes, strict=True))
    return Judged(
        sum(m for m, _ in pairs),
        sum(m and o.said is False for m, o in pairs),
        sum(not m for m, _ in pairs),
        sum(not m and o.said is False for m, o in pairs),
    )


def lines(played: Sequence[Item], outcomes: Sequence[dict[str, Outcome]]) -> Iterator[str]:
    """The table of one order of models."""
    first = [item.marks[0] for item in played]
    yield f"{'arm':26} {'right %':>18}  {'against one draft':>20}  tries  mended  broken"
    yield f"{'one draft':26} {share(sum(first), len(first)):>18}"
    for name in outcomes[0]:
        right = [found[name].right for found in outcomes]
        pairs = list(zip(first, right, strict=True))
        tries = sum(found[name].attempts for found in outcomes) / len(outcomes)
        yield (
            f"{name:26} {share(sum(right), len(right)):>18}  "
            f"{points(difference(first, right)):>20}  {tries:5.2f}  "
            f"{sum(b and not a for a, b in pairs):6} {sum(a and not b for a, b in pairs):7}"
        )


def faults(played: Sequence[Item], outcomes: Sequence[dict[str, Outcome]]) -> list[str]:
    """Where the loop with the exact verifier misses the ceiling or lowers an item."""
    found = []
    for k in TRIES:
        for item, outcome in zip(played, outcomes, strict=True):
            right = outcome[f"redraw, exact, {k} tries"].right
            if right != item.ceiling(k):
                found.append(f"{k} tries: {item.question[:60]} (a result of {item.result})")
    return found


def totals(judgements: Iterable[Judged]) -> Judged:
    """All first solutions together."""
    rows = [(j.right, j.flagged_right, j.wrong, j.flagged_wrong) for j in judgements]
    return Judged(*map(sum, zip(*rows, strict=True)))


async def main() -> int:
    """Play all items in each order; 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, help="example_model_solutions.jsonl")
    parser.add_argument("--problems", type=int, help="the first ones alone")
    options = parser.parse_args()
    missed: list[str] = []
    steps: list[Judged] = []
    for first in RUNS:
        begun = time.monotonic()
        played = list(items(options.path, first))[: options.problems]
        outcomes = [await play(item) for item in played]
        print(f"\n{first} first, n = {len(played)} ({time.monotonic() - begun:.0f} s)")
        print(*lines(played, outcomes), sep="\n", flush=True)
        marks = [item.marks[0] for item in played]
        steps.append(judged(marks, [o["redraw, steps, 4 tries"] for o in outcomes]))
        missed += faults(played, outcomes)
    whole = totals(steps)
    print("\nthe step checker on first solutions")
    print(f"  right ones left alone  {share(whole.right - whole.flagged_right, whole.right)} %")
    print(f"  wrong ones flagged     {share(whole.flagged_wrong, whole.wrong)} %")
    print(f"  items off the ceiling  {len(missed)}", *missed[:20], sep="\n    ")
    return int(bool(missed) or whole.precision < PRECISION)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
