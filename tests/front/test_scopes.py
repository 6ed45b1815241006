"""Scopes through the client: what a call really used is charged, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Generator, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from reflectkit import (
    Attempt,
    BackendStatus,
    BackendWireError,
    Budget,
    BudgetExceeded,
    Chunk,
    Client,
    ConfigurationError,
    Limit,
    Message,
    Reply,
    Request,
    Scope,
    SyncClient,
    Usage,
)
from reflectkit.backends.base import Capabilities
from reflectkit.budget.ledger import NANO, Balance, Demand
from reflectkit.correction.policy import conclude
from reflectkit.ledgers import MemoryLedger, SQLiteLedger
from reflectkit.ledgers.hold import hold
from reflectkit.models.prices import Price
from reflectkit.testing import LoopbackServer, Received, ScriptedBackend, Served, chat, refusal

QUESTION = "What is (7 * 6 + 5) * 2?"
#: an answer and a wrap-up of these fit into 400 tokens
SMALL = Budget(thinking=100, output=40)
THOUGHT = ["<thinking>6 * 7 = 42. ", *["I go on. "] * 90]


def scope(
    name: str = "acme", tokens: int = 5_000, *more: Limit, kind: str = "tenant", **settings: Any
) -> Scope:
    settings.setdefault("ledger", MemoryLedger())
    return Scope(kind, name, Limit(tokens=tokens), *more, **settings)


async def tokens(of: Scope) -> Balance:
    return next(b for b in await of.balances() if "/tokens/" in b.key)


async def charged(of: Scope) -> int:
    """What was spent, once nothing is reserved any more."""
    found = await of.balances()
    assert [b.reserved for b in found] == [0] * len(found)
    return next(b.spent for b in found if "/tokens/" in b.key)


# --- who is charged


async def test_every_scope_around_a_call_is_charged_with_what_it_used() -> None:
    ledger = MemoryLedger()
    everyone = scope("all", kind="global", ledger=ledger)
    acme = scope("acme", 5_000, Limit(calls=9), ledger=ledger)
    talk = scope("7", kind="conversation")  # in a ledger of its own
    own, once = scope("own", kind="run", ledger=ledger), scope("once", kind="run", ledger=ledger)
    async with Client(temperature=0.0, scopes=[own]) as client:
        with everyone:
            async with acme, talk:
                reply = await client.ask(QUESTION, budget=SMALL, scopes=[once])
            second = await client.ask(QUESTION, budget=SMALL)
    both = reply.usage.total + second.usage.total
    assert await charged(everyone) == await charged(own) == both
    assert await charged(acme) == await charged(talk) == await charged(once) == reply.usage.total
    calls = next(b for b in await acme.balances() if "/calls/" in b.key)
    assert calls.spent == reply.attempts[0].requests


async def test_no_option_takes_a_call_out_of_its_clients_scopes() -> None:
    acme = scope()
    async with Client(temperature=0.0, scopes=[acme], budget=SMALL) as client:
        one = await client.ask(QUESTION, scopes=[])
        other = await client.with_options(scopes=[scope("other")]).ask(QUESTION)
    assert await charged(acme) == one.usage.total + other.usage.total


async def test_child_tasks_are_charged_too() -> None:
    acme = scope()
    async with Client(temperature=0.0, budget=SMALL) as client:
        async with acme, asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.ask(f"What is {n} + 2?")) for n in range(4)]
        outside = await client.ask("What is 2 + 2?")
    assert await charged(acme) == sum(t.result().usage.total for t in tasks)
    assert outside.output


def test_the_blocking_client_is_charged_too() -> None:
    acme = scope()
    with SyncClient(temperature=0.0, budget=SMALL) as client:
        with acme:
            reply = client.ask(QUESTION)
            with client.stream(QUESTION) as stream:
                second = stream.reply()
        client.ask(QUESTION)
    assert asyncio.run(charged(acme)) == reply.usage.total + second.usage.total


async def test_budgets_of_scopes_count_for_each_call() -> None:
    acme = scope(budget=Budget(thinking=12))
    async with Client(temperature=0.0, budget=Budget(thinking=90)) as client:
        with acme:
            reply = await client.ask(QUESTION)
        free = await client.ask(QUESTION)
    assert reply.bound_by == "thinking (tenant:acme)"
    assert free.bound_by == ""


@pytest.mark.parametrize("wrong", [5, "acme", [5], [Limit(tokens=5)]])
def test_what_is_no_scope(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="scopes is"):
        Client(ScriptedBackend(), scopes=wrong)


# --- whatever happens, what was used is spent and the rest comes back


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    made = MemoryLedger() if request.param == "memory" else SQLiteLedger(tmp_path / "l.db")
    yield made
    asyncio.run(made.aclose())


def server_client(server: LoopbackServer, **more: Any) -> Client:
    return Client(server.url, model="m", mode="trained", dialect="reflection", retries=0, **more)


async def test_after_success(ledger: Any) -> None:
    acme = scope(ledger=ledger)
    async with LoopbackServer(chat("<output>", "42")) as server, server_client(server) as client:
        reply = await client.ask(QUESTION, scopes=[acme])
    assert reply.usage.exact
    assert await charged(acme) == reply.usage.total


async def test_after_an_answer_that_was_cut_and_asked_for(ledger: Any) -> None:
    acme = scope("acme", 9_000, Limit(calls=9), ledger=ledger)
    async with (
        LoopbackServer(chat(*THOUGHT), chat("42")) as server,
        server_client(server) as client,
    ):
        reply = await client.ask(QUESTION, scopes=[acme], budget=Budget(thinking=50))
    assert (reply.ending, reply.output) == ("asked", "42")
    assert await charged(acme) == reply.usage.total
    assert [b.spent for b in await acme.balances() if "/calls/" in b.key] == [2]


async def test_after_a_fault_in_the_middle(ledger: Any) -> None:
    acme = scope(ledger=ledger)
    broken = chat(*THOUGHT).broken(20, "reset")
    async with LoopbackServer(broken) as server, server_client(server) as client:
        with pytest.raises(BackendWireError) as caught:
            await client.ask(QUESTION, scopes=[acme])
    assert caught.value.usage is not None
    assert await charged(acme) == caught.value.usage.total > 0


async def test_after_a_refusal_nothing_was_used(ledger: Any) -> None:
    acme = scope(ledger=ledger)
    async with LoopbackServer(refusal(400, "no")) as server, server_client(server) as client:
        with pytest.raises(BackendStatus) as caught:
            await client.ask(QUESTION, scopes=[acme])
    assert caught.value.usage == Usage(thinking=0, reflections=0)
    assert await charged(acme) == 0


@pytest.mark.parametrize(
    ("how", "at"),
    [("cancelled", 0), ("timed out", 0), ("cancelled", 20), ("timed out", 20), ("left", 20)],
)
async def test_after_a_caller_who_has_gone(ledger: Any, how: str, at: int) -> None:
    """``at``: the server falls silent there, 0: before it says a word."""
    acme = scope(ledger=ledger)
    slow = chat(*THOUGHT).insert(at, "stall")
    async with LoopbackServer(slow) as server, server_client(server) as client:
        stream = client.stream(QUESTION, scopes=[acme])

        async def read() -> None:
            async with stream:
                async for _ in stream:
                    if how == "left" and len(stream.partial.source) > 100:
                        return

        task = asyncio.create_task(read())
        while not (len(stream.partial.source) > 100 if at else server.requests):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
        if how == "timed out":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0.05)
        elif how == "cancelled":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.wait([task])
        await server.quiet()
    assert await charged(acme) == stream.usage.total > 0


async def test_after_its_time(ledger: Any) -> None:
    acme = scope(ledger=ledger)
    slow = chat("<thinking>", "It is ", "= 42. ", "Or is it?").insert(4, "stall")
    async with LoopbackServer(slow) as server, server_client(server) as client:
        reply = await client.ask(QUESTION, scopes=[acme], budget=Budget(seconds=1.5))
        await server.quiet()
    assert (reply.ending, reply.stopped_by) == ("salvaged", "seconds")
    assert await charged(acme) == reply.usage.total


async def test_no_wrap_up_takes_more_than_was_reserved() -> None:
    """A model that thinks as long as it may, and whose thinking is a prompt again afterwards."""
    for goes_on in (False, True):
        backend = ScriptedBackend(
            _endless,
            repeat=True,
            capabilities=Capabilities(continues_prefix=goes_on, reports_usage=True),
        )
        for cap in range(300, 7_600, 900):
            acme = scope(tokens=cap, shortage="shrink")
            client = Client(backend, mode="trained", dialect="reflection", counter=Words())
            reply = await client.ask(QUESTION, scopes=[acme])
            assert await charged(acme) == reply.usage.total <= cap
            if cap > 2_500:  # with less, no room is held for a second request
                assert reply.output == "42"
                assert reply.ending == ("closed" if goes_on else "asked")


class Words:
    """A token is a word."""

    exact = True

    def count(self, text: str, *, special: bool = False) -> int:
        return len(text.split())

    def prompt(self, request: Request) -> int:
        said = [m.text for m in request.messages]
        return self.count(" ".join([*said, request.prefix]))

    upper, prompt_upper = count, prompt

    def learn(self, text: str, tokens: int) -> None:
        """There is nothing to learn."""

    def learn_prompt(self, request: Request, tokens: int) -> None:
        """Neither here."""


def _endless(request: Request) -> Generator[Chunk, None, None]:
    prompt = Words().prompt(request)
    if request.prefix or "Stop thinking" in request.messages[-1].text:
        yield Chunk("42", usage=Usage(prompt=prompt, completion=1), finish="stop")
        return
    assert request.max_tokens is not None
    yield Chunk("<thinking>")
    for number in range(1, request.max_tokens + 1):
        yield Chunk("house ", usage=Usage(prompt=prompt, completion=number))
    yield Chunk(finish="length")


# --- many at once


@pytest.mark.parametrize("shortage", ["wait", "reject"])
async def test_a_crowd_never_passes_the_cap(shortage: Any) -> None:
    """Fifty calls of the real model over one cap, some of them cancelled at any time."""
    cap = 2_500
    acme = scope(tokens=cap, shortage=shortage, patience=60)
    rng, totals, over = random.Random(9), list[int](), list[int]()

    async def one(client: Client, number: int) -> None:
        stream = client.stream(f"What is ({number} + 3) * 2?", budget=SMALL)
        try:
            async with stream:
                await stream.reply()
        finally:
            totals.append(stream.usage.total)

    async def watch() -> None:
        while True:
            now = await tokens(acme)
            over.append(now.spent + now.reserved - cap)
            await asyncio.sleep(0.002)

    async with Client(temperature=0.0, scopes=[acme]) as client:
        await client.ask("What is 1 + 1?", budget=SMALL)  # the model is loaded
        totals.append(await charged(acme))
        watching = asyncio.create_task(watch())
        tasks = [asyncio.create_task(one(client, n)) for n in range(50)]
        for task in rng.sample(tasks, 15):
            await asyncio.sleep(rng.uniform(0, 0.1))
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        watching.cancel()
    kinds = {type(end) for end in ended}
    assert kinds <= {type(None), asyncio.CancelledError, BudgetExceeded}
    assert {type(None), BudgetExceeded} <= kinds
    assert max(over) <= 0
    assert len(over) > 20
    assert await charged(acme) == sum(totals) <= cap


# --- what happens to a call that there is no room for


async def test_rejecting_is_before_anything_is_sent() -> None:
    acme = scope(tokens=60)
    backend = ScriptedBackend("<output>42</output>", repeat=True)
    client = Client(backend, mode="trained", scopes=[acme])
    with pytest.raises(BudgetExceeded) as caught:
        await client.ask(QUESTION)
    assert (caught.value.scope, caught.value.limit) == ("tenant:acme", "tokens")
    assert caught.value.hint
    assert backend.requests == []
    assert await charged(acme) == 0


async def test_shrinking_makes_the_answer_shorter_and_says_whose_limit_it_was() -> None:
    acme = scope(tokens=300, shortage="shrink")

    def served(received: Received) -> Served:
        words = ["word "] * (received.json["max_tokens"] - 1)
        return chat("<output>", *words, usage="running", finish="length")

    async with LoopbackServer(served) as server, server_client(server) as client:
        reply = await client.ask("Go on.", scopes=[acme])
        asked = server.requests[0].json["max_tokens"]
    assert asked < 300
    assert len(reply.output.split()) <= asked
    assert await charged(acme) == reply.usage.total <= 300
    assert (reply.ending, reply.bound_by) == ("length", "tenant:acme tokens")


async def test_a_shrunk_answer_of_the_real_model_is_bound_by_the_scope() -> None:
    async with Client(temperature=0.0) as client:
        free = await client.ask(QUESTION)
        acme = scope(tokens=free.usage.total - 25, shortage="shrink")
        reply = await client.ask(QUESTION, scopes=[acme], budget=Budget(output_floor=5))
    assert reply.usage.completion < free.usage.completion
    assert reply.bound_by == "tenant:acme tokens"
    assert await charged(acme) == reply.usage.total <= free.usage.total - 25


async def test_waiting_waits_for_others_to_end() -> None:
    acme = scope(tokens=450, shortage="wait", patience=10)
    async with Client(temperature=0.0, budget=SMALL, scopes=[acme]) as client:
        first = client.stream("What is 2 + 3?")
        async with first:
            await anext(first)
            waiting = asyncio.create_task(client.ask("What is 3 + 3?", budget=Budget(thinking=40)))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            reply = await first.reply()
        second = await asyncio.wait_for(waiting, 10)
    assert await charged(acme) == reply.usage.total + second.usage.total


async def test_time_is_over_while_it_waits() -> None:
    acme = scope(tokens=450, shortage="wait", patience=10)
    client = Client(ScriptedBackend(), mode="trained", scopes=[acme])
    async with await hold([acme], Demand(prompt=0, completion=450)):
        with pytest.raises(BudgetExceeded) as caught:
            await client.ask(QUESTION, budget=Budget(thinking=100, output=40, seconds=0.05))
    assert (caught.value.limit, caught.value.scope) == ("seconds", "call")
    assert await charged(acme) == 0


# --- money


async def test_money_is_charged_by_the_price() -> None:
    acme = Scope("tenant", "acme", Limit(money="0.01"), ledger=MemoryLedger())
    price = Price(prompt=2, completion=10)
    async with Client(temperature=0.0, prices=price, scopes=[acme]) as client:
        reply = await client.ask(QUESTION, budget=SMALL)
        (found,) = await acme.balances()
        assert (Decimal(found.spent) / NANO, found.reserved) == (price.cost(reply.usage), 0)
        answered = await asyncio.gather(
            *(client.ask(QUESTION, budget=SMALL) for _ in range(20)), return_exceptions=True
        )
    refused = [e for e in answered if isinstance(e, BudgetExceeded)]
    assert {(e.limit, e.scope) for e in refused} == {("money", "tenant:acme")}
    (found,) = await acme.balances()
    assert 0 < found.spent <= found.cap
    assert found.reserved == 0


async def test_money_without_a_price_is_refused_before_sending() -> None:
    acme = Scope("tenant", "acme", Limit(money=1), ledger=MemoryLedger())
    backend = ScriptedBackend("42", model="somebodys-model")
    client = Client(backend, mode="plain")
    for options in ({"scopes": [acme]}, {"budget": Budget(money=1)}):
        with pytest.raises(ConfigurationError, match="no price of 'somebodys-model'"):
            await client.ask(QUESTION, **options)
    assert backend.requests == []


# --- several attempts


class Twice:
    """Asks again and takes the second answer; it knows nothing of budgets."""

    def flow(self, request: Request, /) -> Generator[Request, Attempt, Reply]:
        first = yield request
        said = Message("assistant", first.transcript.output)
        again = (*request.messages, said, Message("user", "What is 2 + 2?"))
        second = yield replace(request, messages=again)
        return conclude([first, second], second)


async def test_both_attempts_are_charged() -> None:
    acme = scope()
    async with Client(temperature=0.0, budget=SMALL, policy=Twice()) as client:
        reply = await client.ask(QUESTION, scopes=[acme])
    assert len(reply.attempts) == 2
    assert reply.usage == reply.attempts[0].usage + reply.attempts[1].usage
    assert await charged(acme) == reply.usage.total


@pytest.mark.parametrize("whose", ["scope", "call"])
async def test_a_second_attempt_that_cannot_be_paid_leaves_the_first(whose: str) -> None:
    async with Client(temperature=0.0, policy=Twice()) as client:
        price = (await client.with_options(policy=None).ask(QUESTION)).usage.total
        acme = scope(tokens=price + 30 if whose == "scope" else 9_000, shortage="shrink")
        budget = Budget(total=price + 30) if whose == "call" else None
        reply = await client.ask(QUESTION, scopes=[acme], budget=budget)
    assert len(reply.attempts) == 1
    assert reply.output
    assert reply.status == "budget"
    by = {"scope": "tokens (tenant:acme)", "call": "total (call)"}
    assert reply.stopped_by == by[whose]
    assert await charged(acme) == reply.usage.total


async def test_a_reservation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflectkit")
    acme = scope(tokens=300, shortage="shrink")
    await Client(ScriptedBackend("<output>42"), mode="trained", scopes=[acme]).ask(QUESTION)
    (said,) = [r.getMessage() for r in caplog.records if "event='reservation'" in r.getMessage()]
    assert "scopes=['tenant:acme']" in said
    assert "wanted=4096" in said
    assert "bound_by='tenant:acme tokens'" in said
    assert "6 + 5" not in said


def _long(request: Request) -> Generator[Chunk, None, None]:
    assert request.max_tokens is not None
    used = Usage(prompt=Words().prompt(request), completion=request.max_tokens)
    yield Chunk("<output>")
    yield Chunk("word " * request.max_tokens, usage=used, finish="length")


async def test_a_hint_is_paid_for_as_well() -> None:
    """What the model is told of its budget is a part of the prompt."""
    backend = ScriptedBackend(_long, repeat=True)
    client = Client(backend, mode="trained", dialect="reflection", counter=Words())
    reply = await client.ask(QUESTION, budget=Budget(total=200, thinking=90, hint=True, calls=1))
    assert "90 tokens at most" in backend.requests[0].messages[-1].text
    assert reply.usage.total <= 200


async def test_patience_is_not_used_up_twice() -> None:
    """The second, smaller order is made where waiting was not what the first one failed by."""
    acme = scope(tokens=900, shortage="wait", patience=0.4)
    client = Client(ScriptedBackend(), mode="trained", scopes=[acme])
    async with await hold([acme], Demand(prompt=0, completion=900)):
        began = monotonic()
        with pytest.raises(BudgetExceeded, match="has waited"):
            await client.ask(QUESTION, budget=Budget(thinking=100, output=40))
    assert 0.4 <= monotonic() - began < 0.75
