"""What a comparison is made of: problems, grades, and one record for each answer.

An arm is one way of answering; every problem goes through every arm, ``repeats`` times. A record is
one line of the store and holds all that meters and reports need, so that a report can be made again
without asking any model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..errors import ConfigurationError

__all__ = [
    "LETTERS",
    "Claim",
    "Grade",
    "Grader",
    "Outcome",
    "Part",
    "Phase",
    "PhaseKind",
    "Problem",
    "Record",
    "Tokens",
    "unique",
]

#: What choices are called, in their order.
LETTERS: Final = "ABCDEFGHIJ"

#: ``incomplete``: no whole output came. ``ungraded``: the grader could not tell (it crashed, or a
#: judge contradicted itself). ``failed``: no answer came, because of an error. Only ``right``
#: counts as right; the others are told apart.
Outcome = Literal["right", "wrong", "incomplete", "ungraded", "failed"]
#: What a reflection says of what stands before it: all is well, or something is wrong.
Claim = Literal["ok", "flagged", "unclear"]
#: ``draft``: the answer stated before the first reflection (or by the first attempt).
#: ``reflection``: the answer that stands after one. ``attempt``: the output of a later attempt of a
#: correction loop. ``final``: the output.
PhaseKind = Literal["draft", "reflection", "attempt", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One item. ``id`` is unique within a comparison.

    ``gold``: what the right answer is, as its grader wants it: a text, a number, tests, a list of
    instructions. ``grader``: the name of that grader, such as "numeric". ``task``: the benchmark or
    part that it is counted under. ``cluster``: problems with the same key hang together (one text,
    several questions), and are drawn together by the bootstrap; "" stands for the problem itself.
    ``choices``: those of a multiple-choice question, in the order in which the prompt shows them.
    ``data``: what else its source says.
    """

    id: str
    prompt: str
    gold: Any = None
    grader: str = "value"
    task: str = ""
    cluster: str = ""
    choices: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


def unique(problems: Iterable[Problem]) -> None:
    """Raises ``ConfigurationError`` where two problems have one id."""
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise ConfigurationError(
                f"Two problems have the id {problem.id!r}.", hint="Ids tell problems apart."
            )
        seen.add(problem.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grader's word on one answer. ``value``: what it read, as text. ``note``: why, if wrong."""

    outcome: Outcome
    value: str = ""
    note: str = ""

    @property
    def right(self) -> bool:
        return self.outcome == "right"


#: Grades a text (an output section, or the end of a draft) as the answer to a problem.
Grader = Callable[[Problem, str], Grade | bool | Awaitable[Grade | bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of one answer, all its attempts together.

    ``thinking`` has the reflections in it. ``exact`` is False where somebody estimated.
    """

    prompt: int = 0
    completion: int = 0
    thinking: int = 0
    reflections: int = 0
    exact: bool = True

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One section of the answer, for the drill-down. ``parent``: index of the one it stands in;
    ``start`` and ``end``: its place in the record's ``source``, markup included."""

    kind: str
    text: str
    start: int = 0
    end: int = 0
    closed: bool = True
    parent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The answer that stood at one point of the way.

    ``value``: what was read ("" if no answer was stated there, with ``right`` None). ``right``: of
    a reflection, whether what stands after it is right: the answer, or the step that it was about.
    ``says``: for a reflection, its claim about what stood before it. ``before``: whether that was
    right; None means what ``right`` of the phase before says (a model that checks each step has it
    judged step by step, and then the draft is right if all of them were). ``confidence``: from 0 to
    1, where the model stated one. ``text``: the reflection's own words. ``part``: index of its
    section.
    """

    kind: PhaseKind
    value: str = ""
    right: bool | None = None
    says: Claim | None = None
    before: bool | None = None
    confidence: float | None = None
    text: str = ""
    part: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer: a problem, through an arm, for the ``repeat``-th time (from 0).

    ``seconds``: from the request to the end; ``first_output``: to the first character of output
    (None: there was none). ``source``: all that the model wrote, as it came. ``cost``: in the
    currency of the price table, None if no price is known.
    ``calls``: requests sent. ``status``, ``stopped_by``, ``ending``: as the reply has them.
    ``error``: what went wrong, where the outcome is "failed". ``phases``: first the draft, last the
    final answer.
    """

    problem: str
    arm: str
    repeat: int = 0
    seed: int | None = None
    outcome: Outcome = "failed"
    value: str = ""
    note: str = ""
    output: str = field(default="", repr=False)
    source: str = field(default="", repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)
    phases: tuple[Phase, ...] = field(default=(), repr=False)
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float = 0.0
    first_output: float | None = None
    calls: int = 1
    attempts: int = 1
    cost: float | None = None
    ending: str = "complete"
    status: str = "unverified"
    stopped_by: str = ""
    model: str = ""
    mode: str = ""
    dialect: str = ""
    error: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.problem, self.arm, self.repeat

    @property
    def right(self) -> bool:
        return self.outcome == "right"

    @property
    def draft(self) -> Phase | None:
        """The answer before any reflection; None where no phase was read."""
        return self.phases[0] if self.phases else None

    @property
    def reflections(self) -> tuple[Phase, ...]:
        """The phases after each reflection."""
        return tuple(p for p in self.phases if p.kind == "reflection")
