"""The chat model from its making to its end: copies, loops, threads, leaving early, leaks."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from langchain_reflectkit import ChatReflectKit
from langchain_reflectkit._sync import call
from reflectkit import Usage
from reflectkit.testing import ScriptedBackend
from scenario import answer, exact, serving, summed


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_answer(copied: Any) -> None:
    with serving(exact) as server:
        model = ChatReflectKit(base_url=server.url, model="loopback", mode="plain", max_tokens=50)
        assert model.invoke("hi").text == "Hello there."
        other = copied(model)
        model.close()
        assert other.invoke("hi").text == "Hello there."
        other.close()


async def test_sync_methods_work_where_a_loop_runs() -> None:
    with serving(exact) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain")
        assert model.invoke("?").text == summed(model.stream("?")).text == "Hello there."
        assert (await model.ainvoke("?")).text == "Hello there."


def test_one_model_in_many_threads_and_loops() -> None:
    with serving(exact) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain")
        texts: list[str] = []

        def ask() -> None:
            texts.append(model.invoke("?").text)
            texts.append(asyncio.run(model.ainvoke("?")).text)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert texts == ["Hello there."] * 8


@pytest.mark.parametrize("way", ["stream", "astream", "closed", "abandoned at the end of the loop"])
def test_leaving_early_stops_the_model(way: str, caplog: pytest.LogCaptureFixture) -> None:
    endless = ["<thinking>", *("x " for _ in range(10_000)), "</thinking>"]
    backend = ScriptedBackend(endless, usage=Usage(prompt=1, completion=1))
    model = ChatReflectKit(client=backend, mode="trained")

    async def leave(close: bool) -> None:
        stream: Any = model.astream("?")
        async for _ in stream:
            break
        if close:
            await stream.aclose()
            assert backend.closed == 1

    if way == "stream":
        for _ in model.stream("?"):
            break
    elif way == "astream":
        asyncio.run(leave(False))
    elif way == "closed":
        asyncio.run(leave(True))
    else:
        kept: list[Any] = []

        async def hold() -> None:
            kept.append(model.astream("?"))
            await anext(kept[0])

        asyncio.run(hold())
    assert (backend.opened, backend.closed) == (1, 1)
    assert [r for r in caplog.records if r.name == "asyncio"] == []


def test_a_stream_that_is_dropped_with_its_loop_ends_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(answer("4", thinking=("x ",) * 500)) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain")

        async def leave() -> None:
            async for _ in model.astream("?"):
                break

        asyncio.run(leave())
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []


async def test_a_cancelled_call_stops_the_model() -> None:
    never = asyncio.Event()
    backend = ScriptedBackend(["<thinking>x", never.wait])
    model = ChatReflectKit(client=backend, mode="trained")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await model.ainvoke("?")
    assert (backend.opened, backend.closed) == (1, 1)


async def test_closing_and_going_on() -> None:
    with serving(exact) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain")
        await model.ainvoke("?")
        await model.aclose()
        await model.ainvoke("?")
        model.invoke("?")
        model.close()
        assert server.accepted == 3
        await model.aclose()


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "left", "loops"])
def test_a_model_that_nobody_closes_leaks_nothing(way: str) -> None:
    """Its connections end with their loop, or with it: no warning of a socket, none of a task."""

    async def read(model: Any, early: bool = False) -> None:
        async for _ in model.astream("?"):
            if early:
                break

    ways: dict[str, Any] = {
        "invoke": lambda model: model.invoke("?"),
        "ainvoke": lambda model: asyncio.run(model.ainvoke("?")),
        "stream": lambda model: list(model.stream("?")),
        "astream": lambda model: asyncio.run(read(model)),
        "left": lambda model: [asyncio.run(read(model, early=True)), next(model.stream("?"))],
        "loops": lambda model: [asyncio.run(model.ainvoke("?")) for _ in range(3)],
    }
    with serving(exact) as server, unraised() as found:
        ways[way](ChatReflectKit(base_url=server.url, model="m", mode="plain"))
        gc.collect()
        call(asyncio.sleep(0.05))  # what is closed in the loop of the synchronous methods
        gc.collect()
    assert found == []


@contextmanager
def unraised() -> Iterator[list[str]]:
    """What the garbage collector warns of and cannot raise."""
    found: list[str] = []
    usual = sys.unraisablehook
    gc.collect()  # of earlier tests
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        sys.unraisablehook = lambda said: found.append(repr(said.exc_value))
        try:
            yield found
        finally:
            sys.unraisablehook = usual
            found += [str(w.message) for w in warned]
