"""Code spans and fences in the text of an answer, where tags are literal.

A span is a run of backticks and the next run of the same length on the same line. A fence is a line
that begins with three or more backticks or tildes (at most three spaces before them, no backtick
after a run of backticks) up to a line of at least as many of the same and nothing else. What is
never closed is neither. That is seen late; until then, tags in it are taken as literal.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from .scanner import MAX_TAG

__all__ = [
    "FENCE_LINE",
    "LINE_MARKS",
    "Code",
    "FenceEnds",
    "closes_fence",
    "dead_runs",
    "starts_line",
]

#: What ends or fills a line inside a span that is open.
LINE_MARKS: Final = {"`": re.compile(r"`++|\n"), "~": re.compile(r"\n")}
#: As much of a line as can belong to the end of a fence.
FENCE_LINE: Final = re.compile(r" {0,3}(`++|~++|)[ \t]*+")

_RUN: Final = re.compile(r"`++")
_FENCE_END: Final = re.compile(r"^ {0,3}(`{3,}+|~{3,}+)[ \t]*+$", re.MULTILINE)
_LINE_START: Final = re.compile(r"(?:.*\n)? {0,3}", re.DOTALL)


@dataclass(slots=True)
class Code:
    """A code span or fence that is open: its mark, its length, where its run begins.

    ``fence``: its line may still turn out to be the first of a fence. ``inside``: it did.
    ``fresh``: a line of the fence is about to begin. ``holds``: it may hold a delimiter.
    """

    mark: str
    length: int
    position: int
    fence: bool
    inside: bool = False
    fresh: bool = False
    holds: bool = False


def starts_line(before: str) -> bool:
    """Whether a run after the text ``before`` (four characters are enough) begins its line."""
    return _LINE_START.fullmatch(before) is not None


def closes_fence(code: Code, run: str, line: str) -> bool:
    """Whether ``line``, which consists of ``run`` and blanks, ends the fence."""
    return run[:1] == code.mark and len(run) >= code.length and len(line) < MAX_TAG


def dead_runs(line: str, base: int) -> tuple[set[int], set[int]]:
    """Of the runs of backticks on a line, the positions of those that no later run closes (the
    last of each length), and of those that cannot begin a fence (all but the last).
    """
    found = [(len(run[0]), base + run.start()) for run in _RUN.finditer(line)]
    return set(dict(found).values()), {position for _, position in found[:-1]}


class FenceEnds:
    """All lines of a text that can end a fence; says whether a given fence is ever closed."""

    def __init__(self, text: str, base: int) -> None:
        self._places: dict[str, list[int]] = {"`": [], "~": []}
        self._longest: dict[str, list[int]] = {"`": [], "~": []}
        found = [end for end in _FENCE_END.finditer(text) if len(end[0]) < MAX_TAG]
        for end in reversed(found):
            self._add(end[1], base + end.start(1))
        for places in (*self._places.values(), *self._longest.values()):
            places.reverse()

    def _add(self, run: str, position: int) -> None:
        longest = self._longest[run[0]]
        self._places[run[0]].append(position)
        longest.append(max(len(run), longest[-1] if longest else 0))

    def close(self, code: Code) -> bool:
        """Whether a later line ends the fence."""
        after = bisect_right(self._places[code.mark], code.position)
        return (
            after < len(self._places[code.mark]) and self._longest[code.mark][after] >= code.length
        )
