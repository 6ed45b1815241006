"""The benchmark of imports measures what it says, and its bar is met with room to spare."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "imports.py"
MODULE = runpy.run_path(str(BENCHMARK))


def test_an_import_costs_at_most_one_and_a_half_times_h11() -> None:
    result = subprocess.run(
        [sys.executable, str(BENCHMARK), "--rounds", "5", "--json"], capture_output=True, text=True
    )
    rows = json.loads(result.stdout)["imports"]
    assert rows["h11"]["ratio"] == 1
    assert rows["reflectkit"]["ratio"] <= 1.5
    assert result.returncode == 0


def test_a_slow_import_would_be_seen() -> None:
    subjects = {"slow": "import time; time.sleep(0.2)", "fast": "pass"}
    figures = MODULE["measure"](subjects, 2)
    assert all(t > 0.2 for t in figures["slow"])
    assert MODULE["ratio"](figures, "slow", "fast") > 100


def test_the_breakdown_names_modules() -> None:
    names = [name for _, _, name in MODULE["breakdown"]("h11")]
    assert "h11._connection" in names
