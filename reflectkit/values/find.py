"""Finds JSON in an answer: alone, in a fence, or between words. Linear in the text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from .json_text import DEEPEST, Fault, Machine, Repair, Rest

__all__ = ["Found", "candidates", "located"]

#: How many readings of one answer are tried against a type.
MOST: Final = 32
_BEGIN: Final = re.compile(r"[{\[]")
_FENCE: Final = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)[^\n`]*\n", re.MULTILINE)
_BLANK: Final = re.compile(r"\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A reading: its value from ``start`` to ``end``, or why there is none."""

    start: int
    end: int
    value: Any = None
    fault: Fault | None = None
    repairs: tuple[Repair, ...] = ()


def candidates(text: str) -> list[Found]:
    """The readings of an answer, the likeliest first.

    The whole text, if it is JSON and nothing else; else what stands in fences and between words,
    later ones before earlier ones, since an answer follows its examples. Readings that failed come
    last, longer ones first.
    """
    whole = _whole(text)
    if whole is not None:
        return [whole]
    fenced = [f for start, end in _fences(text) if (f := _read(text, start, end)) is not None]
    bare = _between(text)
    every = {f.start: f for f in [*bare, *fenced]}
    good = [f for f in every.values() if f.fault is None]
    inside = {f.start for f in fenced}
    good.sort(key=lambda f: (f.start not in inside, -f.start))
    bad = [f for f in every.values() if f.fault is not None]
    bad.sort(key=lambda f: f.start - f.end)
    return [*good[:MOST], *bad[:1]]


def _whole(text: str) -> Found | None:
    start = _blank(text, 0)
    end = len(text.rstrip())
    if start >= end:
        return None
    try:
        value = json.loads(text)
        if not _is_too_deep(value, text):
            return Found(start=start, end=end, value=value)
    except (ValueError, RecursionError):
        pass
    found = _read(text, start, end)
    complete = found is not None and found.fault is None and _blank(text, found.end) >= end
    return found if complete else None


def _is_too_deep(value: Any, text: str) -> bool:
    """More levels than are read here, whatever the interpreter's own limit is at the moment."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    level = [value]
    for _ in range(DEEPEST):
        held = (item for box in level for item in (box.values() if _maps(box) else box))
        level = [item for item in held if isinstance(item, dict | list)]
    return bool(level)


def _maps(value: Any) -> bool:
    return isinstance(value, dict)


def _blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _read(text: str, start: int, end: int) -> Found | None:
    """The one value that begins at ``start``; None where there is nothing."""
    start = _blank(text, start)
    if start >= end:
        return None
    machine = Machine(at=start)
    machine.feed(text[start:end])
    machine.finish()
    return _made(machine, start)


def _made(machine: Machine, start: int) -> Found:
    return Found(
        start=start,
        end=machine.end if machine.fault is None else max(machine.end, machine.fault.at),
        value=machine.value if machine.fault is None else None,
        fault=machine.fault,
        repairs=tuple(machine.repairs),
    )


def _fences(text: str) -> list[tuple[int, int]]:
    """Where the code of each fence stands; one that is not closed goes to the end."""
    found, at = [], 0
    while opening := _FENCE.search(text, at):
        end = text.find(f"\n{opening[1]}", opening.end() - 1)
        stop = end if end >= 0 else len(text)
        if opening[2].lower() in ("", "json", "json5", "jsonc", "javascript", "js", "python", "py"):
            found.append((opening.end(), stop))
        at = stop + 1 + len(opening[1]) if end >= 0 else len(text)
    return found


def _between(text: str) -> list[Found]:
    """Objects and lists between words. Prose in braces is passed over up to where it fails,
    and what was meant as JSON, but broke, up to its end."""
    found, at = [], 0
    while opening := _BEGIN.search(text, at):
        machine = Machine(at=opening.start())
        at = machine.feed(text, opening.start())
        machine.finish()
        found.append(_made(machine, opening.start()))
        if machine.fault is not None and machine.meant:
            at = Rest(len(machine.open)).feed(text, at)
    return found


def located(text: str, found: Found) -> dict[tuple[str | int, ...], tuple[int, int]]:
    """The place of every value of a reading, by its path."""
    machine = Machine(at=found.start, spans=True)
    machine.feed(text, found.start)
    machine.finish()
    return machine.spans or {}
