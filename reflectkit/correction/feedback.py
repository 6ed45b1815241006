"""From verdicts to the next request: located feedback, as text that cannot be anything else.

A retry carries the draft's output and what is wrong with it, never the growing transcript; the
draft's thinking is left out, since models repeat what they read there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..conversation import at_the_end
from ..messages import Message, Request
from ..protocol import neutralise

if TYPE_CHECKING:
    from ..reply import Attempt, Verdict

__all__ = ["ADDED", "fresh", "in_words", "lessons", "located", "revision", "shortened_draft"]

#: characters of feedback in one request, and of the draft that it is about
_MOST: Final = 2_000
_DRAFT: Final = 8_000
#: Tokens that a retry's prompt may have beyond the first one's, in any vocabulary: a character has
#: four bytes at most, a token one at least, and a mark that makes a tag inert has three.
ADDED: Final = 4 * (2 * (_MOST + _DRAFT) + 1_000)
_ONE: Final = 500
_CONTEXT: Final = 40

#: What a revision is asked for with. The feedback stands between the two lines.
_REVISE: Final = (
    "That answer was checked, and it is not right yet. What the check found:\n"
    "---\n{feedback}\n---\n"
    "Answer the question again, with this put right."
)
_LESSONS: Final = "Earlier tries at this question went wrong. Take care:\n---\n{feedback}\n---"
_WRONG: Final = "The answer is not right."


def in_words(verdicts: Iterable[Verdict], source: str = "") -> str:
    """What is wrong, one line a complaint, each once; with the place where it shows."""
    lines = dict.fromkeys(_line(v, source) for v in verdicts)
    return _shortened("\n".join(f"- {line}" for line in lines), _MOST)


def located(verdict: Verdict, source: str) -> str:
    """The words at the place that a verdict points at; "" if it points nowhere."""
    if verdict.start is None or verdict.end is None:
        return ""
    return _shortened(source[verdict.start : verdict.end].strip(), 2 * _CONTEXT)


def revision(request: Request, attempt: Attempt, verdicts: Sequence[Verdict]) -> Request:
    """``request`` again, with the draft as a turn and what is wrong with it as the next."""
    said = in_words(verdicts, attempt.transcript.source) or _WRONG
    turns = (
        *request.messages,
        Message("assistant", shortened_draft(attempt)),
        Message("user", _REVISE.format(feedback=neutralise(said, attempt.dialect))),
    )
    return replace(request, messages=turns, prefix="")


def shortened_draft(attempt: Attempt) -> str:
    """The draft's output as a turn of the conversation: no longer than needed, its tags inert."""
    draft = _shortened(attempt.transcript.output, _DRAFT) or "(no answer)"
    return neutralise(draft, attempt.dialect)


def lessons(request: Request, attempts: Sequence[Attempt]) -> Request:
    """``request`` again, its last user turn with what went wrong before, each complaint once."""
    wrong = [_line(v, a.transcript.source) for a in attempts for v in a.verdicts if v.ok is False]
    said = _shortened("\n".join(f"- {line}" for line in dict.fromkeys(wrong)), _MOST)
    text = _LESSONS.format(feedback=neutralise(said or _WRONG, attempts[-1].dialect))
    return replace(request, messages=at_the_end(request.messages, text), prefix="")


def fresh(request: Request, number: int, *, temperature: float | None) -> Request:
    """``request`` once more, so that another answer can come: another seed, and not greedily."""
    seed = None if request.seed is None else request.seed + number
    wanted = request.temperature
    if temperature is not None and (wanted is None or wanted < temperature):
        wanted = temperature
    return replace(request, seed=seed, temperature=wanted)


def _line(verdict: Verdict, source: str) -> str:
    said = _shortened(" ".join(verdict.feedback.split()), _ONE) or _WRONG
    place = located(verdict, source)
    return f"{said} (at: {' '.join(place.split())})" if place and place not in said else said


def _shortened(text: str, most: int) -> str:
    """The text, or its two ends."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
