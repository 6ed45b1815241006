"""A reply while it comes: events, the answer's text, drafts, objects; the reply at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .engine import Run
from .errors import ConfigurationError, ReflectKitError
from .events import Event, Retracted
from .messages import Usage
from .reply import Attempt, Reply, Transcript

if TYPE_CHECKING:
    from .verify import Partial

__all__ = ["ReplyStream"]

T = TypeVar("T")


class ReplyStream:
    """An answer that is coming in; use it with ``async with``. Nothing is sent before it is read.

    Iterate it for events, or iterate ``output`` for answer text, ``drafts`` for that of every
    attempt, ``objects`` for structured output; ``reply()`` reads what is left. All of them share
    one stream: reading one brings the others forward, and each keeps what it has until it is read.
    Leaving the block early stops the model. ``partial``, ``attempts`` and ``usage`` can be read at
    any time, after an error too.
    """

    def __init__(self, start: Callable[[], Awaitable[Run]], output_type: Any = None) -> None:
        self._start = start
        self._type = output_type
        self._objects: _Objects | None = None
        self._run: Run | None = None
        self._events: AsyncGenerator[Event, None] | None = None
        self._reading = False

    async def __aenter__(self) -> ReplyStream:
        if self._run is not None:
            raise ConfigurationError("This stream was used before.", hint="Ask for a new one.")
        self._run = await self._start()
        self._events = self._run.events()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        events, self._events = self._events, None
        if events is not None:
            await events.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises what the call raises; see ``Client.stream``."""
        if self._events is None:
            raise _ended_early() if self._opened().reply is None else StopAsyncIteration
        if self._reading:
            raise ConfigurationError(
                "This stream is being read by another task.",
                hint="Read it in one task, and hand on what comes from there.",
            )
        self._reading = True
        try:
            return await anext(self._events)
        except StopAsyncIteration:
            if self._opened().reply is None:  # an earlier step was cancelled or failed
                raise _ended_early() from None
            raise
        finally:
            self._reading = False

    @property
    def output(self) -> AsyncIterator[str]:
        """The answer's text, in pieces that will not be withdrawn; together ``reply.output``.

        Text comes once it is certain to be the answer: text that no tag marks may have to wait for
        the end of the response.
        """
        return _Ready(self, self._opened().answer)

    def ready(self) -> list[str]:
        """What ``output`` would give without waiting: taken here, it does not come there again."""
        pieces = self._opened().answer
        taken = list(pieces)
        pieces.clear()
        return taken

    @property
    def drafts(self) -> AsyncIterator[str | Retracted]:
        """The answers as they come, in pieces of text, and what no longer counts.

        After a ``Retracted`` the text begins anew: what came since the last one is ``reply.output``
        in the end. Of attempts that run side by side, or that are asked for while nobody has
        rejected the last one, only the one that stands is shown.
        """
        return _Ready(self, self._opened().drafts)

    @property
    def objects(self) -> AsyncIterator[Any]:
        """With ``output_type``: the object while it fills up. Made of ``drafts``; it begins anew
        where those do.

        Only the last one has been validated, and is ``reply.value``, if the reply has one. The
        others are for display: see ``verify.Partial``. Raises ``ConfigurationError`` without
        ``output_type``.
        """
        run = self._opened()
        if self._type is None:
            raise ConfigurationError(
                "There are no objects without a type.", hint="Ask with output_type=..."
            )
        if self._objects is None:
            self._objects = _Objects(self, run.parts, self._type)
        return self._objects

    async def reply(self) -> Reply:
        """Read to the end and return the reply."""
        async for _ in self:
            pass
        reply = self._opened().reply
        assert reply is not None
        return reply

    @property
    def partial(self) -> Transcript:
        """What has come so far, as far as it may be seen."""
        return self._run.partial if self._run else Transcript()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts that are over, as far as they may be seen."""
        return self._run.attempts if self._run else ()

    @property
    def usage(self) -> Usage:
        """What the call has cost so far; an estimate until the backend reports."""
        return self._run.usage if self._run else Usage()

    def _opened(self) -> Run:
        if self._run is None:
            raise ConfigurationError(
                "The stream is not open.", hint="Write: async with client.stream(...) as stream."
            )
        return self._run


class _Ready(AsyncIterator[T], Generic[T]):
    """What ``ready`` receives while ``stream`` is read."""

    def __init__(self, stream: ReplyStream, ready: deque[T]) -> None:
        self._stream = stream
        self._ready = ready

    async def __anext__(self) -> T:
        while not self._ready:
            try:
                await anext(self._stream)
            except StopAsyncIteration:
                if not self._ready:  # the last step may bring the last text
                    raise
        return self._ready.popleft()


class _Objects(AsyncIterator[Any]):
    """Objects of ``type_``, made of the drafts while they come; at last the reply's own."""

    def __init__(self, stream: ReplyStream, parts: deque[str | Retracted], type_: Any) -> None:
        self._stream = stream
        self._parts = _Ready(stream, parts)
        # A JSON schema makes no types: its objects are plain ones.
        self._type = Any if isinstance(type_, Mapping) else type_
        self._partial = self._anew()
        self._last: Any = None
        self._over = False

    async def __anext__(self) -> Any:
        try:
            while (made := self._made(await anext(self._parts))) is None:
                pass
        except StopAsyncIteration:
            value = (await self._stream.reply()).value
            if self._over or value is None or value == self._last:
                raise
            self._over, made = True, value
        self._last = made
        return made

    def _made(self, part: str | Retracted) -> Any:
        if isinstance(part, str):
            return self._partial.feed(part)
        self._partial = self._anew()
        return None

    def _anew(self) -> Partial[Any]:
        from .verify import Partial

        return Partial(self._type)


def _ended_early() -> ReflectKitError:
    return ReflectKitError(
        "The stream ended before the reply was complete.",
        hint="What had come is in stream.partial.",
    )
