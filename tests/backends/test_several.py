"""Several backends as one: who is asked when, what is paid, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from reflectkit import Client
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.base import Backend, Capabilities
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.backends.several import (
    Breaker,
    FailoverBackend,
    HedgedBackend,
    ResumingBackend,
    answers,
)
from reflectkit.errors import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
)
from reflectkit.messages import Chunk, Message, Request, Usage
from reflectkit.testing import (
    BackendSuite,
    LoopbackServer,
    Received,
    ScriptedBackend,
    Served,
    anthropic_chat,
    chat,
    refusal,
)

ASK = Request(messages=(Message("user", "hi there"),))
DOWN = BackendUnreachable("down")


async def ask(backend: Backend, request: Request = ASK) -> list[Chunk]:
    return [chunk async for chunk in backend.stream(request)]


async def text_of(backend: Backend) -> str:
    return "".join(c.text for c in await ask(backend))


def failing(*errors: BackendError) -> ScriptedBackend:
    return ScriptedBackend(*([error] for error in errors))


class TestFailoverSuite(BackendSuite):
    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[FailoverBackend]:
        async with (
            LoopbackServer(refusal(503)) as broken,
            LoopbackServer(chat("Hello", " there", ", friend")) as sound,
            FailoverBackend(
                OpenAIBackend(broken.url, model="m", retries=0),
                OpenAIBackend(sound.url, model="m"),
            ) as backend,
        ):
            yield backend


class TestHedgedSuite(BackendSuite):
    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[HedgedBackend]:
        async with (
            LoopbackServer(chat("so").insert(0, "stall")) as slow,
            LoopbackServer(chat("Hello", " there", ", friend")) as quick,
            HedgedBackend(
                OpenAIBackend(slow.url, model="m"),
                OpenAIBackend(quick.url, model="m"),
                after=0.02,
            ) as backend,
        ):
            yield backend


# --- failover


async def test_the_next_one_is_asked_when_nothing_has_come() -> None:
    second = ScriptedBackend("two")
    assert await text_of(FailoverBackend(failing(DOWN), second)) == "two"
    assert len(second.requests) == 1


async def test_the_next_one_is_not_asked_when_the_first_answers() -> None:
    second = ScriptedBackend("two")
    assert await text_of(FailoverBackend(ScriptedBackend("one"), second)) == "one"
    assert second.requests == []


async def test_a_fault_in_the_middle_is_raised() -> None:
    first = ScriptedBackend(["on", BackendWireError("broke", retryable=True)])
    second = ScriptedBackend("two")
    stream = FailoverBackend(first, second).stream(ASK)
    assert (await anext(stream)).text == "on"
    with pytest.raises(BackendWireError):
        await anext(stream)
    assert second.requests == []


@pytest.mark.parametrize(
    ("error", "passed_on"),
    [
        (BackendTimeout("slow"), True),
        (BackendStatus("busy", status=429, retryable=True), True),
        (BackendStatus("bad key", status=401), True),
        (BackendStatus("no such model", status=404), True),
        (BackendStatus("too long", status=400), False),
        (BackendWireError("a web page"), False),
    ],
)
async def test_which_faults_are_the_servers_own(error: BackendError, passed_on: bool) -> None:
    backend = FailoverBackend(failing(error), ScriptedBackend("two"))
    if passed_on:
        assert await text_of(backend) == "two"
    else:
        with pytest.raises(type(error)):
            await ask(backend)


async def test_if_none_answers_all_failures_are_kept() -> None:
    with pytest.raises(BackendTimeout) as caught:
        await ask(FailoverBackend(failing(DOWN), failing(BackendTimeout("slow"))))
    assert [type(e) for e in caught.value.failures] == [BackendUnreachable, BackendTimeout]


async def test_what_failed_attempts_cost_is_counted() -> None:
    paid = BackendTimeout("slow")
    paid.usage = Usage(prompt=5, completion=0)
    second = ScriptedBackend(
        [Chunk("two"), Chunk(usage=Usage(prompt=5, completion=1), finish="stop")]
    )
    last = (await ask(FailoverBackend(failing(paid), second)))[-1]
    assert last.usage is not None
    assert (last.usage.prompt, last.usage.completion) == (10, 1)


# --- the breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_backend_that_keeps_failing_is_rested_and_tried_again() -> None:
    clock = Clock()
    first = failing(DOWN, DOWN, DOWN)
    second = ScriptedBackend(*["two"] * 9)
    backend = FailoverBackend(
        first, second, breaker=lambda: Breaker(failures=2, seconds=10, clock=clock)
    )
    for _ in range(5):
        assert await text_of(backend) == "two"
    assert len(first.requests) == 2
    clock.now = 11
    assert await text_of(backend) == "two"  # one tries, and fails
    assert len(first.requests) == 3
    assert await text_of(backend) == "two"
    assert len(first.requests) == 3


async def test_a_backend_that_recovers_is_used_again() -> None:
    clock = Clock()
    first = ScriptedBackend([DOWN], "one", "one")
    backend = FailoverBackend(
        first,
        ScriptedBackend(*["two"] * 9),
        breaker=lambda: Breaker(failures=1, seconds=10, clock=clock),
    )
    assert [await text_of(backend) for _ in range(2)] == ["two", "two"]
    clock.now = 11
    assert [await text_of(backend) for _ in range(2)] == ["one", "one"]


def test_only_one_request_tries_a_rested_backend() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, seconds=10, clock=clock)
    breaker.failed()
    assert (breaker.resting, breaker.admit()) == (True, False)
    clock.now = 11
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.admit()


async def test_when_all_rest_that_is_said() -> None:
    backend = FailoverBackend(failing(DOWN), breaker=lambda: Breaker(failures=1))
    for _ in range(2):
        with pytest.raises(BackendUnreachable) as caught:
            await ask(backend)
    assert "rests" in str(caught.value)


# --- hedging


def slow(seconds: float, text: str) -> ScriptedBackend:
    return ScriptedBackend([lambda: asyncio.sleep(seconds), text])


async def test_the_second_is_asked_only_after_the_wait() -> None:
    second = ScriptedBackend("two")
    assert await text_of(HedgedBackend(slow(0.01, "one"), second, after=5)) == "one"
    assert second.requests == []


async def test_the_answer_that_begins_first_is_taken_and_both_are_paid() -> None:
    async with (
        LoopbackServer(chat("one").insert(1, "stall")) as stuck,
        LoopbackServer(chat("two")) as quick,
        HedgedBackend(
            OpenAIBackend(stuck.url, model="m"), OpenAIBackend(quick.url, model="m"), after=0.05
        ) as backend,
    ):
        chunks = await ask(backend)
        await stuck.quiet()
        assert stuck.abandoned == 1
    assert "".join(c.text for c in chunks) == "two"
    # its own prompt, and an estimate of the loser's: the text and a frame
    assert chunks[-1].usage == Usage(prompt=7 + 2 + 4, completion=1, exact=False)


async def test_a_failure_makes_room_at_once() -> None:
    async with asyncio.timeout(5):
        backend = HedgedBackend(failing(DOWN), ScriptedBackend("two"), after=60)
        assert await text_of(backend) == "two"


async def test_all_may_fail() -> None:
    with pytest.raises(BackendTimeout) as caught:
        await ask(HedgedBackend(failing(DOWN), failing(BackendTimeout("slow")), after=0.01))
    assert len(caught.value.failures) == 2


async def test_a_fault_that_is_ours_ends_the_race() -> None:
    wrong = failing(BackendStatus("too long", status=400))
    second = ScriptedBackend("two")
    with pytest.raises(BackendStatus):
        await ask(HedgedBackend(wrong, second, after=60))
    assert second.requests == []


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.05, 0.08])
async def test_a_cancelled_race_leaves_nothing(delay: float) -> None:
    before = asyncio.all_tasks()
    async with (
        LoopbackServer(chat("one").insert(1, "stall")) as a,
        LoopbackServer(chat("two").insert(1, "stall")) as b,
        HedgedBackend(
            OpenAIBackend(a.url, model="m"), OpenAIBackend(b.url, model="m"), after=0.02
        ) as backend,
    ):
        task = asyncio.create_task(ask(backend))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await a.quiet()
        await b.quiet()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


# --- both


async def test_what_must_go_back_goes_to_the_one_that_it_came_from() -> None:
    async with (
        LoopbackServer(anthropic_chat("one", thinking=["hm"]), refusal(503)) as first,
        LoopbackServer(anthropic_chat("two")) as second,
        FailoverBackend(
            AnthropicBackend(first.url, model="m", retries=0),
            AnthropicBackend(second.url, model="m", retries=0),
        ) as backend,
        Client(backend, mode="plain") as client,
    ):
        reply = await client.ask("2 + 3?")
        talk = [Message("user", "2 + 3?"), reply.message, Message("user", "Sure?")]
        assert (await client.ask(talk)).output == "two"
        back = first.requests[1].json["messages"][1]["content"]
        abroad = second.requests[0].json["messages"][1]["content"]
    assert [block["type"] for block in back] == ["thinking", "text"]
    assert abroad == [{"type": "text", "text": "one"}]


def test_what_they_can_do_is_what_all_can_do() -> None:
    able, unable = ScriptedBackend("x"), ScriptedBackend("x")
    able.capabilities = Capabilities(seeds=True, tools=True)
    unable.capabilities = Capabilities(seeds=True)
    assert FailoverBackend(able, unable).capabilities == Capabilities(seeds=True)


def test_bad_arguments() -> None:
    with pytest.raises(ConfigurationError, match="No backend"):
        FailoverBackend()
    with pytest.raises(ConfigurationError, match="is no backend"):
        HedgedBackend("http://host", after=1)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigurationError, match="above 0"):
        HedgedBackend(ScriptedBackend("x"), after=0)


# --- one backend several times -------------------------------------------------------------------


def words(request: Received) -> Served:
    """Goes on from a prefix, a letter of the alphabet at a time, to the fifth."""
    begun = request.json["messages"][-1]
    done = begun["content"] if begun["role"] == "assistant" else ""
    return chat(*"abcde"[len(done) :])


class TestResumingSuite(BackendSuite):
    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[ResumingBackend]:
        async with (
            LoopbackServer(chat("Hello", " there", ", friend")) as server,
            OpenAIBackend(server.url, model="m") as inner,
            ResumingBackend(inner) as backend,
        ):
            yield backend


async def test_a_broken_answer_is_gone_on_with() -> None:
    """One text for the reader, and the usage of both parts."""

    def broken(request: Received) -> Served:
        return words(request).broken(3, "reset") if len(server.requests) == 1 else words(request)

    async with (
        LoopbackServer(broken, owner="vllm") as server,
        OpenAIBackend(server.url, model="m") as inner,
        ResumingBackend(inner) as backend,
    ):
        chunks = [c async for c in backend.stream(replace(ASK, max_tokens=9))]
        assert "".join(c.text for c in chunks) == "abcde"
        assert server.requests[1].json["messages"][-1]["content"] == "ab"
        assert server.requests[1].json["max_tokens"] == 8
        usage = chunks[-1].usage
        assert usage is not None
        assert usage.completion == 4
        assert not usage.exact
        await server.quiet()


@pytest.mark.parametrize(
    ("served", "owner", "times"),
    [
        (chat("a", "b").broken(2, "reset"), "", 1),  # it continues no prefix
        (chat("a", reasoning=["x"]).broken(3, "reset"), "vllm", 1),  # reasoning of its own
        (chat("a", "b").broken(1, "reset"), "vllm", 3),  # nothing had come
        (chat("a", "b").broken(2, "reset"), "vllm", 2),  # it breaks again and again
    ],
)
async def test_what_cannot_be_gone_on_with_is_raised(
    served: Served, owner: str, times: int
) -> None:
    async with (
        LoopbackServer(served, owner=owner) as server,
        OpenAIBackend(server.url, model="m") as inner,
        ResumingBackend(inner, times=times) as backend,
    ):
        with pytest.raises(BackendError):
            [c async for c in backend.stream(ASK)]
        assert len(server.requests) <= times + 1
        await server.quiet()


async def test_several_answers_to_one_request() -> None:
    """Each is whole, and a seed is counted up."""
    async with (
        LoopbackServer(lambda r: chat(f"seed {r.json['seed']}", "!")) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        texts = dict.fromkeys(range(3), "")
        ends = []
        async for number, chunk in answers(backend, replace(ASK, seed=5), 3):
            texts[number] += chunk.text
            ends += [number] if chunk.finish else []
        assert texts == {0: "seed 5!", 1: "seed 6!", 2: "seed 7!"}
        assert sorted(ends) == [0, 1, 2]
        with pytest.raises(ConfigurationError, match="one answer or more"):
            await anext(answers(backend, ASK, 0))


async def test_the_first_fault_ends_all_answers() -> None:
    served = [chat("ok").insert(1, "stall"), refusal(500, "no"), chat("ok").insert(1, "stall")]
    async with (
        LoopbackServer(*served) as server,
        OpenAIBackend(server.url, model="m", retries=0) as backend,
    ):
        with pytest.raises(BackendStatus):
            [pair async for pair in answers(backend, ASK, 3)]
        await server.quiet(connections=False)


async def test_closing_the_answers_closes_each() -> None:
    async with (
        LoopbackServer(chat("a", "b").insert(2, "stall")) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        pairs = answers(backend, ASK, 4)
        assert (await anext(pairs))[1].text == "a"
        await pairs.aclose()
        await server.quiet()
        assert len(asyncio.all_tasks()) < 9
