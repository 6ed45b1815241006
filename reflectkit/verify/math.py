"""Mathematical equality with a known answer, by math-verify, in a process of its own."""

from __future__ import annotations

import asyncio
import atexit
import json
import math
import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from ..errors import ConfigurationError, MissingCapability
from ..reply import Verdict, VerdictBy

if TYPE_CHECKING:
    from ..reply import Draft

__all__ = ["MathEqual", "close_workers"]

_SCRIPT: Final = Path(__file__).with_name("_math_worker.py")
#: Workers at work at once, and those that wait for the next comparison.
MOST_WORKERS: Final = 2
#: Seconds until a worker is ready: it loads a computer algebra system.
_START_SECONDS: Final = 60.0
#: Characters of an answer that are read, from its end.
_LONGEST: Final = 20_000
#: What Windows needs to start a process; nothing else of the environment is passed on.
_KEPT: Final = ("SYSTEMROOT",)


class MathEqual:
    """Whether the answer's result equals ``gold``: numbers, fractions, sets, intervals, formulas.

    ``gold`` is plain text or LaTeX, with or without dollar signs. Of the answer its last boxed or
    otherwise stated result counts (the rules are math-verify's). ``digits``: how many decimals
    must agree. A comparison that takes longer than ``timeout`` seconds is ended and gives
    ``ok=None``, and so does one that fails; an answer without a result fails. ``value`` is what
    was read. ``by`` is "oracle", since a known answer may only serve comparisons; say "rule" for
    a gold that is no secret.

    The library's own time limit rests on signals, which do not work in threads and event loops.
    So it runs in a process that is kept for the next comparison and replaced after a hang.

    Needs ``reflectkit[math]``; raises ``MissingCapability`` without it, and
    ``ConfigurationError`` for an empty or unreadable gold.
    """

    def __init__(
        self,
        gold: str | float,
        *,
        by: VerdictBy = "oracle",
        timeout: float = 5.0,
        digits: int = 6,
        name: str = "math",
    ) -> None:
        self._gold = str(gold).strip()
        if not self._gold or not 0 < timeout < math.inf:
            raise ConfigurationError("MathEqual needs a gold answer and a timeout above 0 s.")
        if find_spec("math_verify") is None:
            raise MissingCapability(
                "MathEqual needs math-verify, which is not installed.",
                capability="math",
                hint='Install it: pip install "reflectkit[math]".',
            )
        self._by: VerdictBy = by
        self._timeout = timeout
        self._digits = digits
        self.name = name

    async def __call__(self, draft: Draft) -> Verdict:
        """Compare the draft's answer with the gold."""
        job = {"gold": self._gold, "answer": draft.output[-_LONGEST:], "digits": self._digits}
        async with _turn():
            said = await _compared(job, self._timeout)
        if "failed" in said:
            return self._verdict(None, f"It could not be compared: {said['failed']}.")
        if not said["gold"]:
            raise ConfigurationError(
                "The gold answer cannot be read as mathematics.",
                hint="Give a number, or LaTeX.",
            )
        if said["answer"] is None:
            return self._verdict(False, "The answer states no result that can be read; state one.")
        told = "" if said["equal"] else f"The result {said['answer']} is not right."
        return self._verdict(said["equal"], told, said["answer"])

    def _verdict(self, ok: bool | None, feedback: str, value: str | None = None) -> Verdict:
        return Verdict(ok=ok, feedback=feedback, by=self._by, name=self.name, value=value)


async def _compared(job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """One comparison. Late, cancelled or broken, the worker is ended; else it waits for more."""
    worker = _taken() or _Worker()
    try:
        if not worker.ready:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.to_thread(worker.start)
        async with asyncio.timeout(seconds):
            said = await asyncio.to_thread(worker.ask, job)
    except TimeoutError:
        worker.kill()
        return {"failed": f"it took longer than {seconds:g} s"}
    except BaseException:
        worker.kill()
        raise
    if said is None:
        worker.kill()
        return {"failed": "the comparison ended its process"}
    _put_back(worker)
    return said


class _Worker:
    """A process. Its methods block, but for ``kill``, which frees those that do."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()
        self._dead = False
        self.ready = False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self._lock:
            if self._dead:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if k in _KEPT},
                text=True,
                encoding="utf-8",
            )
        self.ready = self._exchange(sys.path) == {"ready": True}

    def ask(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """What it says; None if it ended instead."""
        return self._exchange(job) if self.ready else None

    def _exchange(self, line: object) -> dict[str, Any] | None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(f"{json.dumps(line)}\n")
            process.stdin.flush()
            said: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):  # it ended, or was ended
            return None
        return said

    def kill(self) -> None:
        """End it, and wait for that: a killed process takes no time."""
        with self._lock:
            self._dead = True
            process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


_idle: list[_Worker] = []
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """At most so many comparisons at once in one event loop."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MOST_WORKERS))


def _taken() -> _Worker | None:
    while _idle:
        with suppress(IndexError):  # another thread may be quicker
            worker = _idle.pop()
            if worker.alive:
                return worker
            worker.kill()
    return None


def _put_back(worker: _Worker) -> None:
    if len(_idle) < MOST_WORKERS:
        _idle.append(worker)
    else:
        worker.kill()


def close_workers() -> None:
    """End the processes that wait for the next comparison; also done when Python ends."""
    while worker := _taken():
        worker.kill()


atexit.register(close_workers)
