"""A model as the grader: asked twice, and believed only where it agrees with itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...verify import Judge
from ..records import Grade, Problem
from ..stats.intervals import Figure, share
from .kinds import draft_of

__all__ = ["Agreement", "JudgeGrader"]

_RUBRICS: Final = (
    "The reference answer is {gold!r}. Pass if the answer means the same as the reference, "
    "whatever its wording; fail it otherwise.",
    "Fail the answer if it differs in meaning from {gold!r}, or leaves it open. Pass it if "
    "somebody who knows that to be right would mark it as right.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How a judge does on answers whose grade is known.

    ``gold``: gold answers that it passes; ``shuffled``: other problems' gold answers that it
    passes; ``split``: answers on which its two words differ.
    """

    gold: Figure
    shuffled: Figure
    split: Figure


class JudgeGrader:
    """Grades with ``model``, a client or a backend, that is told the gold answer.

    It is asked with two rubrics of opposite leaning. Where its two words differ, or it has none,
    the answer is "ungraded". ``options`` go to ``verify.Judge`` (budget, samples, max_tokens). See
    ``agreement`` for whether it can be believed.
    """

    def __init__(self, model: Any, **options: Any) -> None:
        self._model = model
        self._options = options

    async def __call__(self, problem: Problem, text: str) -> Grade:
        """The grade of a text."""
        draft = draft_of(problem, text)
        judges = [
            Judge(self._model, r.format(gold=problem.gold), **self._options) for r in _RUBRICS
        ]
        said = await asyncio.gather(*(judge(draft) for judge in judges))
        words = {verdict.ok for verdict in said}
        if words == {True}:
            return Grade(outcome="right", value=text.strip()[:200])
        if words == {False}:
            return Grade(outcome="wrong", value=text.strip()[:200], note=said[0].feedback)
        why = "does not know" if None in words else "says one thing and the other"
        return Grade(outcome="ungraded", note=f"the judge {why}")

    async def agreement(self, problems: Sequence[Problem]) -> Agreement:
        """Grade every gold answer, and that of the next problem with another one."""
        right = [await self(p, str(p.gold)) for p in problems]
        wrong = [await self(p, str(_other(problems, n))) for n, p in enumerate(problems)]
        both = [*right, *wrong]
        return Agreement(
            gold=share(sum(g.right for g in right), len(right)),
            shuffled=share(sum(g.right for g in wrong), len(wrong)),
            split=share(sum(g.outcome == "ungraded" for g in both), len(both)),
        )


def _other(problems: Sequence[Problem], place: int) -> Any:
    """The gold answer of the next problem that has another one; a made-up one if none has."""
    own = problems[place].gold
    later = (problems[(place + n) % len(problems)].gold for n in range(1, len(problems)))
    return next((gold for gold in later if gold != own), f"not {own}")
