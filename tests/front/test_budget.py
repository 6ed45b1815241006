"""Budgets through the client: on the real model, and on servers that do as they like."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from reflectkit import Budget, Client, SyncClient
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.base import Capabilities
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.budget.tokens import LearnedCounter
from reflectkit.budget.wrapup import ANSWER_NOW
from reflectkit.errors import (
    BackendStatus,
    BackendWireError,
    BudgetExceeded,
    ConfigurationError,
    ReflectKitError,
)
from reflectkit.messages import Chunk, ReasoningBudget, Request, ToolCall, Usage
from reflectkit.reply import Grant, Reply
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

QUESTION = "What is 6 * 7?"
THOUGHT = ["<thinking>", *(f"Step {i} is long. " for i in range(60)), "So 6 * 7 = 42. "]
LONG = [*THOUGHT, *["I go on. "] * 40, "</thinking><output>42</output>"]


def grant(reply: Reply, limit: str) -> Grant:
    return next(g for g in reply.grants if g.limit == limit)


# --- the real model


@pytest.mark.parametrize("cap", [0, 3, 8, 16, 32, 64])
@pytest.mark.parametrize("here", [False, True], ids=["in its own field", "on this side"])
async def test_the_real_model_is_cut_and_answers(cap: int, here: bool) -> None:
    """No thinking beyond cap and grace, no stray tag, and an answer or a typed reason."""
    questions = [
        f"What is ({a} * {b} + {c}) * 2?" for a in (3, 6, 9) for b in (4, 7) for c in (5, 8)
    ]
    async with NanoBackend("nano-reflect") as model, Client(_deaf(model) if here else model) as c:
        for question in questions:
            reply = await c.ask(question, budget=Budget(thinking=cap, grace=8), temperature=0)
            inside = reply.transcript.sections[0]
            assert model.count is not None
            assert model.count(inside.text) <= cap + 8 + 3  # the tags of a reflection beside
            assert reply.output.strip() or reply.ending == "unanswered"
            assert "<" not in reply.output
            assert grant(reply, "thinking").spent <= cap + 8
            if here:
                assert not reply.issues or reply.ending == "unanswered", reply.transcript.source
                assert grant(reply, "thinking").enforced_by in ("", "client")
            else:
                assert reply.attempts[0].requests == 1 or not reply.attempts[0].cut


class _Deaf:
    """A backend whose server has no field for how much to think."""

    def __init__(self, model: NanoBackend) -> None:
        self._model = model
        self.capabilities = Capabilities(continues_prefix=True, reports_usage=True)
        self.model = model.model

    @property
    def count(self) -> Callable[[str], int] | None:
        return self._model.count

    def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        return self._model.stream(request)


def _deaf(model: NanoBackend) -> _Deaf:
    return _Deaf(model)


async def test_what_is_not_cut_is_as_it_was() -> None:
    async with Client(temperature=0.0) as client:
        plain = await client.ask("What is 2 + 3?")
        capped = await client.ask("What is 2 + 3?", budget=Budget(thinking=200, total=5000))
    assert capped.transcript == plain.transcript
    assert (capped.usage, capped.ending) == (plain.usage, "complete")
    assert (capped.bound_by, capped.status) == ("", "unverified")


async def test_thinking_has_a_floor_too() -> None:
    """Thinking that ended early is gone on with, and the reply says so."""
    async with Client(temperature=0.0) as client:
        reply = await client.ask("What is 2 + 3?", budget=Budget(thinking_floor=40, thinking=200))
        plain = await client.ask("What is 2 + 3?")
    assert reply.ending == "extended"
    assert (plain.usage.thinking or 0) < 40 <= (reply.usage.thinking or 0)
    assert grant(reply, "thinking_floor").enforced_by == "client"
    assert reply.attempts[0].requests > 1


async def test_reflections_are_limited_in_number_and_in_length() -> None:
    async with Client(temperature=0.0) as client:
        question = "What is (7 * 6 + 5) * 2?"
        assert len((await client.ask(question)).reflections) == 3
        for most in (0, 1, 2):
            reply = await client.ask(question, budget=Budget(reflections=most))
            assert len(reply.reflections) == most
            assert reply.output
            assert reply.bound_by == "reflections (call)"
        short = await client.ask(question, budget=Budget(reflection=4))
    assert grant(short, "reflection").spent <= 4 + 8
    assert short.transcript.well_formed
    assert short.bound_by == "reflection (call)"


async def test_the_blocking_client_has_budgets_too() -> None:
    with SyncClient(temperature=0.0, budget=Budget(thinking=16)) as client:
        reply = client.ask("What is (7 * 6 + 5) * 2?")
    assert reply.output
    assert grant(reply, "thinking").by == "thinking (client)"


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


# --- limits of the whole call


async def test_nothing_is_sent_that_cannot_be_paid() -> None:
    backend = ScriptedBackend("<output>42</output>", repeat=True)
    client = Client(backend, mode="trained", counter=LearnedCounter())
    for budget, limit in (
        (Budget(prompt=3), "prompt"),
        (Budget(total=5), "total"),
        (Budget(total=100, output_floor=90), "total"),
    ):
        with pytest.raises(BudgetExceeded, match=limit) as caught:
            await client.ask(QUESTION, budget=budget)
        assert (caught.value.limit, caught.value.scope) == (limit, "call")
        assert caught.value.hint
    assert backend.requests == []


@pytest.mark.parametrize("total", range(120, 900, 60))
async def test_a_total_holds_with_all_wrap_ups(total: int) -> None:
    async with Client(temperature=0.0) as client:
        reply = await client.ask("What is (7 * 6 + 5) * 2?", budget=Budget(total=total))
    assert reply.usage.total <= total
    assert reply.output or reply.ending == "unanswered"


async def test_the_smallest_budget_wins_and_is_named() -> None:
    async with Client(temperature=0.0, budget=Budget(thinking=20, output=9)) as client:
        tight = client.with_options(budget=Budget(thinking=12))
        question = "What is (7 * 6 + 5) * 2?"
        for asked, call, cap, by in (
            (client, None, 20, "client"),
            (client, Budget(thinking=300), 20, "client"),
            (client, Budget(thinking=9), 9, "call"),
            (tight, None, 12, "client"),
        ):
            reply = await asked.ask(question, budget=call)
            found = grant(reply, "thinking")
            assert (found.granted, found.by) == (cap, f"thinking ({by})")


async def test_an_output_ends_at_its_cap() -> None:
    """On a server that ignores every limit."""
    long = chat("<thinking>a</thinking><output>", *["word "] * 400, "</output>", usage="running")
    async with (
        LoopbackServer(long, owner="vllm") as server,
        Client(server.url, mode="trained", model="m", dialect="reflection") as client,
    ):
        reply = await client.ask(QUESTION, budget=Budget(output=30))
        assert reply.ending == "length"
        assert reply.bound_by == "output (call)"
        assert len(reply.output.split()) in range(28, 32)
        assert grant(reply, "output").enforced_by == "client"
        await server.quiet()


# --- time


async def test_thinking_ends_in_time_for_an_answer() -> None:
    pause = asyncio.Event().wait
    slow = chat(*THOUGHT).insert(60, pause)
    async with (
        LoopbackServer(slow, chat("42")) as server,
        OpenAIBackend(server.url, model="m") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(seconds=2)) as client,
    ):
        reply = await client.ask(QUESTION)
        assert (reply.output, reply.ending) == ("42", "asked")
        assert reply.bound_by == "seconds"
        await server.quiet()


@pytest.mark.parametrize("at", [0, 4])
async def test_when_time_is_over_it_is_over(at: int) -> None:
    pause = asyncio.Event().wait
    slow = chat("<thinking>", "It is ", "= 42. ", "Or is it?").insert(at, pause)
    async with (
        LoopbackServer(slow, chat("").insert(0, pause)) as server,
        OpenAIBackend(server.url, model="m") as inner,
        Client(inner, mode="trained", dialect="reflection", budget=Budget(seconds=1.5)) as client,
    ):
        reply = await client.ask(QUESTION)
        assert reply.ending == ("salvaged" if at else "unanswered")
        assert reply.output == ("42" if at else "")
        assert reply.stopped_by == "seconds"
        await server.quiet()


# --- odds and ends


def test_what_cannot_be_is_refused_at_once() -> None:
    for wrong in (
        {"thinking": -1},
        {"thnking": 3},
        {"thinking": 9, "total": 3},
        {"seconds": 0},
        {"thinking": True},
        {"money": float("inf")},
    ):
        with pytest.raises(ConfigurationError, match="budget cannot be"):
            Budget(**wrong)
    with pytest.raises(ConfigurationError, match="budget is 3"):
        Client(ScriptedBackend(), budget=3)  # type: ignore[arg-type]


async def test_the_model_is_told_how_much_it_may_think_if_that_is_wanted() -> None:
    backend = ScriptedBackend("<output>42</output>", repeat=True)
    client = Client(backend, mode="trained", budget=Budget(thinking=64))
    await client.ask(QUESTION)
    await client.ask(QUESTION, budget=Budget(hint=True))
    plain, hinted = (r.messages[-1].text for r in backend.requests)
    assert plain == QUESTION
    assert hinted.startswith(QUESTION)
    assert "64 tokens" in hinted


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


async def test_leaving_in_the_middle_of_a_wrap_up_closes_everything() -> None:
    pause = asyncio.Event().wait
    backend = ScriptedBackend(["<thinking>", "word " * 90], [pause])
    client = Client(backend, mode="trained", budget=Budget(thinking=20))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.ask(QUESTION)
    assert backend.opened == backend.closed == 2


async def test_an_error_status_costs_nothing_and_says_so() -> None:
    async with (
        LoopbackServer(refusal(403, "no")) as server,
        Client(server.url, model="m", budget=Budget(thinking=50)) as client,
    ):
        with pytest.raises(BackendStatus) as caught:
            await client.ask(QUESTION)
    assert caught.value.usage == Usage(thinking=0, reflections=0)


async def test_errors_of_a_budget_are_ours() -> None:
    assert issubclass(BudgetExceeded, ReflectKitError)


async def test_a_total_that_ended_an_answer_is_named_however_that_was_come_by() -> None:
    """No wrap-up can be paid, so what the thinking stated is the answer."""
    async with Client(temperature=0.0) as client:
        await client.ask("What is 2 + 2?")  # it learns how prompts are counted
        reply = await client.ask("What is (7 * 6 + 5) * 2?", budget=Budget(total=120))
    assert reply.ending == "salvaged"
    assert reply.bound_by == reply.stopped_by == "total (call)"
    assert grant(reply, "completion").enforced_by == "server"


async def test_the_output_keeps_its_floor_where_it_has_to_be_asked_for() -> None:
    """Thinking, its repetition in the prompt and the turn that asks leave what was promised."""
    for total in range(300, 900, 50):
        backend = ScriptedBackend(["<thinking>", *["word "] * 900], "42")
        client = Client(backend, mode="trained", dialect="reflection", counter=LearnedCounter())
        reply = await client.ask(QUESTION, budget=Budget(total=total, output_floor=60))
        assert reply.ending == "asked"
        assert (backend.requests[1].max_tokens or 0) >= 60
        assert reply.usage.total <= total
