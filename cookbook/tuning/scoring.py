"""Grading: the answer of a reply, whether it is well-formed, and intervals."""

from __future__ import annotations

import re

SHAPE = re.compile(
    r"<thinking>(?P<thinking>(?:(?!</?(?:thinking|output)>).)*)</thinking>\s*"
    r"<output>(?P<output>(?:(?!</?(?:thinking|output|reflection)>).)*)</output>\s*",
    re.DOTALL,
)
REFLECTION = re.compile(r"<reflection>((?:(?!</?reflection>).)*)</reflection>", re.DOTALL)


def well_formed(text: str) -> bool:
    """One thinking section with balanced reflections, one output section, nothing else."""
    match = SHAPE.fullmatch(text)
    if match is None:
        return False
    rest = REFLECTION.sub("", match["thinking"])
    return "reflection>" not in rest


def answer_of(text: str, mode: str) -> str | None:
    """What is graded: the output section alone; the whole text in plain mode."""
    if mode == "plain":
        return text.strip()
    found = re.search(r"<output>(.*?)</output>", text, re.DOTALL)
    return found[1].strip() if found else None


def interval(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if n == 0:
        return 0.0, 1.0
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def auroc(bad: list[float], good: list[float]) -> float:
    """How often a wrong step scores above a right one; ties count half."""
    ranked = sorted([(s, 0) for s in good] + [(s, 1) for s in bad])
    total = below = 0.0
    index = 0
    while index < len(ranked):
        end = index
        while end < len(ranked) and ranked[end][0] == ranked[index][0]:
            end += 1
        tied = ranked[index:end]
        wrong = sum(kind for _, kind in tied)
        right = len(tied) - wrong
        total += wrong * (below + right / 2)
        below += right
        index = end
    return total / max(1, len(bad) * len(good))
