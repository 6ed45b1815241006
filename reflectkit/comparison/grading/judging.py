"""Another model as the grader, believed only where it says the same thing twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

from ...errors import ConfigurationError
from ...messages import Usage
from ...verify.judge import Asks, Judge
from ..records import Grade, Problem
from .base import drafted, nothing

if TYPE_CHECKING:
    from ...backends.base import Backend

__all__ = ["JudgeGrader", "judge"]

#: The same question in two wordings, which put the reference and the task in opposite orders.
_WITH_GOLD: Final = (
    "The right answer to the question is known. It is: {gold}\n"
    "Decide whether the judged answer comes to the same result, whatever its wording and form.",
    "Decide whether the result of the judged answer is another one than that of the reference, "
    "is missing, or is given in two versions: then it fails. Else it passes, whatever its wording "
    "and form.\nReference: {gold}",
)
_WITHOUT: Final = (
    "{rubric}",
    "Look for a reason why the answer should fail; if there is none, it passes. By this it is "
    "judged: {rubric}",
)
_RUBRIC: Final = "Decide whether the answer is correct and answers the question."


class JudgeGrader:
    """See ``judge``. ``usage``: what its questions have cost so far."""

    name = "judge"
    timeout = 600.0
    inline = False

    def __init__(self, model: Asks | Backend, rubric: str, options: dict[str, Any]) -> None:
        self._model, self._rubric, self._options = model, rubric.strip(), options
        self.usage = Usage()
        Judge(model, rubric.strip() or _RUBRIC, **options)  # settings that cannot be are told now

    async def __call__(self, problem: Problem, text: str, /) -> Grade:
        judges = [Judge(self._model, told, **self._options) for told in self._told(problem)]
        draft = drafted(problem, text)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(draft)) for one in judges]
        finally:
            for one in judges:
                self.usage += one.usage
        verdicts = [task.result() for task in tasks]
        said: set[bool | None] = {verdict.ok for verdict in verdicts}
        notes = " ".join(dict.fromkeys(v.feedback for v in verdicts if v.feedback))
        if len(said) > 1 and None not in said:
            return Grade(outcome="ungraded", note=f"The judge contradicts itself. {notes}".strip())
        if said not in ({True}, {False}):
            return Grade(outcome="ungraded", note=notes or "The judge gave no verdict.")
        outcome: Literal["right", "wrong"] = "right" if said == {True} else "wrong"
        return Grade(outcome=outcome, value=text.strip()[:200], note=notes)

    def _told(self, problem: Problem) -> list[str]:
        if self._rubric:
            return [form.format(rubric=self._rubric) for form in _WITHOUT]
        if problem.gold is None:
            return [form.format(rubric=_RUBRIC) for form in _WITHOUT]
        return [form.format(gold=str(problem.gold)) for form in _WITH_GOLD]

    def read(self, problem: Problem, text: str) -> str:
        """The text: a judge reads all of it."""
        return text.strip()

    stated = staticmethod(nothing)


def judge(model: Asks | Backend, rubric: str = "", **options: Any) -> JudgeGrader:
    """A grader that asks ``model`` (a client or a backend) twice, in two wordings.

    Without a ``rubric`` the judge compares with the problem's gold; with one, it judges by that.
    What it says counts where both answers agree; a contradiction, a judge that fails and one that
    gives no verdict are ungraded: never right. ``options``: as for ``verify.Judge``, such as
    ``max_tokens`` and ``samples``. Raises ``ConfigurationError`` for settings that cannot be.
    """
    if "budget" in options:
        raise ConfigurationError(
            "A judge of many problems has no token budget of its own.",
            hint="Give the client a budget, or verdict_budget for one question.",
        )
    return JudgeGrader(model, rubric, options)
