"""From an engine's thread to an event loop: many small items, few wake-ups."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Final, Generic, TypeVar

__all__ = ["Relay", "in_thread"]

T = TypeVar("T")

#: seconds for more items to come before the loop is woken: shorter than a screen shows
_BREATH: Final = 0.008


class Relay(Generic[T]):
    """A one-way channel: ``put`` and ``end`` belong to one thread, ``batch`` to one loop.

    The first item and the end arrive at once. In between the loop is woken once for all that came
    within eight milliseconds, not once per item: at thousands of tokens a second the wake-ups
    would cost more than the tokens.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready = asyncio.Event()
        self._items: deque[T] = deque()
        self._begun = False
        self._signalled = False
        self._ended = False
        self._error: BaseException | None = None
        self.cancelled = False

    def put(self, item: T) -> bool:
        """Hand over an item; True asks the thread to stop."""
        self._items.append(item)
        if not self._signalled:
            self._signalled = True
            self._call(self._soon if self._begun else self._ready.set)
            self._begun = True
        return self.cancelled

    def end(self, error: BaseException | None = None) -> None:
        """Nothing follows; ``error`` is raised on the other side once all items were taken."""
        self._error = error
        self._ended = True
        self._call(self._ready.set)

    async def batch(self) -> list[T] | None:
        """All items that have come, at least one; None after the last."""
        while True:
            self._signalled = False  # before looking: what is put from here on signals again
            ended = self._ended
            if items := self._drain():
                return items
            if ended:
                break
            await self._ready.wait()
            self._ready.clear()
        if self._error is not None:
            raise self._error
        return None

    def _drain(self) -> list[T]:
        return [self._items.popleft() for _ in range(len(self._items))]

    def _soon(self) -> None:
        self._loop.call_later(_BREATH, self._ready.set)

    def _call(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop is closed: nobody reads any more
            self.cancelled = True


async def in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread of its own, which ends with the call.

    Cancelling stops the waiting, not the call.
    """
    relay: Relay[T] = Relay(asyncio.get_running_loop())
    thread = start(lambda: relay.put(call()), relay)
    results = await relay.batch() or []
    thread.join()
    return results[0]


def start(work: Callable[[], Any], relay: Relay[Any]) -> Thread:
    """Run ``work`` in a daemon thread; its end, or its error, goes to ``relay``."""

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001  # it is raised again in the loop
            error = raised
        with suppress(RuntimeError):
            relay.end(error)

    thread = Thread(target=run, name="reflectkit-llama", daemon=True)
    thread.start()
    return thread
