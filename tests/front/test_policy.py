"""A policy of more than one attempt slots in without a change of engine or client."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from reflectkit import Attempt, AttemptEnded, AttemptStarted, Client, Message, Reply, Request
from reflectkit.correction.policy import conclude, is_live, single
from reflectkit.testing import ScriptedBackend

DRAFTS = [f"<thinking>SECRET{i}</thinking><output>draft {i}</output>" for i in (1, 2)]


class Twice:
    """Asks again with the draft in hand, and takes the second answer."""

    def flow(self, request: Request, /) -> Generator[Request, Attempt, Reply]:
        first = yield request
        again = (*request.messages, Message("assistant", first.transcript.source))
        second = yield replace(request, messages=(*again, Message("user", "Again.")))
        return conclude([first, second], second, "kept_first")


async def test_two_attempts() -> None:
    backend = ScriptedBackend(*DRAFTS)
    async with Client(backend, policy=Twice()).stream("q") as stream:
        events = [e async for e in stream]
        reply = await stream.reply()
    assert reply.output == "draft 2"
    assert [a.transcript.output for a in reply.attempts] == ["draft 1", "draft 2"]
    assert reply.usage == reply.attempts[0].usage + reply.attempts[1].usage
    assert [e.number for e in events if isinstance(e, AttemptStarted | AttemptEnded)] == [
        1,
        1,
        2,
        2,
    ]
    assert (backend.opened, backend.closed) == (2, 2)


async def test_answer_text_waits_until_the_policy_has_chosen() -> None:
    async with Client(ScriptedBackend(*DRAFTS), policy=Twice()).stream("q") as stream:
        assert [t async for t in stream.output] == ["draft 2"]


async def test_earlier_drafts_in_requests_are_hidden_too() -> None:
    reply = await Client(ScriptedBackend(*DRAFTS), policy=Twice(), show="hidden").ask("q")
    assert reply.output == "draft 2"
    assert "SECRET" not in repr([(a, a.request) for a in reply.attempts])


def test_only_a_policy_that_says_so_is_live() -> None:
    assert is_live(single())
    assert not is_live(Twice())
