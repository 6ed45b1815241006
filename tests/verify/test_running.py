"""Verifiers side by side: none is lost, none holds the others up, and none passes by crashing."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from reflectkit.errors import ConfigurationError
from reflectkit.reply import Draft, Verdict
from reflectkit.verify import Steps, named, run, runnable

Drafted = Callable[..., Draft]


def yes(draft: Draft) -> bool:
    return bool(draft.output)


def no(draft: Draft) -> bool:
    return not draft.output


async def unsure(draft: Draft) -> None:
    await asyncio.sleep(0)


def broken(draft: Draft) -> bool:
    raise KeyError("gone")


async def late(draft: Draft) -> bool:
    await asyncio.sleep(30)
    return True


async def test_the_order_is_that_of_the_verifiers(draft: Drafted) -> None:
    async def slow(draft: Draft) -> Verdict:
        await asyncio.sleep(0.05)
        return Verdict(ok=True, by="judge")

    found = await run([slow, yes, no, unsure, Steps()], draft("2 + 2 = 4"))
    assert [(v.name, v.ok) for v in found] == [
        ("slow", True),
        ("yes", True),
        ("no", False),
        ("unsure", None),
        ("steps", True),
    ]
    assert found[2].feedback == "The check no failed."


async def test_a_crash_is_unknown_and_takes_nobody_along(draft: Drafted) -> None:
    found = await run([broken, yes, late], draft("x"), timeout=0.1)
    assert [v.ok for v in found] == [None, True, None]
    assert found[0].feedback == "It failed with KeyError: 'gone'"
    assert found[2].feedback == "It took longer than 0.1 s."


async def test_a_time_out_of_its_own_making_is_a_crash(draft: Drafted) -> None:
    async def gives_up(draft: Draft) -> bool:
        raise TimeoutError("the database")

    (found,) = await run([gives_up], draft("x"), timeout=5)
    assert found.feedback == "It failed with TimeoutError: the database"


async def test_a_blocking_verifier_holds_nothing_up(draft: Drafted) -> None:
    def blocks(draft: Draft) -> bool:
        time.sleep(0.3)
        return True

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    begun = time.monotonic()
    found = await run([blocks, blocks, blocks], draft("x"))
    ticking.cancel()
    assert [v.ok for v in found] == [True] * 3
    assert time.monotonic() - begun < 0.8  # beside each other
    assert ticks > 5


async def test_inline_verifiers_run_in_the_loop(draft: Drafted) -> None:
    class Here:
        inline = True

        def __call__(self, draft: Draft) -> bool:
            return threading.current_thread() is threading.main_thread()

    class There(Here):
        inline = False

    found = await run([Here(), There()], draft("x"))
    assert [v.ok for v in found] == [True, False]
    assert [v.name for v in found] == ["Here", "There"]
    (long,) = await run([Here()], draft("x" * 3000))
    assert long.ok is False


async def test_context_reaches_the_thread(draft: Drafted) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="")
    tenant.set("acme")

    def knows(draft: Draft) -> bool:
        return tenant.get() == "acme"

    assert (await run([knows], draft("x")))[0].ok is True


@pytest.mark.parametrize(
    ("judgement", "oks", "said"),
    [
        ("fine", [None], "returned str"),
        (1, [None], "returned int"),
        ([], [None], "empty list"),
        ([True, None, Verdict(ok=False, feedback="a")], [True, None, False], ""),
        ((False, "x"), [False, None], ""),
        ({"ok": True}, [None], "returned dict"),
    ],
)
async def test_what_is_returned(
    judgement: Any, oks: list[bool | None], said: str, draft: Drafted
) -> None:
    found = await run([lambda _: judgement], draft("x"))
    assert [v.ok for v in found] == oks
    assert said in found[0].feedback


async def test_a_sync_callable_may_return_an_awaitable(draft: Drafted) -> None:
    def makes(draft: Draft) -> Any:
        return unsure(draft)

    assert (await run([makes, partial(unsure)], draft("x")))[1].name == "unsure"


async def test_a_thread_that_raises_what_must_not_escape(draft: Drafted) -> None:
    def leaves(draft: Draft) -> bool:
        raise SystemExit(3)

    def stops(draft: Draft) -> bool:
        raise StopIteration

    found = await run([leaves, stops], draft("x"))
    assert ["SystemExit" in found[0].feedback, "StopIteration" in found[1].feedback] == [True, True]


async def test_cancelling_leaves_no_task(draft: Drafted) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(draft: Draft) -> bool:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return True

    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    before = asyncio.all_tasks()
    running = asyncio.ensure_future(run([waits, late, lambda _: time.sleep(0.2)], draft("x")))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()
    assert asyncio.all_tasks() == before
    await asyncio.sleep(0.3)  # the thread ends, and disturbs nobody
    assert complaints == []


def test_a_hanging_thread_does_not_hold_the_program() -> None:
    code = (
        "import asyncio, time\n"
        "from reflectkit import Draft, Request, Transcript\n"
        "from reflectkit.verify import run\n"
        "draft = Draft(request=Request(messages=()), transcript=Transcript())\n"
        "print(asyncio.run(run([lambda d: time.sleep(60)], draft, timeout=0.1))[0].ok)"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout.strip()) == (0, b"None"), done.stderr
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_time_out_that_cannot_be(seconds: float, draft: Drafted) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        await run([yes], draft("x"), timeout=seconds)


async def test_what_is_no_verifier(draft: Drafted) -> None:
    not_callable: Any = 5
    with pytest.raises(ConfigurationError, match="no verifier"):
        await run([not_callable], draft("x"))
    with pytest.raises(ConfigurationError, match="cannot be invoked"):
        runnable(5)


async def test_none_at_all(draft: Drafted) -> None:
    assert await run([], draft("x")) == ()


async def test_names(draft: Drafted) -> None:
    found = await run([named(lambda _: True, "short"), named(Steps(), "sums")], draft("1 + 1 = 3"))
    assert [v.name for v in found] == ["short", "sums"]


class Message:
    def __init__(self, content: str) -> None:
        self.content = content


class Runnable:
    """What langchain-core's runnables look like from outside."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.given: Any = None

    def invoke(self, given: Any) -> Any:
        self.given = given
        return self.result


class AsyncRunnable(Runnable):
    async def ainvoke(self, given: Any) -> Any:
        return self.invoke(given)


@pytest.mark.parametrize("kind", [Runnable, AsyncRunnable])
@pytest.mark.parametrize(
    ("result", "ok", "feedback", "score"),
    [
        (True, True, "", None),
        ("yes", True, "", None),
        ("No, it is too long.", False, "it is too long.", None),
        (Message("PASS"), True, "", None),
        ("perhaps", None, "It said neither yes nor no: perhaps", None),
        ({"ok": False, "feedback": "bad", "score": 0.2}, False, "bad", 0.2),
        ({"score": True, "comment": "fine"}, True, "fine", None),
        ({"score": 0.7}, None, "", 0.7),
        ({"score": 7}, None, "", None),
        (3.5, None, "It returned float, which is no judgement.", None),
        (Verdict(ok=False, feedback="f"), False, "f", None),
    ],
)
async def test_runnables(
    kind: type[Runnable], result: Any, ok: bool | None, feedback: str, score: float | None,
    draft: Drafted,
) -> None:  # fmt: skip
    target: Any = kind(result)
    (found,) = await run([target], draft("the answer", "the question"))
    assert (found.ok, found.feedback, found.score) == (ok, feedback, score)
    assert (found.by, found.name) == ("judge", kind.__name__)
    assert target.given == {"question": "the question", "output": "the answer", "thinking": "so"}
