"""The same faults on every wire: what arrived, then a typed error, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anthropic
import openai
import pytest

from asking import ASK, read
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.function import FunctionBackend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend, Timeouts
from reflectkit.backends.sdk import from_sdk
from reflectkit.backends.several import FailoverBackend, HedgedBackend, ResumingBackend
from reflectkit.errors import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    BackendWireError,
)
from reflectkit.testing import (
    LoopbackServer,
    Recorder,
    ReplayBackend,
    Served,
    anthropic_chat,
    chat,
    ollama_chat,
    page,
)

KEY = "sk-0123456789abcdef"

#: how an answer is written, what reads it, and the step before which "so" has been sent
Wire = tuple[Callable[..., Served], Callable[..., Any], int]
WIRES: dict[str, Wire] = {
    "openai": (chat, lambda s, **more: OpenAIBackend(s.url, **more), 2),
    "anthropic": (anthropic_chat, lambda s, **more: AnthropicBackend(s.url, **more), 4),
    "ollama": (ollama_chat, lambda s, **more: OllamaBackend(s.root, **more), 1),
}
HUGE = b"x" * (17 * 1024 * 1024)
HEAD = {"Content-Type": "text/event-stream"}

Make = Callable[[Served, int], Served]
#: what is done to a sound answer, what it must end in, and whether "so" arrived before
FAULTS: dict[str, tuple[Make, type[BackendError] | None, bool]] = {
    "whole": (lambda s, at: s, None, True),
    "whole, byte by byte": (lambda s, at: s.cut(1), None, True),
    "whole, in sevens": (lambda s, at: s.cut(7), None, True),
    "whole, as text": (
        lambda s, at: Served(s.steps, headers={"Content-Type": "text/plain"}),
        None,
        True,
    ),
    "whole, empty lines between": (lambda s, at: s.insert(at, b"\n\n"), None, True),
    "dropped": (lambda s, at: s.broken(at, "drop"), BackendWireError, True),
    "reset": (lambda s, at: s.broken(at, "reset"), BackendWireError, True),
    "stalled": (lambda s, at: s.broken(at, "stall"), BackendTimeout, True),
    "dropped, byte by byte": (lambda s, at: s.broken(at, "drop").cut(1), BackendWireError, True),
    "dropped at once": (lambda s, at: s.broken(0, "drop"), BackendWireError, False),
    "reset at once": (lambda s, at: s.broken(0, "reset"), BackendWireError, False),
    "stalled at once": (lambda s, at: s.broken(0, "stall"), BackendTimeout, False),
    "ends early": (lambda s, at: Served(s.steps[:at], headers=s.headers), BackendWireError, True),
    "empty": (lambda s, at: Served((), headers=s.headers), BackendWireError, False),
    "blank": (lambda s, at: Served((b" \n\n",), headers=s.headers), BackendWireError, False),
    "no status line": (lambda s, at: Served(("drop",), 0), BackendUnreachable, False),
    "no answer at all": (lambda s, at: Served(("stall",), 0), BackendTimeout, False),
    "a web page": (lambda s, at: page(), BackendWireError, False),
    "a web page, 502": (lambda s, at: page("Bad Gateway", 502), BackendStatus, False),
    "prose": (
        lambda s, at: Served((b"all is well\n",), headers=s.headers),
        BackendWireError,
        False,
    ),
    "a list": (
        lambda s, at: Served((b"data: [1]\n\n[1]\n",), headers=HEAD),
        BackendWireError,
        False,
    ),
    "junk in the middle": (lambda s, at: s.insert(at, b"data: {oops\n\n"), BackendWireError, True),
    "bytes that are no UTF-8": (
        lambda s, at: s.insert(at, b"data: \xff\xfe\n\n"),
        BackendWireError,
        True,
    ),
    "a line without end": (lambda s, at: s.insert(at, HUGE), BackendWireError, True),
    "400": (lambda s, at: Served((b'{"error": "no"}',), 400), BackendStatus, False),
    "401": (lambda s, at: Served((b'{"error": "no"}',), 401), BackendStatus, False),
    "404": (lambda s, at: Served((b"not here",), 404), BackendStatus, False),
    "429": (lambda s, at: Served((b'{"error": "slow down"}',), 429), BackendStatus, False),
    "500": (lambda s, at: Served((b"",), 500), BackendStatus, False),
    "529": (lambda s, at: Served((b'{"error": "overloaded"}',), 529), BackendStatus, False),
    "moved": (lambda s, at: Served((b"",), 307, {"Location": "http://a/"}), BackendStatus, False),
    "gzip that is none": (
        lambda s, at: Served((b"not gzip",), headers={"Content-Encoding": "gzip"}),
        BackendWireError,
        False,
    ),
}


def limits_for(kind: type[BackendError] | None) -> Timeouts:
    """Short ones where time is what runs out."""
    seconds = 0.3 if kind is BackendTimeout else 20
    return Timeouts(first=seconds, between=seconds)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_fault_ends_in_an_answer_or_a_typed_error(wire: str, fault: str) -> None:
    write, connect, at = WIRES[wire]
    make, kind, arrived = FAULTS[fault]
    limits = limits_for(kind)
    before = asyncio.all_tasks()
    async with LoopbackServer(make(write("so", "x"), at)) as server:
        async with connect(server, model="m", api_key=KEY, timeout=limits, retries=0) as backend:
            text, error = await read(backend)
        await server.quiet(connections=True)
    assert type(error) is (kind or type(None))
    assert text == ("" if not arrived else "so" if error else "sox")
    for _ in range(10):  # the HTTP client leaves its generators to the loop's own clean-up
        await asyncio.sleep(0)
    assert error is None or (str(error) and KEY not in str(error) and error.__context__ is None)
    assert asyncio.all_tasks() == before


def test_there_are_thirty_faults() -> None:
    assert len(FAULTS) >= 30


# --- the same, through what stands on these wires ------------------------------------------------


def over_openai(server: LoopbackServer, limits: Timeouts) -> OpenAIBackend:
    return OpenAIBackend(server.url, model="m", api_key=KEY, timeout=limits, retries=0)


def of_package(client: Any, server: LoopbackServer, limits: Timeouts, url: str) -> Any:
    return client(api_key=KEY, base_url=url, timeout=limits.between, max_retries=0)


@asynccontextmanager
async def through_openai(server: LoopbackServer, limits: Timeouts) -> AsyncIterator[Any]:
    async with of_package(openai.AsyncOpenAI, server, limits, server.url) as client:
        yield from_sdk(client, model="m")


@asynccontextmanager
async def through_anthropic(server: LoopbackServer, limits: Timeouts) -> AsyncIterator[Any]:
    async with of_package(anthropic.AsyncAnthropic, server, limits, server.root) as client:
        yield from_sdk(client, model="m")


@asynccontextmanager
async def recorded(server: LoopbackServer, limits: Timeouts) -> AsyncIterator[Any]:
    """What was recorded, fault included, is what is played."""
    with TemporaryDirectory() as folder:
        tape = Path(folder) / "tape.jsonl"
        async with over_openai(server, limits) as inner:
            with suppress(BackendError):
                [c async for c in Recorder(inner, tape).stream(ASK)]
        yield ReplayBackend(tape)


@asynccontextmanager
async def as_function(server: LoopbackServer, limits: Timeouts) -> AsyncIterator[Any]:
    async with over_openai(server, limits) as inner:
        yield FunctionBackend(lambda request: inner.stream(request))


#: what stands on a wire, how that wire is written, and the step before which "so" has been sent
STANDING: dict[str, tuple[Callable[..., Any], Callable[..., Served], int]] = {
    "openai package": (through_openai, chat, 2),
    "anthropic package": (through_anthropic, anthropic_chat, 4),
    "failover": (lambda s, t: FailoverBackend(over_openai(s, t), over_openai(s, t)), chat, 2),
    "hedged": (lambda s, t: HedgedBackend(over_openai(s, t), after=30), chat, 2),
    "resuming": (lambda s, t: ResumingBackend(over_openai(s, t)), chat, 2),
    "replay": (recorded, chat, 2),
    "function": (as_function, chat, 2),
}


#: what the packages take for a comment, so that nobody can tell that a piece is missing
READ_OVER = {(f"{name} package", "a line without end") for name in ("openai", "anthropic")}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", STANDING)
async def test_a_fault_below_ends_alike(name: str, fault: str) -> None:
    """A package reads some faults differently; what came is never lost, and nothing is left."""
    connect, write, at = STANDING[name]
    make, kind, _ = FAULTS[fault]
    limits = limits_for(kind)
    before = asyncio.all_tasks()
    async with LoopbackServer(make(write("so", "x"), at)) as server:
        async with connect(server, limits) as backend:
            text, error = await read(backend)
        await server.quiet(connections=True)
    assert text in ("", "so", "sox")
    assert text == "sox" or error is not None or (name, fault) in READ_OVER
    assert error is None or (str(error) and KEY not in str(error))
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
