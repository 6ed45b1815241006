"""What an answer comes to, so that answers can be compared: numbers, JSON, choices, else words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from .find import candidates
from .numbers import Number, numbers, read_number

__all__ = ["Group", "tally", "value_key", "values_equal"]

Key = tuple[Any, ...]

_CHOICE: Final = re.compile(
    r"""(?:^|\b(?:answer|option|choice|choose|pick)\b[^\w\n(]{0,4}(?:is\b)?[^\w\n(]{0,4})
    [(\[*]{0,3}(?P<letter>[A-J])[)\]*.:]{0,3}(?=$|[\s)\].:,])(?!\s+[a-z])""",
    re.VERBOSE | re.MULTILINE,
)
_ALONE: Final = re.compile(r"\W*([A-Ja-j])\W*")
_NOISE: Final = re.compile(r"[\s\"'“”‘’`*_#.!,;:]+")
_ANSWER: Final = re.compile(
    r"^(?:(?:so|therefore|thus|hence),?\s+)?(?:the\s+)?(?:final\s+)?(?:answer|result)\s*(?:is|:|=)\s*",
    re.IGNORECASE,
)
#: An answer with more words than this around its number is text, unless it says which one counts.
_FEW_WORDS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Answers of one value: the first of them, their positions in the list, and their share."""

    answer: str
    members: tuple[int, ...]
    share: float

    @property
    def count(self) -> int:
        return len(self.members)


def value_key(text: str) -> Key | None:
    """What an answer comes to, the same for equal ones: a choice, JSON, a number with its unit, or
    its words. None for a blank answer."""
    text = text.strip()
    if not text:
        return None
    for reading in (_choice, _object, _amount):
        if (key := reading(text)) is not None:
            return key
    words = _NOISE.sub(" ", _ANSWER.sub("", text)).casefold().split()
    return ("text", " ".join(words) or text)


def values_equal(a: str, b: str) -> bool:
    """Whether two answers have the same value; blank ones equal nothing."""
    key = value_key(a)
    return key is not None and key == value_key(b)


def tally(outputs: Iterable[str]) -> list[Group]:
    """The answers grouped by value, larger groups first, of equals the earlier one. Linear.

    Blank answers are in no group, but count in the shares.
    """
    answers = list(outputs)
    members: dict[Key, list[int]] = {}
    for place, answer in enumerate(answers):
        if (key := value_key(answer)) is not None:
            members.setdefault(key, []).append(place)
    groups = [
        Group(answer=answers[m[0]], members=tuple(m), share=len(m) / len(answers))
        for m in members.values()
    ]
    return sorted(groups, key=lambda g: (-g.count, g.members[0]))


def _choice(text: str) -> Key | None:
    if alone := _ALONE.fullmatch(text):
        return ("choice", alone[1].upper())
    found = [m["letter"] for m in _CHOICE.finditer(text)]
    return ("choice", found[-1]) if found else None


def _object(text: str) -> Key | None:
    if "{" not in text and "[" not in text:
        return None
    found = candidates(text)
    if not found or found[0].fault is not None or not isinstance(found[0].value, (dict, list)):
        return None
    if "\\boxed" in text or not found[0].value:
        return None
    return ("json", json.dumps(_plain(found[0].value), sort_keys=True, ensure_ascii=False))


def _plain(value: Any) -> Any:
    """JSON whose equal numbers are written in one way."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _amount(text: str) -> Key | None:
    found = read_number(text)
    if found is None or (len(text.split()) > _FEW_WORDS and not _says_which(text, found)):
        return None
    return (
        "number",
        found.value,
        found.unit if found.unit not in ("dollar", "euro", "gbp") else "",
    )


def _says_which(text: str, found: Number) -> bool:
    """Whether a long answer makes clear which number it is: by words, a box, or having one only."""
    first = next(iter(numbers(text)), None)
    only = first is not None and read_number(text, "last") == first
    return (
        only
        or found.start != getattr(read_number(text, "last"), "start", None)
        or "\\boxed" in text
    )
