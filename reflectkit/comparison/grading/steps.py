"""The number that stands at the end of a piece of thinking."""

from __future__ import annotations

import re
from typing import Final

from ...verify.steps import statements
from .amounts import said_amount, written
from .finals import tidied

__all__ = ["last_count", "last_result", "result_of_steps"]

#: A step as the embedded model writes it, and its count of a letter.
_STEP: Final = re.compile(r"^\s*(\d+ [-+*] \d+) = (-?\d+)\s*$", re.MULTILINE)
_COUNT: Final = re.compile(r"^\s*([a-z]) = (\d+)\s*$", re.MULTILINE)
_FIXED: Final = re.compile(r"\bfix\b")


def last_result(text: str) -> str:
    """The last number that is announced, or that a computation comes to."""
    said, at = said_amount(text)
    text = tidied(text)
    found = [s for s in statements(text) if not s.about]
    if found and found[-1].start > at:
        return written(found[-1].right)
    return said


def result_of_steps(text: str, operations: int) -> str:
    """The same where ``operations`` steps are needed: before the last of them there is none."""
    lines = list(_STEP.finditer(text))
    done, last = 0, None
    for line in lines:
        mended = last is not None and line[1] == last[1]
        if not (mended and last and _FIXED.search(text[last.end() : line.start()])):
            done += 1
        last = line
    if last is not None:
        return last[2] if done >= operations else ""
    said, _ = said_amount(text)
    return said


def last_count(text: str, letter: str) -> str:
    """The count of a letter that a thought ends with (``r = 3``), or the announced number."""
    found = [m[2] for m in _COUNT.finditer(text) if not letter or m[1] == letter.lower()]
    return found[-1] if found else said_amount(text)[0]
