"""The only room that awaits a model: policy x backend x reader, with the screen before the caller.

A ``Run`` is one call on its way. Its streams are closed by context managers on every exit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Mapping,
)
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from inspect import isawaitable
from operator import add
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import _log
from .backends.base import capabilities_of
from .budget import accounted
from .correction.policy import ENDINGS, is_live
from .display import Display
from .errors import BackendError, ConfigurationError, MissingCapability, ReflectKitError
from .events import AttemptEnded, AttemptStarted, Event, ProtocolEvent
from .messages import Chunk, FinishReason, Request, Usage, Wrap
from .reading import Reader, Reading
from .reply import Attempt, Mode, Reply, Transcript
from .visibility import AnswerText, Screen, Show, blame, concealed, shown_attempt, visible

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
    reading: Reading = field(default_factory=Reading)
    mode: Mode = "plain"
    show: Show = "full"
    #: tags in the prompt were made inert, and what repeats them is shown as it was meant
    restore: bool = False


class _Take:
    """One attempt while it comes in."""

    def __init__(self, plan: Plan, request: Request, number: int) -> None:
        self._plan = plan
        self.request = request
        self.number = number
        self.reader = Reader(plan.reading)
        self.screen = Screen(plan.show)
        self.usage: Usage | None = None
        self.finish: FinishReason = "stop"
        self.wrap: Wrap = ""
        self.logprobs: list[Mapping[str, Any]] = []
        self.model = ""
        self.started = monotonic()

    def feed(self, chunk: Chunk) -> list[ProtocolEvent]:
        self.usage = chunk.usage or self.usage
        self.finish = chunk.finish or self.finish
        self.model = chunk.model or self.model
        self.wrap = chunk.wrap or self.wrap
        self.logprobs += chunk.logprobs
        events = self.reader.feed(chunk)
        return self.screen.feed(events, self.reader.progress)

    def end(self) -> list[ProtocolEvent]:
        progress = self.reader.progress
        return self.screen.feed(self.reader.finish(truncated=self.finish == "length"), progress)

    def rest(self) -> list[ProtocolEvent]:
        return self.screen.finish(self.visible(complete=self._complete))

    @property
    def _complete(self) -> bool:
        return ENDINGS[self.finish] == "complete"

    def visible(self, *, complete: bool) -> Transcript:
        return visible(self.reader.transcript, self._plan.show, complete=complete)

    def accounted(self, thinking: int | None = None) -> Usage:
        return accounted(self.usage, self.request, self.reader.transcript, thinking)

    async def attempt(self) -> Attempt:
        """The attempt, when it is over."""
        thinking = await self._counted()
        return Attempt(
            number=self.number,
            request=self.request,
            transcript=self.reader.transcript,
            usage=self.accounted(thinking),
            finish=self.finish,
            model=self.model or self.request.model or getattr(self._plan.backend, "model", ""),
            seconds=monotonic() - self.started,
            wrap=self.wrap,
            logprobs=tuple(self.logprobs),
        )

    async def _counted(self) -> int | None:
        """The tokens of the thinking, by the model's own counter where the backend has one."""
        known = self.usage is not None and self.usage.thinking is not None
        thinking = self.reader.transcript.thinking_source
        count = getattr(self._plan.backend, "count", None)
        if known or not thinking or count is None:
            return None
        with suppress(ReflectKitError):  # a figure is not worth losing the answer for
            counted = count(thinking)
            return int(await counted if isawaitable(counted) else counted)
        return None


class Run:
    """One call: ``events()`` is read once; ``reply`` is set when it has ended by itself."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._attempts: list[Attempt] = []
        self._take: _Take | None = None
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
            known.append(self._take.accounted())
        return reduce(add, known, Usage())

    async def events(self) -> AsyncGenerator[Event, None]:
        """Everything that happens, in order, as far as it may be seen.

        Raises what the backend raises; a ``BackendError`` carries what came before it.
        """
        try:
            with closing(self._plan.policy.flow(self._plan.request)) as flow:
                step = _advance(flow, None)
                while isinstance(step, Request):
                    async with aclosing(self._attempt(step)) as events:
                        async for event in events:
                            yield event
                    step = _advance(flow, self._attempts[-1])
            self._conclude(step)
        except BaseException as error:
            _log.failure(error, lambda: self.usage, self._plan.mode, len(self._attempts))
            raise

    async def _attempt(self, request: Request) -> AsyncGenerator[Event, None]:
        take = self._take = _Take(self._plan, request, len(self._attempts) + 1)
        _log.request(request, mode=self._plan.mode, show=self._plan.show, number=take.number)
        yield AttemptStarted(take.number)
        try:
            async with _open(self._plan.backend, request) as chunks:
                async for chunk in chunks:
                    for event in self._seen(take, take.feed(chunk)):
                        yield event
        except BackendError as error:
            with suppress(Exception):
                take.end()
            blame(error, take.reader.transcript, self.usage, self._plan.show)
            raise
        for event in self._seen(take, take.end()):
            yield event
        rest = take.rest()
        for event in self._display[0].events(rest) if self._display else rest:
            yield event
        attempt = await take.attempt()
        self._attempts.append(attempt)
        _log.attempt(shown_attempt(attempt, self._plan.show), mode=self._plan.mode)
        yield AttemptEnded(attempt.number, attempt.finish, attempt.usage)

    def _seen(self, take: _Take, events: list[ProtocolEvent]) -> list[ProtocolEvent]:
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
