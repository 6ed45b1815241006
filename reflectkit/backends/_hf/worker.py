"""The thread that owns a model: loads it, runs the batches, ends with the backend."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...errors import BackendError, BackendWireError, ConfigurationError, ReflectKitError

if TYPE_CHECKING:
    from .._relay import Relay
    from .ask import Ask
    from .batch import Batch, Runner
    from .row import Habits, Row

__all__ = ["Loaded", "Worker"]

#: seconds that a leaving process waits for a step under way
_PATIENCE: Final = 10.0
#: how torch says that memory is short, where the error's class does not
_SHORT: Final = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready, and what it gives to every answer."""

    runner: Runner
    habits: Habits


@dataclass(frozen=True, slots=True)
class _Job:
    """An answer that is waited for; without ``ask`` the model alone."""

    relay: Relay[Any]
    ask: Ask | None = None


class Worker:
    """Runs answers on a model that ``load`` gives, up to ``most`` at the same time.

    The thread begins with the first job and ends with ``close``.
    """

    def __init__(self, load: Callable[[], Loaded], most: int) -> None:
        self._load = load
        self._most = most
        self._pid = os.getpid()
        self._wake = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False
        #: prompts that are written out, but not read by the model
        self._rows: deque[Row] = deque()
        self._batches: list[Batch] = []
        self.loaded: Loaded | None = None

    def submit(self, relay: Relay[Any], ask: Ask | None = None) -> None:
        """Have a request answered into ``relay``; without one, load the model."""
        if self._pid != os.getpid():
            raise ConfigurationError(
                "This process was forked from one that had made the backend.",
                hint="Make the backend in the child, or use the start method "
                '"spawn" (multiprocessing.get_context("spawn")).',
            )
        with self._wake:
            if self._closed:
                raise ConfigurationError("The backend is closed.", hint="Make a new one.")
            self._jobs.append(_Job(relay, ask))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="reflectkit-transformers", daemon=True
                )
                atexit.register(self._at_exit)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Stop everything at the next step. Does not wait."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def wait(self, seconds: float | None = None) -> None:
        """Close, and wait until the thread has ended, or for so many seconds."""
        self.close()
        thread = self._thread
        if thread is not None and self._pid == os.getpid():
            thread.join(seconds)

    # --- in the thread

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while self._awaits():
                self._drop()
                self._begin()
                self._step()
        except BaseException as raised:  # noqa: BLE001  # nobody may wait for ever
            error = raised
        self._finish(error)

    def _awaits(self) -> bool:
        """Wait for something to do; False once closed."""
        with self._wake:
            while not (self._closed or self._jobs or self._rows or self._batches):
                self._wake.wait()
            return not self._closed

    def _drop(self) -> None:
        """Forget the rows whose readers have left."""
        for batch in self._batches:
            if gone := [row for row in batch.rows if row.relay.cancelled]:
                with self._guarded(batch.rows):
                    batch.leave(gone)
        self._rows = deque(row for row in self._rows if not row.relay.cancelled)
        self._tidy()

    def _begin(self) -> None:
        """Let waiting jobs in, and read the prompts of as many rows as one pass may."""
        jobs = self._admitted()
        if not jobs and not self._rows:
            return
        loaded = self._ready(jobs)
        if loaded is None:
            return
        for job in jobs:
            try:
                self._enter(job, loaded)
            except BaseException as error:  # noqa: BLE001  # a panic of a package too, raised again there
                job.relay.end(_fault(error))
        if not self._rows:
            return
        from .batch import Batch, together

        runner = loaded.runner
        rows = [self._rows.popleft() for _ in range(together(self._rows, runner.shared))]
        with self._guarded(rows):
            self._merge(Batch(runner, rows))

    def _admitted(self) -> list[_Job]:
        with self._wake:
            room = self._most - len(self._rows) - sum(len(b.rows) for b in self._batches)
            found = []
            while self._jobs and (self._jobs[0].ask is None or room > 0):
                found.append(self._jobs.popleft())
                room -= found[-1].ask is not None
            return found

    def _ready(self, jobs: list[_Job]) -> Loaded | None:
        """The model; where it cannot be loaded, all who wait are told, and may ask again."""
        if self.loaded is None:
            try:
                self.loaded = self._load()
            except BaseException as error:  # noqa: BLE001  # a panic of a package too, raised again there
                with self._wake:
                    jobs += self._jobs
                    self._jobs.clear()
                for job in jobs:
                    job.relay.end(_fault(error))
        return self.loaded

    def _enter(self, job: _Job, loaded: Loaded) -> None:
        if job.relay.cancelled:
            return
        if job.ask is None:
            job.relay.put(loaded)
            job.relay.end()
            return
        from .row import Row

        self._rows.append(Row(job.ask, loaded.habits, job.relay))

    def _merge(self, batch: Batch) -> None:
        if not batch.rows:
            return
        if not (self._batches and self.loaded and self.loaded.runner.shared):
            self._batches.append(batch)
            return
        with self._guarded([*self._batches[0].rows, *batch.rows]):
            self._batches[0].join(batch)

    def _step(self) -> None:
        for batch in self._batches:
            with self._guarded(batch.rows):
                batch.step()
        self._tidy()

    def _tidy(self) -> None:
        self._batches = [batch for batch in self._batches if batch.rows]

    @contextmanager
    def _guarded(self, rows: Sequence[Row]) -> Iterator[None]:
        """What goes wrong inside is told to ``rows``, which leave; the others go on."""
        from .batch import quiet, tidy

        rows = list(rows)
        try:
            with quiet():
                yield
            return
        except BaseException as raised:  # noqa: BLE001  # a panic of a package too, raised again there
            error = _fault(raised)
        for row in rows:
            if not row.over:
                row.relay.end(error)
        for batch in self._batches:
            if any(row in rows for row in batch.rows):
                batch.rows = []
        self._tidy()
        tidy()

    def _finish(self, error: BaseException | None) -> None:
        """Tell everybody who still waits, and let go of the model."""
        with self._wake:
            self._closed = True
            relays = [job.relay for job in self._jobs]
            self._jobs.clear()
        relays += [row.relay for row in self._rows]
        relays += [row.relay for batch in self._batches for row in batch.rows]
        cut = BackendWireError(
            "The answer was cut off: the backend was closed.",
            hint="Close the backend after its last answer.",
        )
        for relay in relays:
            relay.end(_fault(error) if error else cut)
        atexit.unregister(self._at_exit)
        had = self.loaded is not None
        self._rows.clear()
        self._batches, self.loaded = [], None
        if had:
            from .batch import tidy

            tidy()

    def _at_exit(self) -> None:
        self.wait(_PATIENCE)


def _fault(error: BaseException) -> ReflectKitError:
    """What went wrong, in the words of ``reflectkit.errors``."""
    if isinstance(error, ReflectKitError):
        return error
    words = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {words[0][:500] if words else 'no reason given'}"
    short = isinstance(error, MemoryError) or any(w in str(error).lower() for w in _SHORT)
    if short or type(error).__name__ == "OutOfMemoryError":
        error = error.with_traceback(None)  # its frames hold what there was no room for
        found = BackendError(
            f"The model ran out of memory ({said}).",
            retryable=True,
            hint="Make the backend with a smaller max_batch= or context=, quantise the model, or "
            "spread it over more devices (device_map=).",
        )
    else:
        found = BackendError(f"The model failed ({said}).")
    found.__cause__ = error
    return found
