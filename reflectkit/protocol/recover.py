"""Sections of an answer that lost its tags, found by layout.

The six tags of Reflection 70B are special tokens, and a server that skips special tokens when it
decodes sends the text without them. The line breaks that stood around the tags stay. In 800 public
answers of the model (LAION-AI/AIW, file ``Reflection-70B``), every one begins with three newlines,
where ``<thinking>`` stood; 799 have a last run of four or more just before the answer, where
``</thinking>`` and ``<output>`` met; and runs of three in between come in pairs, around
reflections. No original with tags was published: this is an inference, and says how sure it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ..events import SectionDelta
from ..reply import Issue, IssueKind, Section, Transcript
from .parser import Parser

__all__ = ["RECOVERED_FROM", "recover"]

#: From this confidence on, sections are taken as found; below it the text stays as it is.
RECOVERED_FROM: Final = 0.5

_HEAD: Final = 3
_BORDER: Final = 4
_BREAKS: Final = re.compile(r"[\r\n]{3,}")
_FENCE: Final = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
#: How a reflection of the model begins: a doubt, a check, a correction.
_DOUBT: Final = re.compile(
    r"\b(?:wait|mistake|incorrect|wrong|error|oversight|overlooked|reconsider|verif(?:y|ying)"
    r"|double[- ]check|check(?:ing)?|re-?(?:check|examine|evaluate)|reflect(?:ing|ion)?"
    r"|correct(?:ing|ion)?)\b",
    re.IGNORECASE,
)
#: How its thinking sounds: steps, numbered or announced.
_STEPS: Final = re.compile(
    r"^\s*(?:1[.)]\s|let'?s\b|first\b|step 1\b|to (?:solve|answer|find|determine)\b)",
    re.IGNORECASE | re.MULTILINE,
)

#: An answer that is marked as one.
_ANSWER: Final = re.compile(r"(?:#+ |\*\*)?(?:final )?answer\b", re.IGNORECASE)
#: Thinking shows what it is within its first characters.
_OPENING: Final = 400


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of line breaks: where it starts and ends, and how many they are."""

    start: int
    end: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Layout:
    text: str
    #: the text begins with a run that is long enough for an opening tag
    head: int
    #: the runs inside the text, code fences left out
    runs: tuple[_Run, ...]
    border: _Run | None

    @property
    def inner(self) -> tuple[_Run, ...]:
        """The runs inside the thinking."""
        end = self.border.start if self.border else len(self.text)
        return tuple(r for r in self.runs if r.start < end)

    @property
    def thinking(self) -> str:
        return self.text[self.head : self.border.start if self.border else len(self.text)]

    @property
    def answer(self) -> str:
        return self.text[self.border.end :] if self.border else ""


def recover(text: str, *, truncated: bool = False) -> Transcript:
    """Read ``text`` of a model of the Reflection 70B family, whose tags may have been stripped.

    Text with a tag in it is parsed and nothing else is done. Without one, sections are found by
    layout; ``confidence`` (0 to 1) says how sure that is and the issue ``recovered`` marks it. If
    the confidence is below ``RECOVERED_FROM``, the transcript is that of ``parse``, all text
    output, with this low confidence. ``truncated`` says that the answer was cut at a token limit:
    then a text that begins like thinking and never reaches an answer is all thinking.

    Linear in the text; every string gives a result.
    """
    parser = Parser("reflection")
    events = [*parser.feed(text), *parser.finish()]
    plain = parser.transcript
    if any(e.source for e in events if not isinstance(e, SectionDelta)):
        return plain
    layout = _layout(text)
    confidence = _confidence(layout, truncated)
    if confidence < RECOVERED_FROM:
        return replace(plain, confidence=confidence)
    return _transcript(layout, confidence)


# -- layout ---------------------------------------------------------------------------------------


def _layout(text: str) -> _Layout:
    runs = [
        _Run(m.start(), m.end(), m[0].count("\n") or m[0].count("\r"))
        for m in _BREAKS.finditer(text)
    ]
    head = runs.pop(0).end if runs and not runs[0].start and runs[0].lines >= _HEAD else 0
    fences = _fence_marks(text)
    inside = tuple(
        r
        for r in runs
        if r.lines >= _HEAD and r.start > 0 and r.end < len(text) and not _fenced(r, fences)
    )
    return _Layout(text, head, inside, _border(text, inside, bool(head)))


def _fence_marks(text: str) -> list[int]:
    """Where code fences open and close, in turn. A fence left open hides nothing."""
    marks = [m.start() for m in _FENCE.finditer(text)]
    return marks[: len(marks) // 2 * 2]


def _fenced(run: _Run, marks: list[int]) -> bool:
    return bisect_right(marks, run.start) % 2 == 1


def _border(text: str, runs: tuple[_Run, ...], head: bool) -> _Run | None:
    """The last run of four or more; else a lone last run of three before a marked answer."""
    long = [r for r in runs if r.lines >= _BORDER]
    if long:
        return long[-1]
    lone = head and len(runs) % 2 == 1 and _ANSWER.match(text, runs[-1].end)
    return runs[-1] if lone else None


# -- confidence -----------------------------------------------------------------------------------


def _confidence(layout: _Layout, truncated: bool) -> float:
    """How sure the reading is: a table of what was seen, the strongest case first.

    The figures are judgements, set below the shares that were measured: docs/recovery.md has them.
    """
    border, thinking = layout.border, layout.thinking
    head = layout.head > 0
    sure = border is not None and border.lines >= _BORDER
    longer = len(thinking) > len(layout.answer)
    steps = _STEPS.search(thinking, 0, _OPENING) is not None
    doubts = any(True for _ in _reflection_spans(layout))
    only = sum(r.lines >= _BORDER for r in layout.runs) == 1
    cases = (
        (head and sure and longer, 0.97),
        (head and sure and steps, 0.85),
        (head and sure, 0.75),
        (head and border and longer, 0.7),
        (head and truncated, 0.8),
        (head and (doubts or steps), 0.6),
        (sure and only and longer and steps and doubts, 0.75),
        (sure and only and longer and steps and not layout.inner, 0.55),
        (head or sure, 0.3),
    )
    return next((figure for seen, figure in cases if seen), 0.05)


# -- sections -------------------------------------------------------------------------------------


def _reflection_spans(layout: _Layout) -> Iterator[tuple[int, int]]:
    """Texts between paired runs, and the one that a lone last run opens, if they voice a doubt."""
    inner = layout.inner
    edge = layout.border.start if layout.border else len(layout.text)
    ends = [r.start for r in inner[1::2]]
    if len(inner) % 2:
        ends.append(edge)
    for run, end in zip(inner[::2], ends, strict=True):
        if _DOUBT.search(layout.text, run.end, end):
            yield run.end, end


def _transcript(layout: _Layout, confidence: float) -> Transcript:
    text, border = layout.text, layout.border
    cut = border.end if border else len(text)
    sections = [Section("thinking", text[:cut], 0, cut, border is not None)]
    for start, end in _reflection_spans(layout):
        closed = border is not None or end < len(text)
        sections.append(Section("reflection", text[start:end], start, end, closed, 0))
    issues = [_issue("recovered", cut, f"confidence {confidence:.2f}")]
    if border:
        sections.append(Section("output", text[cut:], cut, len(text)))
    else:
        issues += [_issue("unclosed_thinking", 0), _issue("missing_output", len(text))]
    return Transcript(
        tuple(sections), tuple(issues), source=text, dialect="reflection", confidence=confidence
    )


def _issue(kind: IssueKind, position: int, detail: str = "") -> Issue:
    return Issue(kind, position, detail)
