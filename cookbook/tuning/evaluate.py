"""Measure the shipped weights on held-out problems, in llama.cpp, and print the whole table.

python cookbook/tuning/evaluate.py              # 500 problems a task
python cookbook/tuning/evaluate.py --n 100      # a quick look
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import prompts
from audit import Audit, audit_reply, detection
from engine import Engine, Message
from goals import goals, merge
from render import THINK
from samples import wrong_reply
from scoring import answer_of, interval, well_formed

from reflectkit.comparison.heldout.problems import TASKS, Problem, heldout

WEIGHTS = Path(__file__).resolve().parents[2] / "reflectkit" / "models" / "weights"
SYSTEM = {"plain": None, "thinking": prompts.THINKING, "reflection": prompts.REFLECTION}
SMALL = "arithmetic, 1-2 operations"
LARGE = "arithmetic, 3-4 operations"
HEADER = (
    "weights  mode          T  task                                     n right [95 %]           "
    "formed  tokens"
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    weights: str
    mode: str
    temperature: float
    task: str
    n: int
    right: int
    formed: int
    tokens: float

    def __str__(self) -> str:
        low, high = interval(self.right, self.n)
        share, formed = self.right / self.n, self.formed / self.n
        well = "    -" if self.mode == "plain" else f"{formed:.3f}"
        return (
            f"{self.weights:8} {self.mode:11} {self.temperature:3.1f}  {self.task:36} {self.n:5} "
            f"{share:.3f} [{low:.3f}, {high:.3f}]  {well}  {self.tokens:6.1f}"
        )


def messages(question: str, mode: str) -> list[Message]:
    """The chat of one question in one mode."""
    system = SYSTEM[mode]
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": question}]


def problem_sets(n: int) -> dict[str, list[Problem]]:
    """Held-out problems of every task; arithmetic by number of operations."""
    sets = {SMALL: heldout("arithmetic", n, sizes=(1, 2, 2, 2)),
            LARGE: heldout("arithmetic", n, sizes=(3, 4))}  # fmt: skip
    return sets | {task: heldout(task, n) for task in TASKS[1:]}


def ask_all(
    engine: Engine, problems: Iterable[Problem], mode: str, temperature: float
) -> list[tuple[str, int]]:
    """All answers with their token counts; the seed is the problem's position."""
    return [
        engine.chat(messages(p.question, mode), temperature, seed=index)
        for index, p in enumerate(problems)
    ]


def row(
    name: str,
    mode: str,
    temperature: float,
    task: str,
    problems: list[Problem],
    replies: list[tuple[str, int]],
) -> Row:
    right = sum(answer_of(t, mode) == p.answer for (t, _), p in zip(replies, problems, strict=True))
    formed = sum(well_formed(text) for text, _ in replies)
    tokens = sum(count for _, count in replies) / len(replies)
    return Row(name, mode, temperature, task, len(problems), right, formed, tokens)


ARMS = {
    "base": (("plain", 0.0), ("thinking", 0.0), ("thinking", 0.7), ("reflection", 0.0)),
    "reflect": (("plain", 0.0), ("thinking", 0.0), ("thinking", 0.7), ("reflection", 0.0),
                ("reflection", 0.7), ("thinking", 1.0), ("reflection", 1.0),
                ("thinking", 1.5), ("reflection", 1.5)),
}  # fmt: skip


def arms(
    name: str, engine: Engine, sets: dict[str, list[Problem]]
) -> tuple[list[Row], dict[str, Audit]]:
    """All rows of one set of weights, and audits of what its reflections did."""
    rows: list[Row] = []
    audits: dict[str, Audit] = {}
    for mode, temperature in ARMS[name]:
        total: list[Row] = []
        for task, problems in sets.items():
            replies = ask_all(engine, problems, mode, temperature)
            total.append(row(name, mode, temperature, task, problems, replies))
            print(total[-1], flush=True)
            if name == "reflect" and mode == "reflection":
                kind = task if task in ("letters", "objects") else "steps"
                audit = audits.setdefault(f"{kind}, T {temperature}", Audit())
                for (text, _), problem in zip(replies, problems, strict=True):
                    audit_reply(text, problem, audit)
        rows += [*total, together(total)]
        print(rows[-1], flush=True)
    return rows, audits


def together(rows: list[Row]) -> Row:
    """All tasks of an arm."""
    first, n = rows[0], sum(r.n for r in rows)
    tokens = sum(r.tokens * r.n for r in rows) / n
    right, formed = sum(r.right for r in rows), sum(r.formed for r in rows)
    return Row(first.weights, first.mode, first.temperature, "all", n, right, formed, tokens)


def second_turn(name: str, engine: Engine, sets: dict[str, list[Problem]], mode: str) -> list[Row]:
    """A planted wrong first answer and a complaint without a hint: is the second one right?"""
    rows = []
    for task, problems in sets.items():
        rng, replies = random.Random(task), []
        for index, problem in enumerate(problems):
            _, first, _, bad = wrong_reply(problem, THINK, rng)
            told = f"Your answer {bad.text} is wrong. Try again."
            chat = [*messages(problem.question, mode), {"role": "assistant", "content": first.text},
                    {"role": "user", "content": told}]  # fmt: skip
            replies.append(engine.chat(chat, 0.0, seed=index))
        rows.append(row(name, mode, 0.0, f"2nd turn: {task}", problems, replies))
        print(rows[-1], flush=True)
    return rows


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Everything about the wanted weights."""
    sets = problem_sets(options.n)
    found: dict[str, Any] = {"n": options.n, "rows": [], "audits": {}, "detection": {}}
    for name in [options.only] if options.only else list(ARMS):
        engine = Engine(options.weights / f"{name}.gguf", options.threads)
        rows, audits = arms(name, engine, sets)
        rows += second_turn(name, engine, sets, "reflection" if name == "reflect" else "thinking")
        found["rows"] += [asdict(r) for r in rows]
        if name == "reflect":
            found["audits"] = {kind: asdict(audit) for kind, audit in audits.items()}
            found["detection"] = detection(engine, sets[SMALL] + sets[LARGE])
    print("\n".join(report(found)[len(found["rows"]) + 1 :]))
    return found


def said(found: dict[str, Any]) -> list[str]:
    """What reflections did, one line each."""
    audits = [f"own {kind}: {Audit(**counts)}" for kind, counts in found["audits"].items()]
    seen = [
        f"planted steps in chains, {name}: {value:g}" for name, value in found["detection"].items()
    ]
    return audits + seen


def report(found: dict[str, Any]) -> list[str]:
    """Everything that was measured, as the lines of a page."""
    rows = [str(Row(**row)) for row in found["rows"]]
    met = goals(found) if {r["weights"] for r in found["rows"]} == set(ARMS) else []
    return [HEADER, *rows, "", *said(found), *met]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="problems a task")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the GGUF files")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--only", choices=list(ARMS), help="one set of weights only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--read", type=Path, nargs="*", help="only print what files say")
    options = parser.parse_args()
    started = time.monotonic()
    if options.read:
        found = merge([json.loads(path.read_text()) for path in options.read])
        print("\n".join(report(found)))
    else:
        print(HEADER)
        found = evaluate(options)
        print(f"{time.monotonic() - started:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
