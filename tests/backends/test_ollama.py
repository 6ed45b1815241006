"""Ollama's own API against a real HTTP server on the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from asking import ASK, ask, failed
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.errors import BackendStatus, BackendWireError, ConfigurationError, MissingCapability
from reflectkit.messages import Message, Request, ToolCall
from reflectkit.testing import BackendSuite, LoopbackServer, Served, ollama_chat


class TestSuite(BackendSuite):
    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[OllamaBackend]:
        async with (
            LoopbackServer(ollama_chat("Hello", " there", ", friend")) as server,
            OllamaBackend(server.root, model="m") as backend,
        ):
            yield backend


async def sent(request: Request, **given: Any) -> dict[str, Any]:
    """The body that a request becomes."""
    async with (
        LoopbackServer(ollama_chat("ok")) as server,
        OllamaBackend(server.root, model="m", **given) as backend,
    ):
        await ask(backend, request)
        assert server.requests[0].path == "/api/chat"
        body: dict[str, Any] = server.requests[0].json
    return body


async def test_what_is_sent() -> None:
    request = replace(ASK, temperature=0.5, seed=3, stop=("END",), max_tokens=9)
    body = await sent(request, think="low", keep_alive="10m", options={"num_ctx": 8192})
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "think": "low",
        "keep_alive": "10m",
        "options": {
            "num_ctx": 8192,
            "num_predict": 9,
            "temperature": 0.5,
            "seed": 3,
            "stop": ["END"],
        },
    }
    plain = await sent(ASK)
    assert plain.keys() == {"model", "messages", "stream"}


async def test_a_request_may_change_the_options() -> None:
    body = await sent(replace(ASK, extra={"options": {"num_ctx": 1}}), options={"num_ctx": 2})
    assert body["options"] == {"num_ctx": 1}


async def test_calls_images_and_results() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = (
        Message("user", ({"type": "text", "text": "What is it?"}, image)),
        Message("assistant", "", tool_calls=(ToolCall("1", "look", '{"at": 1}'),)),
        Message("tool", "a cat", name="look", tool_call_id="1"),
    )
    body = await sent(Request(messages=messages))
    assert body["messages"] == [
        {"role": "user", "content": "What is it?", "images": ["AAAA"]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "look", "arguments": {"at": 1}}}],
        },
        {"role": "tool", "content": "a cat", "tool_name": "look"},
    ]


@pytest.mark.parametrize("url", ["http://host/cat.png", "data:image/png;base64,!!!", ""])
async def test_images_that_are_elsewhere(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(MissingCapability, match="data: URL"):
        await sent(Request(messages=(Message("user", (part,)),)))


async def test_thinking_calls_and_usage() -> None:
    served = ollama_chat(
        "It ",
        "is 5.",
        thinking=["2 + 3", " = 5"],
        calls=[{"name": "add", "arguments": {"a": 2}}],
    )
    async with (
        LoopbackServer(served.cut(3)) as server,
        OllamaBackend(server.root, model="m") as backend,
    ):
        chunks = await ask(backend)
    last = chunks[-1]
    assert "".join(c.reasoning for c in chunks) == "2 + 3 = 5"
    assert "".join(c.text for c in chunks) == "It is 5."
    assert [(c.id, c.name, c.arguments) for c in last.tool_calls] == [("call_0", "add", '{"a": 2}')]
    assert (last.finish, last.payload) == ("tool_calls", {"thinking": "2 + 3 = 5"})
    assert last.usage is not None
    assert (last.usage.prompt, last.usage.completion, last.usage.exact) == (7, 4, True)


async def test_an_answer_cut_at_the_cap() -> None:
    async with (
        LoopbackServer(ollama_chat("so", reason="length")) as server,
        OllamaBackend(server.root, model="m") as backend,
    ):
        assert (await ask(backend))[-1].finish == "length"


async def test_a_model_that_is_not_there() -> None:
    body = b'{"error": "model \\"m\\" not found, try pulling it first"}'
    async with (
        LoopbackServer(Served((body,), 404), models=("qwen", "llama")) as server,
        OllamaBackend(server.root, model="m") as backend,
    ):
        with pytest.raises(BackendStatus, match="try pulling it") as caught:
            await ask(backend)
        assert await backend.models() == ("qwen", "llama")
    assert "qwen, llama" in caught.value.hint


async def test_an_error_in_mid_stream_keeps_what_came() -> None:
    said = b'{"error": "an error was encountered while running the model"}\n'
    async with (
        LoopbackServer(ollama_chat("so", "x").insert(1, said)) as server,
        OllamaBackend(server.root, model="m") as backend,
    ):
        text, error = await failed(backend)
    assert (text, type(error)) == ("so", BackendWireError)
    assert "running the model" in str(error)


async def test_the_other_api_of_ollama_is_pointed_out() -> None:
    with pytest.raises(ConfigurationError, match="OpenAI-compatible"):
        OllamaBackend("http://127.0.0.1:11434/v1")
