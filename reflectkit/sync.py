"""The client for code without ``async``: a thin portal, so that there is one loop and one client.

A thread of its own runs an event loop; every call is a task in it. That works in any thread, one
with a running event loop (a notebook's) included, which it blocks like any other function.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .backends._secrets import hidden
from .client import Client, Preview
from .errors import ConfigurationError, ReflectKitError
from .messages import Usage
from .reply import Attempt, Reply, Transcript
from .stream import ReplyStream

if TYPE_CHECKING:
    from typing import Unpack

    from .backends.base import Backend
    from .conversation import Prompt
    from .events import Event, Retracted
    from .options import Connecting, Options

__all__ = ["SyncClient", "SyncReplyStream"]

A = TypeVar("A")
S = TypeVar("S")
T = TypeVar("T")
_Step = Callable[[ReplyStream], Coroutine[Any, Any, T]]


class _Job(Generic[T]):
    """A task in another thread's loop, and its result here."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._done: Future[T] = Future()
        loop.call_soon_threadsafe(self._begin)

    def result(self) -> T:
        """Wait for it; an interrupt here cancels it there, and waits for its clean-up."""
        return self.either(self._done)

    def either(self, done: Future[S]) -> S:
        """The result of ``done``, which the task sets; if the task ends before, an error."""
        try:
            futures: list[Future[Any]] = [done, self._done]
            wait(futures, return_when=FIRST_COMPLETED)
        except BaseException:  # an interrupt
            self.cancel()
            raise
        try:
            if not done.done():
                self._done.result()  # raises what ended the task
                raise _cancelled()
            return done.result()
        except CancelledError:
            raise _cancelled() from None

    def post(self, call: Callable[[A], object], argument: A) -> None:
        """Have ``call`` made in the loop."""
        with suppress(RuntimeError):  # the loop is closed, and the task is over
            self._loop.call_soon_threadsafe(call, argument)

    def cancel(self) -> None:
        """Cancel the task and wait until it is over."""
        with suppress(RuntimeError):  # the loop is closed: so is the task
            self._loop.call_soon_threadsafe(self._cancel)
            wait([self._done])

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._work)
        self._task.add_done_callback(self._report)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _report(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._done.cancel()
            self._done.set_running_or_notify_cancel()  # wakes those who wait
        elif (error := task.exception()) is not None:
            self._done.set_exception(error)
        else:
            self._done.set_result(task.result())


def _cancelled() -> ReflectKitError:
    return ReflectKitError(
        "The call was cancelled before it was complete.",
        hint="It was interrupted, or its client was closed.",
    )


class _Portal:
    """An event loop in a thread of its own, started at the first call."""

    def __init__(self) -> None:
        self._process = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Coroutine[Any, Any, T]) -> _Job[T]:
        """Begin ``work`` in the loop."""
        try:
            return _Job(self._running(), work)
        except BaseException:
            work.close()
            raise

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` in the loop and wait for it."""
        return self.start(work).result()

    def stop(self) -> None:
        """Cancel what is under way, end the loop and its thread. Can be called twice."""
        if self.over:
            return
        with self._lock:
            self._stopped = True
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join()

    @property
    def over(self) -> bool:
        """Nothing runs here, and nothing will: it was stopped, or is another process's."""
        return self._stopped or self._forked

    @property
    def _forked(self) -> bool:
        return self._loop is not None and os.getpid() != self._process

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._forked:
            raise ConfigurationError(
                "This SyncClient was used before the process was forked.",
                hint="Threads do not survive a fork: make a new SyncClient in the child.",
            )
        with self._lock:
            if self._stopped:
                raise ConfigurationError("The client is closed.", hint="Make a new one.")
            if self._loop is None:
                self._process = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="reflectkit", daemon=True
                )
                self._thread.start()
            elif self._thread is threading.current_thread():
                raise ConfigurationError(
                    "SyncClient was called inside its own loop.",
                    hint="Use Client in code that the client itself runs.",
                )
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    # At its end the runner cancels the tasks that are left and closes the loop.
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()


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
        self._portal = _Portal()
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

    def __init__(self, portal: _Portal, stream: ReplyStream) -> None:
        self._portal = portal
        self._stream = stream
        self._steps: asyncio.Queue[tuple[_Step[Any], Future[Any]]] = asyncio.Queue()
        self._job: _Job[None] | None = None

    def __enter__(self) -> SyncReplyStream:
        self._job = self._portal.start(self._work())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.cancel()

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

    def _take(self, step: _Step[T]) -> T:
        if self._job is None:
            raise ConfigurationError(
                "The stream is not open.", hint="Write: with client.stream(...) as stream."
            )
        done: Future[T] = Future()
        self._job.post(self._steps.put_nowait, (step, done))
        return self._job.either(done)

    async def _work(self) -> None:
        async with self._stream as stream:
            while True:
                step, done = await self._steps.get()
                try:
                    done.set_result(await step(stream))
                except Exception as error:  # noqa: BLE001 - it is raised where the step was asked for
                    done.set_exception(error)


async def _next_event(stream: ReplyStream) -> Event | None:
    return await anext(stream, None)
