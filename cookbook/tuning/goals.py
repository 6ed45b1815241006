"""The goals of the recipe, each with what was measured and whether it was met."""

from __future__ import annotations

from typing import Any

from scoring import interval

SMALL = "arithmetic, 1-2 operations"
FLOORS = {SMALL: 0.90, "letters": 0.88, "words": 0.90, "objects": 0.95}


def merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of several runs as one."""
    found: dict[str, Any] = {"n": parts[0]["n"], "rows": [], "audits": {}, "detection": {}}
    for part in parts:
        found["rows"] += part["rows"]
        found["audits"] |= part["audits"]
        found["detection"] |= part["detection"]
    return found


class Figures:
    """Look-up in the rows."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.rows = {(r["weights"], r["mode"], r["temperature"], r["task"]): r
                     for r in found["rows"]}  # fmt: skip

    def row(self, weights: str, mode: str, temperature: float, task: str = "all") -> dict[str, Any]:
        found: dict[str, Any] = self.rows[weights, mode, temperature, task]
        return found

    def share(self, *where: Any, what: str = "right") -> float:
        row = self.row(*where)
        return float(row[what]) / float(row["n"])


def line(met: bool, goal: str, value: str) -> str:
    return f"{'met   ' if met else 'MISSED'}  {goal}: {value}"


def floors(figures: Figures) -> list[str]:
    """Accuracy of thinking, greedy, and well-formedness, for both weights."""
    found = []
    for name in ("base", "reflect"):
        for task, floor in FLOORS.items():
            share = figures.share(name, "thinking", 0.0, task)
            plain = figures.share(name, "plain", 0.0, task)
            goal = f"{name} thinking {task} >= {floor:.2f}"
            found.append(line(share >= floor, goal, f"{share:.3f} (bare answer {plain:.3f})"))
        for mode in ("thinking",) if name == "base" else ("thinking", "reflection"):
            for temperature, floor in ((0.0, 0.99), (0.7, 0.98)):
                share = figures.share(name, mode, temperature, what="formed")
                goal = f"{name} {mode} well-formed at T {temperature} >= {floor:.2f}"
                found.append(line(share >= floor, goal, f"{share:.4f}"))
    return found


def compared(figures: Figures) -> list[str]:
    """reflect against base, and reflection against thinking."""
    base, own = (figures.share(n, "thinking", 0.0) for n in ("base", "reflect"))
    with_it = figures.share("reflect", "reflection", 0.0)
    found = [
        line(own >= base - 0.03, "reflect within 3 points of base, thinking, T 0",
             f"{own:.3f} against {base:.3f}"),
        line(with_it >= base - 0.03, "reflect (reflecting) within 3 points of base, T 0",
             f"{with_it:.3f} against {base:.3f}"),
    ]  # fmt: skip
    for temperature in (0.0, 0.7, 1.0, 1.5):
        without = figures.row("reflect", "thinking", temperature)
        reflecting = figures.row("reflect", "reflection", temperature)
        shares = reflecting["right"] / reflecting["n"], without["right"] / without["n"]
        ratio = reflecting["tokens"] / without["tokens"]
        value = f"{shares[0]:.4f} against {shares[1]:.4f}, {ratio:.2f} x tokens"
        goal = f"reflection not below thinking, T {temperature}"
        found.append(line(shares[0] >= shares[1], goal, value))
    return found


def checks(found: dict[str, Any]) -> list[str]:
    """Detection, repairs and breaks."""
    seen, lines = found["detection"], []
    lines.append(line(seen["auroc"] >= 0.9, "AUROC on planted steps in chains >= .90",
                      f"{seen['auroc']:.4f} (n {seen['planted']} + {seen['right']})"))  # fmt: skip
    lines.append(line(seen["false"] <= 0.02, "false verdicts on right steps, forced, <= .02",
                      f"{seen['false']:.4f}"))  # fmt: skip
    for kind, audit in found["audits"].items():
        if not kind.startswith("steps"):
            continue
        repairs, breaks, right = audit["repairs"], audit["breaks"], audit["right"]
        share = audit["doubted"] / max(1, right)
        low, high = interval(audit["doubted"], right)
        value = f"{repairs} repairs of {audit['wrong']} wrong drafts, {breaks} breaks"
        goal = f"repairs >= 3 x breaks, own {kind}"
        lines.append(line(repairs >= 3 * breaks and repairs > 0, goal, value))
        value = f"{share:.4f} [{low:.4f}, {high:.4f}]"
        goal = f"false verdicts, own {kind}, <= .02"
        lines.append(line(share <= 0.02, goal, value))
    return lines


def goals(found: dict[str, Any]) -> list[str]:
    """One line a goal."""
    figures = Figures(found)
    return ["", "Goals", *floors(figures), *compared(figures), *checks(found)]
