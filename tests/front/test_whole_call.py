"""``reserve="call"``: scopes hold all that a correction loop may cost before its first request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reflectkit import (
    Budget,
    BudgetExceeded,
    Client,
    ConfigurationError,
    Draft,
    Limit,
    MemoryLedger,
    Request,
    Scope,
)
from reflectkit.budget.tokens import LearnedCounter
from reflectkit.correction import Redraw, Revise, conclude, stop
from reflectkit.testing import ScriptedBackend

QUESTION = "What is (7 * 6 + 5) * 2?"
ASKED: dict[str, Any] = {"policy": Redraw(stop.attempts(3)), "max_tokens": 60, "reserve": "call"}


def no(draft: Draft) -> bool:
    return False


def tenant(tokens: int, *more: Limit, **settings: Any) -> Scope:
    return Scope("tenant", "acme", Limit(tokens=tokens), *more, ledger=MemoryLedger(), **settings)


async def balance(of: Scope) -> tuple[int, int]:
    """Spent and reserved."""
    found = next((b for b in await of.balances() if "/tokens/" in b.key), None)
    return (found.spent, found.reserved) if found else (0, 0)


async def need(client: Client, added: int = 0) -> int:
    """The tokens that the loop may cost at most: three answers, each with a request that sees to
    its end; ``added``: by which a retry's prompt is longer."""
    shown = await client.preview(QUESTION, **{k: ASKED[k] for k in ("policy", "max_tokens")})
    prompt = LearnedCounter().prompt_upper(shown.request)
    return 2 * (3 * (prompt + 60) + 2 * added) + 3 * 64


async def test_all_is_held_while_it_runs_and_the_rest_comes_back() -> None:
    acme = tenant(100_000, Limit(calls=10))
    async with (
        Client(temperature=0.0, scopes=[acme], verify=no, counter=LearnedCounter()) as client,
        client.stream(QUESTION, **ASKED) as stream,
    ):
        seen = [(await balance(acme))[1] async for _ in stream]
        reply = await stream.reply()
        whole = await need(client)
    assert len(reply.attempts) == 3
    assert set(seen[:-2]) == {whole}
    assert await balance(acme) == (reply.usage.total, 0)
    calls = sum(a.requests for a in reply.attempts)
    assert {b.spent for b in await acme.balances() if "/calls/" in b.key} == {calls}


async def test_what_has_no_room_for_all_of_it_is_refused_before_anything_is_sent() -> None:
    backend = ScriptedBackend(*["<output>no</output>"] * 9)
    async with Client(backend, verify=no, counter=LearnedCounter()) as client:
        acme = tenant(await need(client) - 1)
        with pytest.raises(BudgetExceeded, match="tenant:acme"):
            await client.ask(QUESTION, scopes=[acme], **ASKED)
        assert backend.requests == []
        assert await balance(acme) == (0, 0)
        reply = await client.ask(QUESTION, scopes=[acme], **{**ASKED, "reserve": "attempt"})
        assert len(reply.attempts) == len(backend.requests)


async def test_two_loops_take_turns_where_there_is_room_for_one() -> None:
    async with Client(temperature=0.0, verify=no, counter=LearnedCounter()) as client:
        acme = tenant(round(1.9 * await need(client)), shortage="wait")
        replies = await asyncio.gather(
            *(client.ask(QUESTION, scopes=[acme], **ASKED) for _ in range(2))
        )
    assert [len(r.attempts) for r in replies] == [3, 3]
    assert await balance(acme) == (sum(r.usage.total for r in replies), 0)


@pytest.mark.parametrize("at", range(0, 40, 5))
async def test_who_leaves_gives_it_back(at: int) -> None:
    acme = tenant(100_000)
    async with (
        Client(temperature=0.0, scopes=[acme], verify=no) as client,
        client.stream(QUESTION, **ASKED) as stream,
    ):
        for _ in range(at):
            await anext(stream, None)
    spent, reserved = await balance(acme)
    assert reserved == 0
    assert spent > 0 or at < 2


async def test_shrunk_reservations_bind_the_loop() -> None:
    async with Client(temperature=0.0, verify=no, counter=LearnedCounter()) as client:
        room = await need(client) - 100
        acme = tenant(room, shortage="shrink")
        reply = await client.ask(QUESTION, scopes=[acme], **ASKED)
    assert await balance(acme) == (reply.usage.total, 0)
    assert reply.usage.total <= room


async def test_prompts_that_grow_are_held_with_usual_feedback() -> None:
    acme = tenant(100_000)
    async with (
        Client(temperature=0.0, scopes=[acme], verify=no, counter=LearnedCounter()) as client,
        client.stream(QUESTION, **{**ASKED, "policy": Revise(stop.attempts(3))}) as stream,
    ):
        await anext(stream)
        _, reserved = await balance(acme)
        assert reserved == await need(client, 60 + 1024)
        reply = await stream.reply()
    assert len(reply.attempts) == 3
    assert await balance(acme) == (reply.usage.total, 0)


async def test_room_for_wrap_ups_is_held_too() -> None:
    acme = tenant(100_000)
    async with Client(temperature=0.0, verify=no, scopes=[acme]) as client:
        reply = await client.ask(QUESTION, budget=Budget(thinking=8, grace=0), **ASKED)
    assert {a.wrap for a in reply.attempts} == {"closed"}
    assert len(reply.attempts) == 3
    assert (await balance(acme))[1] == 0


class Boundless:
    """Gives no bound."""

    def flow(self, request: Request, /) -> Any:
        attempt = yield request
        return conclude([attempt], attempt)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"max_tokens": None}, "length of an answer"),
        ({"policy": Boundless()}, "number of attempts"),
    ],
)
async def test_what_has_no_bound_cannot_be_reserved(asked: dict[str, Any], words: str) -> None:
    backend = ScriptedBackend(["no"])
    async with Client(backend, scopes=[tenant(1_000)]) as client:
        with pytest.raises(ConfigurationError, match=words):
            await client.ask(QUESTION, **{**ASKED, **asked})
    assert backend.requests == []


async def test_without_scopes_there_is_nothing_to_hold() -> None:
    async with Client(temperature=0.0) as client:
        assert (await client.ask(QUESTION, reserve="call")).output


async def test_no_such_way() -> None:
    with pytest.raises(ConfigurationError, match="attempt, call"):
        Client(reserve="both")  # type: ignore[arg-type]  # wrong on purpose
