"""Which policy of the correction loop helps: the embedded models on held-out problems.

    python benchmarks/policies.py                              # 500 problems a task; hours if slow
    python benchmarks/policies.py --problems 100 --task arithmetic-3-4
    python benchmarks/policies.py --table                      # only print what is in the store
    python benchmarks/policies.py --table --picture docs/pictures/policies.svg   # needs matplotlib

Every item goes through every arm. A response depends on the messages, the seed and the temperature
alone, so arms that ask the same question share its response: they all start from the same first
draft, and differences between them are paired. Results are appended to a file, one line an item
and arm; started again, the run goes on where it stopped. Delete it after a change of an arm.

The exact verifier knows the answer, as a test suite or a database would. It says ``by="rule"``:
outside a comparison an oracle is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reflectkit import Client, Draft, Verdict
from reflectkit.backends.nano import NanoBackend
from reflectkit.comparison.heldout.problems import Problem, heldout
from reflectkit.correction import (
    Correct,
    GuardedReflection,
    Policy,
    Redraw,
    Restart,
    Revise,
    SelfRevise,
    Vote,
    conclude,
    single,
)
from reflectkit.correction.judged import best_of_all, is_accepted
from reflectkit.correction.policy import Flow
from reflectkit.messages import Chunk, Message, Request
from reflectkit.verify import Steps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))

from shares import difference, points, share, wilson  # noqa: E402

STORE = ROOT / "runs" / "policies.jsonl"
SIZES = {"arithmetic-1-2": (1, 2, 2, 2), "arithmetic-3-4": (3, 4)}
TASKS = (*SIZES, "letters", "words", "objects")
FIRST = "one draft"
VOTES = ("vote of 3", "vote of 5")
#: in the picture: the others lie upon these
DRAWN = {
    FIRST: "black", "redraw, exact": "tab:green", "told, exact": "tab:olive",
    "restart, exact": "tab:orange", "revise, exact": "tab:red", "redraw, steps": "tab:green",
    "revise, steps": "tab:red", VOTES[0]: "tab:cyan", VOTES[1]: "tab:cyan",
    "guarded": "tab:blue", "guarded, looks again": "tab:purple", "self-revise": "tab:pink",
}  # fmt: skip
HOT = 1.5
ROOM = 10.0  # points that a verifier has to bring on arithmetic
LOSS, BREAKS = 1.0, 1.5  # points that the guard may lose, percent of right drafts that it may break


@dataclass(frozen=True)
class Setting:
    """Weights, how they are asked, and how hot they are sampled."""

    weights: str
    way: str
    temperature: float

    def __str__(self) -> str:
        return f"{self.weights}, {self.way}, T {self.temperature}"

    @property
    def mode(self) -> str:
        """The client's mode: the trained one has the system text that each of the weights knows."""
        return "plain" if self.way == "at once" else "trained"


SETTINGS = (
    Setting("base", "at once", 0.7),
    Setting("reflect", "reflecting", 0.7),
    Setting("base", "thinking", 0.7),
    Setting("reflect", "reflecting", 1.5),
    Setting("base", "thinking", 1.5),
)
#: One draft leaves room here, and slips are random: in other settings drafts repeat each other.
ROOMY = SETTINGS[-1]


class Exact:
    """Knows the answer, and does not say it."""

    inline = True
    name = "exact"

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def __call__(self, draft: Draft, /) -> Verdict:
        ok = draft.output.strip() == self._answer
        return Verdict(ok=ok, feedback="" if ok else f"{draft.output.strip()} is not right.")


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


class Told:
    """As ``Revise``, but in the words that the embedded models were trained on."""

    def flow(self, request: Request, /) -> Flow:
        """Ask, and say that it is wrong, up to three attempts."""
        done = [(yield request)]
        while not is_accepted(done[-1]) and len(done) < 3:
            output = done[-1].transcript.output
            told = f"Your answer {output} is wrong. Try again."
            turns = (Message("assistant", output or "(no answer)"), Message("user", told))
            done.append((yield replace(request, messages=(*request.messages, *turns))))
        best = best_of_all(done)
        return conclude(done, best, "accepted" if is_accepted(best) else "exhausted")


def arms(answer: str) -> dict[str, tuple[Policy, tuple[Any, ...]]]:
    """Every arm: a policy, and what judges its answers."""
    exact, steps = (Exact(answer),), (Steps(),)
    return {
        FIRST: (single(), ()),
        "redraw, exact": (Redraw(), exact),
        "revise, exact": (Revise(), exact),
        "restart, exact": (Restart(), exact),
        "told, exact": (Told(), exact),
        "redraw hotter, exact": (Redraw(temperature=HOT), exact),
        "default, exact": (Correct(), exact),
        "redraw, steps": (Redraw(), steps),
        "revise, steps": (Revise(), steps),
        "restart, steps": (Restart(), steps),
        "default, steps": (Correct(), steps),
        VOTES[0]: (Vote(n=3), ()),
        VOTES[1]: (Vote(n=5), ()),
        "guarded": (GuardedReflection(), ()),
        "guarded by 3": (GuardedReflection(agree=3), ()),
        "guarded, looks again": (GuardedReflection(draw=False), ()),
        "self-revise": (SelfRevise(), ()),
    }


@dataclass(frozen=True)
class Result:
    """What one arm made of one item. ``tokens``: generated; ``prompt``: read."""

    setting: str
    task: str
    item: int
    arm: str
    first: bool
    right: bool
    attempts: int
    tokens: int
    prompt: int
    status: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.setting, self.task, self.item, self.arm


def load(store: Path) -> list[Result]:
    """All results so far. A last line that was cut off is left out."""
    lines = store.read_text("utf-8").splitlines(keepends=True) if store.exists() else []
    return [Result(**json.loads(line)) for line in lines if line.endswith("\n")]


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
        mode=setting.mode,  # type: ignore[arg-type]
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


@dataclass(frozen=True)
class Row:
    """One arm over many items, in the items' order."""

    arm: str
    first: list[bool]
    right: list[bool]
    attempts: float
    tokens: float
    prompt: float

    @property
    def gain(self) -> tuple[float, float, float]:
        """Against the first draft, with the interval."""
        return difference(self.first, self.right)

    @property
    def mended(self) -> tuple[int, int]:
        """Of the wrong first drafts, those that came out right."""
        pairs = zip(self.first, self.right, strict=True)
        return sum(b and not a for a, b in pairs), self.first.count(False)

    @property
    def broken(self) -> tuple[int, int]:
        """Of the right first drafts, those that came out wrong."""
        pairs = zip(self.first, self.right, strict=True)
        return sum(a and not b for a, b in pairs), self.first.count(True)


def rows(results: Iterable[Result]) -> dict[str, Row]:
    """The arms over the items that all of them have, by name."""
    by_arm: dict[str, dict[tuple[str, int], Result]] = {}
    for r in results:
        by_arm.setdefault(r.arm, {})[r.task, r.item] = r
    shared = sorted(set.intersection(*(set(found) for found in by_arm.values())))
    return {
        arm: _row(arm, [by_arm[arm][key] for key in shared]) for arm in arms("") if arm in by_arm
    }


def _row(arm: str, found: list[Result]) -> Row:
    def mean(values: Iterable[int]) -> float:
        return sum(values) / len(found)

    return Row(
        arm,
        [r.first for r in found],
        [r.right for r in found],
        mean(r.attempts for r in found),
        mean(r.tokens for r in found),
        mean(r.prompt for r in found),
    )


def equal_vote(row: Row, table: dict[str, Row]) -> Row:
    """The cheapest vote that costs at least as many tokens, else the dearest; of what costs no
    more than one draft, that draft."""
    if row.tokens <= table[FIRST].tokens:
        return table[FIRST]
    votes = [table[name] for name in VOTES]
    enough = [vote for vote in votes if vote.tokens >= row.tokens]
    return min(enough, key=lambda v: v.tokens) if enough else max(votes, key=lambda v: v.tokens)


HEAD = (
    f"{'arm':21} {'right %':>19}  {'against one draft':>21}  {'tries':>5} {'tokens':>7} "
    f"{'prompt':>7}  {'mended %':>18}  {'broken %':>17}  against votes at equal tokens"
)


def lines(table: dict[str, Row]) -> list[str]:
    """A table as text."""
    found = [HEAD]
    for row in table.values():
        vote = equal_vote(row, table)
        against = points(difference(vote.right, row.right)) if vote.arm != row.arm else "-"
        found.append(
            f"{row.arm:21} {share(sum(row.right), len(row.right)):>19}  {points(row.gain):>21}  "
            f"{row.attempts:5.2f} {row.tokens:7.1f} {row.prompt:7.1f}  {share(*row.mended):>18}  "
            f"{share(*row.broken):>17}  {against} ({vote.arm}, {vote.tokens:.1f})"
        )
    return found


def markdown(table: dict[str, Row]) -> list[str]:
    """A table for a page."""
    found = [
        "| arm | right, % | against one draft | tries | tokens | mended, % | broken, % "
        "| against a vote at no fewer tokens |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.values():
        vote = equal_vote(row, table)
        against = points(difference(vote.right, row.right)).strip()
        said = "" if vote.arm == row.arm else f"{against} ({vote.arm})"
        mended, broken = share(*row.mended).strip(), share(*row.broken).strip()
        found.append(
            f"| {row.arm} | {share(sum(row.right), len(row.right)).strip()} "
            f"| {points(row.gain).strip()} | {row.attempts:.2f} | {row.tokens:.1f} "
            f"| {mended} | {broken} | {said} |"
        )
    return found


def groups(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by setting, arithmetic apart from the rest; headings as keys."""
    found: dict[str, list[Result]] = {}
    for setting in map(str, SETTINGS):
        for kind, tasks in (("arithmetic", tuple(SIZES)), ("the other tasks", TASKS[len(SIZES) :])):
            chosen = [r for r in results if r.setting == setting and r.task in tasks]
            if chosen:
                found[f"{setting}: {kind}"] = chosen
    return found


def goals(tables: dict[str, dict[str, Row]]) -> list[tuple[bool, str]]:
    """What the loop has to bring, and whether it does.

    How many right answers the guard breaks is counted over all settings: each has too few of them.
    """
    found: list[tuple[bool, str]] = []
    broken = whole = 0
    for name, table in tables.items():
        if name == f"{ROOMY}: arithmetic":
            gain = 100 * table["default, exact"].gain[0]
            found.append((gain >= ROOM, f"{name}: with a verifier {gain:+.1f} points"))
        spoilt = table["default, exact"].broken[0]
        found.append((spoilt == 0, f"{name}: with a verifier {spoilt} broken"))
        lost, (some, of) = 100 * table["guarded"].gain[0], table["guarded"].broken
        found.append((lost >= -LOSS, f"{name}: guarded {lost:+.1f} points, {some} of {of} broken"))
        broken, whole = broken + some, whole + of
    met = 100 * broken <= BREAKS * whole
    return [*found, (met, f"guarded, all settings: {broken} of {whole} broken")]


def draw(tables: dict[str, dict[str, Row]], path: Path) -> None:
    """Right answers against tokens, a panel a setting, arithmetic alone."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "reflectkit"  # the same figures give the same file
    import matplotlib.pyplot as plt

    shown = {n: t for n, t in tables.items() if n.endswith("arithmetic")}
    across = math.ceil((len(shown) + 1) / 2)
    figure, panels = plt.subplots(2, across, figsize=(4 * across, 7), layout="constrained")
    marks = {"exact": "o", "steps": "s"}
    for axes, (name, table) in zip(panels.flat, shown.items(), strict=False):
        for row in (table[arm] for arm in DRAWN if arm in table):
            n, right = len(row.right), sum(row.right)
            low, high = wilson(right, n)
            bar = [[100 * (right / n - low)], [100 * (high - right / n)]]
            marker = marks.get(row.arm.rpartition(" ")[2], "^")
            look = {"color": DRAWN[row.arm], "marker": marker, "elinewidth": 0.6, "linestyle": ""}
            axes.errorbar(row.tokens, 100 * right / n, yerr=bar, label=row.arm, **look)
        axes.set(title=name.partition(":")[0], xlabel="tokens an answer", ylabel="right answers, %")
        axes.spines[["top", "right"]].set_visible(False)
    handles = panels.flat[0].get_legend_handles_labels()
    for axes in panels.flat[len(shown) :]:
        axes.axis("off")
    panels.flat[len(shown)].legend(*handles, loc="center", frameon=False, fontsize=9, ncols=1)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    print(f"drew {path}")


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
