"""Another model as a judge of answers, which the answers cannot talk to."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from ..budget import estimate, estimate_prompt
from ..errors import ConfigurationError, ReflectKitError
from ..messages import Message, Request, Usage
from ..protocol import parse
from ..reply import Verdict
from ._judging import PASS_OR_FAIL, RUBRIC, SCORE, Form, Question, Vote, asked, read

if TYPE_CHECKING:
    from ..backends.base import Backend
    from ..reply import Draft

__all__ = ["Asks", "Judge"]

#: A prompt's tokens are estimated from above: bytes to a token, and what a template adds.
_BYTES: Final = 3
_FRAME: Final = 16


class Asks(Protocol):
    """Whoever can be asked: a ``Client``, or anything that answers like one."""

    @property
    def ask(self) -> Callable[..., Awaitable[Any]]:
        """``await ask(prompt)`` gives a reply with ``output`` and ``usage``."""
        ...


class Judge:
    """Asks ``model`` (a client or a backend) whether a draft's answer answers its question.

    ``rubric``: what to judge by, a sentence or more. ``pass_at``: None asks for pass or fail; a
    number from 0 to 1 asks for a grade, and this much passes. ``samples``: how often it is asked
    for one verdict, at once; more than half of them decide. ``budget``: the most tokens that this
    judge may cost in all, prompts included, and ``verdict_budget`` for one verdict; they are
    reserved before it is asked (prompts by estimate). ``max_tokens``: of each of its answers,
    thinking included. ``options`` go to the client.

    The judged text cannot pass for instructions, roles or tags, and a verdict counts only beside
    a code that the text does not know; all else, a judge that fails, and a spent budget give
    ``ok=None``. It can still be persuaded by an answer that is wrong and convincing. Say
    ``by="self"`` if it is the model that answered: such verdicts are worth less.

    Raises ``ConfigurationError`` for settings that cannot be.
    """

    def __init__(
        self,
        model: Asks | Backend,
        rubric: str = RUBRIC,
        *,
        pass_at: float | None = None,
        samples: int = 1,
        budget: int | None = None,
        verdict_budget: int | None = None,
        max_tokens: int = 1024,
        by: Literal["judge", "self"] = "judge",
        name: str = "judge",
        **options: Any,
    ) -> None:
        faults = {
            "model needs ask(prompt) or stream(request)": not _can_answer(model),
            "rubric is empty": not rubric.strip(),
            "pass_at is not from 0 to 1": pass_at is not None and not 0 <= pass_at <= 1,
            "samples is below 1": samples < 1,
            "budget is below 1": budget is not None and budget < 1,
            "verdict_budget is below 1": verdict_budget is not None and verdict_budget < 1,
            "max_tokens is below 1": max_tokens < 1,
            'by is neither "judge" nor "self"': by not in ("judge", "self"),
        }
        if found := [fault for fault, true in faults.items() if true]:
            raise ConfigurationError(f"This judge cannot be: {'; '.join(found)}.")
        self._model = model
        self._rubric = rubric.strip()
        self._pass_at = pass_at
        self._samples = samples
        self._budget = budget
        self._verdict_budget = verdict_budget
        self._options: dict[str, Any] = {**options, "max_tokens": max_tokens}
        self._by = by
        self._reserved = 0
        self._secret: Callable[[], str] = lambda: secrets.token_hex(8)
        self.name = name
        #: what it has cost so far
        self.usage = Usage()

    async def __call__(self, draft: Draft) -> Verdict:
        """Judge the answer alone; the thinking is not shown to the judge."""
        if not draft.output:
            return self._verdict(False, "There is no answer.")
        form = PASS_OR_FAIL if self._pass_at is None else SCORE
        ask = partial(asked, rubric=self._rubric, form=form, secret=self._secret)
        questions = [ask(draft.question, draft.output) for _ in range(self._samples)]
        cost = sum(self._most(question).total for question in questions)
        if refusal := self._refusal(cost):
            return self._verdict(None, refusal)
        self._reserved += cost
        try:
            async with asyncio.TaskGroup() as group:
                votes = [group.create_task(self._vote(question, form)) for question in questions]
        finally:
            self._reserved -= cost
        return self._counted([vote.result() for vote in votes])

    def _most(self, question: Question) -> Usage:
        """An estimate from above of what one question costs."""
        prompt = len(question.prompt.encode("utf-8", "surrogatepass")) // _BYTES + _FRAME
        return Usage(prompt=prompt, completion=self._options["max_tokens"], exact=False)

    def _refusal(self, cost: int) -> str:
        if self._verdict_budget is not None and cost > self._verdict_budget:
            return f"A verdict may cost {self._verdict_budget} tokens; this one may take {cost}."
        spent = self.usage.total + self._reserved
        if self._budget is not None and spent + cost > self._budget:
            return f"The judge's token budget is spent: {spent} of {self._budget}, {cost} needed."
        return ""

    async def _vote(self, question: Question, form: Form) -> Vote:
        paid = self._most(question)  # in case that nobody will say
        try:
            text, paid = await self._ask(question.prompt)
        except ReflectKitError as error:
            paid = getattr(error, "usage", None) or Usage()
            return Vote(reason=f"The judge could not be asked: {error}")
        finally:
            self.usage += paid
        return read(text, question, form)

    async def _ask(self, prompt: str) -> tuple[str, Usage]:
        ask = getattr(self._model, "ask", None)
        if ask is not None:
            reply = await ask(prompt, **self._options)
            return reply.output, reply.usage
        return await _streamed(
            self._model, Request(messages=(Message("user", prompt),), **self._options)
        )

    def _counted(self, votes: list[Vote]) -> Verdict:
        """What more than half of the votes say."""
        bar = 1.0 if self._pass_at is None else self._pass_at
        given = [vote.score for vote in votes if vote.score is not None]
        score = sum(given) / len(given) if given else None
        passed = sum(s >= bar for s in given)
        if passed * 2 > len(votes):
            return self._verdict(True, score=score)
        if (len(given) - passed) * 2 > len(votes):
            reasons = [v.reason for v in votes if v.score is not None and v.score < bar]
            said = " ".join(dict.fromkeys(filter(None, reasons)))
            return self._verdict(False, said or "The judge rejects it without a reason.", score)
        silent = " ".join(dict.fromkeys(v.reason for v in votes if v.score is None))
        return self._verdict(None, silent or "The judge's votes are divided.", score)

    def _verdict(self, ok: bool | None, feedback: str = "", score: float | None = None) -> Verdict:
        return Verdict(ok=ok, feedback=feedback, by=self._by, name=self.name, score=score)


def _can_answer(model: object) -> bool:
    return any(callable(getattr(model, name, None)) for name in ("ask", "stream"))


async def _streamed(backend: Any, request: Request) -> tuple[str, Usage]:
    """A backend's whole answer, read in the dialect of reflections."""
    text, usage = "", None
    async with aclosing(backend.stream(request)) as chunks:
        async for chunk in chunks:
            text += chunk.text
            usage = chunk.usage or usage
    guess = Usage(prompt=estimate_prompt(request), completion=estimate(text), exact=False)
    return parse(text).output, usage or guess
