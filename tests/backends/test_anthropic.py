"""The messages API against a real HTTP server on the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from asking import ASK, ask, failed
from reflectkit import Client
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.errors import BackendStatus, BackendWireError, ConfigurationError, MissingCapability
from reflectkit.messages import Message, Request, ToolCall
from reflectkit.protocol import as_message
from reflectkit.testing import BackendSuite, LoopbackServer, Served, anthropic_chat, refusal

KEY = "sk-ant-0123456789"
CALL = {"type": "tool_use", "id": "tu_1", "name": "add", "input": {"a": 2, "b": [3, None]}}
REDACTED = {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"}


class TestSuite(BackendSuite):
    secret = KEY

    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[AnthropicBackend]:
        async with (
            LoopbackServer(anthropic_chat("Hello", " there", ", friend")) as server,
            AnthropicBackend(server.url, model="m", api_key=self.secret) as backend,
        ):
            yield backend


async def sent(request: Request, **given: Any) -> dict[str, Any]:
    """The body that a request becomes."""
    async with (
        LoopbackServer(anthropic_chat("ok")) as server,
        AnthropicBackend(server.url, model="m", **given) as backend,
    ):
        await ask(backend, request)
        body: dict[str, Any] = server.requests[0].json
    return body


async def test_what_is_sent() -> None:
    async with (
        LoopbackServer(anthropic_chat("ok")) as server,
        AnthropicBackend(server.root, model="m", api_key=KEY) as backend,
    ):
        await ask(backend, replace(ASK, temperature=0.5, seed=3, stop=("END", "\n")))
        request = server.requests[0]
    assert request.path == "/v1/messages"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    assert request.json == {
        "model": "m",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
        "temperature": 0.5,
        "stop_sequences": ["END"],
    }


async def test_turns_are_put_in_the_order_that_the_api_wants() -> None:
    messages = (
        Message("system", "Be brief."),
        Message("user", "2 + 3?"),
        Message("assistant", "", tool_calls=(ToolCall("tu_1", "add", '{"a": 2}'),)),
        Message("tool", "5", tool_call_id="tu_1"),
        Message("user", "And?"),
        Message("system", "In English."),
    )
    body = await sent(Request(messages=messages))
    assert body["system"] == "Be brief.\n\nIn English."
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "tu_1", "name": "add", "input": {"a": 2}}
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "tu_1", "content": [{"type": "text", "text": "5"}]},
        {"type": "text", "text": "And?"},
    ]


async def test_a_call_whose_arguments_are_no_object() -> None:
    broken = Message("assistant", "", tool_calls=(ToolCall("tu_1", "add", "[1"),))
    with pytest.raises(ConfigurationError, match="no JSON object"):
        await sent(Request(messages=(broken,)))


async def test_thinking_calls_and_usage() -> None:
    served = anthropic_chat(
        "It ", "is 5.", thinking=["2 + 3", " = 5"], blocks=[REDACTED, CALL], stop="tool_use"
    )
    async with (
        LoopbackServer(served.cut(5)) as server,
        AnthropicBackend(server.url, model="m") as backend,
    ):
        chunks = await ask(backend)
    last = chunks[-1]
    assert "".join(c.reasoning for c in chunks) == "2 + 3 = 5"
    assert "".join(c.text for c in chunks) == "It is 5."
    assert [(c.id, c.name) for c in last.tool_calls] == [("tu_1", "add")]
    assert last.tool_calls[0].arguments == '{"a": 2, "b": [3, null]}'
    assert last.finish == "tool_calls"
    assert last.usage is not None
    assert (last.usage.prompt, last.usage.cached, last.usage.completion) == (9, 2, 4)
    assert last.payload == {
        "content": [
            {"type": "thinking", "thinking": "2 + 3 = 5", "signature": "c2lnbmF0dXJl"},
            REDACTED,
            CALL,
            {"type": "text", "text": "It is 5."},
        ]
    }


async def test_signed_thinking_goes_back_as_it_came_and_to_nobody_else() -> None:
    served = anthropic_chat("5", thinking=["2 + 3"], blocks=[REDACTED])
    async with (
        LoopbackServer(served) as server,
        LoopbackServer(served) as other,
        AnthropicBackend(server.url, model="m") as backend,
        AnthropicBackend(other.url, model="m") as elsewhere,
        Client(backend, mode="plain") as client,
    ):
        reply = await client.ask("2 + 3?")
        assert (reply.output, reply.thinking) == ("5", "2 + 3")
        await client.ask([Message("user", "2 + 3?"), reply.message, Message("user", "Sure?")])
        stranger = as_message(reply.transcript, backend.provider)
        await ask(elsewhere, Request(messages=(stranger, Message("user", "Sure?"))))
        back = server.requests[1].json["messages"][1]["content"]
        abroad = other.requests[0].json["messages"][0]["content"]
    assert back == [
        {"type": "thinking", "thinking": "2 + 3", "signature": "c2lnbmF0dXJl"},
        REDACTED,
        {"type": "text", "text": "5"},
    ]
    assert abroad == [{"type": "text", "text": "5"}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.5}, "temperature must be 1"),
        ({"extra": {"top_k": 4}}, "top_k"),
        ({"extra": {"tool_choice": {"type": "any"}}}, "cannot be forced"),
        ({"max_tokens": 2048}, "less than max_tokens"),
        ({"extra": {"thinking": {"type": "enabled", "budget_tokens": 12}}}, "1024 or more"),
    ],
)
async def test_what_thinking_forbids_is_refused_here(change: dict[str, Any], words: str) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    with pytest.raises(ConfigurationError, match=words):
        await sent(replace(ASK, **change), extra=thinking)
    with pytest.raises(MissingCapability, match="prefix"):
        await sent(replace(ASK, prefix="So"), extra=thinking, continues=True)
    assert (await sent(replace(ASK, temperature=1.0), extra=thinking))["thinking"]


async def test_a_prefix_becomes_the_last_turn() -> None:
    body = await sent(replace(ASK, prefix="<thinking>"), continues=True)
    assert body["messages"][-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "<thinking>"}],
    }


async def test_tokens_are_counted_by_the_server() -> None:
    async with LoopbackServer() as server, AnthropicBackend(server.url, model="m") as backend:
        assert await backend.count_tokens(replace(ASK, temperature=0.5)) == 7


async def test_the_only_model_is_found() -> None:
    async with (
        LoopbackServer(anthropic_chat("ok"), models=("claude",)) as server,
        AnthropicBackend(server.url) as backend,
    ):
        assert await backend.resolve() == "claude"


async def test_overload_is_sent_again_and_said() -> None:
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    busy = Served((body,), 529, {"Content-Type": "application/json"})
    async with (
        LoopbackServer(busy, anthropic_chat("ok")) as server,
        AnthropicBackend(server.url, model="m") as backend,
    ):
        assert (await ask(backend))[0].text == "ok"
        async with AnthropicBackend(server.url, model="m", retries=0) as backend:
            server.requests.clear()
            with pytest.raises(BackendStatus, match="Overloaded") as caught:
                await ask(backend)
    assert (caught.value.status, caught.value.retryable) == (529, True)


async def test_an_error_event_keeps_what_came() -> None:
    said = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n'
    async with (
        LoopbackServer(anthropic_chat("so", "x").insert(4, said)) as server,
        AnthropicBackend(server.url, model="m", api_key=KEY) as backend,
    ):
        text, error = await failed(backend)
    assert (text, type(error)) == ("so", BackendWireError)
    assert isinstance(error, BackendWireError)
    assert (error.status, error.retryable) == (529, True)
    assert error.usage is not None


async def test_a_whole_message_is_read_too() -> None:
    body = (
        b'{"type": "message", "model": "m", "content": [{"type": "text", "text": "Hi"}],'
        b' "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 1}}'
    )
    served = Served((body,), headers={"Content-Type": "application/json"})
    async with LoopbackServer(served) as server, AnthropicBackend(server.url, model="m") as backend:
        chunks = await ask(backend)
    assert "".join(c.text for c in chunks) == "Hi"
    assert chunks[-1].finish == "stop"


async def test_the_key_never_shows() -> None:
    async with (
        LoopbackServer(refusal(401, f"bad key {KEY}")) as server,
        AnthropicBackend(server.url, model="m", api_key=KEY) as backend,
    ):
        with pytest.raises(BackendStatus) as caught:
            await ask(backend)
        assert KEY not in f"{caught.value} {caught.value!r} {backend!r}"
    assert "***" in str(caught.value)
