"""One policy after another: the second one does not begin with the draft that was rejected."""

from __future__ import annotations

from reflectkit import Client, Draft
from reflectkit.correction import Redraw, Then, stop
from reflectkit.testing import ScriptedBackend


def never(_: Draft) -> bool:
    return False


async def test_the_second_policy_draws_afresh() -> None:
    once = Redraw(stop=stop.attempts(1))
    backend = ScriptedBackend("1", "2")
    client = Client(backend, mode="plain", policy=Then(once, once), verify=never)
    reply = await client.ask("How many?", temperature=0.0, seed=7)
    assert [(r.seed, r.temperature) for r in backend.requests] == [(7, 0.0), (8, 0.7)]
    assert len(reply.attempts) == 2
    assert reply.output == "1"


async def test_seeds_go_on_where_the_first_policy_stopped() -> None:
    twice = Redraw(stop=stop.attempts(2))
    backend = ScriptedBackend("1", "2", "3", "4")
    client = Client(backend, mode="plain", policy=Then(twice, twice), verify=never)
    await client.ask("How many?", seed=7)
    assert [r.seed for r in backend.requests] == [7, 8, 9, 10]
