"""A coroutine run for a caller without async, whose own functions are called in its own thread.

LangGraph's handlers belong to the thread and the context that they were handed out in, and there
may be a running loop in that thread already (a notebook's), so the loop is in a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

__all__ = ["Here", "run_here", "stream_here"]

R = TypeVar("R")
T = TypeVar("T")

_LOCK: Final = threading.Lock()
_loop: tuple[int, asyncio.AbstractEventLoop] | None = None


class Here(Generic[R]):
    """Where the caller is: ``await here.call(function)`` runs it there."""

    def __init__(self) -> None:
        self.asked: SimpleQueue[tuple[Callable[[], R], asyncio.Future[R]] | None] = SimpleQueue()

    async def call(self, function: Callable[[], R]) -> R:
        """The result of ``function``, called in the caller's thread."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.asked.put((function, done))
        return await done


def run_here(work: Callable[[Here[Any]], Coroutine[Any, Any, T]]) -> T:
    """Run ``work(here)`` to its end. An interrupt cancels it, and waits for its clean-up."""
    here: Here[Any] = Here()
    job = asyncio.run_coroutine_threadsafe(work(here), _running())
    job.add_done_callback(lambda _: here.asked.put(None))
    try:
        while (asked := here.asked.get()) is not None:
            _serve(*asked)
    except BaseException:  # an interrupt, or what ends a thread
        job.cancel()
        while here.asked.get() is not None:
            pass
        raise
    return job.result()


def _serve(function: Callable[[], R], done: asyncio.Future[R]) -> None:
    loop = done.get_loop()
    try:
        result = function()
    except Exception as error:  # noqa: BLE001  # it is raised where the result is awaited
        loop.call_soon_threadsafe(_fail, done, error)
    else:
        loop.call_soon_threadsafe(_settle, done, result)


def _settle(done: asyncio.Future[R], result: R) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        # a future takes no StopIteration
        wrapped = isinstance(error, StopIteration)
        done.set_exception(RuntimeError("StopIteration") if wrapped else error)


def _running() -> asyncio.AbstractEventLoop:
    """The loop of this process; a forked one gets its own."""
    global _loop
    with _LOCK:
        if _loop is None or _loop[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="reflectkit", daemon=True).start()
            _loop = os.getpid(), loop
        return _loop[1]


def stream_here(make: Callable[[], AsyncGenerator[T, None]]) -> Iterator[T]:
    """What an async generator gives, for a caller without async; it is closed when this one is.

    It goes on only when its last item has been taken.
    """
    ready: SimpleQueue[tuple[T, asyncio.Future[None]] | None] = SimpleQueue()
    loop = _running()

    async def produce() -> None:
        async with aclosing(make()) as items:
            async for item in items:
                taken = loop.create_future()
                ready.put((item, taken))
                await taken

    job = asyncio.run_coroutine_threadsafe(produce(), loop)
    job.add_done_callback(lambda _: ready.put(None))
    try:
        while (got := ready.get()) is not None:
            yield got[0]
            loop.call_soon_threadsafe(_settle, got[1], None)
        job.result()
    finally:
        if not job.done():
            job.cancel()
            while ready.get() is not None:
                pass
