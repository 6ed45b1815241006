"""What `import reflectkit` costs, beside `import h11`, in one paired run.

    python benchmarks/imports.py                    # 21 rounds; says yes or no to the bar of 1.5
    python benchmarks/imports.py --rounds 51 --json
    python benchmarks/imports.py --breakdown        # -X importtime of one import, dearest first

Each round starts one fresh interpreter per import, in alternating order, so that a drifting machine
hits all of them alike. An interpreter times only the import itself (`time.perf_counter`), after
one unmeasured round that fills the page cache and the bytecode cache. The ratio is the median over
rounds of (reflectkit / h11), which pairs each figure with its neighbour in time.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence

BAR = 1.5
SUBJECTS = {
    "reflectkit": "import reflectkit",
    "reflectkit.protocol": "import reflectkit.protocol",
    "reflectkit.Client": "from reflectkit import Client",
    "h11": "import h11",
    "(nothing)": "pass",
}
TIMED = "import time; t = time.perf_counter()\n{}\nprint(time.perf_counter() - t)"
IMPORTTIME = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")

Rounds = dict[str, list[float]]


def seconds(statement: str) -> float:
    """Seconds that ``statement`` takes in a fresh interpreter."""
    return float(_python("-c", TIMED.format(statement)).stdout)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=120
    )


def measure(subjects: dict[str, str], rounds: int) -> Rounds:
    """``rounds`` figures for each subject, taken in turns, every other round backwards."""
    names = list(subjects)
    figures: Rounds = {name: [] for name in names}
    for number in range(-1, rounds):
        for name in names if number % 2 else reversed(names):
            figure = seconds(subjects[name])
            if number >= 0:
                figures[name].append(figure)
    return figures


def ratio(figures: Rounds, of: str, to: str) -> float:
    """The median of the paired ratios."""
    return statistics.median(a / b for a, b in zip(figures[of], figures[to], strict=True))


def summary(figures: Rounds, base: str = "h11") -> dict[str, dict[str, float]]:
    """Per subject: median and least milliseconds, and the paired ratio to ``base``."""
    return {
        name: {
            "median_ms": round(statistics.median(times) * 1000, 2),
            "least_ms": round(min(times) * 1000, 2),
            "ratio": round(ratio(figures, name, base), 3),
        }
        for name, times in figures.items()
    }


def breakdown(module: str) -> list[tuple[int, int, str]]:
    """(own, cumulative) microseconds and name of everything ``import module`` loads."""
    lines = _python("-X", "importtime", "-c", f"import {module}").stderr.splitlines()
    found = [m for line in lines if (m := IMPORTTIME.match(line))]
    return sorted(((int(m[1]), int(m[2]), m[4]) for m in found), reverse=True)


def _print_table(rows: dict[str, dict[str, float]], rounds: int) -> None:
    print(f"{'import':<20} {'median ms':>10} {'least ms':>10} {'x h11':>8}   ({rounds} rounds)")
    for name, row in rows.items():
        print(f"{name:<20} {row['median_ms']:>10} {row['least_ms']:>10} {row['ratio']:>8}")


def _print_breakdown(module: str, length: int = 25) -> None:
    print(f"{'own us':>8} {'total us':>9}  module")
    for own, total, name in breakdown(module)[:length]:
        print(f"{own:>8} {total:>9}  {name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 0 when the bar is met, 1 when not."""
    parser = argparse.ArgumentParser(description="Import cost beside h11, paired.")
    parser.add_argument("--rounds", type=int, default=21, help="fresh interpreters per import")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--breakdown", metavar="MODULE", nargs="?", const="reflectkit")
    options = parser.parse_args(arguments)
    if options.breakdown:
        _print_breakdown(options.breakdown)
        return 0
    rows = summary(measure(SUBJECTS, options.rounds))
    if options.json:
        print(json.dumps({"rounds": options.rounds, "bar": BAR, "imports": rows}))
    else:
        _print_table(rows, options.rounds)
    return int(rows["reflectkit"]["ratio"] > BAR)


if __name__ == "__main__":
    raise SystemExit(main())
