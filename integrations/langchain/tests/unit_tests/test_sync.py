"""What all synchronous methods stand on: one loop in a thread, and those who wait for it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from langchain_reflectkit import _sync
from langchain_reflectkit._sync import call, iterate, run_here
from reflectkit import ConfigurationError

ended: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ended() -> None:
    ended.clear()


async def hang() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        ended.append("cleaned up")


async def count() -> AsyncIterator[int]:
    try:
        for number in range(1000):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        ended.append("closed")


async def hung() -> AsyncIterator[int]:
    await hang()
    yield 0


def interrupting(work: Callable[[], object]) -> None:
    """Ctrl-C while ``work`` waits."""
    main = threading.main_thread().ident or 0
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    timer.join()


@pytest.mark.parametrize(
    "work",
    [lambda: call(hang()), lambda: run_here(lambda _: hang()), lambda: list(iterate(hung))],
    ids=["call", "run_here", "iterate"],
)
def test_an_interrupt_cancels_and_waits_for_the_clean_up(work: Callable[[], object]) -> None:
    interrupting(work)
    assert ended == ["cleaned up"]


def test_an_interrupt_inside_the_callers_own_function() -> None:
    async def work(here: Any) -> None:
        try:
            await here.call(lambda: time.sleep(5))
        finally:
            ended.append("cleaned up")

    interrupting(lambda: run_here(work))
    assert ended == ["cleaned up"]


def test_functions_are_called_in_the_callers_thread_and_context() -> None:
    word: ContextVar[str] = ContextVar("word")
    word.set("said")

    async def work(here: Any) -> Any:
        return word.get(), await here.call(lambda: (threading.current_thread(), word.get()))

    assert run_here(work) == ("said", (threading.current_thread(), "said"))

    async def failing(here: Any) -> None:
        await here.call(lambda: [][0])

    with pytest.raises(IndexError):
        run_here(failing)


async def test_inside_a_running_loop_and_not_inside_its_own() -> None:
    assert list(iterate(count))[-1] == 999

    async def again() -> None:
        call(asyncio.sleep(0))

    with pytest.raises(ConfigurationError, match="inside its own loop"):
        call(again())


def test_one_task_takes_all_steps_and_leaving_early_closes() -> None:
    tasks: set[Any] = set()

    async def watched() -> AsyncIterator[int]:
        async for number in count():
            tasks.add(asyncio.current_task())
            yield number

    for number in iterate(count):
        if number == 3:
            break
    assert ended == ["closed"]
    assert len(list(iterate(watched))) == 1000
    assert len(tasks) == 1


def test_a_stream_that_is_collected_in_the_loop_itself_does_not_wait_for_itself() -> None:
    items = iterate(count)
    next(items)
    cycle: list[Any] = [items]
    cycle.append(cycle)
    gc.disable()
    try:
        del items, cycle

        async def collect() -> None:
            gc.collect()

        call(asyncio.wait_for(collect(), 5))
        call(asyncio.sleep(0.05))
    finally:
        gc.enable()
    assert ended == ["closed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    code = (
        "import asyncio, os, warnings\n"
        "from langchain_reflectkit._sync import call\n"
        "warnings.simplefilter('ignore')  # Python warns of forks beside threads\n"
        "call(asyncio.sleep(0, 'parent'))\n"
        "if (child := os.fork()) == 0:\n"
        "    os._exit(7 if call(asyncio.sleep(0, 'child')) == 'child' else 8)\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "assert (code, call(asyncio.sleep(0, 'parent'))) == (7, 'parent'), code\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_what_is_under_way_at_exit_is_cancelled() -> None:
    code = (
        "import asyncio\n"
        "from langchain_reflectkit import _sync\n"
        "async def hang():\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "_sync._portal.start(hang())\n"
        "_sync.call(asyncio.sleep(0.01))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("cleaned up\n", "")


def test_all_share_one_thread() -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    assert call(where()) is run_here(lambda _: where()) is _sync._portal._thread
