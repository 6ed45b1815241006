"""Clients of the vendors' packages as backends, against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from asking import ASK, ask
from reflectkit import Client
from reflectkit.backends.base import Backend
from reflectkit.backends.sdk import SDKBackend, from_sdk
from reflectkit.errors import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
    MissingCapability,
)
from reflectkit.messages import Message, Request
from reflectkit.testing import BackendSuite, LoopbackServer, Served, anthropic_chat, chat, page

openai = pytest.importorskip("openai")  # the test group
anthropic = pytest.importorskip("anthropic")  # the test group

KEY = "sk-0123456789abcdef"


def open_openai(server: LoopbackServer, **more: Any) -> Any:
    return openai.AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0, **more)


def open_anthropic(server: LoopbackServer, **more: Any) -> Any:
    return anthropic.AsyncAnthropic(base_url=server.root, api_key=KEY, max_retries=0, **more)


#: how an answer is written, who asks, and the step before which "so" has been sent
KINDS: dict[str, tuple[Callable[..., Served], Callable[..., Any], int]] = {
    "openai": (chat, open_openai, 2),
    "anthropic": (anthropic_chat, open_anthropic, 4),
}


@pytest.mark.parametrize("kind", KINDS)
class TestSuite(BackendSuite):
    secret = KEY
    threads = 2  # the packages look up in threads what system they are on

    @pytest_asyncio.fixture
    async def backend(self, kind: str) -> AsyncIterator[SDKBackend]:
        write, connect, _ = KINDS[kind]
        async with (
            LoopbackServer(write("Hello", " there", ", friend")) as server,
            connect(server) as client,
        ):
            self.client = client
            yield from_sdk(client, model="m")

    async def close(self, backend: Backend) -> None:
        await self.client.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_it_works_below_a_client(kind: str) -> None:
    write, connect, _ = KINDS[kind]
    text = "<thinking>2 + 3<reflection>Yes.</reflection></thinking><output>5</output>"
    async with (
        LoopbackServer(write(text)) as server,
        connect(server) as client,
        Client(from_sdk(client, model="m"), mode="prompted") as ours,
    ):
        reply = await ours.ask("2 + 3?")
    assert (reply.output, reply.reflections) == ("5", ["Yes."])
    assert reply.usage.prompt > 0


async def test_separated_reasoning_and_fields_of_ones_own() -> None:
    served = chat("5", reasoning=["2 + 3"])
    async with LoopbackServer(served) as server, open_openai(server) as client:
        backend = from_sdk(client, model="m", extra={"top_k": 4, "reasoning_effort": "low"})
        chunks = await ask(backend)
        sent = server.requests[0].json
    assert "".join(c.reasoning for c in chunks) == "2 + 3"
    assert (sent["top_k"], sent["reasoning_effort"]) == (4, "low")
    assert "extra_body" not in sent


async def test_signed_thinking_goes_back() -> None:
    served = anthropic_chat("5", thinking=["2 + 3"])
    async with LoopbackServer(served) as server, open_anthropic(server) as client:
        async with Client(from_sdk(client, model="m"), mode="plain") as ours:
            reply = await ours.ask("2 + 3?")
            await ours.ask([Message("user", "2 + 3?"), reply.message, Message("user", "Sure?")])
        back = server.requests[1].json["messages"][1]["content"]
    assert back[0] == {"type": "thinking", "thinking": "2 + 3", "signature": "c2lnbmF0dXJl"}


JUNK = b"event: content_block_delta\ndata: {oops\n\n"
NO = b'{"error": "no ' + KEY.encode() + b'"}'
Make = Callable[[Served, int], Served]
FAULTS: dict[str, tuple[Make, type[BackendError], bool]] = {
    "dropped": (lambda s, at: s.broken(at, "drop"), BackendWireError, True),
    "reset": (lambda s, at: s.broken(at, "reset"), BackendWireError, True),
    "stalled": (lambda s, at: s.broken(at, "stall"), BackendError, True),
    "ends early": (lambda s, at: Served(s.steps[:at], headers=s.headers), BackendWireError, True),
    "junk": (lambda s, at: s.insert(at, JUNK), BackendWireError, True),
    "no answer at all": (lambda s, at: Served(("stall",), 0), BackendTimeout, False),
    "no status line": (lambda s, at: Served(("drop",), 0), BackendUnreachable, False),
    "a web page": (lambda s, at: page(), BackendWireError, False),
    "401": (lambda s, at: Served((NO,), 401), BackendStatus, False),
    "429": (lambda s, at: Served((NO,), 429, {"Retry-After": "7"}), BackendStatus, False),
    "500": (lambda s, at: Served((b"",), 500), BackendStatus, False),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_faults_become_ours(kind: str, fault: str) -> None:
    write, connect, at = KINDS[kind]
    make, expected, arrived = FAULTS[fault]
    text, error = "", None
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(LoopbackServer(make(write("so", "x"), at)))
        client = await stack.enter_async_context(connect(server, timeout=0.4))
        try:
            async for chunk in from_sdk(client, model="m").stream(ASK):
                text += chunk.text
        except BackendError as caught:
            error = caught
        await server.quiet()
    assert isinstance(error, expected)
    assert text == ("so" if arrived else "")
    assert KEY not in f"{error} {error!r}"
    if fault == "429":
        assert (error.status, error.retryable, error.retry_after) == (429, True, 7)


async def test_leaving_early_closes_the_answer() -> None:
    served = chat("so", "x").broken(3, "stall")
    async with LoopbackServer(served) as server, open_openai(server) as client:
        stream = from_sdk(client, model="m").stream(ASK)
        assert (await anext(stream)).text == "so"
        await stream.aclose()
        await server.quiet()
        task = asyncio.create_task(ask(from_sdk(client, model="m")))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.quiet()


async def test_a_prefix() -> None:
    async with LoopbackServer(chat("Well, so")) as server, open_openai(server) as client:
        request = Request(messages=ASK.messages, prefix="Well, ")
        with pytest.raises(MissingCapability):
            await ask(from_sdk(client, model="m"), request)
        chunks = await ask(from_sdk(client, model="m", continues="trailing"), request)
        assert "".join(c.text for c in chunks) == "so"
        await ask(from_sdk(client, model="m", continues="flags"), request)
        assert server.requests[1].json["continue_final_message"] is True


def test_what_is_no_client() -> None:
    with pytest.raises(ConfigurationError, match="without async"):
        from_sdk(openai.OpenAI(api_key=KEY))
    with pytest.raises(ConfigurationError, match="no client"):
        from_sdk(object())
    assert KEY not in repr(from_sdk(openai.AsyncOpenAI(api_key=KEY), model="m"))
