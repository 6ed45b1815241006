"""What came of the benchmark of policies: results, tables, goals and the picture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from policy_arms import FIRST, ROOMY, SETTINGS, SIZES, TASKS, VOTES, arms
from shares import difference, points, share, wilson

#: in the picture: the others lie upon these
DRAWN = {
    FIRST: "black", "redraw, exact": "tab:green", "told, exact": "tab:olive",
    "restart, exact": "tab:orange", "revise, exact": "tab:red", "redraw, steps": "tab:green",
    "revise, steps": "tab:red", VOTES[0]: "tab:cyan", VOTES[1]: "tab:cyan",
    "guarded": "tab:blue", "guarded, looks again": "tab:purple", "self-revise": "tab:pink",
}  # fmt: skip
ROOM = 10.0  # points that a verifier has to bring on arithmetic
LOSS, BREAKS = 1.0, 1.5  # points that the guard may lose, percent of right drafts that it may break


@dataclass(frozen=True)
class Result:
    """What one arm made of one item. ``tokens``: generated; ``prompt``: read."""

    setting: str
    task: str
    item: int
    arm: str
    first: bool
    right: bool
    attempts: int
    tokens: int
    prompt: int
    status: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.setting, self.task, self.item, self.arm


def load(store: Path) -> list[Result]:
    """All results so far. A last line that was cut off is left out."""
    lines = store.read_text("utf-8").splitlines(keepends=True) if store.exists() else []
    return [Result(**json.loads(line)) for line in lines if line.endswith("\n")]


@dataclass(frozen=True)
class Row:
    """One arm over many items, in the items' order."""

    arm: str
    first: list[bool]
    right: list[bool]
    attempts: float
    tokens: float
    prompt: float

    @property
    def gain(self) -> tuple[float, float, float]:
        """Against the first draft, with the interval."""
        return difference(self.first, self.right)

    @property
    def mended(self) -> tuple[int, int]:
        """Of the wrong first drafts, those that came out right."""
        pairs = zip(self.first, self.right, strict=True)
        return sum(b and not a for a, b in pairs), self.first.count(False)

    @property
    def broken(self) -> tuple[int, int]:
        """Of the right first drafts, those that came out wrong."""
        pairs = zip(self.first, self.right, strict=True)
        return sum(a and not b for a, b in pairs), self.first.count(True)


def rows(results: Iterable[Result]) -> dict[str, Row]:
    """The arms over the items that all of them have, by name."""
    by_arm: dict[str, dict[tuple[str, int], Result]] = {}
    for r in results:
        by_arm.setdefault(r.arm, {})[r.task, r.item] = r
    shared = sorted(set.intersection(*(set(found) for found in by_arm.values())))
    return {
        arm: _row(arm, [by_arm[arm][key] for key in shared]) for arm in arms("") if arm in by_arm
    }


def _row(arm: str, found: list[Result]) -> Row:
    def mean(values: Iterable[int]) -> float:
        return sum(values) / len(found)

    return Row(
        arm,
        [r.first for r in found],
        [r.right for r in found],
        mean(r.attempts for r in found),
        mean(r.tokens for r in found),
        mean(r.prompt for r in found),
    )


def equal_vote(row: Row, table: dict[str, Row]) -> Row:
    """The cheapest vote that costs at least as many tokens, else the dearest; of what costs no
    more than one draft, that draft."""
    if row.tokens <= table[FIRST].tokens:
        return table[FIRST]
    votes = [table[name] for name in VOTES]
    enough = [vote for vote in votes if vote.tokens >= row.tokens]
    return min(enough, key=lambda v: v.tokens) if enough else max(votes, key=lambda v: v.tokens)


HEAD = (
    f"{'arm':21} {'right %':>19}  {'against one draft':>21}  {'tries':>5} {'tokens':>7} "
    f"{'prompt':>7}  {'mended %':>18}  {'broken %':>17}  against votes at equal tokens"
)


def lines(table: dict[str, Row]) -> list[str]:
    """A table as text."""
    found = [HEAD]
    for row in table.values():
        vote = equal_vote(row, table)
        against = points(difference(vote.right, row.right)) if vote.arm != row.arm else "-"
        found.append(
            f"{row.arm:21} {share(sum(row.right), len(row.right)):>19}  {points(row.gain):>21}  "
            f"{row.attempts:5.2f} {row.tokens:7.1f} {row.prompt:7.1f}  {share(*row.mended):>18}  "
            f"{share(*row.broken):>17}  {against} ({vote.arm}, {vote.tokens:.1f})"
        )
    return found


def markdown(table: dict[str, Row]) -> list[str]:
    """A table for a page."""
    found = [
        "| arm | right, % | against one draft | tries | tokens | mended, % | broken, % "
        "| against a vote at no fewer tokens |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.values():
        vote = equal_vote(row, table)
        against = points(difference(vote.right, row.right)).strip()
        said = "" if vote.arm == row.arm else f"{against} ({vote.arm})"
        mended, broken = share(*row.mended).strip(), share(*row.broken).strip()
        found.append(
            f"| {row.arm} | {share(sum(row.right), len(row.right)).strip()} "
            f"| {points(row.gain).strip()} | {row.attempts:.2f} | {row.tokens:.1f} "
            f"| {mended} | {broken} | {said} |"
        )
    return found


def groups(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by setting, arithmetic apart from the rest; headings as keys."""
    found: dict[str, list[Result]] = {}
    for setting in map(str, SETTINGS):
        for kind, tasks in (("arithmetic", tuple(SIZES)), ("the other tasks", TASKS[len(SIZES) :])):
            chosen = [r for r in results if r.setting == setting and r.task in tasks]
            if chosen:
                found[f"{setting}: {kind}"] = chosen
    return found


def goals(tables: dict[str, dict[str, Row]]) -> list[tuple[bool, str]]:
    """What the loop has to bring, and whether it does.

    How many right answers the guard breaks is counted over all settings: each has too few of them.
    """
    found: list[tuple[bool, str]] = []
    broken = whole = 0
    for name, table in tables.items():
        if name == f"{ROOMY}: arithmetic":
            gain = 100 * table["default, exact"].gain[0]
            found.append((gain >= ROOM, f"{name}: with a verifier {gain:+.1f} points"))
        spoilt = table["default, exact"].broken[0]
        found.append((spoilt == 0, f"{name}: with a verifier {spoilt} broken"))
        lost, (some, of) = 100 * table["guarded"].gain[0], table["guarded"].broken
        found.append((lost >= -LOSS, f"{name}: guarded {lost:+.1f} points, {some} of {of} broken"))
        broken, whole = broken + some, whole + of
    met = 100 * broken <= BREAKS * whole
    return [*found, (met, f"guarded, all settings: {broken} of {whole} broken")]


def draw(tables: dict[str, dict[str, Row]], path: Path) -> None:
    """Right answers against tokens, a panel a setting, arithmetic alone."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "reflectkit"  # the same figures give the same file
    import matplotlib.pyplot as plt

    shown = {n: t for n, t in tables.items() if n.endswith("arithmetic")}
    across = math.ceil((len(shown) + 1) / 2)
    figure, panels = plt.subplots(2, across, figsize=(4 * across, 7), layout="constrained")
    marks = {"exact": "o", "steps": "s"}
    for axes, (name, table) in zip(panels.flat, shown.items(), strict=False):
        for row in (table[arm] for arm in DRAWN if arm in table):
            n, right = len(row.right), sum(row.right)
            low, high = wilson(right, n)
            bar = [[100 * (right / n - low)], [100 * (high - right / n)]]
            marker = marks.get(row.arm.rpartition(" ")[2], "^")
            look = {"color": DRAWN[row.arm], "marker": marker, "elinewidth": 0.6, "linestyle": ""}
            axes.errorbar(row.tokens, 100 * right / n, yerr=bar, label=row.arm, **look)
        axes.set(title=name.partition(":")[0], xlabel="tokens an answer", ylabel="right answers, %")
        axes.spines[["top", "right"]].set_visible(False)
    handles = panels.flat[0].get_legend_handles_labels()
    for axes in panels.flat[len(shown) :]:
        axes.axis("off")
    panels.flat[len(shown)].legend(*handles, loc="center", frameon=False, fontsize=9, ncols=1)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    print(f"drew {path}")
