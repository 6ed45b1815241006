"""The only room that awaits a model: policy x backend x reader, with the screen before the caller.

A ``Run`` is one call on its way. Its streams are closed by context managers on every exit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from . import _log
from .backends.base import capabilities_of, found_out
from .budget.ladder import Ended, FindOut, Say, Send, Step
from .correction.policy import conclude, is_live
from .display import Display
from .errors import (
    BackendError,
    BudgetExceeded,
    ConfigurationError,
    MissingCapability,
    ReflectKitError,
)
from .events import AttemptEnded, AttemptStarted, Event, ProtocolEvent
from .messages import Chunk, Request, Usage, Wrap
from .reading import Reading
from .reply import Attempt, Mode, Reply, Status, Transcript
from .spending import Books, OutOfTime, Spending
from .take import Metering, Take
from .visibility import AnswerText, Show, blame, concealed, shown_attempt

if TYPE_CHECKING:
    from .backends.base import Backend
    from .correction.policy import Policy

__all__ = ["Plan", "Run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that one call needs."""

    request: Request
    backend: Backend
    policy: Policy
    spending: Spending
    reading: Reading = field(default_factory=Reading)
    mode: Mode = "plain"
    show: Show = "full"
    #: tags in the prompt were made inert, and what repeats them is shown as it was meant
    restore: bool = False


class Run:
    """One call: ``events()`` is read once; ``reply`` is set when it has ended by itself."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._attempts: list[Attempt] = []
        self._take: Take | None = None
        self._books = Books(plan.spending, plan.backend)
        self._text = AnswerText()
        dialect = plan.reading.dialect
        self._display = (Display(dialect), Display(dialect)) if plan.restore else None
        self.reply: Reply | None = None
        #: certain answer text that nobody has taken yet
        self.answer: deque[str] = deque()

    @property
    def partial(self) -> Transcript:
        """What may be seen of the latest attempt so far."""
        if self.reply is not None:
            return self.reply.transcript
        if self._take is None:
            return Transcript()
        seen = self._take.visible(complete=False)
        return self._display[0].transcript(seen) if self._display else seen

    @property
    def usage(self) -> Usage:
        """What the call has cost so far; an estimate while an attempt is under way."""
        known = [a.usage for a in self._attempts]
        if self._take is not None and self._take.number > len(self._attempts):
            known.append(self._take.usage)
        return reduce(add, known, Usage())

    async def events(self) -> AsyncGenerator[Event, None]:
        """Everything that happens, in order, as far as it may be seen.

        Raises what the backend raises; a ``BackendError`` carries what came before it.
        """
        try:
            with closing(self._plan.policy.flow(self._plan.request)) as flow:
                step = _advance(flow, None)
                while isinstance(step, Request):
                    done = len(self._attempts)
                    try:
                        async with aclosing(self._attempt(step)) as events:
                            async for event in events:
                                yield event
                    except BudgetExceeded as error:
                        if not done:
                            raise
                        step = self._out_of_budget(flow, error)
                    else:
                        step = _advance(flow, self._attempts[-1])
            self._conclude(step)
        except BaseException as error:
            _log.failure(error, lambda: self.usage, self._plan.mode, len(self._attempts))
            raise

    async def _attempt(self, wanted: Request) -> AsyncGenerator[Event, None]:
        request, metering = await self._books.prepare(wanted)
        paid, requests = None, 0
        try:
            take = self._take = self._begin(request, metering)
            yield AttemptStarted(take.number)
            try:
                async with aclosing(self._climb(take)) as events:
                    async for event in events:
                        yield event
                attempt = await take.attempt()
            except BackendError as error:
                with suppress(Exception):
                    take.end("")
                blame(error, take.reader.transcript, self.usage, self._plan.show)
                raise
            finally:
                paid, requests = take.usage, take.requests
            paid = attempt.usage
        finally:
            await self._books.settle(paid, requests)
        self._attempts.append(attempt)
        _log.attempt(shown_attempt(attempt, self._plan.show), mode=self._plan.mode)
        yield AttemptEnded(attempt.number, attempt.finish, attempt.usage)

    def _begin(self, request: Request, metering: Metering | None) -> Take:
        plan = self._plan
        take = Take(
            request,
            len(self._attempts) + 1,
            backend=plan.backend,
            reading=plan.reading,
            show=plan.show,
            counter=plan.spending.counter,
            metering=metering,
        )
        _log.request(request, mode=plan.mode, show=plan.show, number=take.number)
        return take

    async def _climb(self, take: Take) -> AsyncGenerator[Event, None]:
        """All that it takes for one answer: a request, and those that see to its end."""
        steps = take.steps()
        step, wrap = _next(steps, None)
        while step is not None:
            if isinstance(step, Say):
                for event in self._seen(take, take.say(step.text)):
                    yield event
                step, wrap = _next(steps, None)
            elif isinstance(step, FindOut):
                await self._find_out(take)
                step, wrap = _next(steps, None)
            else:
                take.begin(step)
                async with self._sent(take, step) as chunks:
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
        rest = take.rest()
        for event in self._display[0].events(rest) if self._display else rest:
            yield event
        if take.ladder:
            self._books.lost(take.ladder.lost)

    @asynccontextmanager
    async def _sent(self, take: Take, step: Send) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The chunks that answer one request; what ends them early is told to ``take``."""
        try:
            async with _open(self._plan.backend, step.request) as chunks:
                yield self._books.in_time(chunks, lambda: take.thinks)
        except OutOfTime:
            take.out_of_time(over=self._books.over)
        except ReflectKitError as error:
            if not take.failed(error):
                raise

    async def _find_out(self, take: Take) -> None:
        found = await found_out(self._plan.backend)
        if take.ladder:
            take.ladder.continues = found.continues_prefix
            take.ladder.knobs = found.reasoning or frozenset()

    def _out_of_budget(
        self, flow: Generator[Request, Attempt, Reply], error: BudgetExceeded
    ) -> Request | Reply:
        """No further attempt can be paid: the policy concludes, or what came last is the reply."""
        status: Status = "deadline" if error.limit == "seconds" else "budget"
        try:
            return flow.throw(error)
        except StopIteration as end:
            reply: Reply = end.value
            return reply
        except BudgetExceeded:
            last = conclude(self._attempts, self._attempts[-1], status)
            return replace(last, stopped_by=f"{error.limit} ({error.scope})")

    def _seen(self, take: Take, events: list[ProtocolEvent]) -> list[ProtocolEvent]:
        """Passes ``events`` on and puts aside the answer text that became certain with them."""
        certain = take.screen.settled
        if self._display:
            events, certain = self._display[0].events(events), self._display[1].events(certain)
        if take.number == 1 and is_live(self._plan.policy):
            self.answer += self._text.feed(certain)
        return events

    def _conclude(self, reply: Reply) -> None:
        provider = getattr(self._plan.backend, "provider", "")
        whole = replace(reply, mode=self._plan.mode, provider=provider)
        shown = concealed(whole, self._plan.show)
        if self._display:
            shown = self._display[0].reply(shown)
        rest = self._text.finish(shown.output)
        if rest:
            self.answer.append(rest)
        self.reply = shown
        _log.ending(shown)


def _advance(flow: Generator[Request, Attempt, Reply], attempt: Attempt | None) -> Request | Reply:
    try:
        return next(flow) if attempt is None else flow.send(attempt)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


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
