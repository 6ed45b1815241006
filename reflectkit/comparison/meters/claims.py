"""What a reflection says of what stands before it: all is well, something is wrong, or neither.

Rules as data: phrases in order of weight. The heaviest that is found decides; of equally heavy ones
the last, since a reflection comes to its verdict at its end. How often the rules agree with a
reader is measured on labelled reflections of a real model (see the page on meters).
"""

from __future__ import annotations

import re
from typing import Final

from ..records import Claim

__all__ = ["claim_of"]

#: Characters of a reflection that are read, from both of its ends.
_LONGEST: Final = 4_000
#: The embedded model's own words: one verdict, behind the last comma.
_VERDICT: Final = re.compile(r",\s*(yes|fix|keep)$")
_VERDICTS: Final[dict[str, Claim]] = {"yes": "ok", "keep": "ok", "fix": "flagged"}

_NOT: Final = r"(?:\bno\b|\bnot\b|n['’]t\b|\bnever\b|\bwithout\b|\bfree of\b|\bany\b)"
_FAULT: Final = r"(?:mistakes?|errors?|oversights?|slips?|problems? with|flaws?|wrong|incorrect)"
_GOOD: Final = (
    r"(?:correct|right|sound|valid|accurate|consistent|fine|solid|good|holds?|checks? out|"
    r"logical|confirmed|well[- ]founded)"
)
_FLAGS: Final = (
    # (weight, in which words); words that deny a phrase stand within a few of it
    (4, rf"(?:\bnot\b|n['’]t\b)\W+(?:\w+\W+){{0,2}}?{_GOOD}\b"),
    (
        3,
        rf"\b(?:made|is|was|see|found|spot(?:ted)?|noticed?|have|contains?|there(?:'s| is| was))"
        rf"\W+(?:\w+\W+){{0,3}}?{_FAULT}",
    ),
    (3, r"\bcorrect (?:this|that|it|my|the|myself)\b|\blet me (?:correct|fix|redo)\b"),
    (
        3,
        r"\b(?:i|we) (?:forgot|overlooked|missed|misread|miscounted|miscalculated|misunderstood|"
        r"misinterpreted|shouldn['’]t have|should have|failed to)\b",
    ),
    (
        3,
        r"\b(?:needs? to be (?:corrected|revised)|must be revised|reconsider|start over|"
        r"that['’]s (?:wrong|incorrect)|scratch that)\b",
    ),
    (1, r"\b(?:wait|hmm|actually|hold on|on second thought)\b"),
)
_ASSURANCES: Final = (
    (4, rf"{_NOT}\W+(?:\w+\W+){{0,4}}?{_FAULT}"),
    (
        2,
        r"\b(?:is|are|was|looks?|seems?|appears?|remains?|be|reasoning|logic|answer|calculation|"
        rf"that['’]s|this|which)\W+(?:\w+\W+){{0,3}}?{_GOOD}\b",
    ),
    (2, rf"^\W*(?:yes|{_GOOD})\b"),
    (
        2,
        r"\b(?:confirms?|verified|double[- ]checked|as expected|makes sense|stands?|indeed|"
        r"no (?:change|correction)s?)\b",
    ),
    (2, r"\b(?:we|i)['’]ve (?:\w+ )?(?:correctly|accurately)\b|\bchecks out\b"),
    (1, r"\b(?:let['’]s|let me|to) (?:verify|double[- ]check|check|confirm)\b"),
)
_RULES: Final[tuple[tuple[int, Claim, re.Pattern[str]], ...]] = (
    *((weight, "flagged", re.compile(p, re.IGNORECASE)) for weight, p in _FLAGS),
    *((weight, "ok", re.compile(p, re.IGNORECASE)) for weight, p in _ASSURANCES),
)
#: A mistake is owned up to, and the answer kept for all that.
_KEPT: Final = re.compile(
    r"\b(?:answer|result|conclusion)\b[^.!?\n]{0,60}\b(?:remains?|stays?|is still|is unchanged|"
    r"does(?:n['’]t| not) change|(?:reached|gave|got) is (?:correct|right))\b",
    re.IGNORECASE,
)
_PERCENT: Final = re.compile(
    r"\b(?:confiden\w+|certain\w*|sure|probability)\b\D{0,24}?(\d{1,3}(?:\.\d+)?)\s?%"
    r"|(\d{1,3}(?:\.\d+)?)\s?%\s+(?:confident|certain|sure)\b"
    r"|\bconfidence\b\W{0,4}(?:is|of|:|=)?\W{0,3}(0?\.\d+|1\.0+)",
    re.IGNORECASE,
)


def claim_of(text: str) -> tuple[Claim, float | None]:
    """What a reflection claims, and how sure it says it is, from 0 to 1, where it says so.

    ``unclear``: it says neither that something is wrong nor that all is well, or that its way was
    wrong and its answer right. Linear in the text.
    """
    read = text if len(text) <= 2 * _LONGEST else f"{text[:_LONGEST]}\n{text[-_LONGEST:]}"
    return _claim(read), _confidence(read)


def _claim(text: str) -> Claim:
    if own := _VERDICT.search(text.strip()):
        return _VERDICTS.get(own[1], "unclear")
    found = [
        (weight, match.start(), claim)
        for weight, claim, pattern in _RULES
        if (match := _last(pattern, text))
    ]
    if not found:
        return "unclear"
    claim = max(found)[2]
    return "unclear" if claim == "flagged" and _KEPT.search(text) else claim


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for match in pattern.finditer(text):
        last = match
    return last


def _confidence(text: str) -> float | None:
    found = _last(_PERCENT, text)
    if found is None:
        return None
    percent = found[1] or found[2]
    value = float(percent) / 100 if percent else float(found[3])
    return value if 0 <= value <= 1 else None
