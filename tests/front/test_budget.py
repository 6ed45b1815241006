"""Budgets through the client: on the real model, for whole calls, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from budgeted import QUESTION, THOUGHT, grant
from reflectkit import Budget, Client, SyncClient
from reflectkit.backends.base import Capabilities
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.budget.tokens import LearnedCounter
from reflectkit.errors import BackendStatus, BudgetExceeded, ConfigurationError, ReflectKitError
from reflectkit.messages import Chunk, Request, Usage
from reflectkit.testing import LoopbackServer, ScriptedBackend, chat, refusal

# --- the real model


@pytest.mark.parametrize("cap", [0, 3, 8, 16, 32, 64])
@pytest.mark.parametrize("here", [False, True], ids=["in its own field", "on this side"])
async def test_the_real_model_is_cut_and_answers(cap: int, here: bool) -> None:
    """No thinking beyond cap and grace, no stray tag, and an answer or a typed reason."""
    questions = [
        f"What is ({a} * {b} + {c}) * 2?" for a in (3, 6, 9) for b in (4, 7) for c in (5, 8)
    ]
    async with NanoBackend("nano-reflect") as model, Client(_Deaf(model) if here else model) as c:
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
        Client(ScriptedBackend(), budget=3)  # type: ignore[arg-type]  # wrong on purpose


async def test_the_model_is_told_how_much_it_may_think_if_that_is_wanted() -> None:
    backend = ScriptedBackend("<output>42</output>", repeat=True)
    client = Client(backend, mode="trained", budget=Budget(thinking=64))
    await client.ask(QUESTION)
    await client.ask(QUESTION, budget=Budget(hint=True))
    plain, hinted = (r.messages[-1].text for r in backend.requests)
    assert plain == QUESTION
    assert hinted.startswith(QUESTION)
    assert "64 tokens" in hinted


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
