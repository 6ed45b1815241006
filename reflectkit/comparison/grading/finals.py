"""Where a text says its answer: boxes, announcements, corrections, else its last line. Linear.

The last place that says an answer counts. Nothing is guessed from the middle of a text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["LONGEST", "NEGATED", "Place", "last_line", "places", "sentence", "tidied", "unmarked"]

#: Characters that are read, from the end of a text.
LONGEST: Final = 20_000

#: Later ones decide, so that a text of boxes alone costs no more than any other.
_FEW: Final = 4

_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>")
_CALCULATOR: Final = re.compile(r"<<[^<>\n]{0,200}>>")
_WORDS_IN_MATH: Final = re.compile(
    r"\\(?:text|mathrm|mathbf|mathit|mathsf|textbf|textit|mbox|operatorname|bm|boldsymbol)"
    r"\s?\{([^{}]{0,200})\}"
)
#: LaTeX that changes how a thing looks, and not what it is.
_LOOKS: Final = (
    (re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!|\\;|~)(?=\d{3})"), ","),
    (re.compile(r"\\(?:left|right|displaystyle|limits|big|Big|bigg)(?![A-Za-z])"), ""),
    (re.compile(r"\\(?:,|!|;|:| |quad|qquad)"), " "),
    (re.compile(r"\\([%$#&_])"), r"\1"),
    (re.compile(r"\^\s?\{?\s?\\circ\s?\}?"), "°"),
    (re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)(?!\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "×"),
    (re.compile(r"\\approx(?![A-Za-z])"), "≈"),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"(?<!\w)__(?=\S)|(?<=\S)__(?!\w)"), ""),
)
_WIDE: Final = {ord("０") + n: str(n) for n in range(10)} | {
    ord("－"): "-", ord("＋"): "+", ord("．"): ".", ord("，"): ",", ord("％"): "%", ord("："): ":",
    ord("‐"): "-", ord("‑"): "-", ord("\u200b"): None, ord("\ufeff"): None,
}  # fmt: skip

_BOX: Final = re.compile(r"\\f?boxed\s?\{|\\boxed\s(?=[\d-])")
_KINDS: Final = (
    r"final|correct|right|numerical|numeric|exact|overall|required|desired|simplified|actual|true"
)
_IS: Final = (
    r"(?:\bis\b|\bare\b|\bwas\b|\bwould\s+be\b|\bmust\s+be\b|\bshould\s+be\b|\bwill\s+be\b"
    r"|\bequals\b|\bcomes\s+to\b|\bturns\s+out\s+to\s+be\b|\bremains\b|:|=|→|->|⇒|=>)"
)
_SAID: Final = re.compile(
    rf"""
    \#{{4}}[ \t]*(?=[-−+$€£¥\\(.\d*])                        # as GSM8K ends
    | ^[ \t]*A:[ \t]*
    | (?:^[^\w\n]{{0,12}}|\b(?:the|my|our|your|this|that|an?|so|thus|hence)\s+)
      (?:(?:{_KINDS})\s+){{0,2}}(?:answer|result|ans)\b
      (?:(?:[^.\n:=]|\.(?=\d)){{0,60}}?|[^\w\n]{{0,9}}){_IS}[*_\s]{{0,6}}
    | \bthe\s+solution\s+is\b
    | ^[^\w\n]{{0,12}}(?:the\s+)?(?:(?:{_KINDS})\s+)?(?:answer|result)[^\w\n]{{0,9}}\n+
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_TAKEN_BACK: Final = re.compile(
    r"\b(?:wait|actually|correction|corrected|sorry|scratch\s+that|no)\b[^.\n\w]{1,5}"
    r"(?:[^.\n\d]{0,24}?\b(?:it\s+is|it's|it\s+should\s+be|should\s+be|make\s+(?:that|it)"
    r"|that's|that\s+is|it\s+must\s+be|I\s+meant?)\b|(?=[$\\]?\d))",
    re.IGNORECASE,
)
_END: Final = re.compile(r"[.!?](?=[\s*_\"”')]|$)(?<!\b[Rr]s\.)(?<!\bapprox\.)(?<!\bca\.)")
_SOON: Final = re.compile(r"[^\S\n]*\n\s*")
NEGATED: Final = re.compile(
    r"(?:\b(?:not|never|isn['’]t|aren['’]t|wasn['’]t|rather\s+than|instead\s+of|unlike|nor)"
    r"(?:\s+(?:just|only|simply|equal\s+to|exactly|be|in|on|at|the|a))*|≠|!=|\\neq?)\s*[$€£\"“'*_(]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a text says as its answer: ``text`` begins at ``start`` and goes to the line's end."""

    text: str
    start: int
    boxed: bool = False


def tidied(text: str) -> str:
    """The end of a text without tags, calculator marks and LaTeX that only changes its looks."""
    text = html.unescape(text[-LONGEST:]).translate(_WIDE)
    text = _TAG.sub(" ", _CALCULATOR.sub("", text))
    for _ in range(2):
        text = _WORDS_IN_MATH.sub(r" \1", text)
    for pattern, by in _LOOKS:
        text = pattern.sub(by, text)
    return text


def places(text: str) -> list[Place]:
    """Every place of a tidied text that announces an answer, in order."""
    found = [*_boxes(text), *_said(text)]
    found.sort(key=lambda place: place.start)
    if found:
        back = list(_TAKEN_BACK.finditer(text, found[-1].start))
        found += [Place(_line(text, m.end()), m.end()) for m in back]
    return found


def _boxes(text: str) -> Iterator[Place]:
    for box in list(_BOX.finditer(text))[-_FEW:]:
        if not box.group().endswith("{"):
            yield Place(text[box.end() :].split()[0], box.end(), boxed=True)
            continue
        depth, at = 1, box.end()
        while at < len(text) and depth:
            depth += (text[at] == "{") - (text[at] == "}")
            at += 1
        yield Place(text[box.end() : at - (not depth)], box.end(), boxed=True)


def _said(text: str) -> Iterator[Place]:
    for said in list(_SAID.finditer(text))[-_FEW:]:
        if not NEGATED.search(text[max(0, said.start() - 20) : said.start()]):
            yield Place(_line(text, said.end()), said.end())


def _line(text: str, at: int) -> str:
    """From ``at`` to the end of the line; where that is blank, the next line that is not."""
    soon = _SOON.match(text, at)
    at = soon.end() if soon else at
    end = text.find("\n", at)
    return text[at : end if end >= 0 else len(text)]


def sentence(text: str) -> str:
    """Up to the first end of a sentence."""
    end = _END.search(text)
    return text[: end.start()] if end else text


def unmarked(text: str) -> str:
    """Without marks of emphasis, quotes and mathematics around it."""
    return re.sub(r"\*\*|__|`|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])", "", text).strip(' \t$"“”')


def last_line(text: str) -> str:
    """The last line that is not blank."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
