"""Budgets at real servers: caps are kept, answers follow, no tag is astray, accounts are right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from reflectkit import Budget, Client
from reflectkit.backends.base import Backend, Capabilities, capabilities_of
from reflectkit.budget import LearnedCounter
from reflectkit.counters import counter_for
from reflectkit.messages import Chunk, Request
from reflectkit.reply import Reply
from servers import MODEL, Server

QUESTIONS = [f"What is ({a} * {b} + {c}) * 2?" for a in (3, 6, 9) for b in (4, 7) for c in (5, 8)]
GRACE = 8
STOP = "<|eot_id|>"
#: server, and the ways in which its cut answers come
WAYS = [("llama", {"closed", "asked"}), ("vllm", {"closed", "asked"})]
WAYS += [("transformers", {"asked", "salvaged"})]
#: those that say in every chunk how many tokens there are
RUNNING = ["llama", "vllm"]


class OnThisSide:
    """A backend whose server is not told how much to think."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def capabilities(self) -> Capabilities:
        known = capabilities_of(self._inner)
        return replace(known, reasoning=frozenset(), caps_thinking=False)

    def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        return self._inner.stream(request)


def tokens(text: str) -> int:
    """As the model's own tokenizer counts what it wrote."""
    return counter_for(MODEL).count(text, special=True)


def check(reply: Reply, cap: int) -> None:
    inside = reply.transcript.sections[0]
    # the markup of a reflection that had to be closed comes on top
    assert tokens(inside.text) <= cap + GRACE + 3
    assert reply.output.strip()
    assert "<" not in reply.output
    assert not reply.issues, reply.transcript.source


@pytest.mark.parametrize("cap", [16, 32])
@pytest.mark.parametrize(("name", "ways"), WAYS)
async def test_a_cap_is_kept(
    name: str, ways: set[str], cap: int, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(name)
    seen = set()
    async with server.backend() as there:
        client = Client(
            OnThisSide(there), mode="trained", temperature=0.0, counter=counter_for(MODEL)
        )
        for question in QUESTIONS:
            reply = await client.ask(question, budget=Budget(thinking=cap, grace=GRACE))
            check(reply, cap)
            (grant,) = [g for g in reply.grants if g.limit == "thinking"]
            assert grant.enforced_by in ("", "client")
            seen.add(reply.ending)
    assert seen <= {*ways, "complete"}
    assert seen & ways


@pytest.mark.parametrize(("name", "ways"), WAYS)
async def test_a_server_that_is_told_is_not_relied_on(
    name: str, ways: set[str], request: pytest.FixtureRequest
) -> None:
    """It obeys, refuses or ignores its field; the cap holds, give or take what an estimate may be
    off before an answer is cut that a server was trusted to cut."""
    server: Server = request.getfixturevalue(name)
    async with server.backend() as there:
        client = Client(there, mode="trained", temperature=0.0, counter=counter_for(MODEL))
        for question in QUESTIONS:
            check(await client.ask(question, budget=Budget(thinking=24, grace=GRACE)), 24)


@pytest.mark.parametrize("name", RUNNING)
async def test_usage_of_a_cut_answer_is_the_servers_own(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Nobody counts here: what was written until the cut is what the server said. It may have held
    some of that back, for it may be the beginning of a stop string: the same request, ended there
    by the server itself, shows it."""
    server: Server = request.getfixturevalue(name)
    ours = true = prompts = 0
    async with server.backend() as there:
        seen = Watched(there)
        for question in QUESTIONS:
            client = Client(seen, mode="trained", temperature=0.0, counter=LearnedCounter())
            cut = await client.ask(question, budget=Budget(thinking=24, grace=GRACE))
            assert cut.attempts[0].cut == "thinking"
            text, (first, *more) = seen.texts[0], list(seen.requests)
            whole = await client.ask(question, max_tokens=first.completion)
            written = whole.transcript.source
            assert written.startswith(text)
            assert len(written) - len(text) < len(STOP)
            true += tokens(written) + sum(usage.completion for usage in more)
            ours += cut.usage.completion
            prompts += cut.usage.prompt - whole.usage.prompt - sum(u.prompt for u in more)
            assert cut.usage.exact
            seen.requests.clear()
    assert abs(ours - true) <= 0.02 * true
    assert prompts == 0


class Watched(OnThisSide):
    """Notes what came of each request: its text, and the usage that was told last."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.requests: list[Any] = []
        self.texts: list[str] = []

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        place = len(self.requests)
        self.requests.append(None)
        self.texts[place:] = [""]  # those of an earlier call are gone
        async for chunk in self._inner.stream(request):
            self.texts[place] += chunk.text
            self.requests[place] = chunk.usage or self.requests[place]
            yield chunk


@pytest.mark.parametrize("name", ["llama", "vllm", "transformers"])
async def test_a_total_holds(name: str, request: pytest.FixtureRequest) -> None:
    """The attempt, its wrap-ups and their prompts are within it, by the server's own counts."""
    server: Server = request.getfixturevalue(name)
    async with server.backend() as there:
        client = Client(there, mode="trained", temperature=0.0, counter=counter_for(MODEL))
        for total in (130, 160, 200, 300):
            for question in QUESTIONS[:4]:
                reply = await client.ask(question, budget=Budget(total=total))
                assert reply.usage.total <= total
                assert reply.output.strip() or reply.ending == "unanswered"
                assert "<" not in reply.output
