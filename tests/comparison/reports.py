"""Reports of scripted records: as varied as real ones, the same for the same arguments."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from reflectkit.comparison import Part, Phase, Problem, Record, Report, Tokens
from reflectkit.comparison.records import Claim, Outcome
from reflectkit.comparison.report import Facts, summarised

#: Of each arm: kind, chance of a right draft, chance that a wrong one is fixed, that a right one is
#: broken, mean tokens.
ARMS: Final[Mapping[str, tuple[str, float, float, float, int]]] = {
    "plain": ("plain", 0.72, 0.0, 0.0, 180),
    "prompted": ("prompted", 0.70, 0.16, 0.07, 420),
    "trained": ("trained", 0.71, 0.38, 0.02, 510),
    "plain, vote at equal tokens": ("vote", 0.76, 0.0, 0.0, 505),
}
_TASKS: Final = ("arithmetic", "word problems", "logic")
_LENGTH: Final = 6


def problems(n: int) -> list[Problem]:
    """``n`` problems of three tasks."""
    return [
        Problem(
            id=f"item-{k}",
            prompt=f"A farm has {k} hens; {2 * k + 1} more arrive. How many are there now?",
            gold=3 * k + 1,
            grader="numeric",
            task=_TASKS[k % len(_TASKS)],
        )
        for k in range(1, n + 1)
    ]


def records(n: int = 120, repeats: int = 2, seed: int = 1, length: int = _LENGTH) -> list[Record]:
    """An answer of every arm to every problem; ``length``: sentences of its thinking."""
    rng = random.Random(seed)
    found = []
    for problem in problems(n):
        ease = rng.uniform(-0.3, 0.3)
        for arm in ARMS:
            found += [_record(rng, problem, arm, k, ease, length) for k in range(repeats)]
    return found


def report(n: int = 120, repeats: int = 2, seed: int = 1, draws: int = 200) -> Report:
    """The report of such records."""
    own = problems(n)
    return summarised(
        records(n, repeats, seed), facts(own, repeats), title="Four ways", draws=draws
    )


def facts(own: list[Problem], repeats: int) -> Facts:
    """What the report has to know of them."""
    return Facts(
        run_id="0123456789ab",
        problems=own,
        repeats=repeats,
        seed=7,
        kinds={arm: kind for arm, (kind, *_) in ARMS.items()},
        models=dict.fromkeys(ARMS, "model-7b"),
        modes={arm: "plain" if kind == "vote" else kind for arm, (kind, *_) in ARMS.items()},
        policies={arm: "Vote" if kind == "vote" else "" for arm, (kind, *_) in ARMS.items()},
        likes={"plain, vote at equal tokens": "trained"},
    )


def _record(
    rng: random.Random, problem: Problem, arm: str, repeat: int, ease: float, length: int
) -> Record:
    kind, skill, fixes, breaks, tokens = ARMS[arm]
    draft = rng.random() < skill + ease
    looks = rng.randint(1, 3) if kind in ("prompted", "trained") else 0
    phases, parts, text, final = _thought(rng, problem, draft, looks, (fixes, breaks), length)
    output = str(problem.gold if final else int(problem.gold) + 1)
    outcome: Outcome = "incomplete" if rng.random() < 0.01 else "right" if final else "wrong"
    start = len(text)
    parts.append(Part(kind="output", text=output, start=start, end=start + len(output)))
    return Record(
        problem=problem.id,
        arm=arm,
        repeat=repeat,
        outcome=outcome,
        value=output,
        note="" if final else "another value",
        output=output,
        source=text + output,
        parts=tuple(parts),
        phases=(*phases, Phase(kind="final", right=outcome == "right", value=output)),
        tokens=_spent(rng, tokens, looks),
        seconds=rng.uniform(1, 4),
        first_output=rng.uniform(0.2, 0.5) if not looks else rng.uniform(2, 6),
        model="model-7b",
        mode=kind,
    )


def _thought(
    rng: random.Random,
    problem: Problem,
    draft: bool,
    looks: int,
    chances: tuple[float, float],
    length: int,
) -> tuple[list[Phase], list[Part], str, bool]:
    """Phases, parts, text and whether the answer is right after ``looks`` reflections."""
    fixes, breaks = chances
    phases, now, text = [Phase(kind="draft", right=draft)], draft, ""
    if not looks:
        return phases, [], text, now
    inner: list[Part] = []
    text = "The hens add up; let me count them once more. " * length
    for number in range(looks):
        turns = rng.random() < (breaks if now else fixes)
        now = now != turns
        says: Claim = "flagged" if turns or rng.random() < 0.12 else "ok"
        sure = rng.choice((0.55, 0.7, 0.8, 0.9, 0.95)) if rng.random() < 0.5 else None
        said = "Wait, I dropped one." if says == "flagged" else "I checked it; this holds."
        inner.append(
            Part(kind="reflection", text=said, start=len(text), end=len(text) + len(said), parent=0)
        )
        text += said + f" So the sum is {problem.gold if now else int(problem.gold) + 1}. "
        phases.append(
            Phase(
                kind="reflection",
                right=now,
                says=says,
                confidence=sure,
                text=said,
                part=number + 1,
            )
        )
    return phases, [Part(kind="thinking", text=text, end=len(text)), *inner], text, now


def _spent(rng: random.Random, tokens: int, looks: int) -> Tokens:
    spent = max(10, round(rng.gauss(tokens, tokens / 3)))
    thinking = spent - 8 if looks else 0
    return Tokens(
        prompt=90, completion=spent, thinking=thinking, reflections=min(thinking, 20 * looks)
    )
