"""The only room that awaits a model: policy x backend x reader, with the screen before the caller.

A ``Run`` is one call on its way. Its streams are closed by context managers on every exit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from . import _log, _otel
from .backends.base import capabilities_of, found_out
from .budget.ladder import Ended, FindOut, Say, Send, Step
from .budget.purse import Purse
from .correcting import oracle_refused
from .correction import policy
from .correction.judged import is_rejected
from .correction.policy import Elsewhere, advance, is_live, out_of_budget
from .display import Display
from .errors import (
    BackendError,
    BudgetExceeded,
    ConfigurationError,
    MissingCapability,
    ReflectKitError,
)
from .events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Judged,
    ProtocolEvent,
    Rejected,
    Retracted,
)
from .messages import Chunk, Message, Request, Usage, Wrap
from .parade import Parade
from .reading import Reading
from .reply import Attempt, Mode, Record, Refusal, Reply, Transcript, Verdict
from .spending import Books, Clock, OutOfTime, Spending, hold_all, warn_of
from .take import Metering, Take
from .visibility import Show, blame, concealed, shown_attempt, shown_request

if TYPE_CHECKING:
    from .backends.base import Backend
    from .correction.policy import Policy
    from .options import Reserve
    from .verify import Verifier

__all__ = ["Plan", "Run"]

#: instead of verdicts, where the time of the call is over
_NO_TIME = Verdict(ok=None, name="time", feedback="There was no time left to judge it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that one call needs.

    ``asked``: the conversation before the mode added to it. ``restore``: tags in the prompt were
    made inert, and what repeats them is shown as it was meant. ``patience``: seconds for one
    verifier. ``reserve``: whether scopes hold one attempt at a time, or all of them from the start.
    """

    request: Request
    backend: Backend
    policy: Policy
    spending: Spending
    reading: Reading = field(default_factory=Reading)
    mode: Mode = "plain"
    show: Show = "full"
    restore: bool = False
    asked: tuple[Message, ...] = ()
    verifiers: tuple[Verifier, ...] = ()
    patience: float = 10.0
    reserve: Reserve = "attempt"


class Run:
    """One call: ``events()`` is read once; ``reply`` is set when it has ended by itself."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._attempts: list[Attempt] = []
        self._takes: dict[int, Take] = {}
        self._plans: dict[int, Plan] = {}
        self._asked: dict[int, Request] = {}
        self._refused: list[Refusal] = []
        self._numbers = 0
        self._result: Any = None
        self._purse = Purse(plan.spending.bounds, plan.spending.rates)
        self._clock = Clock(plan.spending.bounds)
        self._parade = Parade(live=is_live(plan.policy))
        self._watch = _otel.Watch(None, model="", mode="")
        self.reply: Reply | None = None

    @property
    def answer(self) -> deque[str]:
        """Certain answer text that nobody has taken yet."""
        return self._parade.answer

    @property
    def drafts(self) -> deque[str | Retracted]:
        """The answers as they come, and what no longer counts, that nobody has taken yet."""
        return self._parade.drafts

    @property
    def parts(self) -> deque[str | Retracted]:
        """As ``drafts``, for another reader."""
        return self._parade.parts

    @property
    def partial(self) -> Transcript:
        """What may be seen of the latest attempt so far."""
        if self.reply is not None:
            return self.reply.transcript
        if not self._takes:
            return Transcript()
        last = max(self._takes)
        return self._displayed(self._takes[last].visible(complete=False), last)

    @property
    def usage(self) -> Usage:
        """What the call has cost so far; an estimate while an attempt is under way."""
        over = {a.number for a in self._attempts}
        known = [a.usage for a in self._attempts]
        known += [take.usage for number, take in self._takes.items() if number not in over]
        return reduce(add, known, Usage())

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts that are over, as far as they may be seen."""
        return tuple(map(self._shown, self._attempts))

    def _shown(self, attempt: Attempt) -> Attempt:
        shown = shown_attempt(attempt, self._plan.show, self._plan.request)
        return replace(shown, transcript=self._displayed(shown.transcript, attempt.number))

    def _displayed(self, transcript: Transcript, number: int) -> Transcript:
        """What the prompt's tags were made inert with is taken out of what repeats them."""
        plan = self._plans.get(number, self._plan)
        return Display(plan.reading.dialect).transcript(transcript) if plan.restore else transcript

    async def events(self) -> AsyncGenerator[Event, None]:
        """Everything that happens, in order, as far as it may be seen.

        Raises what the backend raises; a ``BackendError`` carries what came before it, and every
        error of ours the attempts that were over.
        """
        self._watch = _otel.watch(model=self._plan.request.model, mode=self._plan.mode)
        ended = False
        try:
            async with self._reserved(), aclosing(self._loop()) as happening:
                async for event in happening:
                    yield event
            reply, events = self._conclude(self._result)
            ended = True
            for event in events:
                yield event
            self.reply = reply
        except BaseException as error:
            if isinstance(error, ReflectKitError):
                error.attempts = self.attempts
            if not ended:
                self._watch.failed(error)
                _log.failure(error, lambda: self.usage, self._plan.mode, len(self._attempts))
            raise

    async def _loop(self) -> AsyncGenerator[Event, None]:
        """What the policy asks for, until it returns a reply: that is the result then."""
        with closing(self._plan.policy.flow(self._plan.request)) as flow:
            step = advance(flow, None)
            while not isinstance(step, Reply):
                for event in self._parade.next_attempt(self._attempts):
                    yield event
                try:
                    async with aclosing(self._step(step)) as happening:
                        async for event in happening:
                            yield event
                except BudgetExceeded as error:
                    if not self._attempts:
                        raise
                    step = out_of_budget(flow, self._attempts, error)
                else:
                    step = advance(flow, self._result)
        self._result = step

    @asynccontextmanager
    async def _reserved(self) -> AsyncIterator[None]:
        """Scopes hold all that the policy may cost, where that is wanted, until it has ended."""
        plan = self._plan
        if plan.reserve == "attempt" or not plan.spending.scopes:
            yield
            return
        lease, held = await hold_all(plan.spending, plan.policy, plan.request, self._clock)
        self._plan = replace(plan, spending=held)
        self._purse = Purse(held.bounds, held.rates)
        try:
            yield
        finally:
            used, calls = self.usage, sum(take.requests for take in self._takes.values())
            await lease.settle(tokens=used.total, money=self._purse.cost(used), calls=calls)

    # --- what a policy may ask for

    def _step(self, step: policy.Step) -> AsyncGenerator[Event, None]:
        match step:
            case Request():
                return self._attempt(step, self._plan, self._number(step))
            case Elsewhere():
                return self._elsewhere(step)
            case (Request(), *_):
                return self._side_by_side(step)
        raise ConfigurationError(
            f"The policy's flow gave {type(step).__name__}.",
            hint="It yields a Request, a tuple of them or Elsewhere(client), and returns a Reply.",
        )

    def _number(self, asked: Request | None = None) -> int:
        self._numbers += 1
        if asked is not None:
            self._asked[self._numbers] = asked
        return self._numbers

    async def _elsewhere(self, step: Elsewhere) -> AsyncGenerator[Event, None]:
        """The same question to another client, within this call's limits."""
        here = self._plan
        if not hasattr(step.client, "_plan_of"):
            raise ConfigurationError(
                f"A {type(step.client).__name__} cannot be asked instead.", hint="Pass a Client."
            )
        other: Plan = await step.client._plan_of(here.asked)
        spending = replace(other.spending, bounds=here.spending.bounds, scopes=here.spending.scopes)
        plan = replace(
            other, spending=spending, show=here.show, verifiers=here.verifiers, mode=other.mode
        )
        async with aclosing(self._attempt(plan.request, plan, self._number())) as events:
            async for event in events:
                yield event

    async def _side_by_side(self, requests: tuple[Request, ...]) -> AsyncGenerator[Event, None]:
        """Several attempts at once; the first is told of as it comes, the others when it is over.

        What cannot be paid is left out, unless nothing else is there.
        """
        numbers = [self._number(request) for request in requests]
        # Each has its share of what is left now, whoever is the first to spend.
        first, *rest = [
            self._attempt(request, self._plan, number, self._open_books(self._plan, len(requests)))
            for request, number in zip(requests, numbers, strict=True)
        ]
        tasks = [asyncio.ensure_future(_gathered(ask)) for ask in rest]
        refused: list[BudgetExceeded] = []
        try:
            async with aclosing(first) as events:
                try:
                    async for event in events:
                        yield event
                except BudgetExceeded as error:
                    refused.append(error)
            for task in tasks:
                try:
                    told = await task
                except BudgetExceeded as error:
                    refused.append(error)
                    continue
                for event in told:
                    yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._attempts.sort(key=lambda a: a.number)
        self._result = tuple(a for a in self._attempts if a.number in numbers)
        if not self._result and refused:
            raise refused[0]

    async def _attempt(
        self, wanted: Request, plan: Plan, number: int, books: Books | None = None
    ) -> AsyncGenerator[Event, None]:
        books = books or self._open_books(plan)
        try:
            request, metering = await books.prepare(wanted)
        except BudgetExceeded as error:
            self._refused.append(Refusal(number=number, limit=error.limit, scope=error.scope))
            raise
        paid, requests, attempt = None, 0, None
        self._plans[number] = plan
        try:
            take = self._takes[number] = self._take(plan, request, number, metering)
            yield AttemptStarted(number)
            try:
                async with aclosing(self._climb(take, plan)) as events:
                    async for event in events:
                        yield event
                attempt = await take.attempt()
            except BackendError as error:
                with suppress(Exception):
                    take.end("")
                blame(error, take.reader.transcript, self.usage, plan.show)
                raise
            finally:
                paid = attempt.usage if attempt else take.usage
                requests = take.requests
        finally:
            await books.settle(paid, requests)
        self._attempts.append(attempt)
        shown = self._shown(attempt)
        self._parade.over(shown)
        _log.attempt(shown, mode=plan.mode)
        yield AttemptEnded(number, attempt.finish, attempt.usage)
        if plan.verifiers:
            judged = await self._judged(attempt, plan)
            self._attempts[self._attempts.index(attempt)] = attempt = judged
            shown = self._shown(attempt)
            _log.verdicts(shown)
            self._watch.judged(shown)
            yield Judged(number, shown.verdicts)
            if is_rejected(attempt):
                yield Rejected(number)
        self._result = attempt

    def _open_books(self, plan: Plan, share: int = 1) -> Books:
        return Books(plan.spending, plan.backend, self._purse, self._clock, share)

    def _take(self, plan: Plan, request: Request, number: int, metering: Metering | None) -> Take:
        shown = shown_request(request, plan.show, self._plan.request) if number > 1 else request
        _log.request(request, mode=plan.mode, show=plan.show, number=number, shown=shown)
        return Take(
            request,
            number,
            backend=plan.backend,
            reading=plan.reading,
            show=plan.show,
            counter=plan.spending.counter,
            metering=metering,
            restore=plan.restore,
        )

    async def _judged(self, attempt: Attempt, plan: Plan) -> Attempt:
        from .verify.running import run

        verdicts: tuple[Verdict, ...] = (_NO_TIME,)
        with suppress(BudgetExceeded):
            async with self._clock.within():
                with self._watch.within():
                    verdicts = await run(plan.verifiers, attempt.draft, timeout=plan.patience)
        if any(v.by == "oracle" for v in verdicts):
            raise oracle_refused()
        return replace(attempt, verdicts=verdicts)

    async def _climb(self, take: Take, plan: Plan) -> AsyncGenerator[Event, None]:
        """All that it takes for one answer: a request, and those that see to its end."""
        steps = take.steps()
        step, wrap = _next(steps, None)
        while step is not None:
            if isinstance(step, Say):
                for event in self._seen(take, take.say(step.text)):
                    yield event
                step, wrap = _next(steps, None)
            elif isinstance(step, FindOut):
                await _find_out(take, plan.backend)
                step, wrap = _next(steps, None)
            else:
                take.begin(step)
                async with self._sent(take, step, plan) as chunks:
                    async for chunk in chunks:
                        for event in self._seen(take, take.feed(chunk)):
                            yield event
                        if take.stopped:
                            break
                for event in self._seen(take, take.leg_over()):
                    yield event
                step, wrap = _next(steps, take.ended)
        for event in self._seen(take, take.end(wrap)):
            yield event
        for event in take.rest():
            yield event
        if take.ladder:
            warn_of(take.ladder.lost)

    @asynccontextmanager
    async def _sent(
        self, take: Take, step: Send, plan: Plan
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The chunks that answer one request; what ends them early is told to ``take``."""
        shown = shown_request(step.request, plan.show, self._plan.request)
        asked = self._watch.request(
            step.request, shown=shown, number=take.number, backend=plan.backend
        )
        try:
            async with _open(plan.backend, step.request) as chunks:
                yield self._clock.in_time(asked.around(chunks), lambda: take.thinks)
        except OutOfTime:
            take.out_of_time(over=self._clock.over)
        except BaseException as error:
            asked.failed(error)
            if not (isinstance(error, ReflectKitError) and take.failed(error)):
                raise
        finally:
            if asked.wanted:
                asked.answered(**take.leg)
            asked.end()

    def _seen(self, take: Take, events: list[ProtocolEvent]) -> list[ProtocolEvent]:
        """Passes ``events`` on and puts aside the answer text that became certain with them."""
        events, certain = take.shown(events)
        if certain:
            self._parade.text(take.number, certain)
        return events

    # --- the end

    def _conclude(self, reply: Reply) -> tuple[Reply, list[Event]]:
        """The reply as the consumer gets it, and the last events."""
        plan = self._plan
        by = self._plans.get(reply.chosen, plan)
        attempts = tuple(self._attempts)
        whole = replace(
            reply,
            attempts=attempts,
            usage=self.usage,
            mode=by.mode,
            provider=getattr(by.backend, "provider", ""),
            record=Record(
                request=plan.request,
                asked={n: self._asked[n] for n in self._plans if n in self._asked},
                attempts=attempts,
                refused=tuple(self._refused),
            ),
        )
        shown = concealed(whole, plan.show)
        shown = replace(
            shown,
            transcript=self._displayed(shown.transcript, reply.chosen),
            attempts=self.attempts,
        )
        _log.ending(shown)
        self._watch.ended(shown)
        said = bool(plan.verifiers) or len(self._attempts) > 1
        return shown, self._parade.conclude(shown, said=said)


async def _find_out(take: Take, backend: Backend) -> None:
    found = await found_out(backend)
    if take.ladder:
        take.ladder.continues = found.continues_prefix
        take.ladder.knobs = found.reasoning or frozenset()
        take.ladder.caps_thinking = found.caps_thinking


async def _gathered(ask: AsyncGenerator[Event, None]) -> list[Event]:
    async with aclosing(ask) as events:
        return [event async for event in events]


def _next(steps: Generator[Step, Any, Wrap], ended: Ended | None) -> tuple[Step | None, Wrap]:
    """The next step; or none, and how the answer was come by."""
    try:
        return steps.send(ended), ""
    except StopIteration as end:
        return None, end.value


@asynccontextmanager
async def _open(backend: Backend, request: Request) -> AsyncIterator[AsyncIterator[Chunk]]:
    """The backend's stream, closed on every way out."""
    if request.reasoning and capabilities_of(backend).reasoning == frozenset():
        raise MissingCapability(
            f"{type(backend).__name__} cannot be told how much to think.",
            capability="reasoning",
            hint="Leave reasoning= out; max_tokens caps thinking and answer together.",
        )
    stream: Any = backend.stream(request)
    if not hasattr(stream, "__aiter__"):
        if hasattr(stream, "close"):
            stream.close()  # a coroutine that nobody will await
        raise ConfigurationError(
            f"{type(backend).__name__}.stream(request) returned {type(stream).__name__}.",
            hint="Write it as an async generator: async def with yield, without return.",
        )
    close: Callable[[], Awaitable[None]] | None = getattr(stream, "aclose", None)
    try:
        yield stream
    finally:
        if close is not None:
            await close()
