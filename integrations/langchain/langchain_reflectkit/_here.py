"""A coroutine run for a caller without async, whose own functions are called in its own thread.

LangGraph's handlers belong to the thread and the context that they were handed out in, and there
may be a running loop in that thread already (a notebook's), so the loop is in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from . import _sync

__all__ = ["Here", "run_here"]

R = TypeVar("R")
T = TypeVar("T")


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
    job = asyncio.run_coroutine_threadsafe(work(here), _sync.loop())
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
