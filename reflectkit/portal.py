"""Async work for code without ``async``: a loop in a thread of its own, and those who wait for it.

It works in any thread, one with a running event loop (a notebook's) included, which it blocks like
any other function. What runs in the loop sees the context variables of the caller.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Generic, TypeVar

from .errors import ConfigurationError, ReflectKitError

__all__ = ["Held", "Job", "Portal"]

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

_CANCELLED: Final = "The call was cancelled before it was complete."
#: loops hold tasks weakly
_UNDER_WAY: Final[set[object]] = set()


class Portal:
    """An event loop in a thread of its own, started at the first call. Threads may share it.

    Calls raise ``ConfigurationError`` once it was stopped, in a forked child, where its thread is
    not, and in code that runs in its own loop, which would wait for itself. ``owner``: whose it is,
    as errors name it.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._process = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` in the loop and wait for it. An interrupt cancels it and waits for that."""
        return self.start(work).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """Begin ``work`` in the loop."""
        try:
            return Job(self._running(), work)
        except BaseException:
            work.close()
            raise

    def hold(self, manager: AbstractAsyncContextManager[R]) -> Held[R]:
        """Enter ``manager`` in the loop, to take steps on what it gives; ``Held.close`` leaves."""
        return Held(self, manager)

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
                f"This {self._owner} was used before the process was forked.",
                hint="Threads do not survive a fork: make a new one in the child.",
            )
        with self._lock:
            if self._stopped:
                raise ConfigurationError(f"This {self._owner} is closed.", hint="Make a new one.")
            if self._loop is None:
                self._process = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="reflectkit", daemon=True
                )
                self._thread.start()
            elif self._thread is threading.current_thread():
                raise ConfigurationError(
                    f"This {self._owner} was called inside its own loop.",
                    hint="Use the async client or method in code that it runs itself.",
                )
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    # At its end the runner cancels the tasks that are left and closes the loop.
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()


class Job(Generic[T]):
    """A task in another thread's loop, and its result here. ``done`` is set when it is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self.done: Future[T] = Future()
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[T] | None = None
        loop.call_soon_threadsafe(self._begin)

    def result(self) -> T:
        """Wait for it; an interrupt here cancels it there, and waits for its clean-up."""
        return self.either(self.done)

    def either(self, done: Future[S]) -> S:
        """The result of ``done``, which the task sets; if the task ends before, an error."""
        try:
            futures: list[Future[Any]] = [done, self.done]
            wait(futures, return_when=FIRST_COMPLETED)
        except BaseException:  # an interrupt
            self.cancel()
            raise
        try:
            if not done.done():
                self.done.result()  # raises what ended the task
                raise CancelledError
            return done.result()
        except CancelledError:
            raise ReflectKitError(
                _CANCELLED, hint="It was interrupted, or what it belongs to was closed."
            ) from None

    def post(self, call: Callable[[S], object], argument: S) -> None:
        """Have ``call`` made in the loop."""
        with suppress(RuntimeError):  # the loop is closed, and the task is over
            self._loop.call_soon_threadsafe(call, argument)

    def cancel(self) -> None:
        """Cancel the task and wait until it is over."""
        with suppress(RuntimeError):  # the loop is closed: so is the task
            self._loop.call_soon_threadsafe(self._cancel)
            if not self._inside:
                wait([self.done])

    @property
    def _inside(self) -> bool:
        """This is the loop's own thread, as where garbage is collected in it: nobody can wait."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _begin(self) -> None:
        _UNDER_WAY.add(self)
        self._task = self._loop.create_task(self._work)
        self._task.add_done_callback(self._report)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _report(self, task: asyncio.Task[T]) -> None:
        _UNDER_WAY.discard(self)
        if task.cancelled():
            self.done.cancel()
            self.done.set_running_or_notify_cancel()  # wakes those who wait
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


class Held(Generic[R]):
    """What an async context manager gives, held in the loop: one task enters, takes all steps and
    leaves. What cannot be entered says why at every step."""

    def __init__(self, portal: Portal, manager: AbstractAsyncContextManager[R]) -> None:
        self._steps: asyncio.Queue[tuple[Callable[[R], Awaitable[Any]], Future[Any]]]
        self._steps = asyncio.Queue()
        self._job = portal.start(self._work(manager))

    def take(self, step: Callable[[R], Awaitable[T]]) -> T:
        """The result of ``step``, taken in the loop."""
        done: Future[T] = Future()
        self._job.post(self._steps.put_nowait, (step, done))
        return self._job.either(done)

    def close(self) -> None:
        """Stop the step that is under way, leave, and wait for that. Can be called twice."""
        self._job.cancel()

    async def _work(self, manager: AbstractAsyncContextManager[R]) -> None:
        async with manager as held:
            while True:
                step, done = await self._steps.get()
                try:
                    done.set_result(await step(held))
                except Exception as error:  # noqa: BLE001 - it is raised where the step was asked for
                    done.set_exception(error)
