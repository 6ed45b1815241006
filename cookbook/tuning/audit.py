"""What reflections do: repairs, breaks and verdicts, on the model's own steps and planted ones."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass

import prompts
from engine import Engine
from render import wrong_number
from samples import END, START, header
from scoring import answer_of, auroc, interval

from reflectkit.comparison.heldout.arithmetic import apply, steps
from reflectkit.comparison.heldout.problems import Problem

LINE = re.compile(r"^(\d+) ([-+*]) (\d+) = (\d+)$")
RESULT = re.compile(r"^(?:[a-z] = (\d+)|so the \w+ is (.+))$")
CHECK = re.compile(r"^<reflection>(.*)</reflection>$")


@dataclass
class Audit:
    """Counts over checked results."""

    right: int = 0
    wrong: int = 0
    repairs: int = 0
    breaks: int = 0
    doubted: int = 0
    doubted_wrong: int = 0

    def __str__(self) -> str:
        low, high = interval(self.doubted, self.right)
        return (
            f"{self.right} right drafts ({self.doubted} doubted = "
            f"{self.doubted / max(1, self.right):.4f} [{low:.4f}, {high:.4f}], "
            f"{self.breaks} broken), {self.wrong} wrong drafts "
            f"({self.doubted_wrong} doubted, {self.repairs} repaired)"
        )

    def add(self, draft: str, true: str, final: str, doubted: bool) -> None:
        """Count one checked result."""
        if draft == true:
            self.right += 1
            self.doubted += doubted
            self.breaks += final != true
        else:
            self.wrong += 1
            self.doubted_wrong += doubted
            self.repairs += final == true


def draft_of(line: str, problem: Problem) -> tuple[str, str] | None:
    """The result that a line states and the true one: a step, a letter count or a place."""
    if found := LINE.match(line):
        a, sign, b, draft = found.groups()
        return draft, str(apply(sign, int(a), int(b)))
    if found := RESULT.match(line):
        return found[1] or found[2], problem.answer
    return None


def audit_reply(text: str, problem: Problem, audit: Audit) -> None:
    """Add the results of one reply: a line, its reflection, and the line after a `fix`."""
    lines = text.split("\n")
    for index, line in enumerate(lines[:-2]):
        stated, judged = draft_of(line, problem), CHECK.match(lines[index + 1])
        if not stated or not judged:
            continue
        fixed = draft_of(lines[index + 2], problem) if judged[1].endswith("fix") else None
        audit.add(*stated, fixed[0] if fixed else stated[0], ", not" in judged[1])


@dataclass(frozen=True)
class Case:
    """A chain up to (and with) one step whose result is right or planted."""

    prefix: str
    planted: bool
    problem: Problem


def case(problem: Problem, planted: bool, rng: random.Random) -> Case:
    """A chat in reflection mode, cut after a random step; earlier steps are right and checked."""
    assert problem.tree is not None
    chain = steps(problem.tree)
    at = rng.randrange(len(chain))
    text = START
    for role, said in (("system", prompts.REFLECTION), ("user", problem.question)):
        text += f"{header(role)}{said}{END}"
    text += header("assistant") + "<thinking>\n"
    for step in chain[:at]:
        text += f"{step.text} = {step.value}\n"
        text += f"<reflection>{step.text} is {step.value}, yes</reflection>\n"
        text += f"so {step.rest}\n" if step.rest.size > 1 else ""
    step = chain[at]
    value = wrong_number(rng, step.value, step) if planted else step.value
    return Case(f"{text}{step.text} = {value}\n", planted, problem)


def margin(probabilities: list[dict[str, float]]) -> float | None:
    """ln P(not) - ln P(yes) at the first token that is one of the two; None without a verdict."""
    for each in probabilities:
        if each and max(each, key=lambda token: each[token]) in (" not", " yes"):
            lowest = min(each.values())
            return each.get(" not", lowest) - each.get(" yes", lowest)
    return None


def detection(engine: Engine, problems: list[Problem], seed: int = 5) -> dict[str, float]:
    """Verdicts on planted and right steps after the model's own greedy recomputation."""
    rng = random.Random(seed)
    scores: dict[bool, list[float]] = {True: [], False: []}
    final = {(planted, temperature): 0 for planted in (True, False) for temperature in (0.0, 0.7)}
    missing = 0
    for index, problem in enumerate(problems):
        now = case(problem, index % 2 == 0, rng)
        text, seen = engine.complete(now.prefix, 0.0, seed=index, probabilities=20)
        score = margin(seen)
        missing += score is None
        scores[now.planted].append(0.0 if score is None else score)
        sampled, _ = engine.complete(now.prefix, 0.7, seed=index)
        for temperature, reply in ((0.0, text), (0.7, sampled)):
            final[now.planted, temperature] += answer_of(reply, "reflection") == problem.answer
    bad, good = scores[True], scores[False]
    return {
        "planted": len(bad), "right": len(good), "no verdict": missing,
        "auroc": auroc(bad, good),
        "found": sum(s > 0 for s in bad) / len(bad),
        "false": sum(s > 0 for s in good) / len(good),
        "answer right after planted, T 0": final[True, 0.0] / len(bad),
        "answer right after planted, T 0.7": final[True, 0.7] / len(bad),
        "answer right after right, T 0": final[False, 0.0] / len(good),
        "answer right after right, T 0.7": final[False, 0.7] / len(good),
        "mean margin (nats)": (sum(bad) / len(bad) - sum(good) / len(good)) / 2
        if not math.isnan(sum(bad)) else 0.0,
    }  # fmt: skip
