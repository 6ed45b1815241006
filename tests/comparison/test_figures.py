"""Figures that would mislead: of nothing, of one, where all are alike, and of honest slips."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import isfinite, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from models import sums
from reflectkit import ConfigurationError
from reflectkit.comparison import Phase, Problem, Record
from reflectkit.comparison.meters.assurance import assurance
from reflectkit.comparison.meters.flips import flips, reflection_kinds
from reflectkit.comparison.meters.recovery import recovery
from reflectkit.comparison.meters.staged import Staged, staged
from reflectkit.comparison.meters.table import Table, mean_rate, rate
from reflectkit.comparison.meters.tokens import costs
from reflectkit.comparison.records import Claim
from reflectkit.comparison.stats import (
    Draws,
    clustered_difference,
    clustered_mean,
    holm,
    mcnemar,
    paired,
    paired_difference,
    two_shares,
    wilson,
)
from test_meters import answered, reflected, three

ROWS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["ok", "flagged", "unclear"]), st.booleans()),
    min_size=1,
    max_size=30,
)


# --- bad input has a name


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar(-1, 3),
        lambda: wilson(5, 3),
        lambda: wilson(-1, 3),
        lambda: paired_difference(5, 9, 3),
        lambda: paired_difference(-1, 0, 3),
        lambda: holm([0.1, nan]),
        lambda: holm([1.5]),
        lambda: two_shares(84.7, 90.94, 14_042),
        lambda: two_shares(0.5, 0.5, 0),
        lambda: clustered_mean([0.1, nan]),
        lambda: clustered_mean([0.1, 0.2], ["a"]),
        lambda: clustered_difference([0.1], ["a", "b"]),
        lambda: paired([[True]] * 3, [[False]] * 3, ["a"]),
    ],
)
def test_bad_input_has_a_name(call: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as found:
        call()
    assert found.value.hint


# --- where all are alike


@pytest.mark.parametrize("repeats", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [2, 10, 100])
def test_an_interval_has_a_width(n: int, repeats: int) -> None:
    """All problems differ alike, or none does: that is no certainty."""
    one = [True] + [False] * (repeats - 1)
    for first in ([[False] * repeats] * n, [one] * n):
        found = paired(first, [one] * n)
        assert found.high - found.low > 1 / (n * repeats)
        assert found.low <= found.value <= found.high


def test_so_many_clusters_and_not_so_many_problems() -> None:
    """Sixty problems of six texts that all differ alike tell as much as six problems."""
    keys = [n % 6 for n in range(60)]
    many = paired([[False]] * 60, [[True]] * 60, keys)
    six = clustered_difference([1.0] * 6)
    assert (many.value, many.low, many.high) == pytest.approx(six)
    assert paired([[False]] * 60, [[True]] * 60).low > many.low


def test_of_one_cluster_nothing_is_known() -> None:
    assert clustered_difference([0.5, 1.0], ["a", "a"]) == (0.75, -1.0, 1.0)
    assert clustered_difference([]) == (0.0, -1.0, 1.0)


def test_all_right_is_no_certainty() -> None:
    """Neither of an arm's accuracy nor of what reflecting changes."""
    problems = sums(20)
    order = [p.id for p in problems]
    records = [reflected(p.id, True, "ok", True) for p in problems]
    table = Table(records, problems)
    (cost,) = costs(table, ["trained"], "trained", Draws(order, draws=50), order)
    assert cost.accuracy.value == 1.0
    assert 0.8 < (cost.accuracy.low or 0) < 0.9
    net = flips(table, "trained")[0].net
    assert (net.low or 0) < -0.05
    assert (net.high or 0) > 0.05


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=2, max_size=20))
def test_accuracy_by_problem_is_accuracy_by_answer(rows: list[list[bool]]) -> None:
    means = [sum(row) / 3 for row in rows]
    keys = list(range(len(rows)))
    one = mean_rate(means, keys, 3 * len(rows))
    all_of_them = rate([v for row in rows for v in row], [k for k in keys for _ in range(3)])
    for name in ("value", "low", "high"):
        assert getattr(one, name) == pytest.approx(getattr(all_of_them, name), abs=1e-9)


# --- staged errors


def noisy(seed: int, *, drafts: float = 0.9, own: float = 0.8, forged: float = 0.35) -> Staged:
    """A model that slips now and then, in either mode, and repairs most of its own slips."""
    rng, problems = random.Random(seed), sums(300)
    records: list[Record] = []
    for problem in problems:
        draft = rng.random() < drafts
        final = draft or rng.random() < own
        records += [
            answered(problem.id, rng.random() < 0.9),
            reflected(problem.id, draft, "ok" if draft else "flagged", final),
            answered(problem.id, draft, "cut"),
            answered(problem.id, rng.random() < forged, "forged"),
        ]
    return staged(Table(records, problems), "trained", "plain", cut="cut", forged="forged")


def test_honest_slips_are_not_staged() -> None:
    """Though its drafts are wrong on problems that the baseline solves, by luck, and though it
    repairs its own slips better than planted ones."""
    found = [noisy(seed) for seed in range(100)]
    assert sum(bool(f.staged) for f in found) <= 2
    assert sum((f.easy.low or 0) > 0.02 for f in found) > 95
    assert sum((f.own_repairs.low or 0) > (f.forged_repairs.high or 1) for f in found) > 90
    assert all(noisy(seed, drafts=0.7).staged for seed in range(10))


def test_planted_errors_of_hard_problems_are_not_compared() -> None:
    """Own mistakes are those on easy problems; so planted ones are too."""
    problems = sums(40)
    records: list[Record] = []
    for n, problem in enumerate(problems):
        easy = n < 20
        records += [
            answered(problem.id, easy),
            reflected(problem.id, easy and n > 5, "flagged", easy),
            answered(problem.id, easy, "forged"),
        ]
    found = staged(Table(records, problems), "trained", "plain", forged="forged")
    assert (found.own_repairs.value, found.forged_repairs.value) == (1.0, 1.0)
    assert found.forged_repairs.n == 20


# --- recovery


def test_of_a_loss_nothing_is_recovered() -> None:
    """A prompt that loses twice as much as training does has not recovered 200 %."""
    table = three({"plain": 0.7, "prompted": 0.5, "trained": 0.6})
    assert recovery(table, "plain", "prompted", "trained", draws=100).value is None


# --- phases of other shapes


def test_attempts_are_followed() -> None:
    problems = sums(1)
    phases = (
        Phase(kind="draft", right=False),
        Phase(kind="attempt", right=True),
        Phase(kind="attempt", right=False),
        Phase(kind="final", right=False),
    )
    record = Record(problem=problems[0].id, arm="loop", outcome="wrong", phases=phases)
    found = {f.name: (f.kept, f.broken, f.fixed, f.missed) for f in flips(
        Table([record], problems), "loop")}  # fmt: skip
    assert found == {
        "draft to final": (0, 0, 0, 1),
        "draft to attempt 2": (0, 0, 1, 0),
        "draft to attempt 3": (0, 0, 0, 1),
    }


@pytest.mark.parametrize(
    "kinds",
    [("reflection",), ("reflection", "final"), ("draft", "reflection", "attempt", "final")],
)
def test_the_last_claim_is_that_of_the_last_reflection(kinds: Sequence[Any]) -> None:
    """Wherever it stands."""
    problems = sums(2)
    claims: tuple[Claim, ...] = ("ok", "flagged")
    records = [
        Record(
            problem=p.id,
            arm="a",
            outcome="right" if says == "ok" else "wrong",
            phases=tuple(
                Phase(kind=k, right=says == "ok", says=says if k == "reflection" else None)
                for k in kinds
            ),
        )
        for p, says in zip(problems, claims, strict=True)
    ]
    found = assurance(Table(records, problems), "a")
    assert (found.auroc, found.brier) == (1.0, 0.0)


# --- properties


def world(rows: Sequence[tuple[bool, str, bool]]) -> tuple[list[Record], list[Problem]]:
    problems = sums(len(rows))
    records = [
        reflected(p.id, draft, says, final, confidence=0.7 if draft else None)
        for p, (draft, says, final) in zip(problems, rows, strict=True)
    ]
    return records + [answered(p.id, n % 3 > 0) for n, p in enumerate(problems)], problems


def numbers(found: object) -> list[float]:
    if isinstance(found, dict):
        return [x for value in found.values() for x in numbers(value)]
    if isinstance(found, (list, tuple)):
        return [x for value in found for x in numbers(value)]
    return [float(found)] if isinstance(found, (int, float)) else []


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_figures_are_numbers_in_any_order(
    rows: list[tuple[bool, str, bool]], rng: random.Random
) -> None:
    records, problems = world(rows)
    seen = []
    for _ in range(2):
        table = Table(records, problems)
        order = [p.id for p in problems]
        found = [
            *map(asdict, flips(table, "trained")),
            asdict(assurance(table, "trained")),
            asdict(staged(table, "trained", "plain")),
            *map(
                asdict, costs(table, ["plain", "trained"], "plain", Draws(order, draws=50), order)
            ),
        ]
        assert all(map(isfinite, numbers(found)))
        seen.append(found)
        rng.shuffle(records)
    assert seen[0] == seen[1]


@given(ROWS)
def test_parts_come_to_the_whole(rows: list[tuple[bool, str, bool]]) -> None:
    records, problems = world(rows)
    table = Table(records, problems)
    whole = flips(table, "trained")[0]
    assert whole.kept + whole.broken + whole.fixed + whole.missed == len(rows)
    assert whole.net.value == pytest.approx((whole.fixed - whole.broken) / len(rows))
    assert sum(reflection_kinds(table, "trained").values()) == len(rows)
    found = assurance(table, "trained")
    assert sum(b.right.n for b in found.bins) == len(rows)
    assert found.coverage[-1] == (1.0, sum(not final for *_, final in rows) / len(rows))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=2))
def test_auroc_is_that_of_mann_and_whitney(rows: list[tuple[float, bool]]) -> None:
    problems = sums(len(rows))
    records = [
        reflected(p.id, right, "ok", right, confidence=sure)
        for p, (sure, right) in zip(problems, rows, strict=True)
    ]
    found = assurance(Table(records, problems), "trained")
    of = {which: [s for s, right in rows if right is which] for which in (True, False)}
    if of[True] and of[False]:
        u = scipy_stats.mannwhitneyu(of[True], of[False]).statistic
        assert found.auroc == pytest.approx(u / (len(of[True]) * len(of[False])), abs=1e-9)
    else:
        assert found.auroc is None
    assert found.brier == pytest.approx(sum((s - r) ** 2 for s, r in rows) / len(rows), abs=1e-9)


def test_of_nothing_there_is_nothing() -> None:
    table = Table([], sums(3))
    found = assurance(table, "nobody")
    assert (found.brier, found.calibration, found.auroc, found.balanced) == (None,) * 4
    assert found.false_assurance.value is None
    assert flips(table, "nobody") == []
    assert recovery(table, "a", "b", "c").value is None
    assert set(reflection_kinds(table, "nobody").values()) == {0}
