"""What answer a text gives: choices, announced answers, the end of a piece of thinking. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ...values.numbers import numbers, read_number

__all__ = ["announced", "announced_number", "read_choice", "same_text"]

#: Of a long text only its end is read.
_LONGEST: Final = 20_000
_BOX: Final = re.compile(r"\\boxed\s?\{\s?(?:\\text(?:bf)?\s?\{)?\s?\(?([A-J])\)?[^\w{}]*\}")
#: Words that announce which choice it is, the letter behind them.
_SAYS: Final = re.compile(
    r"""(?:\b(?i:answer|option|choice|choose|pick|select|correct\ one)\b
          [^\w\n]{0,4}(?:(?i:is|would\ be|must\ be|should\ be)\b)?[^\w\n]{0,4}
          (?:(?i:option|choice)\s)?
         |^\W{0,3}(?i:final\ answer)\W{0,4})
        [*_$(\[{"']{0,4}([A-J])(?![\w'’])(?!\s(?:[a-z]+\s){2})""",
    re.VERBOSE | re.MULTILINE,
)
_IS: Final = re.compile(
    r"[*_(\[]{0,3}\b([A-J])[)\]*_]{0,3}\s(?:is|would be)\s(?:the\s)?(?:right|correct|best)\b",
)
_ALONE: Final = re.compile(r"\W*(?:(?i:option|choice)\s)?\(?([A-Ja-j])\)?\W*")
_LINE: Final = re.compile(r"^\s*[*_]{0,2}\(?([A-J])[).:][*_]{0,2}(?:\s|$)", re.MULTILINE)
_BRACKETS: Final = re.compile(r"\(([A-J])\)")
_RULED_OUT: Final = re.compile(
    r"(?:\b(?:not|isn['’]t|wasn['’]t|rule(?:d)? out|eliminate[ds]?|except|reject(?:ed)?)\b"
    r"[^\w\n]{0,3}(?:option\s|choice\s|answer\s)?\W{0,3})$",
    re.IGNORECASE,
)
_ANNOUNCED: Final = re.compile(
    r"(?:####\s*|\b(?:final\s+)?(?:answer|result)\b(?:\s+(?:is|would be)\b|\s?[:=])\s*:?\s*)"
    r"([^\n]{1,200}?)(?=[.!]?\s*(?:\n|$)|\.\s)",
    re.IGNORECASE,
)
_EQUALS: Final = re.compile(r"=\s*([^\s=][^=\n]{0,60})$", re.MULTILINE)
_EDGES: Final = " \t\n\r\"'“”‘’`*_.!,;:"


def read_choice(text: str, choices: Sequence[str] = (), *, announced: bool = False) -> str:
    """The letter of the choice that a text gives as its answer; "" if it gives none.

    A boxed letter, a letter alone, the last one behind words that announce it, the only one in
    brackets or at the head of a line; else the choice whose text the answer is. ``announced``: only
    the first three kinds, as befits a draft that still weighs its choices.
    """
    text = text[-_LONGEST:]
    if boxes := _BOX.findall(text):
        return str(boxes[-1])
    if alone := _ALONE.fullmatch(text.strip()):
        return alone[1].upper()
    said = [(m.start(1), m[1]) for p in (_SAYS, _IS) for m in p.finditer(text)]
    said = [
        (at, letter) for at, letter in said if not _RULED_OUT.search(text[max(0, at - 40) : at])
    ]
    if said:
        return max(said)[1]
    if announced:
        return ""
    for pattern in (_BRACKETS, _LINE):
        if len(found := set(pattern.findall(text))) == 1:
            return str(found.pop())
    return _by_text(text, choices)


def _by_text(text: str, choices: Sequence[str]) -> str:
    """The letter of the only choice that the text is, or that stands in it and no other does."""
    same = [n for n, choice in enumerate(choices) if same_text(text, choice)]
    if not same:
        folded = f" {_folded(text)} "
        same = [n for n, c in enumerate(choices) if _folded(c) and f" {_folded(c)} " in folded]
        longest = [
            n for n in same if not any(_within(choices[n], choices[m]) for m in same if m != n)
        ]
        same = longest
    return "ABCDEFGHIJ"[same[0]] if len(same) == 1 else ""


def _within(one: str, other: str) -> bool:
    return f" {_folded(one)} " in f" {_folded(other)} "


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def same_text(text: str, gold: str) -> bool:
    """The same text, but for case, blanks, and quotes, marks and stops around it."""
    one, other = (" ".join(t.strip(_EDGES).casefold().split()) for t in (text, gold))
    return one == other


def announced(text: str) -> str:
    """The answer that a text announces last, as it stands there; "" if it announces none."""
    found = [m[1].strip(_EDGES) for m in _ANNOUNCED.finditer(text[-_LONGEST:])]
    return found[-1] if found else ""


def announced_number(text: str) -> str:
    """The number that stands at the end of a piece of thinking: boxed, announced, or behind the
    last equals sign at the end of a line; "" if none does."""
    text = text[-_LONGEST:]
    if (boxed := read_number(text, "boxed")) is not None:
        return text[boxed.start : boxed.end].strip()
    ends = list(_EQUALS.finditer(text))
    marks = [
        *((m.start(), m[1]) for m in ends),
        *((m.start(), m[1]) for m in _ANNOUNCED.finditer(text)),
    ]
    for _, said in sorted(marks, reverse=True):
        if (first := next(iter(numbers(said)), None)) is not None:
            return said[first.start : first.end].strip()
    return ""
