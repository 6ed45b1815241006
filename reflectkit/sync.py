"""The client for code without ``async``: the same client behind a portal, and not a twin of it."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from .backends._secrets import hidden
from .client import Client, Preview
from .errors import ConfigurationError
from .messages import Usage
from .portal import Held, Portal
from .reply import Attempt, Reply, Transcript
from .stream import ReplyStream

if TYPE_CHECKING:
    from typing import Unpack

    from .backends.base import Backend
    from .conversation import Prompt
    from .events import Event, Retracted
    from .options import Connecting, Options

__all__ = ["SyncClient", "SyncReplyStream"]

T = TypeVar("T")


class SyncClient:
    """``Client`` without ``async``: the same arguments, options, replies and errors.

    Use it with ``with``, or call ``close()``. Ctrl-C during a call stops the model, then raises
    ``KeyboardInterrupt``.
    """

    def __init__(
        self,
        backend_or_base_url: str | Backend | None = None,
        **settings: Unpack[Connecting],
    ) -> None:
        backend_or_base_url = hidden(backend_or_base_url)
        if "api_key" in settings:
            settings["api_key"] = hidden(settings["api_key"])
        self._client = Client(backend_or_base_url, **settings)
        self._portal = Portal("SyncClient")
        self._borrowed = False
        weakref.finalize(self, self._portal.stop)

    def __repr__(self) -> str:
        client = getattr(self, "_client", None)  # None while the constructor fails
        return f"Sync{client!r}" if client else "SyncClient()"

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, prompt: Prompt, **options: Unpack[Options]) -> Reply:
        """As ``Client.ask``."""
        return self._portal.call(self._client.ask(prompt, **options))

    def stream(self, prompt: Prompt, **options: Unpack[Options]) -> SyncReplyStream:
        """As ``Client.stream``: ``with client.stream(...) as stream``."""
        return SyncReplyStream(self._portal, self._client.stream(prompt, **options))

    def preview(self, prompt: Prompt, **options: Unpack[Options]) -> Preview:
        """As ``Client.preview``."""
        return self._portal.call(self._client.preview(prompt, **options))

    def with_options(self, **changes: Unpack[Options]) -> SyncClient:
        """As ``Client.with_options``: other settings, the same connection."""
        twin = object.__new__(type(self))
        twin._client = self._client.with_options(**changes)
        twin._portal = self._portal
        twin._borrowed = True
        return twin

    def close(self) -> None:
        """Close the connection and the loop. Can be called twice."""
        if not self._borrowed and not self._portal.over:
            self._portal.call(self._client.close())
            self._portal.stop()


class SyncReplyStream:
    """``ReplyStream`` without ``async``; use it with ``with``.

    All steps of a stream are taken by one task, which closes it too.
    """

    def __init__(self, portal: Portal, stream: ReplyStream) -> None:
        self._portal = portal
        self._stream = stream
        self._held: Held[ReplyStream] | None = None

    def __enter__(self) -> SyncReplyStream:
        self._held = self._portal.hold(self._stream)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """The next event, as ``ReplyStream`` gives it."""
        event = self._take(_next_event)
        if event is None:
            raise StopIteration
        return event

    @property
    def output(self) -> Iterator[str]:
        """As ``ReplyStream.output``."""
        return self._pieces(lambda stream: stream.output)

    def ready(self) -> list[str]:
        """As ``ReplyStream.ready``."""
        return self._stream.ready()

    @property
    def drafts(self) -> Iterator[str | Retracted]:
        """As ``ReplyStream.drafts``."""
        return self._pieces(lambda stream: stream.drafts)

    @property
    def objects(self) -> Iterator[Any]:
        """As ``ReplyStream.objects``."""
        return self._pieces(lambda stream: stream.objects)

    def reply(self) -> Reply:
        """As ``ReplyStream.reply``."""
        return self._take(ReplyStream.reply)

    @property
    def partial(self) -> Transcript:
        """As ``ReplyStream.partial``."""
        return self._stream.partial

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """As ``ReplyStream.attempts``."""
        return self._stream.attempts

    @property
    def usage(self) -> Usage:
        """As ``ReplyStream.usage``."""
        return self._stream.usage

    def _pieces(self, view: Callable[[ReplyStream], AsyncIterator[T]]) -> Iterator[T]:
        async def step(stream: ReplyStream) -> T | None:
            return await anext(view(stream), None)

        while (piece := self._take(step)) is not None:
            yield piece

    def _take(self, step: Callable[[ReplyStream], Awaitable[T]]) -> T:
        if self._held is None:
            raise ConfigurationError(
                "The stream is not open.", hint="Write: with client.stream(...) as stream."
            )
        return self._held.take(step)


async def _next_event(stream: ReplyStream) -> Event | None:
    return await anext(stream, None)
