"""The benchmark of the step checker counts what it says."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "steps.py"
RUNS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
SOLUTIONS = [
    (True, "He has 2 + 2 = <<2+2=4>>4 eggs.\nA: 4"),
    (True, "He has 2 + 2 = <<2+2=4>>5 eggs.\nA: 4"),
    (False, "So 3 eggs * 2 = <<3*2=6>>6.\n"
            "Then 6 x 10 = $<<6*10=60>>6,0.\n6 - 2 = <<6-2=4>>3 eggs\nA: 3"),
    (False, "He has none.\nA: 0"),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = {r: {"is_correct": c, "solution": s} for r, (c, s) in zip(RUNS, SOLUTIONS, strict=True)}
    made = tmp_path / "solutions.jsonl"
    made.write_text(json.dumps(rows) + "\n", "utf-8")
    return made


@pytest.mark.checkout
def test_it_counts(path: Path) -> None:
    module = runpy.run_path(str(BENCHMARK))
    for notes in (True, False):
        tallies = module["measure"](path, notes=notes)
        right, wrong = tallies[True], tallies[False]
        assert (right.solutions, right.flagged, right.false, right.found) == (2, 1, 1, 1)
        assert (wrong.solutions, wrong.flagged, wrong.false, wrong.same_line) == (2, 1, 1, 1)
        assert wrong.examples[0].startswith("6 - 2 =")


@pytest.mark.checkout
def test_it_prints(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), str(path), "--show"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "right solutions flagged               1 of 2      50.00 %" in done.stdout


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("line", "false"),
    [
        ("so 2 + 2 = 4 eggs", False),
        ("so 2 + 2 = 5 eggs", True),
        ("it is 3 x 20/100 = 0.6", False),
        ("he has 10 / 3 = 3.33 left", False),
        ("uses 7, 16 - 7 = 9", False),
        ("$350 000 x 5/100 = $17 500", False),
        ("2 ** 1000 = 5", False),
    ],
)
def test_the_second_reading(line: str, false: bool) -> None:
    assert runpy.run_path(str(BENCHMARK))["false_by_python"](line) is false
