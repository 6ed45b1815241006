"""A function as a backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asking import ASK
from reflectkit.backends.base import Capabilities
from reflectkit.backends.function import FunctionBackend
from reflectkit.errors import BackendError, BackendTimeout, ConfigurationError, MissingCapability
from reflectkit.messages import Chunk, Request, Usage
from reflectkit.testing import BackendSuite


async def words(request: Request) -> AsyncIterator[str]:
    for word in ("Hello", " there", ", friend"):
        yield word


async def whole(request: Request) -> str:
    return f"You said {request.messages[-1].text if request.messages else 'nothing'}."


async def ask(function: Any, request: Request = ASK, **options: Any) -> list[Chunk]:
    return [chunk async for chunk in FunctionBackend(function, **options).stream(request)]


class TestGenerator(BackendSuite):
    @pytest.fixture
    def backend(self) -> FunctionBackend:
        return FunctionBackend(words)


class TestCoroutine(BackendSuite):
    @pytest.fixture
    def backend(self) -> FunctionBackend:
        return FunctionBackend(whole, model="mirror")


async def test_text_and_the_end() -> None:
    assert await ask(whole) == [Chunk("You said hi."), Chunk(finish="stop", model="whole")]


async def test_chunks_pass_as_they_are() -> None:
    last = Chunk("!", usage=Usage(completion=2), finish="length")

    async def chunks(request: Request) -> AsyncIterator[Chunk]:
        yield Chunk(reasoning="hm")
        yield last

    assert await ask(chunks) == [Chunk(reasoning="hm"), last]


async def test_stop_strings_end_it_early_and_close_the_function() -> None:
    closed = asyncio.Event()

    async def endless(request: Request) -> AsyncIterator[str]:
        try:
            while True:
                yield "word "
                yield "EN"
                yield "D "
        finally:
            closed.set()

    chunks = await ask(endless, Request(messages=ASK.messages, stop=("END",)))
    assert "".join(c.text for c in chunks) == "word "
    assert chunks[-1].finish == "stop"
    assert closed.is_set()


async def test_closing_the_stream_closes_the_function() -> None:
    closed = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = FunctionBackend(slow).stream(ASK)
    await anext(stream)
    await stream.aclose()
    assert closed.is_set()


async def test_errors() -> None:
    async def breaks(request: Request) -> AsyncIterator[str]:
        yield "so"
        raise ValueError("odd")

    async def ours(request: Request) -> str:
        raise BackendTimeout("slow")

    stream = FunctionBackend(breaks).stream(ASK)
    assert (await anext(stream)).text == "so"
    with pytest.raises(BackendError, match="breaks raised ValueError: odd") as caught:
        await anext(stream)
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(BackendTimeout, match="slow"):
        await ask(ours)


def blocks(request: Request) -> str:
    return "text"


def fails(request: Request) -> str:
    raise KeyError("gone")


async def gives_a_number(request: Request) -> int:
    return 5


@pytest.mark.parametrize(
    ("function", "kind", "words_"),
    [
        (blocks, ConfigurationError, "not async"),
        (gives_a_number, ConfigurationError, "int"),
        (fails, BackendError, "KeyError"),
    ],
)
async def test_what_is_no_backend(function: Any, kind: type[Exception], words_: str) -> None:
    with pytest.raises(kind, match=words_):
        await ask(function)


def test_no_function_at_all() -> None:
    with pytest.raises(ConfigurationError, match="async def"):
        FunctionBackend("text")  # type: ignore[arg-type]  # wrong on purpose


async def test_a_prefix_is_declared_or_refused() -> None:
    request = Request(messages=ASK.messages, prefix="<thinking>")
    with pytest.raises(MissingCapability):
        await ask(whole, request)
    able = Capabilities(continues_prefix=True)
    assert (await ask(whole, request, capabilities=able))[-1].finish == "stop"
