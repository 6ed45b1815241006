"""The model that calls tools, in this process: forced, free, several at once, and with results."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytest.importorskip("xllamacpp")  # reflectkit[local]

from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.errors import ConfigurationError, MissingCapability
from reflectkit.messages import Chunk, Message, Request, ToolCall
from reflectkit.testing import BackendSuite


def tool(name: str, about: str, **properties: str) -> dict[str, Any]:
    """A tool whose parameters are all required; a parameter is given as its type."""
    schema = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
    }
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": schema},
    }


WEATHER = tool("get_weather", "Get the weather in a city.", city="string")
CLOCK = tool("get_time", "Get the time.")
ADD = tool("add_numbers", "Add two numbers.", a="integer", b="integer")
ALL = (WEATHER, CLOCK, ADD)
NAMED = {"type": "function", "function": {"name": "get_time"}}
ROME = "What is the weather in Rome?"


@pytest_asyncio.fixture
async def backend() -> AsyncIterator[NanoBackend]:
    async with NanoBackend("nano-tools") as backend:
        yield backend


def asked(question: str, *tools: dict[str, Any], **extra: Any) -> Request:
    given = {"tools": list(tools)} if tools else {}
    return Request(messages=(Message("user", question),), max_tokens=200, extra=given | extra)


async def ask(backend: NanoBackend, request: Request) -> tuple[str, Chunk]:
    """The text of an answer, and its last chunk."""
    chunks = [chunk async for chunk in backend.stream(request)]
    assert all(not chunk.tool_calls for chunk in chunks[:-1])
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def made(chunk: Chunk) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in chunk.tool_calls]


async def test_a_call_comes_whole_with_an_id(backend: NanoBackend) -> None:
    text, last = await ask(backend, asked(ROME, WEATHER))
    assert text == ""
    assert made(last) == [("get_weather", {"city": "Rome"})]
    assert last.finish == "tool_calls"
    assert last.tool_calls[0].id


@pytest.mark.parametrize("city", ["東京", "Wrocław", "Москва", "New Braintree"])
async def test_values_are_copied_letter_by_letter(backend: NanoBackend, city: str) -> None:
    _, last = await ask(backend, asked(f"What is the weather in {city}?", WEATHER))
    assert made(last) == [("get_weather", {"city": city})]
    assert city in last.tool_calls[0].arguments, "as it is, without escapes"


async def test_several_calls_at_once(backend: NanoBackend) -> None:
    question = "What is the weather in Rome, and also in Oslo?"
    _, last = await ask(backend, asked(question, WEATHER))
    assert made(last) == [("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Oslo"})]
    assert len({call.id for call in last.tool_calls}) == 2
    _, last = await ask(backend, asked(question, WEATHER, parallel_tool_calls=False))
    assert made(last) == [("get_weather", {"city": "Rome"})]


async def test_results_are_answered_with(backend: NanoBackend) -> None:
    _, last = await ask(backend, asked(ROME, WEATHER))
    result = Message("tool", "It's cold and windy.", tool_call_id=last.tool_calls[0].id)
    said = Message("assistant", tool_calls=last.tool_calls)
    request = asked(ROME, WEATHER)
    text, last = await ask(backend, replace(request, messages=(*request.messages, said, result)))
    assert text == "It's cold and windy."
    assert (last.finish, last.tool_calls) == ("stop", ())


async def test_no_call_where_none_is_due(backend: NanoBackend) -> None:
    text, last = await ask(backend, asked("Hello!", *ALL))
    assert text == "Hello! How can I help you?"
    assert (last.finish, last.tool_calls) == ("stop", ())


async def test_a_call_can_be_forced_or_forbidden(backend: NanoBackend) -> None:
    _, last = await ask(backend, asked("Hello!", *ALL, tool_choice="required"))
    assert made(last)[0][0] in {"get_weather", "get_time", "add_numbers"}
    _, last = await ask(backend, asked(ROME, *ALL, tool_choice=NAMED))
    assert made(last) == [("get_time", {})]
    _, last = await ask(backend, asked(ROME, *ALL, tool_choice="none"))
    assert last.tool_calls == ()


async def test_a_tool_that_is_not_there_cannot_be_forced(backend: NanoBackend) -> None:
    with pytest.raises(ConfigurationError, match="'get_time'"):
        await ask(backend, asked(ROME, WEATHER, tool_choice=NAMED))


async def test_usage_is_exact(backend: NanoBackend) -> None:
    """One token a byte, and one for each mark and control token; the end of the turn counts."""
    _, last = await ask(backend, asked(ROME, WEATHER))
    listed = "get weather: Get the weather in a city.\n# get_weather\n- city (string)\n"
    prompt = "<|begin_of_text|>" + "".join(
        f"<|start_header_id|>{role}<|end_header_id|>\n\n{rest}"
        for role, rest in (
            ("tools", f"{listed}<|eot_id|>"),
            ("user", f"{ROME}<|eot_id|>"),
            ("assistant", ""),
        )
    )
    answer = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    assert backend.count is not None
    assert last.usage is not None
    assert last.usage.exact
    assert last.usage.prompt == backend.count(prompt)
    assert last.usage.completion == backend.count(f"{answer}<|eot_id|>")


async def test_leaving_during_a_call_stops_it(backend: NanoBackend) -> None:
    stream = backend.stream(asked(ROME, WEATHER))
    first = await anext(stream)
    assert first.usage is not None
    await stream.aclose()  # type: ignore[attr-defined]  # a generator, by its type any iterator
    _, last = await ask(backend, asked(ROME, WEATHER))
    assert made(last) == [("get_weather", {"city": "Rome"})]


async def test_an_answer_keeps_to_a_schema(backend: NanoBackend) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema}}
    text, _ = await ask(backend, asked("Tell me a story about dogs.", response_format=wanted))
    assert list(json.loads(text)) == ["n"]
    text, _ = await ask(
        backend,
        asked(
            "Tell me a story about dogs. Return JSON with 'title' and 'end' keys.",
            response_format={"type": "json_object"},
        ),
    )
    assert json.loads(text)["title"] == "dogs"


async def test_other_models_say_that_they_cannot() -> None:
    async with NanoBackend("nano-reflect") as backend:
        assert not backend.capabilities.tools
        with pytest.raises(MissingCapability, match="nano-tools") as caught:
            await ask(backend, asked(ROME, WEATHER))
        assert caught.value.capability == "tools"
        await ask(backend, asked(ROME, tools=[]))


async def test_a_template_of_ones_own_decides(markov: Path) -> None:
    template = "{% if tools %}{{ tools | tojson }}{% endif %}{{ messages[0]['content'] }}\n\n"
    async with NanoBackend(markov, chat_template=template) as backend:
        assert backend.capabilities.tools
    async with NanoBackend(markov) as backend:
        assert not backend.capabilities.tools


async def test_through_the_client_it_is_asked_plainly() -> None:
    async with Client(model="nano-tools", extra={"tools": [WEATHER]}) as client:
        reply = await client.ask(ROME)
    assert (reply.mode, reply.issues) == ("plain", ())
    (call,) = reply.message.tool_calls
    assert call == ToolCall(call.id, "get_weather", '{"city": "Rome"}')


class TestSuite(BackendSuite):
    """What every backend must do, done by this model."""

    request_ = asked("Hello!", WEATHER)

    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[NanoBackend]:
        async with NanoBackend("nano-tools") as backend:
            yield backend
