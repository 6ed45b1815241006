"""From one call to one record: asked, timed, graded, and read phase by phase."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import ReflectKitError
from ..events import SectionDelta
from ..protocol.dialects import DIALECTS
from ..protocol.render import marks
from ..reply import ANSWERED
from .meters.claims import claim_of
from .records import Grade, Part, Phase, Problem, Record, Tokens

if TYPE_CHECKING:
    from ..client import Client
    from ..events import Kind
    from ..messages import Usage
    from ..models.prices import Price
    from ..reply import Reply, Section

__all__ = ["Asking", "Grading", "answer", "graded"]

_ANSWER: Final = ("output", "outside")


class Grading(Protocol):
    """What answers are graded with.

    ``grade``: the grade of an output. ``stated``: the answer that stands at the end of a piece of
    thinking, "" if none does. ``steps``: for a model that checks each of its steps, whether the
    last one of a piece of thinking is right; None where nobody can tell, or where reflections are
    not about steps.
    """

    def grade(self, problem: Problem, text: str, /) -> Grade | Awaitable[Grade]:
        """The grade of an output."""

    def stated(self, problem: Problem, text: str, /) -> str:
        """The answer that stands at the end of a piece of thinking."""

    def step(self, problem: Problem, text: str, /) -> bool | None:
        """Whether the last step of a piece of thinking is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One call that is to be made: for which record, of whom, and how."""

    problem: Problem
    arm: str
    repeat: int
    seed: int
    client: Client
    options: Any
    price: Price | None = None


async def answer(asking: Asking, grading: Grading) -> Record:
    """Ask and grade. What a backend or a limit refuses is a record with the outcome "failed"."""
    began = perf_counter()
    first: float | None = None
    blank = Record(
        problem=asking.problem.id, arm=asking.arm, repeat=asking.repeat, seed=asking.seed
    )
    try:
        async with asking.client.stream(
            asking.problem.prompt, **{**asking.options, "seed": asking.seed}
        ) as stream:
            async for event in stream:
                if first is None and isinstance(event, SectionDelta) and event.kind in _ANSWER:
                    first = perf_counter() - began if event.text.strip() else None
            reply = await stream.reply()
    except ReflectKitError as error:
        return replace(
            blank,
            seconds=perf_counter() - began,
            error=f"{type(error).__name__}: {error.message}",
            tokens=_tokens(getattr(error, "usage", None)),
        )
    seconds = perf_counter() - began
    return await graded(_record(blank, reply, asking, seconds, first), asking.problem, grading)


async def graded(record: Record, problem: Problem, grading: Grading) -> Record:
    """The record with its grade and phases, made anew from what the model wrote."""
    if record.outcome == "failed" and record.error:
        return record
    grade = Grade(outcome="incomplete", note=_missing(record))
    if not grade.note:
        grade = await _grade(grading, problem, record.output)
    phases = await _phases(record, problem, grading, grade)
    return replace(record, outcome=grade.outcome, value=grade.value, note=grade.note, phases=phases)


def _missing(record: Record) -> str:
    """Why there is no whole answer; "" if there is one."""
    if not record.output.strip():
        return "there is no output"
    if record.ending not in ANSWERED:
        return f"the output is not whole ({record.ending})"
    return ""


async def _grade(grading: Grading, problem: Problem, text: str) -> Grade:
    found = grading.grade(problem, text)
    return await found if isawaitable(found) else found


def _record(
    blank: Record, reply: Reply, asking: Asking, seconds: float, first: float | None
) -> Record:
    usage = reply.usage
    cost = float(asking.price.cost(usage)) if asking.price else None
    drafts = [a.transcript.output for a in reply.attempts]
    return replace(
        blank,
        outcome="incomplete",
        output=reply.output,
        source=reply.transcript.source,
        parts=tuple(map(_part, reply.sections)),
        phases=tuple(Phase(kind="attempt", text=text) for text in drafts) if drafts[1:] else (),
        tokens=_tokens(usage),
        seconds=seconds,
        first_output=first,
        calls=sum(a.requests for a in reply.attempts),
        attempts=len(reply.attempts),
        cost=cost,
        ending=reply.ending,
        status=reply.status,
        stopped_by=reply.stopped_by,
        model=reply.model,
        mode=reply.mode,
        dialect=reply.transcript.dialect,
    )


def _part(section: Section) -> Part:
    return Part(
        kind=section.kind,
        text=section.text,
        start=section.start,
        end=section.end,
        closed=section.closed,
        parent=section.parent,
    )


def _tokens(usage: Usage | None) -> Tokens:
    if usage is None:
        return Tokens()
    return Tokens(
        prompt=usage.prompt,
        completion=usage.completion,
        thinking=usage.thinking or 0,
        reflections=usage.reflections or 0,
        exact=usage.exact,
    )


# --- phases: the answer that stood at each point of the way


async def _phases(
    record: Record, problem: Problem, grading: Grading, final: Grade
) -> tuple[Phase, ...]:
    last = Phase(
        kind="final",
        value=final.value,
        right=None if final.outcome in ("ungraded", "failed") else final.right,
    )
    judge = _Judge(problem, grading)
    attempts = [p for p in record.phases if p.kind in ("draft", "attempt")]
    if attempts:
        read = [await judge.output(p.text) for p in attempts]
        return (replace(read[0], kind="draft"), *read[1:], last)
    found = await _reflections(record, judge)
    return (*found, last) if found else (replace(last, kind="draft"), last)


class _Judge:
    """Tells what answers stand in texts, and whether they are right."""

    def __init__(self, problem: Problem, grading: Grading) -> None:
        self._problem = problem
        self._grading = grading

    async def output(self, text: str) -> Phase:
        """The phase of an attempt's whole output."""
        if not text.strip():
            return Phase(kind="attempt", right=False)
        grade = await _grade(self._grading, self._problem, text)
        return Phase(kind="attempt", value=grade.value, right=grade.right, text=text)

    async def stated(self, text: str) -> tuple[str, bool | None]:
        """The answer at the end of a piece of thinking, and whether it is right."""
        value = self._grading.stated(self._problem, text)
        if not value:
            return "", None
        grade = await _grade(self._grading, self._problem, value)
        return value, None if grade.outcome == "ungraded" else grade.right

    def step(self, text: str) -> bool | None:
        """Whether the last step is right."""
        return self._grading.step(self._problem, text)


async def _reflections(record: Record, judge: _Judge) -> list[Phase]:
    """The draft and what stood after each reflection; nothing where there was none."""
    outer = [p for p in record.parts if p.kind == "reflection" and not _nested(p, record.parts)]
    if not outer:
        return []
    so_far, *more = _between(record, outer)
    value, right = await judge.stated(so_far)
    phases = [Phase(kind="draft", value=value, right=right)]
    for part, after in zip(outer, more, strict=True):
        before = judge.step(so_far)
        so_far += f"{part.text}\n{after}"
        value, right = await judge.stated(so_far)
        says, confidence = claim_of(part.text)
        if before is not None:
            right = _after(judge, after) if says == "flagged" else before
        phases.append(
            Phase(
                kind="reflection",
                value=value,
                right=right,
                says=says,
                before=before,
                confidence=confidence,
                text=part.text,
                part=record.parts.index(part),
            )
        )
    steps = [p.before for p in phases[1:] if p.before is not None]
    return [replace(phases[0], right=all(steps)), *phases[1:]] if steps else phases


def _after(judge: _Judge, after: str) -> bool | None:
    """Whether the step is right that a model wrote instead of the one that it found fault with."""
    line = next((line for line in after.splitlines() if line.strip()), "")
    return judge.step(line)


def _nested(part: Part, parts: Sequence[Part]) -> bool:
    """It stands in another reflection."""
    while part.parent is not None:
        part = parts[part.parent]
        if part.kind == "reflection":
            return True
    return False


def _between(record: Record, reflections: Sequence[Part]) -> list[str]:
    """The thinking before the first reflection, between them, and after the last."""
    ends = [p.start for p in record.parts if p.kind == "output"]
    end = min((e for e in ends if e >= reflections[-1].end), default=len(record.source))
    starts = [0, *(p.end for p in reflections)]
    stops = [*(p.start for p in reflections), end]
    texts = [record.source[a:b] for a, b in zip(starts, stops, strict=True)]
    for mark in marks_of(record.dialect, "thinking"):
        texts = [text.replace(mark, "") for text in texts]
    return texts


def marks_of(dialect: str, kind: Kind) -> tuple[str, ...]:
    """How a dialect opens and closes a section; nothing for one that is not known by its name."""
    known = DIALECTS.get(dialect)
    return tuple(mark for mark in marks(kind, known) if mark) if known else ()
