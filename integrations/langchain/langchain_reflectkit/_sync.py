"""Async work for LangChain's synchronous methods: all models share one portal.

With ``run_here`` the caller's thread is not idle while it waits: LangGraph's handlers belong to the
thread and the context that they were handed out in, and are called there.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar, cast

from reflectkit.portal import Portal

__all__ = ["Here", "call", "iterate", "run_here"]

R = TypeVar("R")
T = TypeVar("T")

_END: Final = object()
_OWNER: Final = "model"
_portal = Portal(_OWNER)


def _anew() -> None:
    global _portal
    _portal = Portal(_OWNER)


atexit.register(lambda: _portal.stop())
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_anew)


def call(work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` in the loop and wait for it."""
    return _portal.call(work)


def iterate(items: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
    """What ``items()`` yields, each when it is asked for; leaving early closes the generator in its
    loop, and waits for that."""
    held = _portal.hold(aclosing(cast("AsyncGenerator[T, None]", items())))
    try:
        while (item := held.take(_next)) is not _END:
            yield item
    finally:
        held.close()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)


class Here(Generic[R]):
    """Where the caller is: ``await here.call(function)`` runs it there."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Callable[[], R], asyncio.Future[R]] | None] = SimpleQueue()

    async def call(self, function: Callable[[], R]) -> R:
        """The result of ``function``, called in the caller's thread."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._asked.put((function, done))
        return await done

    def serve(self) -> None:
        """Call what is asked for, until the work is over."""
        while (asked := self._asked.get()) is not None:
            _serve(*asked)

    def leave(self, _: object) -> None:
        """The work is over: nothing more will be asked for."""
        self._asked.put(None)


def run_here(work: Callable[[Here[Any]], Coroutine[Any, Any, T]]) -> T:
    """Run ``work(here)`` to its end. An interrupt cancels it, and waits for its clean-up."""
    here: Here[Any] = Here()
    job = _portal.start(work(here))
    job.done.add_done_callback(here.leave)
    try:
        here.serve()
    except BaseException:  # an interrupt, or what ends a thread
        job.cancel()
        raise
    return job.result()


def _serve(function: Callable[[], R], done: asyncio.Future[R]) -> None:
    loop = done.get_loop()
    try:
        result = function()
    except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
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
