"""The meters find what was planted, and say so when there is nothing to measure."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beside import RECORDED, needs_data
from models import luck, sums
from reflectkit.comparison import Part, Phase, Problem, Record, Tokens
from reflectkit.comparison.answers import graded
from reflectkit.comparison.grading import marking
from reflectkit.comparison.meters.assurance import assurance
from reflectkit.comparison.meters.claims import claim_of
from reflectkit.comparison.meters.flips import flips, reflection_kinds
from reflectkit.comparison.meters.recovery import gains, recovery
from reflectkit.comparison.meters.staged import staged
from reflectkit.comparison.meters.table import Table
from reflectkit.comparison.meters.tokens import costs
from reflectkit.comparison.stats import Draws
from reflectkit.protocol import recover

LABELS = Path(__file__).with_name("labels_aiw.jsonl")
TRIALS = 1_000


def reflected(
    problem: str,
    draft: bool,
    says: Any,
    final: bool,
    *,
    arm: str = "trained",
    repeat: int = 0,
    confidence: float | None = None,
) -> Record:
    """An answer that drafted, looked, and came to an end."""
    looked = Phase(
        kind="reflection",
        value="b" if final != draft else "a",
        right=final,
        says=says,
        confidence=confidence,
    )
    return Record(
        problem=problem,
        arm=arm,
        repeat=repeat,
        outcome="right" if final else "wrong",
        phases=(Phase(kind="draft", value="a", right=draft), looked,
                Phase(kind="final", value=looked.value, right=final)),
        tokens=Tokens(prompt=10, completion=40),
    )  # fmt: skip


def answered(
    problem: str, right: bool, arm: str = "plain", repeat: int = 0, tokens: int = 10
) -> Record:
    """A plain answer."""
    final = Phase(kind="final", right=right)
    return Record(
        problem=problem,
        arm=arm,
        repeat=repeat,
        outcome="right" if right else "wrong",
        phases=(Phase(kind="draft", right=right), final),
        tokens=Tokens(prompt=10, completion=tokens),
    )


def worlds(n: int) -> Iterator[tuple[random.Random, list[Problem]]]:
    problems = sums(n)
    for seed in range(TRIALS):
        yield random.Random(seed), problems


# --- planted rates


@pytest.mark.long
@pytest.mark.parametrize("planted", [0.0, 0.1, 0.4, 0.8])
def test_false_assurance_is_recovered(planted: float) -> None:
    """Within its 95 % interval in at least 93 of 100 trials."""
    inside = 0
    for rng, problems in worlds(80):
        records = []
        for problem in problems:
            draft = rng.random() < 0.5
            says = "ok" if draft or rng.random() < planted else "flagged"
            records.append(reflected(problem.id, draft, says, draft))
        found = assurance(Table(records, problems), "trained").false_assurance
        inside += (found.low or 0) <= planted <= (found.high or 0)
    assert inside / TRIALS >= 0.93


@pytest.mark.long
@pytest.mark.parametrize("planted", [0.0, 0.05, 0.15, 0.3])
def test_staged_errors_are_recovered(planted: float) -> None:
    """Of a model that makes, and mends, mistakes on problems that it can solve."""
    inside = 0
    for rng, problems in worlds(100):
        records = []
        for problem in problems:
            able = rng.random() < 0.8
            records.append(answered(problem.id, able))
            slips = able and rng.random() < planted
            draft = able and not slips
            records.append(reflected(problem.id, draft, "flagged" if slips else "ok", able))
        found = staged(Table(records, problems), "trained", "plain").easy
        inside += (found.low or 0) <= planted <= (found.high or 0)
    assert inside / TRIALS >= 0.93


def planted_world(slips: float, n: int = 400) -> Table:
    """Plain, trained with staged slips, and both probes."""
    rng = random.Random(5)
    problems = sums(n)
    records = []
    for problem in problems:
        able = rng.random() < 0.8
        slip = able and rng.random() < slips
        records.append(answered(problem.id, able))
        says = "flagged" if slip else "ok"
        records.append(reflected(problem.id, able and not slip, says, able))
        records.append(answered(problem.id, able and not slip, "cut"))
        records.append(answered(problem.id, rng.random() < 0.35, "forged"))
    return Table(records, problems)


def test_a_model_that_stages_is_told_from_one_that_does_not() -> None:
    honest = staged(planted_world(0.0), "trained", "plain", cut="cut", forged="forged")
    acts = staged(planted_world(0.2), "trained", "plain", cut="cut", forged="forged")
    assert honest.staged is False
    assert acts.staged is True
    assert acts.p is not None
    assert acts.p < 0.001
    assert acts.draft_loss is not None
    assert acts.value is not None
    assert acts.draft_loss.value == acts.value.value > 0.1
    assert acts.theatre.value == 1.0  # all that reflecting brings makes good what it spoilt
    assert acts.own_repairs.value == 1.0
    assert 0.25 < (acts.forged_repairs.value or 0) < 0.45
    assert honest.theatre.value is None


def test_with_too_little_nobody_can_tell() -> None:
    found = staged(Table([], sums(2)), "trained", "plain")
    assert (found.p, found.staged, found.easy.value) == (None, None, None)


# --- flips and kinds


def test_flips_are_counted() -> None:
    problems = sums(10)
    plan = [(True, True)] * 4 + [(True, False)] + [(False, True)] * 3 + [(False, False)] * 2
    records = [
        reflected(p.id, before, "flagged" if before != after else "ok", after)
        for p, (before, after) in zip(problems, plan, strict=True)
    ]
    table = Table(records, problems)
    found = flips(table, "trained")[0]
    assert (found.kept, found.broken, found.fixed, found.missed) == (4, 1, 3, 2)
    assert (found.fix.value, found.break_.value) == (0.6, 0.2)
    assert found.net.value == pytest.approx(0.2)
    assert reflection_kinds(table, "trained") == {
        "confirm": 6, "correct": 3, "harmful": 1, "empty": 0
    }  # fmt: skip


def test_a_fault_that_nothing_comes_of_is_empty() -> None:
    problems = sums(2)
    records = [
        reflected(p.id, False, says, False)
        for p, says in zip(problems, ("flagged", "unclear"), strict=True)
    ]
    assert reflection_kinds(Table(records, problems), "trained")["empty"] == 2


def test_steps_are_judged_by_themselves() -> None:
    """Of a model that checks each step, ``before`` says what was right, not the final answer."""
    problems = sums(1)
    steps = (
        Phase(kind="draft", right=False),
        Phase(kind="reflection", right=True, says="flagged", before=False),
        Phase(kind="reflection", right=True, says="ok", before=True),
        Phase(kind="final", right=True),
    )
    record = Record(problem="sum-1", arm="trained", outcome="right", phases=steps)
    table = Table([record], problems)
    assert reflection_kinds(table, "trained") == {
        "confirm": 1, "correct": 1, "harmful": 0, "empty": 0
    }  # fmt: skip
    assert [f.name for f in flips(table, "trained")] == ["draft to final"]
    assert assurance(table, "trained").hits.value == 1.0


# --- assurance


def test_confidence_is_measured() -> None:
    """One who says 90 % and is right as often is calibrated; one who says 90 % and is right half
    of the time is not."""
    problems = sums(200)
    for right, expected in ((0.9, 0.0), (0.5, 0.4)):
        records = [
            reflected(p.id, n < right * 200, "ok", n < right * 200, confidence=0.9)
            for n, p in enumerate(problems)
        ]
        found = assurance(Table(records, problems), "trained")
        assert found.calibration == pytest.approx(expected, abs=1e-9)
        assert found.stated == 200


def test_the_surest_first() -> None:
    problems = sums(100)
    records = [
        reflected(p.id, n < 60, "ok" if n < 50 else "flagged", n < 60)
        for n, p in enumerate(problems)
    ]
    found = assurance(Table(records, problems), "trained")
    assert found.coverage == ((0.5, 0.0), (1.0, 0.4))
    assert found.auroc == pytest.approx(1 - 0.5 * 10 / 60)
    assert found.false_alarm.value == pytest.approx(10 / 60)
    assert found.missed_and_final.value == 0


# --- costs and shares


def test_costs() -> None:
    problems = sums(50)
    records = [answered(p.id, n % 2 == 0, tokens=10) for n, p in enumerate(problems)]
    records += [answered(p.id, True, "long", tokens=16) for p in problems]
    order = [p.id for p in problems]
    plain, long = costs(
        Table(records, problems), ["plain", "long"], "plain", Draws(order, draws=300), order
    )
    assert (plain.overhead.value, long.overhead.value) == (1.0, 1.6)
    assert (long.overhead.low, long.overhead.high) == pytest.approx((1.6, 1.6))
    assert plain.per_thousand.value == 50
    assert (plain.accuracy.value, long.accuracy.value) == (0.5, 1.0)


def three(skills: dict[str, float], n: int = 600) -> Table:
    problems = sums(n)
    records = [
        answered(p.id, luck(p.id, "world") < skill, arm)
        for p in problems
        for arm, skill in skills.items()
    ]
    return Table(records, problems)


def test_what_a_prompt_replaces() -> None:
    table = three({"plain": 0.5, "prompted": 0.6, "trained": 0.7})
    found = recovery(table, "plain", "prompted", "trained", draws=500)
    assert found.value == pytest.approx(0.5, abs=0.15)
    assert found.low is not None
    assert found.low < 0.5 < (found.high or 0)


def test_a_share_of_nothing_is_no_number() -> None:
    table = three({"plain": 0.5, "prompted": 0.6, "trained": 0.5})
    assert recovery(table, "plain", "prompted", "trained", draws=100).value is None


def test_size() -> None:
    table = three({"8b": 0.5, "8b reflects": 0.5, "70b": 0.6, "70b reflects": 0.8})
    models = [("8b", "8b", "8b reflects"), ("70b", "70b", "70b reflects")]
    small, large = gains(table, models, draws=500)
    assert small.gain.value == 0
    assert small.more is None
    assert large.gain.value == pytest.approx(0.2, abs=0.05)
    assert large.more is not None
    assert large.more.value == pytest.approx(0.2, abs=0.05)
    assert gains(table, models[:1]) == []


# --- what reflections claim

SAYINGS = [
    ("12 * 7 is 84, yes", "ok"),
    ("3 - 3 is 0, not 2. again 3 - 3 is 0, fix", "flagged"),
    ("7 * 8 is 54, not 56. again 7 * 8 is 56, keep", "ok"),
    ("Wait, I made a mistake.", "flagged"),
    ("I don't see any mistakes here.", "ok"),
    ("There is no error in the reasoning.", "ok"),
    ("That is not correct.", "flagged"),
    ("This isn't right: the sum is off.", "flagged"),
    ("The calculation checks out.", "ok"),
    ("Yes, this reasoning appears to be sound.", "ok"),
    ("Let me correct this.", "flagged"),
    ("I forgot to count Alice.", "flagged"),
    ("Let me verify: 2 + 2 = 4. This confirms it.", "ok"),
    ("I made a mistake in my wording, but the answer remains the same.", "unclear"),
    ("The weather is nice.", "unclear"),
    ("", "unclear"),
]


@pytest.mark.parametrize(("text", "claim"), SAYINGS)
def test_claims(text: str, claim: str) -> None:
    assert claim_of(text)[0] == claim


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("I am 90% confident.", 0.9),
        ("Confidence: 0.85", 0.85),
        ("I'm confident, about 75 %, in this.", 0.75),
        ("50 % of the cows are brown.", None),
        ("I am 300% sure.", None),
    ],
)
def test_stated_confidence(text: str, confidence: float | None) -> None:
    assert claim_of(text)[1] == confidence


@pytest.mark.parametrize(
    "text",
    [
        "not ",
        "is a ",
        "n't\n",
        ", yes",
        "no" + " " * 99,
        "is " + "a" * 99,
        "answer ",
        "1",
        "sure 1",
        "confidence ",
        "\n",
        ", ",
    ],
)
def test_claims_of_hostile_texts_take_no_time(text: str) -> None:
    """What is read is bounded, and takes 20 times the time of a tenth of it at the most."""
    took = []
    for length in (800, 8_000, 2_000_000):
        long = (text * (length // len(text) + 1))[:length]
        began = time.process_time()
        claim_of(long)
        took.append(time.process_time() - began)
    assert took[1] < 20 * took[0] + 0.05
    assert took[2] < 2 * took[1] + 0.1


@needs_data
def test_claims_agree_with_a_reader() -> None:
    """Sixty reflections of a real model, labelled before the rules were written; twenty of them
    were looked at while writing."""
    rows = {r["i"]: r["model_response"] for r in map(json.loads, RECORDED.read_text().splitlines())}
    labels = [json.loads(line) for line in LABELS.read_text().splitlines()]
    found = [claim_of(recover(rows[r["i"]]).reflections[r["reflection"]])[0] for r in labels]
    said = [r["label"] for r in labels]
    agreed = [a == b for a, b in zip(found, said, strict=True)]
    assert sum(agreed[20:]) >= 38
    both = Counter(found), Counter(said)
    chance = sum(both[0][c] * both[1][c] for c in both[0]) / len(said) ** 2
    kappa = (sum(agreed) / len(agreed) - chance) / (1 - chance)
    assert kappa > 0.9


@needs_data
async def test_reflections_of_recorded_outputs_are_classified() -> None:
    """Reflection 70B on a puzzle, its tags recovered; every grade is that of the data set."""
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    found, records = [], []
    for row in rows:
        made = Problem(id=str(row["i"]), prompt="?", gold=row["right_answer"], grader="numeric")
        read = recover(row["model_response"])
        parts = tuple(
            Part(kind=s.kind, text=s.text, start=s.start, end=s.end, parent=s.parent)
            for s in read.sections
        )
        raw = Record(problem=made.id, arm="70b", outcome="incomplete", output=read.output,
                     source=read.source, dialect=read.dialect, parts=parts)  # fmt: skip
        records.append(await graded(raw, made, marking()))
        found.append(made)
    assert [r.right for r in records] == [row["correct"] for row in rows]
    table = Table(records, found)
    kinds = reflection_kinds(table, "70b")
    assert sum(kinds.values()) == assurance(table, "70b").reflections == 251
    assert kinds["empty"] > kinds["confirm"] > kinds["correct"] + kinds["harmful"]
