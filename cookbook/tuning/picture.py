"""Draw what `evaluate.py --json FILE` measured.

python cookbook/tuning/picture.py cookbook/tuning/figures.json docs/pictures/embedded-model.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
from evaluate import LARGE, SMALL
from goals import Figures
from matplotlib.axes import Axes
from scoring import interval

TASKS = {SMALL: "arithmetic\n1-2 steps", LARGE: "arithmetic\n3-4 steps", "letters": "letters",
         "words": "word\nproblems", "objects": "objects"}  # fmt: skip
ARMS = (
    ("base", "plain", "base, at once", "#b8c4d6"),
    ("base", "thinking", "base, thinking", "#5b7db1"),
    ("reflect", "plain", "reflect, at once", "#e8c9a0"),
    ("reflect", "thinking", "reflect, thinking", "#d98f2b"),
    ("reflect", "reflection", "reflect, reflecting", "#8a4f7d"),
)
HEATS = (0.0, 0.7, 1.0, 1.5)


def share(row: dict[str, Any]) -> tuple[float, float, float]:
    """Percent right, and how far the interval goes down and up."""
    low, high = interval(row["right"], row["n"])
    right = row["right"] / row["n"]
    return 100 * right, 100 * max(0.0, right - low), 100 * max(0.0, high - right)


def draw_tasks(axes: Axes, figures: Figures) -> None:
    """Accuracy by task and arm, greedy."""
    width = 0.16
    for place, (weights, mode, label, colour) in enumerate(ARMS):
        rows = [share(figures.row(weights, mode, 0.0, task)) for task in TASKS]
        at = [i + (place - 2) * width for i in range(len(TASKS))]
        errors = [[r[1] for r in rows], [r[2] for r in rows]]
        axes.bar(at, [r[0] for r in rows], width, label=label, color=colour, yerr=errors,
                 error_kw={"elinewidth": 0.8, "ecolor": "#444444"})  # fmt: skip
    axes.set_xticks(range(len(TASKS)), list(TASKS.values()))
    axes.set(
        ylim=(0, 105),
        ylabel="right answers (%)",
        title="Temperature 0, 500 held-out problems a task",
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False, fontsize=9)


def draw_heats(axes: Axes, figures: Figures) -> None:
    """Accuracy of one set of weights with and without reflection, by temperature."""
    for _, mode, label, colour in ARMS[3:]:
        rows = [share(figures.row("reflect", mode, heat)) for heat in HEATS]
        errors = [[r[1] for r in rows], [r[2] for r in rows]]
        tokens = figures.row("reflect", mode, 0.7)["tokens"]
        axes.errorbar(HEATS, [r[0] for r in rows], errors, marker="o", color=colour,
                      label=f"{label}: {tokens:.0f} tokens", capsize=2)  # fmt: skip
    axes.set(xlabel="temperature", ylabel="right answers (%)", title="Sampled, all tasks")
    axes.legend(loc="lower left", frameon=False, fontsize=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    figures = Figures(json.loads(options.figures.read_text()))
    mpl.rcParams["svg.hashsalt"] = "reflectkit"  # the same figures give the same file
    drawing, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.2), width_ratios=(2, 1), layout="constrained"
    )
    draw_tasks(left, figures)
    draw_heats(right, figures)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(options.picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
