"""Budgets on servers that do as they like: thinking is cut here, and the answer still comes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from budgeted import LONG, QUESTION, grant
from reflectkit import Budget, Client
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.budget.wrapup import ANSWER_NOW
from reflectkit.errors import BackendWireError
from reflectkit.messages import Chunk, ReasoningBudget, ToolCall, Usage
from reflectkit.testing import (
    LoopbackServer,
    Received,
    ScriptedBackend,
    Served,
    anthropic_chat,
    chat,
    ollama_chat,
    refusal,
)

# --- servers that go on from a prefix


async def test_a_server_that_goes_on_from_a_prefix() -> None:
    def served(request: Received) -> Served:
        last = request.json["messages"][-1]
        return chat("42</output>") if last["role"] == "assistant" else chat(*LONG)

    async with (
        LoopbackServer(served, owner="vllm") as server,
        Client(server.url, mode="trained", model="m", dialect="reflection") as plain,
    ):
        client = plain.with_options(budget=Budget(thinking=50))
        reply = await client.ask(QUESTION)
        assert (reply.ending, reply.output) == ("closed", "42")
        assert reply.transcript.source.endswith("</thinking>\n<output>42</output>")
        assert reply.transcript.well_formed
        assert len(reply.transcript.source) < 500
        first, second = (r.json for r in server.requests)
        assert first["thinking_token_budget"] == 50
        assert "thinking_token_budget" not in second
        assert reply.transcript.source.startswith(second["messages"][-1]["content"])
        assert grant(reply, "thinking").enforced_by == "client"
        assert reply.stopped_by == "thinking (client)"
        # it was told of the budget and went on: it is not relied on again
        await client.ask(QUESTION)
        assert "thinking_token_budget" not in server.requests[2].json
        await server.quiet()


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_refuses_its_field_is_asked_without(status: int) -> None:
    def served(request: Received) -> Served:
        told = "thinking_token_budget" in request.json
        return refusal(status, "start me with --reasoning-config") if told else chat("<output>42")

    async with (
        LoopbackServer(served, owner="vllm") as server,
        Client(server.url, mode="trained", model="m", dialect="reflection") as client,
    ):
        for expected in (2, 3):
            reply = await client.ask(QUESTION, budget=Budget(thinking=50))
            assert reply.output == "42"
            assert len(server.requests) == expected  # once it is known, it is not tried again


async def test_a_field_of_ones_own_is_lowered_not_doubled() -> None:
    async with (
        LoopbackServer(chat("<output>42"), owner="vllm") as server,
        Client(server.url, mode="trained", model="m", dialect="reflection") as client,
    ):
        own = ReasoningBudget(tokens=90)
        await client.ask(QUESTION, budget=Budget(thinking=50), reasoning=own)
        await client.ask(QUESTION, budget=Budget(thinking=500), reasoning=own)
        assert [r.json["thinking_token_budget"] for r in server.requests] == [50, 90]


async def test_a_budget_switches_no_thinking_on() -> None:
    """Anthropic's field would: a cap is no order to think."""
    async with (
        LoopbackServer(anthropic_chat("42")) as server,
        AnthropicBackend(server.url, model="m") as backend,
        Client(backend, mode="plain", budget=Budget(thinking=2000)) as client,
    ):
        assert (await client.ask(QUESTION)).output == "42"
        assert "thinking" not in server.requests[0].json


async def test_an_answer_that_is_gone_on_with_and_blank_is_asked_for() -> None:
    """The opened answer is filled by the turn that asks for it; all three are paid for."""
    async with (
        LoopbackServer(chat(*LONG), chat(" ", "\n</output>"), chat("42")) as server,
        OpenAIBackend(server.url, model="m", kind="vllm") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=50)) as client,
    ):
        reply = await client.ask(QUESTION)
        assert (reply.ending, reply.output) == ("asked", "42")
        assert reply.transcript.well_formed
        assert (len(server.requests), reply.attempts[0].requests) == (3, 3)
        assert reply.usage.prompt > 7 + 7
        assert reply.usage.completion > 50 + 2


async def test_an_answer_that_its_server_opened_and_left_blank_is_filled() -> None:
    """It is open already: another opener would be part of the answer."""
    blank = "<thinking>6 * 7</thinking>\n<output>\n\n"
    for end in ("</output>", ""):
        async with (
            LoopbackServer(chat(blank, end), chat("42")) as server,
            OpenAIBackend(server.url, model="m") as inner,
            Client(inner, mode="trained", dialect="reflection") as client,
        ):
            reply = await client.ask(QUESTION, budget=Budget(thinking=50))
            assert (reply.ending, reply.output) == ("asked", "42")
            assert reply.transcript.well_formed


async def test_thinking_that_came_apart_is_not_gone_on_from() -> None:
    """There is no prefix that would stand for a field."""
    async with (
        LoopbackServer(chat(reasoning=["I think. "] * 200), chat("42")) as server,
        Client(server.url, model="m", mode="trained", budget=Budget(thinking=50)) as client,
    ):
        reply = await client.ask(QUESTION)
        assert (reply.ending, reply.output) == ("asked", "42")
        assert "continue_final_message" not in server.requests[1].json


# --- servers that go on from nothing

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
    "thinks on beyond its cap": (
        lambda write: write("<thinking>", *["more "] * 200, "</thinking><output>41</output>"),
        "salvaged",
        "42",
    ),
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
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=30)) as client,
    ):
        reply = await client.ask(QUESTION)
        assert (reply.output.strip(), reply.ending) == (output, way_)
        assert reply.thinking is not None
        assert len(reply.thinking) < 250
        assert not reply.usage.exact
        sent = server.requests[1].json["messages"][-1]
        assert ANSWER_NOW in str(sent["content"])
        await server.quiet()


async def test_no_answer_is_said_to_be_none() -> None:
    """Thinking that states no result is no answer: its text stays thinking."""
    async with (
        LoopbackServer(chat("<thinking>", *["I wonder about it. "] * 90), chat("")) as server,
        OpenAIBackend(server.url, model="m") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=30)) as client,
    ):
        reply = await client.ask(QUESTION)
    assert (reply.output, reply.ending, reply.status) == ("", "unanswered", "budget")
    assert reply.stopped_by == "thinking (client)"
    assert "I wonder" in (reply.thinking or "")


async def test_an_answer_that_ends_in_its_thinking_is_wrapped_up_too() -> None:
    async with (
        LoopbackServer(chat("<thinking>6 * 7 = 42."), chat("42")) as server,
        OpenAIBackend(server.url, model="m") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=500)) as client,
    ):
        reply = await client.ask(QUESTION)
    assert reply.transcript.source == "<thinking>6 * 7 = 42.</thinking>\n<output>42</output>"
    assert (reply.ending, reply.bound_by) == ("asked", "")


async def test_a_fault_in_the_thinking_is_the_faults_own() -> None:
    async with (
        LoopbackServer(chat("<thinking>", "6").broken(3, "reset")) as server,
        OpenAIBackend(server.url, model="m") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=500)) as client,
    ):
        with pytest.raises(BackendWireError) as caught:
            await client.ask(QUESTION)
    assert caught.value.partial is not None
    assert caught.value.partial.thinking == "6"


async def test_a_fault_in_an_answer_gone_on_with_is_the_faults_own() -> None:
    """Its beginning was delivered: nothing may be put in its place."""
    async with (
        LoopbackServer(chat(*LONG), chat("The ", "answer").broken(3, "reset")) as server,
        OpenAIBackend(server.url, model="m", kind="vllm") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=50)) as client,
    ):
        with pytest.raises(BackendWireError) as caught:
            await client.ask(QUESTION)
    assert caught.value.partial is not None
    assert caught.value.partial.output.startswith("The")


async def test_hidden_thinking_leaves_room_the_next_time() -> None:
    """A server whose thinking takes all of max_tokens and is not shown."""
    backend = ScriptedBackend(
        [Chunk(usage=Usage(prompt=5, completion=100, thinking=100)), Chunk(finish="length")],
        [Chunk(usage=Usage(prompt=5, completion=60, thinking=60)), Chunk(finish="length")],
        "<output>42</output>",
    )
    client = Client(backend, max_tokens=100, budget=Budget(output_floor=40), mode="trained")
    first = await client.ask(QUESTION)
    assert (first.ending, first.output) == ("unanswered", "")
    second = await client.ask(QUESTION)
    assert (second.ending, second.output) == ("asked", "42")
    assert [r.max_tokens for r in backend.requests] == [100, 60, 40]


async def test_a_call_for_a_tool_is_an_answer() -> None:
    add = (ToolCall("1", "add"),)
    call = [Chunk("<thinking>a</thinking>", tool_calls=add, finish="tool_calls")]
    backend = ScriptedBackend(call)
    reply = await Client(backend, mode="trained", budget=Budget(thinking=9)).ask(QUESTION)
    assert reply.transcript.tool_calls
    assert reply.ending == "complete"


# --- what is told of it


async def test_faults_of_a_server_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "reflectkit")
    async with (
        LoopbackServer(chat(*LONG), chat("42</output>"), owner="vllm") as server,
        Client(server.url, mode="trained", model="m", dialect="reflection") as client,
    ):
        for _ in range(2):
            await client.ask(QUESTION, budget=Budget(thinking=50))
    said = [r.message for r in caplog.records if "budget_fault" in r.message]
    assert len([m for m in said if "ignores_thinking" in m]) == 1


async def test_a_thought_that_is_cut_never_reaches_who_may_not_see_it() -> None:
    async with (
        LoopbackServer(chat(*LONG), chat("42")) as server,
        OpenAIBackend(server.url, model="m") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(thinking=50)) as client,
    ):
        reply = await client.ask(QUESTION, show="hidden")
        assert "Step" not in repr(reply)
        assert reply.output == "42"
        async with client.stream(QUESTION, show="hidden") as stream:
            texts = [text async for text in stream.output]
        assert "".join(texts) == "42"
