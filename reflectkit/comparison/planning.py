"""What a comparison will cost and can find out, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from ..budget.tokens import LearnedCounter
from ..correction.policies import bound_of
from ..messages import Usage
from .arms import Arm
from .design import Design
from .records import Record
from .run import clock
from .stats.power import smallest_difference
from .store import Store

__all__ = ["ArmPlan", "Plan", "planned"]

#: Shares of discordant problems for which the smallest difference is shown.
_DISCORDANT = (0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPlan:
    """One arm. ``there``: answers in the store. ``tokens``: generated ones an answer; ``prompt``:
    tokens of a prompt; ``measured``: both are means of answers in the store, else bounds (None: an
    answer has none). ``money``: of all answers still to come; None where no price is known."""

    name: str
    answers: int
    there: int
    tokens: float | None
    prompt: float
    measured: bool
    seconds: float | None
    money: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A comparison that has not been run. ``seconds``: of all that is still to be asked, None while
    nobody can tell. ``smallest``: for some shares of problems that one arm alone gets right, the
    smallest difference that would be found with a probability of 80 %, or None if none would."""

    problems: int
    repeats: int
    arms: tuple[ArmPlan, ...]
    seconds: float | None
    smallest: dict[float, float | None]

    @property
    def money(self) -> float | None:
        """Of all that is still to be asked; None where a price is missing."""
        found = [arm.money for arm in self.arms]
        return None if None in found else sum(m for m in found if m is not None)

    def __str__(self) -> str:
        lines = [f"{self.problems} problems x {self.repeats}, {len(self.arms)} arms"]
        width = max(len(arm.name) for arm in self.arms)
        for arm in self.arms:
            lines.append(f"  {arm.name:<{width}}  {_of_arm(arm)}")
        lines.append(f"time: {_time(self.seconds)}")
        lines.append("smallest difference that would be found (80 %, two-sided 5 %):")
        for share, found in self.smallest.items():
            said = "none" if found is None else f"{100 * found:.1f} points"
            lines.append(f"  {said:>12} if the arms differ on {100 * share:.0f} % of the problems")
        return "\n".join(lines)


def _of_arm(arm: ArmPlan) -> str:
    if arm.tokens is None:
        tokens = "no bound on an answer's tokens: set max_tokens"
    else:
        about = "about" if arm.measured else "at most"
        tokens = f"{about} {arm.prompt:,.0f} + {arm.tokens:,.0f} tokens each"
    done = f", {arm.there} of them there" if arm.there else ""
    money = "" if arm.money is None else f", {arm.money:.2f} in money"
    return f"{arm.answers} answers{done}, {tokens}{money}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "not known before the first answers"
    return f"about {clock(seconds)}"


def planned(design: Design, store: Store, concurrency: int) -> Plan:
    """The plan of a design, given what is in its store."""
    arms = tuple(_arm(design, arm, store) for arm in design.arms)
    times = [arm.seconds for arm in arms]
    work = None if None in times else sum(s for s in times if s is not None)
    return Plan(
        problems=len(design.problems),
        repeats=design.repeats,
        arms=arms,
        seconds=None if work is None else work / concurrency,
        smallest={share: smallest_difference(len(design.problems), share) for share in _DISCORDANT},
    )


def _arm(design: Design, arm: Arm, store: Store) -> ArmPlan:
    there = _records(design, arm, store)
    answers = len(design.problems) * design.repeats
    left = answers - len(there)
    preview = design.previews[arm.name]
    seconds: float | None = None if left else 0.0
    if there:
        prompt = mean(r.tokens.prompt for r in there)
        tokens: float | None = mean(r.tokens.completion for r in there)
        seconds = left * mean(r.seconds for r in there)
    else:
        bound = bound_of(preview.policy, preview.request)
        prompt = float(LearnedCounter().prompt_upper(preview.request))
        most = preview.request.max_tokens
        many = bound.attempts if arm.kind != "vote" else 1
        tokens = None if most is None or many is None else float(most * many)
        prompt *= many or 1
    money = None
    if preview.price is not None and tokens is not None:
        each = Usage(prompt=round(prompt), completion=round(tokens))
        money = left * float(preview.price.cost(each))
    return ArmPlan(
        name=arm.name,
        answers=answers,
        there=len(there),
        tokens=tokens,
        prompt=prompt,
        measured=bool(there),
        seconds=seconds,
        money=money,
    )


def _records(design: Design, arm: Arm, store: Store) -> Sequence[Record]:
    found = []
    for problem in design.problems:
        of = design.of_answer(problem, arm)
        for repeat in range(design.repeats):
            record = store.get((problem.id, arm.name, repeat), of)
            if record is not None and record.outcome != "failed":
                found.append(record)
    return found
