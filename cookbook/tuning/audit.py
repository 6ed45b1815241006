"""What reflections do: repairs, breaks and verdicts, on the model's own steps and planted ones."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass

import prompts
from arithmetic import apply, steps
from engine import Engine
from problems import Problem
from render import wrong_number
from samples import END, START, header
from scoring import answer_of, auroc, interval

LINE = re.compile(r"^(\d+) ([-+*]) (\d+) = (\d+)$")
CHECK = re.compile(r"^<reflection>(.*)</reflection>$")


@dataclass
class Audit:
    """Counts over checked arithmetic steps."""

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


def audit_reply(text: str, audit: Audit) -> None:
    """Add the steps of one reply: a line, its reflection, and the line after a `fix`."""
    lines = text.split("\n")
    for index, line in enumerate(lines[:-2]):
        found, judged = LINE.match(line), CHECK.match(lines[index + 1])
        if not found or not judged:
            continue
        a, sign, b, draft = found.groups()
        true = str(apply(sign, int(a), int(b)))
        fixed = LINE.match(lines[index + 2]) if judged[1].endswith("fix") else None
        final = fixed[4] if fixed else draft
        doubted = ", not" in judged[1]
        if draft == true:
            audit.right += 1
            audit.doubted += doubted
            audit.breaks += final != true
        else:
            audit.wrong += 1
            audit.doubted_wrong += doubted
            audit.repairs += final == true


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
    final = {0.0: 0, 0.7: 0}
    missing = 0
    for index, problem in enumerate(problems):
        now = case(problem, index % 2 == 0, rng)
        text, seen = engine.complete(now.prefix, 0.0, seed=index, probabilities=20)
        score = margin(seen)
        missing += score is None
        scores[now.planted].append(0.0 if score is None else score)
        if now.planted:
            sampled, _ = engine.complete(now.prefix, 0.7, seed=index)
            final[0.0] += answer_of(text, "reflection") == problem.answer
            final[0.7] += answer_of(sampled, "reflection") == problem.answer
    bad, good = scores[True], scores[False]
    return {
        "planted": len(bad), "right": len(good), "no verdict": missing,
        "auroc": auroc(bad, good),
        "found": sum(s > 0 for s in bad) / len(bad),
        "false": sum(s > 0 for s in good) / len(good),
        "answer right after planted, T 0": final[0.0] / len(bad),
        "answer right after planted, T 0.7": final[0.7] / len(bad),
        "mean margin (nats)": (sum(bad) / len(bad) - sum(good) / len(good)) / 2
        if not math.isnan(sum(bad)) else 0.0,
    }  # fmt: skip
