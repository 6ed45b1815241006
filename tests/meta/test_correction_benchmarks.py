"""The benchmarks of correction count what they say they count."""

from __future__ import annotations

import json
import runpy
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.checkout

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RUNS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: SimpleNamespace(**runpy.run_path(str(BENCHMARKS / f"{name}.py")))


def test_intervals(load: Any) -> None:
    shares = load("shares")
    low, high = shares.wilson(81, 263)  # an example of Newcombe (1998): 0.2553 to 0.3662
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    value, low, high = shares.paired(10, 2, 100)
    assert value == pytest.approx(0.08)
    assert low < 0.08 < high
    assert shares.paired(2, 10, 100)[0] == -value
    assert shares.paired(0, 0, 400)[2] < 0.01  # nothing differs: still an interval
    assert shares.paired(0, 0, 400)[2] > 0
    assert shares.difference([True, False, False], [False, True, True])[0] == pytest.approx(1 / 3)


def result(tables: Any, arm: str, item: int, first: bool, right: bool, tokens: int) -> Any:
    setting = str(tables.ROOMY)
    return tables.Result(setting, "arithmetic-1-2", item, arm, first, right, 1, tokens, 9, "voted")


def test_rows_pair_the_items_that_all_arms_have(load: Any) -> None:
    tables = load("policy_tables")
    one = [result(tables, "one draft", i, i < 5, i < 5, 10) for i in range(10)]
    other = [result(tables, "guarded", i, i < 5, 1 <= i < 8, 25) for i in range(9)]
    table = tables.rows([*one, *other])
    assert list(table) == ["one draft", "guarded"]
    row = table["guarded"]
    assert (len(row.right), row.mended, row.broken) == (9, (3, 4), (1, 5))
    assert row.gain[0] == pytest.approx(2 / 9)


def test_a_vote_of_no_fewer_tokens_is_the_yardstick(load: Any) -> None:
    tables = load("policy_tables")
    costs = {"one draft": 10, "guarded": 25, "self-revise": 60, "vote of 3": 30, "vote of 5": 50}
    table = tables.rows(
        [result(tables, arm, i, True, True, n) for arm, n in costs.items() for i in range(3)]
    )
    names = {arm: tables.equal_vote(row, table).arm for arm, row in table.items()}
    assert names["one draft"] == "one draft"
    assert names["guarded"] == "vote of 3"
    assert names["self-revise"] == "vote of 5"


@pytest.mark.parametrize(("gained", "broken", "met"), [(2, 0, True), (0, 0, False), (2, 1, False)])
def test_goals_can_be_missed(load: Any, gained: int, broken: int, met: bool) -> None:
    tables = load("policy_tables")
    found = []
    for arm in ("one draft", "default, exact", "guarded"):
        for i in range(10):
            first = i < 5
            right = i >= broken if first else i < 5 + gained
            kept = arm == "default, exact"
            found.append(result(tables, arm, i, first, right if kept else first, 10))
    goals = tables.goals({f"{tables.ROOMY}: arithmetic": tables.rows(found)})
    assert len(goals) == 4
    assert all(ok for ok, _ in goals) is met


def test_only_missing_arms_are_run(load: Any) -> None:
    policies = load("policies")
    setting, task = policies.SETTINGS[0], "letters"
    known = {(str(setting), task, 0, arm) for arm in policies.arms("")}
    assert [j.item for j in policies.jobs([setting], [task], 2, known)] == [1]
    known -= {(str(setting), task, 0, "guarded")}
    assert policies.jobs([setting], [task], 1, known)[0].arms == ("guarded",)


async def test_one_item_through_all_arms(load: Any) -> None:
    pytest.importorskip("xllamacpp")  # reflectkit[local]
    policies = load("policies")
    from reflectkit.backends.nano import NanoBackend

    setting = policies.Setting("reflect", "reflecting", 0.7)
    (job,) = policies.jobs([setting], ["arithmetic-1-2"], 1, set())
    async with NanoBackend("nano-reflect", parallel=1) as backend:
        found = await policies.judge_item(backend, job)
    assert [r.arm for r in found] == list(policies.arms(""))
    assert len({r.first for r in found}) == 1  # all arms start from the same draft
    assert all(r.right for r in found if r.arm.endswith("exact"))


def test_a_line_that_was_cut_off_is_left_out(load: Any, tmp_path: Path) -> None:
    tables = load("policy_tables")
    whole = json.dumps(asdict(result(tables, "guarded", 0, True, True, 9)))
    store = tmp_path / "store.jsonl"
    store.write_text(f"{whole}\n{whole[:40]}", "utf-8")
    assert len(tables.load(store)) == 1


def solutions(tmp_path: Path, marks: list[list[bool]]) -> Path:
    rows = []
    for number, row in enumerate(marks):
        said = {
            run: {
                "is_correct": ok,
                "solution": f"He has 2 + 2 = <<2+2=4>>{4 if ok else 5}\nA: {4 if ok else 50 + i}",
            }
            for i, (run, ok) in enumerate(zip(RUNS, row, strict=True))
        }
        rows.append({"question": f"Q{number}?", "ground_truth": "2 + 2 = 4\nA: 4", **said})
    path = tmp_path / "solutions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


async def test_the_replay_reaches_the_ceiling(load: Any, tmp_path: Path) -> None:
    replay = load("replay_gsm8k")
    marks = [
        [False, False, False, True],
        [True, False, False, False],
        [False] * 4,
        [False, True, True, False],
    ]
    played = list(replay.items(solutions(tmp_path, marks), RUNS[0]))
    outcomes = [await replay.play(item) for item in played]
    assert replay.faults(played, outcomes) == []
    assert [o["redraw, exact, 4 tries"].right for o in outcomes] == [True, True, False, True]
    assert [o["redraw, steps, 4 tries"].right for o in outcomes] == [True, True, False, True]
    assert [o["guarded"].right for o in outcomes] == [False, True, False, True]
    assert [o["vote of 4"].right for o in outcomes] == [False, True, False, True]
    judged = replay.judged([m[0] for m in marks], [o["redraw, steps, 4 tries"] for o in outcomes])
    assert judged == replay.Judged(1, 0, 3, 3)
    # a reply off the ceiling is seen
    outcomes[0]["redraw, exact, 4 tries"] = replay.Outcome(False, 4, False)
    assert len(replay.faults(played, outcomes)) == 1


def test_another_model_comes_first(load: Any, tmp_path: Path) -> None:
    replay = load("replay_gsm8k")
    path = solutions(tmp_path, [[False, True, False, False]])
    assert [next(replay.items(path, run)).marks[0] for run in RUNS] == [False, True, False, False]
    assert "<<" not in next(replay.items(path, RUNS[0])).solutions[0]


async def test_structured_output_of_one_type(load: Any) -> None:
    structured = load("structured")
    todo = structured.cases()
    assert len(todo) == 1200
    found = await structured.measure("reflectkit", todo[:12])
    assert {o.outcome for o in found.values()} == {"right"}
    assert [found[c.name].calls for c in todo[:12]] == [1] * 8 + [2] * 4


def test_what_is_worse(load: Any) -> None:
    structured = load("structured")
    right, dear = structured.Outcome("right", 1, 10), structured.Outcome("right", 2, 10)
    error, wrong = structured.Outcome("error", 1, 10), structured.Outcome("wrong", 1, 10)
    assert structured.worse(dear, right)
    assert structured.worse(wrong, error)
    assert not structured.worse(right, right)
    assert not structured.worse(dear, wrong)
