"""The choice that a text picks in passing, where it does not announce one plainly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["read_choice"]

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
#: Two choices at once.
_EITHER: Final = re.compile(r"\b[A-J]\)?,? (?:or|and|/) (?:maybe )?\(?[A-J]\b(?! is\b)")
_EDGES: Final = " \t\n\r\"'“”‘’`*_.!,;:"


def read_choice(text: str, choices: Sequence[str] = ()) -> str:
    """The letter of the choice that a text picks; "" if it picks none, or two at once.

    A boxed letter, a letter alone, the last one behind words that announce it, the only one in
    brackets or at the head of a line; else the choice whose text the answer is.
    """
    letter = _letter(text[-_LONGEST:], choices)
    return "" if letter and _contradicted(letter, text, choices) else letter


def _letter(text: str, choices: Sequence[str]) -> str:
    if boxes := _BOX.findall(text):
        return str(boxes[-1])
    if alone := _ALONE.fullmatch(text.strip()):
        return alone[1].upper()
    if _EITHER.search(text):
        return ""
    said = [(m.start(1), m[1]) for p in (_SAYS, _IS) for m in p.finditer(text)]
    said = [
        (at, letter) for at, letter in said if not _RULED_OUT.search(text[max(0, at - 40) : at])
    ]
    if said:
        return max(said)[1]
    for pattern in (_BRACKETS, _LINE):
        if len(found := set(pattern.findall(text))) == 1:
            return str(found.pop())
    return _by_text(text, choices)


def _by_text(text: str, choices: Sequence[str]) -> str:
    """The letter of the only choice that the text is."""
    same = [n for n, choice in enumerate(choices) if _same_text(text, choice)]
    return "ABCDEFGHIJ"[same[0]] if len(same) == 1 else ""


def _contradicted(letter: str, text: str, choices: Sequence[str]) -> bool:
    """The words of another choice stand in the text, and not those of this one."""
    folded = f" {_folded(text)} "
    named = [c for c, choice in zip("ABCDEFGHIJ", choices, strict=False) if _stands(choice, folded)]
    return bool(named) and letter not in named


def _stands(choice: str, folded: str) -> bool:
    return bool(_folded(choice)) and f" {_folded(choice)} " in folded


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _same_text(text: str, gold: str) -> bool:
    """The same text, but for case, blanks, and quotes, marks and stops around it."""
    one, other = (" ".join(t.strip(_EDGES).casefold().split()) for t in (text, gold))
    return one == other
