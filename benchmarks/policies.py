"""Which policy of the correction loop helps: the embedded models on held-out problems.

    python benchmarks/policies.py                              # 500 problems a task; hours if slow
    python benchmarks/policies.py --problems 100 --task arithmetic-3-4
    python benchmarks/policies.py --table                      # only print what is in the store
    python benchmarks/policies.py --table --picture docs/pictures/policies.svg   # needs matplotlib

Every item goes through every arm. A response depends on the messages, the seed and the temperature
alone, so arms that ask the same question share its response: they all start from the same first
draft, and differences between them are paired. Results are appended to a file, one line an item
and arm; started again, the run goes on where it stopped. Delete it after a change of an arm.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from policy_arms import FIRST, SETTINGS, SIZES, TASKS, Setting, arms
from policy_tables import Result, draw, goals, groups, lines, load, markdown, rows
from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.comparison.heldout.problems import Problem, heldout
from reflectkit.messages import Chunk, Request

STORE = Path(__file__).resolve().parents[1] / "runs" / "policies.jsonl"


class Remembered:
    """A backend that answers an equal request with the response that it gave before, whole."""

    def __init__(self, backend: NanoBackend) -> None:
        self._backend = backend
        self._known: dict[Any, Chunk] = {}
        self.model = backend.model
        self.capabilities = backend.capabilities

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        """The response to ``request``."""
        said = tuple((m.role, m.text) for m in request.messages)
        key = (said, request.seed, request.temperature)
        if key not in self._known:
            parts = [chunk async for chunk in self._backend.stream(request)]
            text = "".join(chunk.text for chunk in parts)
            usage = next((chunk.usage for chunk in reversed(parts) if chunk.usage), None)
            self._known[key] = replace(parts[-1], text=text, usage=usage)
        yield self._known[key]


def items(task: str, count: int) -> list[Problem]:
    """Held-out problems; fewer are the beginning of more."""
    name, sizes = ("arithmetic", SIZES[task]) if task in SIZES else (task, None)
    return heldout(name, count, sizes=sizes)


@dataclass(frozen=True)
class Job:
    """One item in one setting, and the arms that it has still to go through."""

    setting: Setting
    task: str
    item: int
    problem: Problem
    arms: tuple[str, ...]


async def judge_item(backend: NanoBackend, job: Job) -> list[Result]:
    """One item through its arms."""
    setting, problem = job.setting, job.problem
    found = []
    client = Client(
        Remembered(backend),
        mode=setting.mode,
        temperature=setting.temperature,
        seed=1000 * job.item,
    )
    chosen = arms(problem.answer)
    for arm in job.arms:
        policy, verifiers = chosen[arm]
        reply = await client.ask(problem.question, policy=policy, verify=verifiers)
        first = reply.attempts[0].transcript.output.strip() == problem.answer
        right = reply.output.strip() == problem.answer
        found.append(
            Result(str(setting), job.task, job.item, arm, first, right, len(reply.attempts),
                   reply.usage.completion, reply.usage.prompt, reply.status)
        )  # fmt: skip
    return found


class Progress:
    """A line now and then, with the time that is left."""

    def __init__(self, whole: int) -> None:
        self._whole, self._done = whole, 0
        self._begun = self._said = time.monotonic()

    def step(self, label: str) -> None:
        """One item more is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._said >= 10 or self._done == self._whole:
            self._said = now
            left = (now - self._begun) / self._done * (self._whole - self._done)
            print(f"{self._done}/{self._whole}  {label}  {left:.0f} s left", file=sys.stderr)


def jobs(
    settings: Iterable[Setting],
    tasks: Iterable[str],
    count: int,
    known: set[tuple[str, str, int, str]],
) -> list[Job]:
    """What has still to be done: item by item over tasks and settings, so that a run which is
    stopped has measured all of them alike."""
    sets = {task: items(task, count) for task in tasks}
    every = [
        Job(setting, task, item, problems[item], _missing(known, (str(setting), task, item)))
        for item in range(count)
        for setting in settings
        for task, problems in sets.items()
    ]
    return [job for job in every if job.arms]


def _missing(known: set[tuple[str, str, int, str]], item: tuple[str, str, int]) -> tuple[str, ...]:
    return tuple(arm for arm in arms("") if (*item, arm) not in known)


async def measure(todo: Sequence[Job], store: Path) -> None:
    """Append the results of all jobs, settings side by side; each of the weights computes one
    response at a time, so that a response does not depend on what else is asked."""
    store.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(len(todo))

    async def run(backend: NanoBackend, setting: Setting) -> None:
        for job in [job for job in todo if job.setting == setting]:
            found = await judge_item(backend, job)
            text = "".join(json.dumps(asdict(result)) + "\n" for result in found)
            with store.open("a", encoding="utf-8") as file:
                file.write(text)
            progress.step(f"{setting}, {job.task}")

    async with (
        NanoBackend("nano-base", parallel=1) as base,
        NanoBackend("nano-reflect", parallel=1) as reflect,
        asyncio.TaskGroup() as group,
    ):
        for setting in {job.setting: None for job in todo}:
            group.create_task(run(base if setting.weights == "base" else reflect, setting))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", type=int, default=500, help="a task")
    parser.add_argument("--task", action="append", choices=TASKS)
    parser.add_argument("--weights", choices=("base", "reflect"))
    parser.add_argument("--setting", action="append", choices=list(map(str, SETTINGS)))
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--table", action="store_true", help="measure nothing, print the store")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--picture", type=Path)
    return parser.parse_args()


def main() -> int:
    """Measure, print the tables and the goals; 1 if a goal was missed."""
    chosen = options()
    wanted = [
        s
        for s in SETTINGS
        if chosen.weights in (None, s.weights) and str(s) in (chosen.setting or map(str, SETTINGS))
    ]
    tasks = chosen.task or TASKS
    if not chosen.table:
        known = {r.key for r in load(chosen.store)}
        asyncio.run(measure(jobs(wanted, tasks, chosen.problems, known), chosen.store))
    names = set(map(str, wanted))
    results = [
        r
        for r in load(chosen.store)
        if r.setting in names and r.task in tasks and r.item < chosen.problems
    ]
    tables = {name: rows(found) for name, found in groups(results).items()}
    for name, table in tables.items():
        said = markdown(table) if chosen.markdown else lines(table)
        print(f"\n{name} (n = {len(table[FIRST].right)})\n", *said, sep="\n")
    met = goals(tables)
    print("\nGoals", *(f"{'met' if ok else 'MISSED':7} {said}" for ok, said in met), sep="\n")
    if chosen.picture:
        draw(tables, chosen.picture)
    return 0 if all(ok for ok, _ in met) else 1


if __name__ == "__main__":
    sys.exit(main())
