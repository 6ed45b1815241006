"""Loops through the client: every colour of caller sees the same, traces decide again, and a
cancelled loop leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from loop_driver import random_policy, random_text
from reflectkit import (
    BackendStatus,
    Budget,
    Client,
    ConfigurationError,
    Draft,
    Event,
    Limit,
    MemoryLedger,
    Reply,
    Request,
    Retracted,
    Scope,
    SyncClient,
    Usage,
    Verdict,
)
from reflectkit.budget.tokens import LearnedCounter
from reflectkit.correction import (
    Escalate,
    GuardedReflection,
    Policy,
    Redraw,
    Revise,
    Vote,
    bound_of,
    single,
    trace,
)
from reflectkit.messages import Chunk
from reflectkit.testing import ScriptedBackend, Step

pytestmark = pytest.mark.long

SCENARIOS = 500


class Chance:
    """A verifier that judges by the draft alone: yes, no, unknown, or a crash."""

    inline = True

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, draft: Draft) -> Verdict | bool | None:
        rng = random.Random(f"{self.seed} {draft.transcript.source} {draft.request.seed}")
        kind = rng.choice(["yes", "no", "no", "no", "unknown", "crash", "graded"])
        if kind == "crash":
            raise RuntimeError("a bug in the verifier")
        if kind == "graded":
            return Verdict(ok=None, score=rng.random(), by="judge")
        return {"yes": True, "no": False, "unknown": None}[kind]


class Scene:
    """A policy, a model, a verifier and limits, drawn by chance; made anew for every run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = random.Random(seed)
        self.budget = None
        if rng.random() < 0.3:
            self.budget = rng.choice([Budget(calls=rng.randint(1, 4)), Budget(total=4_000)])

    def policy(self) -> Policy:
        # What attempts side by side may spend depends on which of them is faster.
        beside = 1 if self.budget else 4
        other = Client(self.backend("elsewhere"))
        return random_policy(random.Random(self.seed), client=other, beside=beside)

    def backend(self, name: str = "here") -> ScriptedBackend:
        def script(request: Request) -> list[str | Chunk]:
            asked = "".join(m.text for m in request.messages)
            rng = random.Random(f"{self.seed} {name} {asked} {request.seed} {request.prefix}")
            text = random_text(rng)
            cut = rng.randint(0, len(text))
            usage = Usage(prompt=len(asked), completion=len(text))
            finish = Chunk(usage=usage, finish=rng.choice(["stop", "stop", "stop", "length"]))
            return [text[:cut], text[cut:], finish]

        return ScriptedBackend(script, repeat=True, model=name)

    def options(self) -> dict[str, Any]:
        own = {"policy": self.policy(), "verify": Chance(self.seed), "budget": self.budget}
        # A counter learns from what it sees, so every run has one that knows nothing yet.
        return {**own, "seed": self.seed, "mode": "prompted", "counter": LearnedCounter()}


Seen = tuple[list[Event], Reply]


def still(reply: Reply) -> Reply:
    """Without what a clock says."""
    return replace(reply, attempts=tuple(replace(a, seconds=0.0) for a in reply.attempts))


async def asked(scene: Scene) -> Reply:
    return await Client(scene.backend()).ask("q", **scene.options())


async def streamed(scene: Scene) -> Seen:
    async with Client(scene.backend()).stream("q", **scene.options()) as stream:
        events = [event async for event in stream]
        return events, await stream.reply()


async def texts(scene: Scene) -> str:
    async with Client(scene.backend()).stream("q", **scene.options()) as stream:
        return "".join([text async for text in stream.output])


def blocking(scene: Scene) -> tuple[Seen, str, Reply]:
    """Each with a connection of its own, since one learns what its server does with limits."""
    with SyncClient(scene.backend()) as client, client.stream("q", **scene.options()) as stream:
        events = list(stream)
        reply = stream.reply()
    with SyncClient(scene.backend()) as client, client.stream("q", **scene.options()) as stream:
        text = "".join(stream.output)
    with SyncClient(scene.backend()) as client:
        return (events, reply), text, client.ask("q", **scene.options())


@pytest.mark.parametrize("part", range(5))
def test_every_caller_sees_the_same_and_a_trace_decides_the_same(part: int) -> None:
    kinds = set()
    for seed in range(part * SCENARIOS // 5, (part + 1) * SCENARIOS // 5):
        scene = Scene(seed)

        async def colours(scene: Scene = scene) -> tuple[Reply, Seen, str]:
            return await asked(scene), await streamed(scene), await texts(scene)

        plain, (events, reply), text = asyncio.run(colours())
        (same_events, same), same_text, again = blocking(scene)
        assert events == same_events
        assert still(plain) == still(reply) == still(same) == still(again)
        assert text == same_text == reply.output
        bound = bound_of(scene.policy(), Request(messages=())).attempts
        assert len(reply.attempts) <= (bound or 0)
        check_trace(scene, reply)
        kinds.add(reply.status)
    assert {"accepted", "exhausted", "voted", "unverified"} <= kinds


def check_trace(scene: Scene, reply: Reply) -> None:
    told = trace.lines(reply)
    assert len(told) == len(reply.attempts) + 1
    found = trace.load("\n".join(told))
    assert reply.record is not None
    assert found.attempts == reply.record.attempts
    assert found.asked == reply.record.asked
    assert found.refused == reply.record.refused
    decided = trace.replay(scene.policy(), found)
    assert decided == replace(reply, summary=decided.summary)


# --- traces


def no(draft: Draft) -> bool:
    return False


async def test_a_policy_that_asks_something_else_is_found_out() -> None:
    backend = ScriptedBackend("<output>1</output>", repeat=True)
    told = trace.lines(await Client(backend, verify=no, policy=Revise()).ask("q"))
    assert trace.replay(Revise(), told).status == "exhausted"
    for other in (Redraw(), Vote(5), Escalate(single(), None)):
        with pytest.raises(ConfigurationError, match="attempt"):
            trace.replay(other, told)


async def test_a_trace_decides_the_same_where_the_prompt_had_tags() -> None:
    backend = ScriptedBackend("<output>Write <\u2060/output> last.</output>", repeat=True)
    client = Client(backend, verify=no, policy=Revise())
    reply = await client.ask("What does </output> do?")
    assert reply.output == "Write </output> last."
    decided = trace.replay(Revise(), trace.lines(reply))
    assert (decided.status, decided.chosen) == (reply.status, reply.chosen)


async def test_a_trace_without_thinking_says_so() -> None:
    backend = ScriptedBackend("<thinking>SECRET</thinking><output>1</output>")
    told = trace.lines(await Client(backend, show="hidden").ask("q"))
    assert "SECRET" not in "".join(told)
    assert trace.load(told).attempts[0].transcript.output == "1"
    with pytest.raises(ConfigurationError, match="thinking"):
        trace.replay(single(), told)


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"kind": "reply"}', "[1]", "3"])
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no trace"):
        trace.load(text)


# --- what the engine does for a policy


async def test_what_came_before_a_fault_is_on_the_error() -> None:
    backend = ScriptedBackend("<output>1</output>", [BackendStatus("no", status=500)])
    with pytest.raises(BackendStatus) as caught:
        await Client(backend, verify=no).ask("q")
    assert [(a.transcript.output, a.verdicts[0].ok) for a in caught.value.attempts] == [
        ("1", False)
    ]


async def test_an_answer_of_another_client_is_that_client_s() -> None:
    there = ScriptedBackend("<output>42</output>", model="large")
    there.provider = "elsewhere"  # type: ignore[attr-defined]  # any backend may say it
    here = ScriptedBackend("7")

    def right(draft: Draft) -> bool:
        return draft.output == "42"

    policy = Escalate(single(), Client(there, mode="prompted"))
    reply = await Client(here, mode="plain", verify=right, policy=policy).ask("q")
    assert (reply.output, reply.mode, reply.provider) == ("42", "prompted", "elsewhere")
    assert (reply.status, reply.model) == ("accepted", "large")


async def test_another_client_is_told_what_the_answer_has_to_look_like() -> None:
    there = ScriptedBackend("<output>[42]</output>")
    policy = Escalate(single(), Client(there, mode="prompted"))
    client = Client(ScriptedBackend("seven"), output_type=list[int], policy=policy)
    assert (await client.ask("q")).value == [42]
    assert '"array"' in there.requests[0].messages[-1].text


@pytest.mark.parametrize("step", [None, (), 3, ("text",)])
async def test_a_policy_that_yields_nonsense_is_told(step: Any) -> None:
    class Odd:
        def flow(self, request: Request) -> Any:
            yield step

    with pytest.raises(ConfigurationError, match="flow"):
        await Client(ScriptedBackend("x", repeat=True), policy=Odd()).ask("q")


async def test_only_a_client_can_be_asked_instead() -> None:
    with pytest.raises(ConfigurationError, match="instead"):
        await Client(ScriptedBackend("x"), policy=Escalate(single(), object())).ask("q")


async def test_an_oracle_is_refused_before_and_after() -> None:
    def gold(draft: Draft) -> Verdict:
        return Verdict(ok=True, by="oracle")

    backend = ScriptedBackend("x", "x")
    with pytest.raises(ConfigurationError, match="oracle"):
        await Client(backend, verify=gold).ask("q")
    gold.by = "oracle"  # type: ignore[attr-defined]  # functions take attributes
    with pytest.raises(ConfigurationError, match="oracle"):
        await Client(backend, verify=gold).ask("q")
    assert len(backend.requests) == 1


async def test_two_attempts_without_a_verifier_are_one() -> None:
    backend = ScriptedBackend("1", "2", "2")
    assert (await Client(backend, attempts=2).ask("q")).output == "1"
    assert len(backend.requests) == 1
    backend = ScriptedBackend("1", "2", "2")
    assert (await Client(backend, attempts=3).ask("q")).output == "2"


async def test_the_money_for_a_retry_is_gone() -> None:
    backend = ScriptedBackend("<output>1</output>", repeat=True)
    reply = await Client(backend, verify=no, budget=Budget(calls=2)).ask("q")
    assert (reply.status, reply.stopped_by, reply.output) == ("budget", "calls (client)", "1")
    assert len(reply.attempts) == 2
    assert reply.record is not None
    assert [r.number for r in reply.record.refused] == [3]


async def test_the_time_for_a_retry_is_gone() -> None:
    async def slow(draft: Draft) -> bool:
        await asyncio.sleep(30)
        return False

    backend = ScriptedBackend("<output>1</output>", repeat=True)
    client = Client(backend, verify=[slow], budget=Budget(seconds=0.3))
    reply = await client.ask("q")
    assert (reply.output, reply.status) == ("1", "unverified")
    assert reply.verdicts[0].feedback == "There was no time left to judge it."

    async def wait(draft: Draft) -> bool:
        await asyncio.sleep(0.4)
        return False

    steps: list[Step] = ["<output>1</output>", lambda: asyncio.sleep(0.2)]
    backend = ScriptedBackend(steps, repeat=True)
    client = Client(backend, verify=no, policy=Redraw(), budget=Budget(seconds=0.3))
    reply = await client.ask("q")
    assert (reply.status, reply.output) == ("deadline", "1")


async def test_the_last_events_arrive() -> None:
    policy = Vote(3, sure=1)
    client = Client(ScriptedBackend("1", "2", "2"), policy=policy, mode="plain")
    async with client.stream("q") as stream:
        events = [event async for event in stream]
        assert (await stream.reply()).chosen == 2
    assert [type(e).__name__ for e in events[-3:]] == ["Retracted", "Retracted", "Accepted"]
    assert [e.number for e in events if isinstance(e, Retracted)] == [1, 3]


# --- nothing is left


async def pause() -> None:
    await asyncio.sleep(0)


async def unsure(draft: Draft) -> bool:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return False


STEPS: list[Step] = [pause, "<thinking>a</thinking>", pause, "<output>1", pause, "</output>", pause]
LEFT: list[tuple[str, Callable[[Client], Policy]]] = [
    ("one after the other", lambda other: Revise()),
    ("side by side", lambda other: Vote(4, 4)),
    ("escalated", lambda other: Escalate(single(), other, times=2)),
    ("guarded", lambda other: GuardedReflection(2, otherwise=Vote(2, 2))),
]


@pytest.mark.parametrize("make", [m for _, m in LEFT], ids=[name for name, _ in LEFT])
@pytest.mark.parametrize("how", ["ask", "stream"])
async def test_a_loop_can_be_cancelled_at_every_await(make: Any, how: str) -> None:
    ledger = MemoryLedger()
    scope = Scope("run", "x", Limit(tokens=10**9), ledger=ledger)
    before = asyncio.all_tasks()
    for step in range(1_000):
        backends = [ScriptedBackend(STEPS, repeat=True) for _ in range(2)]
        other = Client(backends[1])
        client = Client(backends[0], verify=unsure, policy=make(other), scopes=[scope])
        task = asyncio.ensure_future(_read(client, how))
        for _ in range(step):
            await asyncio.sleep(0)
        done = not task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == before
        assert [b.opened for b in backends] == [b.closed for b in backends]
        assert [b.reserved for b in await ledger.balances()] == [0] * len(await ledger.balances())
        if done:
            assert step > 10
            assert task.result().status == "exhausted" or make is LEFT[1][1]
            return
        assert task.cancelled()
    raise AssertionError("it never came to its end")


async def _read(client: Client, how: str) -> Reply:
    if how == "ask":
        return await client.ask("q")
    async with client.stream("q") as stream:
        async for _ in stream:
            pass
        return await stream.reply()


async def test_a_consumer_may_leave_at_every_event() -> None:
    for _, make in LEFT:
        count = 0
        while True:
            backends = [ScriptedBackend(STEPS, repeat=True) for _ in range(2)]
            client = Client(backends[0], verify=unsure, policy=make(Client(backends[1])))
            before = asyncio.all_tasks()
            async with client.stream("q") as stream:
                left = await _take(aiter(stream), count)
            assert asyncio.all_tasks() == before
            assert [b.opened for b in backends] == [b.closed for b in backends]
            if not left:
                break
            count += 1
        assert count > 10


async def _take(events: AsyncIterator[Event], count: int) -> bool:
    for _ in range(count):
        if await anext(events, None) is None:
            return False
    return True
