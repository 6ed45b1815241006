"""Which language a text is in: by its script, then by frequent words. No dependency, no chance."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final
from unicodedata import normalize

from ._ifeval_profiles import PROFILES, SCRIPTS

__all__ = ["detect"]

_LETTERS: Final = {name: re.compile(f"[{ranges}]") for name, (ranges, _) in SCRIPTS.items()}
#: Words with the vowel signs and joiners that belong to them.
_WORD: Final = re.compile(r"[^\W\d_](?:[\w\u0900-\u097f\u200c'’]*[\w\u0900-\u097f'’])?")
#: Code, addresses and the like say nothing about the language around them.
_ASIDE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)

FEWEST_LETTERS: Final = 3
#: The share of the letters that the leading script must have.
LEADING: Final = 0.5
#: What the best language must reach: hits in all, per word, and over the second best.
FEWEST_HITS: Final = 1.5
RATE: Final = 0.08
LEAD: Final = 1.2
_ENOUGH: Final = 16_000


def detect(text: str) -> str | None:
    """The ISO 639-1 code of the language that ``text`` is in; None if that cannot be told.

    Languages that share no script with others are known by it. The others are known by how many of
    their frequent words (and of the letters that set them apart) occur, in the first 16,000
    characters; two that are nearly level cannot be told. Method: function-word profiles, as
    usual since Grefenstette (1995).
    """
    text = normalize("NFC", _ASIDE.sub(" ", text[:_ENOUGH]))
    counts = Counter({script: len(found.findall(text)) for script, found in _LETTERS.items()})
    script, most = _leading(counts)
    if most < FEWEST_LETTERS or most < LEADING * counts.total():
        return None
    return SCRIPTS[script][1] or _by_words(_WORD.findall(text.lower()), script)


def _leading(counts: Counter[str]) -> tuple[str, int]:
    """The most frequent script; Japanese is written in two of them."""
    if counts["kana"] * 10 > counts["han"]:
        counts["kana"] += counts.pop("han", 0)
    return counts.most_common(1)[0]


def _by_words(words: list[str], script: str) -> str | None:
    codes = [code for code, profile in PROFILES.items() if profile.script == script]
    scores = Counter({code: sum(_hit(word, code) for word in words) for code in codes})
    (best, score), (_, second) = scores.most_common(2)
    sure = score >= max(FEWEST_HITS, RATE * len(words)) and score >= LEAD * second
    return best if sure else None


def _hit(word: str, code: str) -> float:
    profile = PROFILES[code]
    if word in profile.words:
        return 1.0
    return 0.5 if any(mark in word for mark in profile.marks) else 0.0
