"""A reply while it comes: typed events, the answer's text alone, and the reply at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType

from .engine import Run
from .errors import ConfigurationError, ReflectKitError
from .events import Event
from .messages import Usage
from .reply import Reply, Transcript

__all__ = ["ReplyStream"]


class ReplyStream:
    """An answer that is coming in; use it with ``async with``. Nothing is sent before it is read.

    Iterate it for events, or iterate ``output`` for answer text; ``reply()`` reads what is left.
    All three share one stream: each goes on where the others stopped. Leaving the block early
    stops the model. ``partial`` and ``usage`` can be read at any time, after an error too.
    """

    def __init__(self, start: Callable[[], Awaitable[Run]]) -> None:
        self._start = start
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
        if self._opened().reply is not None:
            raise StopAsyncIteration
        if self._events is None:
            raise _ended_early()
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
        return _Output(self, self._opened().answer)

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
    def usage(self) -> Usage:
        """What the call has cost so far; an estimate until the backend reports."""
        return self._run.usage if self._run else Usage()

    def _opened(self) -> Run:
        if self._run is None:
            raise ConfigurationError(
                "The stream is not open.", hint="Write: async with client.stream(...) as stream."
            )
        return self._run


class _Output(AsyncIterator[str]):
    """The pieces of answer text that ``ready`` receives while ``stream`` is read."""

    def __init__(self, stream: ReplyStream, ready: deque[str]) -> None:
        self._stream = stream
        self._ready = ready

    async def __anext__(self) -> str:
        while not self._ready:
            try:
                await anext(self._stream)
            except StopAsyncIteration:
                if not self._ready:  # the last step may bring the last text
                    raise
        return self._ready.popleft()


def _ended_early() -> ReflectKitError:
    return ReflectKitError(
        "The stream ended before the reply was complete.",
        hint="What had come is in stream.partial.",
    )
