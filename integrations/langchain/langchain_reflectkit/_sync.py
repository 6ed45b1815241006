"""One event loop in a thread of its own, for LangChain's synchronous methods.

All models share it. It works where a loop is running already (a notebook), which it blocks like
any other function. What runs there sees the caller's context variables.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import aclosing, suppress
from typing import Any, Final, Generic, TypeVar, cast

__all__ = ["call", "iterate", "loop"]

T = TypeVar("T")
S = TypeVar("S")
_END: Final = object()


class _Thread:
    """The loop and its thread; a forked child makes its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, name="langchain-reflectkit", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        # At its end the runner cancels the tasks that are left and closes the loop.
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.get_loop().run_forever()

    def stop(self) -> None:
        if self.process == os.getpid() and self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()


_lock = threading.Lock()
_thread: _Thread | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The loop, started at its first use. Raises ``ConfigurationError`` inside itself."""
    global _thread
    with _lock:
        if _thread is None or _thread.process != os.getpid():
            _thread = _Thread()
            atexit.register(_thread.stop)
    if _thread.thread is threading.current_thread():
        from reflectkit import ConfigurationError

        raise ConfigurationError(
            "A synchronous method was called in code that the model itself runs.",
            hint="Use ainvoke or astream there.",
        )
    return _thread.loop


class _Job(Generic[T]):
    """A task in the loop, and its result here."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        try:
            self.loop = loop()
        except BaseException:
            work.close()
            raise
        self.done: Future[T] = Future()
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self.loop.call_soon_threadsafe(self._begin)

    def wait(self, found: Future[S]) -> S:
        """The result of ``found``, which the task sets or is. An interrupt here cancels it."""
        futures: set[Future[Any]] = {found, self.done}
        try:
            wait(futures, return_when=FIRST_COMPLETED)
        except BaseException:
            self.cancel()
            raise
        if not found.done():
            self.done.result()  # raises what ended the task
            raise CancelledError
        return found.result()

    def cancel(self) -> None:
        """Cancel the task and wait until it is over."""
        with suppress(RuntimeError):  # the loop is closed: so is the task
            self.loop.call_soon_threadsafe(self._cancel)
            wait([self.done])

    def _begin(self) -> None:
        self._task = self.loop.create_task(self._work)
        self._task.add_done_callback(self._report)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _report(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.done.cancel()
            self.done.set_running_or_notify_cancel()  # wakes those who wait
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


def call(work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` in the loop and wait for it."""
    job = _Job(work)
    return job.wait(job.done)


def iterate(items: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
    """What ``items()`` yields, each when it is asked for. One task in the loop takes all steps;
    leaving early closes the generator there, and waits for that."""
    steps: asyncio.Queue[Future[Any]] = asyncio.Queue()

    async def work() -> None:
        async with aclosing(cast("Any", items())) as found:
            while True:
                step = await steps.get()
                try:
                    step.set_result(await anext(found, _END))
                except Exception as error:  # noqa: BLE001 - raised where the step was asked for
                    step.set_exception(error)

    job = _Job(work())
    try:
        while True:
            step: Future[Any] = Future()
            job.loop.call_soon_threadsafe(steps.put_nowait, step)
            if (item := job.wait(step)) is _END:
                return
            yield item
    finally:
        job.cancel()
