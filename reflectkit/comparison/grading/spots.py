"""Where a text says that a thing is: ``on the bed``. For stories about objects and their places."""

from __future__ import annotations

import re
from typing import Final

from .finals import NEGATED, places, sentence, tidied, unmarked

__all__ = ["norm_spot", "said_spot", "spot"]

_SPOT: Final = re.compile(
    r"\b(on|in|under|inside|at|to|upon|onto|into|beneath|underneath)\s+(?:top\s+of\s+)?"
    r"(?:the|a|an|my|his|her)\s+([a-z]+)\b",
    re.IGNORECASE,
)
_SAME: Final = {
    "upon": "on", "onto": "on", "inside": "in", "into": "in", "beneath": "under",
    "underneath": "under",
}  # fmt: skip
#: How the embedded model ends a thought.
_SO: Final = re.compile(r"^so (?:the )?[a-z]+ is (.+)$", re.MULTILINE)


def norm_spot(text: str) -> str:
    """``on the bed`` for ``upon my bed``; the text itself in small letters for anything else."""
    found = _SPOT.search(text)
    return _named(found) if found else " ".join(text.casefold().split()).strip(" .")


def _named(found: re.Match[str]) -> str:
    word = found[1].lower()
    return f"{_SAME.get(word, word)} the {found[2].lower()}"


def _spots(text: str) -> list[str]:
    return list(
        dict.fromkeys(
            _named(m)
            for m in _SPOT.finditer(text)
            if not NEGATED.search(text[max(0, m.start() - 24) : m.start()])
            and not re.search(r"\b(?:no longer|left)\s+$", text[max(0, m.start() - 14) : m.start()])
        )
    )


def spot(text: str) -> str:
    """The place that a finished text answers with; "" where it names none, or two."""
    text = unmarked(tidied(text))
    marks = [s for place in places(text) if (s := _spots(sentence(place.text)))]
    found = marks[-1] if marks else _last(text)
    return found[0] if len(found) == 1 else ""


def _last(text: str) -> list[str]:
    for said in reversed(re.split(r"(?<=[.!?])\s+|\n+", text)):
        if found := _spots(said):
            return found
    return []


def said_spot(text: str) -> str:
    """The place that a thought ends with (``so coin is on the bed``), or that is announced."""
    text = tidied(text)
    ended = [(m.start(), norm_spot(m[1])) for m in _SO.finditer(text)]
    marks = [(p.start, s[0]) for p in places(text) if len(s := _spots(sentence(p.text))) == 1]
    return max([*ended, *marks])[1] if ended or marks else ""
