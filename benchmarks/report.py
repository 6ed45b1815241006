"""How long a report takes: 1,319 problems, four arms, 10,000 draws of the bootstrap, all pages.

python benchmarks/report.py    # exits with 1 beyond 30 s of CPU time
python benchmarks/report.py --problems 5000 --repeats 2
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time

from reflectkit.comparison import Part, Phase, Problem, Record, Tokens
from reflectkit.comparison.report import Facts, summarised, write

BAR = 30.0
ARMS = {"plain": "plain", "prompted": "prompted", "trained": "trained", "vote": "vote"}
TEXT = "The answer is 7. " * 20


def answer(rng: random.Random, problem: str, arm: str, repeat: int) -> Record:
    """An answer as long as real ones are, with a reflection."""
    right, draft = rng.random() < 0.7, rng.random() < 0.6
    parts = (
        Part(kind="thinking", text=TEXT, end=len(TEXT)),
        Part(kind="reflection", text=TEXT[:80], start=40, end=120, parent=0),
        Part(kind="output", text="7", start=len(TEXT), end=len(TEXT) + 1),
    )
    looked = Phase(
        kind="reflection", right=right, says="ok" if draft == right else "flagged", part=1
    )
    return Record(
        problem=problem,
        arm=arm,
        repeat=repeat,
        outcome="right" if right else "wrong",
        output="7",
        source=TEXT + "7",
        parts=parts,
        phases=(Phase(kind="draft", right=draft), looked, Phase(kind="final", right=right)),
        tokens=Tokens(prompt=100, completion=rng.randint(50, 400)),
        seconds=rng.random(),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1319)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(7)
    problems = [
        Problem(id=str(n), prompt=f"Problem {n}?", gold=7, task=f"task {n % 3}")
        for n in range(options.problems)
    ]
    records = [
        answer(rng, p.id, arm, k) for p in problems for arm in ARMS for k in range(options.repeats)
    ]
    facts = Facts(
        run_id="measured",
        problems=problems,
        repeats=options.repeats,
        seed=0,
        kinds=ARMS,
        models=dict.fromkeys(ARMS, "m"),
        modes=dict.fromkeys(ARMS, "plain"),
        policies=dict.fromkeys(ARMS, ""),
        likes={"vote": "trained"},
    )
    began = time.process_time()
    report = summarised(records, facts)
    counted = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        size = sum(path.stat().st_size for path in write(report, folder))
    written = time.process_time()
    figures, pages = counted - began, written - counted
    print(f"{len(records):,} answers, {size / 1e6:.1f} MB")
    print(f"figures {figures:.1f} s, pages {pages:.1f} s")
    sys.exit(written - began > BAR)


if __name__ == "__main__":
    main()
