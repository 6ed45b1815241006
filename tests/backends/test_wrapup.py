"""A cap on thinking kept on this side: on the real model, and on servers that do as they like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from reflectkit import Client
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.backends.wrapup import ANSWER_NOW, WrapUpBackend
from reflectkit.errors import BackendWireError, ConfigurationError
from reflectkit.messages import Chunk, Message, Request
from reflectkit.testing import (
    BackendSuite,
    LoopbackServer,
    Received,
    Served,
    anthropic_chat,
    chat,
    ollama_chat,
    refusal,
)

ASK = Request(messages=(Message("user", "What is 6 * 7?"),))
THOUGHT = ["<thinking>", *(f"Step {i} is long. " for i in range(60)), "So 6 * 7 = 42. "]
LONG = [*THOUGHT, *["I go on. "] * 40, "</thinking><output>42</output>"]


class TestSuite(BackendSuite):
    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[WrapUpBackend]:
        async with (
            LoopbackServer(chat("Hello", " there", ", friend")) as server,
            OpenAIBackend(server.url, model="m", kind="vllm") as inner,
            WrapUpBackend(inner, thinking=20) as backend,
        ):
            yield backend


@pytest.mark.parametrize("cap", [0, 3, 8, 16, 32, 64])
async def test_the_real_model_is_cut_and_answers(cap: int) -> None:
    """No thinking beyond cap and grace, no stray tag, and an answer every time."""
    questions = [
        f"What is ({a} * {b} + {c}) * 2?" for a in (3, 6, 9) for b in (4, 7) for c in (5, 8)
    ]
    async with NanoBackend("nano-reflect") as inner:
        await inner.load()
        backend = WrapUpBackend(inner, thinking=cap, grace=8)
        async with Client(backend, temperature=0.0) as client:
            for question in questions:
                reply = await client.ask(question)
                inside = reply.transcript.sections[0]
                assert inner.count is not None
                assert inner.count(inside.text) <= cap + 8 + 3  # the tags of a reflection beside
                assert reply.output.strip()
                assert not reply.issues, reply.transcript.source
                assert "<" not in reply.output
                assert reply.ending in ("complete", "closed", "asked", "salvaged")


async def test_what_is_not_cut_is_as_it_was() -> None:
    async with NanoBackend("nano-reflect") as inner:
        async with Client(inner, temperature=0.0) as client:
            plain = await client.ask("What is 2 + 3?")
        async with Client(WrapUpBackend(inner, thinking=200), temperature=0.0) as client:
            capped = await client.ask("What is 2 + 3?")
    assert capped.transcript == plain.transcript
    assert (capped.usage, capped.ending) == (plain.usage, "complete")


async def asked(backend: Any, request: Request = ASK) -> tuple[str, str, list[Chunk]]:
    chunks = [chunk async for chunk in backend.stream(request)]
    ways = [c.wrap for c in chunks if c.wrap]
    return "".join(c.reasoning + c.text for c in chunks), (ways or [""])[-1], chunks


async def test_a_server_that_goes_on_from_a_prefix() -> None:
    def served(request: Received) -> Served:
        last = request.json["messages"][-1]
        return chat("42</output>") if last["role"] == "assistant" else chat(*LONG)

    async with (
        LoopbackServer(served, owner="vllm") as server,
        OpenAIBackend(server.url, kind="vllm") as inner,
    ):
        text, way, chunks = await asked(WrapUpBackend(inner, thinking=50))
        assert way == "closed"
        assert text.endswith("</thinking>\n<output>42</output>")
        assert len(text) < 400
        prefix = server.requests[1].json["messages"][-1]["content"]
        assert text.startswith(prefix)
        assert chunks[-1].usage is not None
        assert chunks[-1].finish == "stop"
        await server.quiet()


async def test_an_answer_that_is_gone_on_with_and_blank_is_asked_for() -> None:
    """The opened answer is filled by the turn that asks for it; all three are paid for."""
    async with (
        LoopbackServer(chat(*LONG), chat(" ", "\n</output>"), chat("42")) as server,
        OpenAIBackend(server.url, model="m", kind="vllm") as inner,
    ):
        text, way, chunks = await asked(WrapUpBackend(inner, thinking=50))
        assert way == "asked"
        assert text.endswith("</thinking>\n<output>42</output>")
        assert len(server.requests) == 3
        usage = chunks[-1].usage
        assert usage is not None
        assert usage.prompt > 7 + 7
        assert usage.completion > 50 + 2


async def test_thinking_that_came_apart_is_not_gone_on_from() -> None:
    """There is no prefix that would stand for a field."""
    async with (
        LoopbackServer(chat(reasoning=["I think. "] * 200), chat("42")) as server,
        OpenAIBackend(server.url, model="m", kind="vllm") as inner,
    ):
        _, way, _ = await asked(WrapUpBackend(inner, thinking=50))
        assert way == "asked"
        assert "continue_final_message" not in server.requests[1].json


WIRES: dict[str, tuple[Any, Any]] = {
    "openai": (chat, lambda s: OpenAIBackend(s.url, model="m")),
    "anthropic": (anthropic_chat, lambda s: AnthropicBackend(s.url, model="m")),
    "ollama": (ollama_chat, lambda s: OllamaBackend(s.root, model="m")),
}
#: how the second request is answered, the way that the answer was come by, and the answer
SECOND: dict[str, tuple[Any, str, str]] = {
    "answers": (lambda write: write("42"), "asked", "42"),
    "answers in tags": (
        lambda write: write("<thinking>Hm.</thinking><output>42</output>"),
        "asked",
        "42",
    ),
    "says nothing": (lambda write: write(" "), "salvaged", "42"),
    "thinks again": (lambda write: write("<thinking>" + "more " * 50), "salvaged", "42"),
    "refuses": (lambda write: refusal(400, "last turn must be the user's"), "salvaged", "42"),
    "breaks": (lambda write: write("4", "2").broken(2, "reset"), "salvaged", "42"),
}


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("apart", [False, True], ids=["tags", "fields"])
@pytest.mark.parametrize("wire", WIRES)
async def test_a_server_that_goes_on_from_nothing(wire: str, apart: bool, second: str) -> None:
    """Never an empty answer, whatever it makes of the turn that asks for one."""
    write, connect = WIRES[wire]
    field = {"openai": "reasoning"}.get(wire, "thinking")
    thoughts = ["6 * 7 = 42. ", *["I go on. "] * 90]
    long = write("42", **{field: thoughts}) if apart else write("<thinking>", *thoughts)
    answer, way_, output = SECOND[second]
    async with (
        LoopbackServer(long, answer(write)) as server,
        connect(server) as inner,
        Client(WrapUpBackend(inner, thinking=30), mode="trained") as client,
    ):
        reply = await client.ask("What is 6 * 7?")
        assert (reply.output.strip(), reply.ending) == (output, way_)
        assert reply.thinking is not None
        assert len(reply.thinking) < 250
        assert not reply.usage.exact
        sent = server.requests[1].json["messages"][-1]
        assert ANSWER_NOW in str(sent["content"])
        await server.quiet()


async def test_an_answer_that_ends_in_its_thinking_is_wrapped_up_too() -> None:
    async with (
        LoopbackServer(chat("<thinking>6 * 7 = 42."), chat("42")) as server,
        OpenAIBackend(server.url, model="m") as inner,
    ):
        text, way, _ = await asked(WrapUpBackend(inner, thinking=500))
    assert (text, way) == ("<thinking>6 * 7 = 42.</thinking>\n<output>42</output>", "asked")


async def test_a_fault_in_the_thinking_is_the_faults_own() -> None:
    async with (
        LoopbackServer(chat("<thinking>", "6").broken(2, "reset")) as server,
        OpenAIBackend(server.url, model="m") as inner,
    ):
        with pytest.raises(BackendWireError):
            await asked(WrapUpBackend(inner, thinking=500))


async def test_no_room_for_an_answer_is_refused() -> None:
    backend = WrapUpBackend(NanoBackend(), thinking=90, grace=10)
    with pytest.raises(ConfigurationError, match="leaves no token for an answer"):
        await asked(backend, replace(ASK, max_tokens=100))
    with pytest.raises(ConfigurationError, match="grace is -1"):
        WrapUpBackend(NanoBackend(), thinking=9, grace=-1)
