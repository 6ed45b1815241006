"""A client or transport of the user's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from asking import ASK
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend, Timeouts
from reflectkit.errors import BackendTimeout, BackendUnreachable, ConfigurationError
from reflectkit.testing import LoopbackServer, Received, Served, anthropic_chat, chat, ollama_chat

KEY = "sk-0123456789abcdef"


async def text_of(backend: OpenAIBackend | AnthropicBackend | OllamaBackend) -> str:
    return "".join([chunk.text async for chunk in backend.stream(ASK)])


async def test_it_is_used_and_left_open() -> None:
    async with (
        LoopbackServer(chat("so")) as server,
        httpx.AsyncClient(headers={"X-Team": "a"}) as mine,
    ):
        async with OpenAIBackend(server.url, model="m", api_key=KEY, http_client=mine) as backend:
            assert await text_of(backend) == "so"
        sent = server.requests[0].headers
        assert (sent["x-team"], sent["authorization"]) == ("a", f"Bearer {KEY}")
        assert not mine.is_closed
        assert KEY not in str(mine.headers)


async def test_every_backend_over_http_takes_one() -> None:
    async with (
        LoopbackServer(anthropic_chat("so")) as one,
        LoopbackServer(ollama_chat("so")) as two,
        httpx.AsyncClient() as mine,
    ):
        assert await text_of(AnthropicBackend(one.url, model="m", http_client=mine)) == "so"
        assert await text_of(OllamaBackend(two.root, model="m", http_client=mine)) == "so"


class Canned(httpx.AsyncBaseTransport):
    """A transport without connections: it tells nothing of what it does."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.fault:
            raise self.fault
        return httpx.Response(200, stream=Slow())


class Slow(httpx.AsyncByteStream):
    """One chunk, and then nothing for ever."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "so"}}]}\n\n'
        await self.closed.wait()
        raise httpx.ReadError("closed")

    async def aclose(self) -> None:
        self.closed.set()


async def test_time_outs_hold_on_any_transport() -> None:
    async with httpx.AsyncClient(transport=Canned()) as mine:
        backend = OpenAIBackend(
            "http://host/v1", model="m", http_client=mine, timeout=Timeouts(between=0.1)
        )
        stream = backend.stream(ASK)
        assert (await anext(stream)).text == "so"
        with pytest.raises(BackendTimeout, match="no further byte"):
            async with asyncio.timeout(5):
                await anext(stream)


async def test_a_transport_that_fails_is_asked_once() -> None:
    transport = Canned(httpx.ReadError("gone"))
    async with httpx.AsyncClient(transport=transport) as mine:
        backend = OpenAIBackend("http://host/v1", model="m", http_client=mine)
        with pytest.raises(BackendUnreachable):
            await text_of(backend)
    assert transport.asked == 1


async def test_a_closed_one_and_what_is_none() -> None:
    mine = httpx.AsyncClient()
    backend = OpenAIBackend("http://host/v1", model="m", http_client=mine)
    await mine.aclose()
    with pytest.raises(ConfigurationError, match="has been closed"):
        await text_of(backend)
    with pytest.raises(ConfigurationError, match="http_client is a Client"):
        OpenAIBackend("http://host/v1", http_client=httpx.Client())  # type: ignore[arg-type]  # wrong on purpose


async def test_no_more_connections_than_were_allowed() -> None:
    """Further requests wait; a time-out of theirs leaves the others alone."""
    gate = asyncio.Event()
    most = 0

    def served(request: Received) -> Served:
        nonlocal most
        most = max(most, server.connections)
        return chat("ok").insert(1, gate.wait)

    async with LoopbackServer(served) as server:
        limits = Timeouts(first=5)
        backend = OpenAIBackend(server.url, model="m", connections=2, timeout=limits)
        asks = [asyncio.ensure_future(text_of(backend)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert len(server.requests) == 2
        gate.set()
        assert await asyncio.gather(*asks) == ["ok"] * 5
        assert most == 2
        await backend.aclose()
    with pytest.raises(ConfigurationError, match="connections is 0"):
        OpenAIBackend("http://127.0.0.1:1/v1", connections=0)
