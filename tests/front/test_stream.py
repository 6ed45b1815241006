"""ReplyStream: its views, and that it is closed on every way out."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reflectkit import (
    AttemptEnded,
    AttemptStarted,
    BackendWireError,
    Client,
    ConfigurationError,
    Event,
    ReflectKitError,
    Request,
    SectionDelta,
)
from reflectkit.testing import ScriptedBackend, chunkings
from reflectkit.visibility import Show

GOOD = "<thinking>2 + 2 is 4.</thinking>\n<output> The answer\n\n is 28. </output>\n"


def client(*steps: Any, **settings: Any) -> tuple[Client, ScriptedBackend]:
    backend = ScriptedBackend(list(steps))
    return Client(backend, mode="prompted", **settings), backend


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("pieces", list(chunkings(GOOD)), ids=len)
async def test_events_lose_nothing(pieces: list[str]) -> None:
    asker, backend = client(*pieces)
    async with asker.stream("q") as stream:
        events = [e async for e in stream]
    assert isinstance(events[0], AttemptStarted)
    assert isinstance(events[-1], AttemptEnded)
    assert "".join(e.source for e in events[1:-1]) == GOOD  # type: ignore[union-attr]  # attempts begin and end outside
    assert backend.closed == 1


@pytest.mark.parametrize("pieces", list(chunkings(GOOD)), ids=len)
async def test_output_is_the_answer_alone(pieces: list[str]) -> None:
    asker, _ = client(*pieces)
    async with asker.stream("q") as stream:
        assert "".join([t async for t in stream.output]) == "The answer\n\n is 28."
        assert (await stream.reply()).output == "The answer\n\n is 28."


async def test_output_comes_while_the_model_writes() -> None:
    gate = asyncio.Event()
    asker, _ = client("<thinking>a</thinking><output>first ", gate.wait, "second</output>")
    async with asker.stream("q") as stream:
        pieces = stream.output
        assert await anext(pieces) == "first"
        gate.set()
        assert [t async for t in pieces] == [" second"]


async def test_text_that_may_be_withdrawn_waits() -> None:
    gate = asyncio.Event()
    asker, _ = client("secret", gate.wait, "</thinking><output>28</output>")
    async with asker.stream("q") as stream:
        waiting = asyncio.ensure_future(anext(stream.output))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        assert await waiting == "28"


async def test_views_share_one_stream() -> None:
    asker, _ = client("<output>a", "b", "c</output>")
    async with asker.stream("q") as stream:
        assert isinstance(await anext(stream), AttemptStarted)
        assert await anext(stream.output) == "a"
        reply = await stream.reply()
        assert [t async for t in stream.output] == ["b", "c"]
        assert [e async for e in stream] == []
    assert reply.output == "abc"
    assert await stream.reply() is reply


async def test_nothing_is_sent_before_it_is_read() -> None:
    asker, backend = client("a")
    async with asker.stream("q"):
        pass
    assert backend.requests == []


async def test_leaving_early_closes_the_backend() -> None:
    asker, backend = client("<thinking>a", never)
    async with asker.stream("q") as stream:
        async for event in stream:
            if not isinstance(event, AttemptStarted):
                break
        assert backend.closed == 0
    assert (backend.opened, backend.closed) == (1, 1)
    assert stream.partial.thinking == "a"
    with pytest.raises(ReflectKitError, match="ended before"):
        await stream.reply()


async def test_leaving_the_output_early_closes_the_backend() -> None:
    asker, backend = client("<output>a", never)
    async with asker.stream("q") as stream:
        async for _ in stream.output:
            break
    assert backend.closed == 1


async def fail_inside(asker: Client) -> None:
    async with asker.stream("q") as stream:
        await anext(stream)
        await anext(stream)
        raise ZeroDivisionError


async def test_an_error_in_the_block_closes_the_backend() -> None:
    asker, backend = client("<output>a", never)
    with pytest.raises(ZeroDivisionError):
        await fail_inside(asker)
    assert backend.closed == 1


STEPS = ["<thinking>a", "b</thinking>", "<output>c", "d</output>"]


@pytest.mark.parametrize("at", range(len(STEPS) + 1))
async def test_cancelling_at_any_step_closes_the_backend(at: int) -> None:
    stuck = asyncio.Event()

    async def hang() -> None:
        stuck.set()
        await never()

    asker, backend = client(*STEPS[:at], hang)
    task = asyncio.create_task(asker.ask("q"))
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (backend.opened, backend.closed) == (1, 1)


async def test_a_step_that_was_cancelled_does_not_look_like_the_end() -> None:
    asker, backend = client("<output>a", never)
    async with asker.stream("q") as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await stream.reply()
        assert backend.closed == 1
        with pytest.raises(ReflectKitError, match="ended before"):
            await anext(stream)
        assert stream.partial.output == "a"


async def test_text_before_a_fault_is_on_the_error() -> None:
    asker, backend = client("<thinking>a</thinking><outp", BackendWireError("bad bytes"))
    with pytest.raises(BackendWireError, match="bad bytes") as caught:
        await asker.ask("q")
    assert caught.value.partial is not None
    assert caught.value.partial.thinking == "a"
    assert caught.value.partial.source == "<thinking>a</thinking><outp"
    assert caught.value.usage is not None
    assert caught.value.usage.completion > 0
    assert backend.closed == 1


async def test_another_error_passes_and_the_partial_stays_readable() -> None:
    asker, backend = client("<thinking>a", KeyError("mine"))
    async with asker.stream("q") as stream:
        with pytest.raises(KeyError, match="mine"):
            await stream.reply()
        assert stream.partial.thinking == "a"
        assert stream.usage.completion > 0
    assert backend.closed == 1


async def test_misuse_is_named() -> None:
    asker, _ = client("a")
    stream = asker.stream("q")
    with pytest.raises(ConfigurationError, match="async with"):
        await anext(stream)
    assert stream.partial.source == ""
    async with stream:
        pass
    with pytest.raises(ConfigurationError, match="used before"):
        async with stream:
            pass


async def test_many_calls_at_once_keep_apart() -> None:
    async def answer(number: int) -> str:
        backend = ScriptedBackend([*"<thinking>x</thinking><output>", str(number), *"</output>"])
        return (await Client(backend).ask("q")).output

    assert await asyncio.gather(*map(answer, range(50))) == [str(n) for n in range(50)]


async def test_one_client_many_calls() -> None:
    def script(request: Request) -> list[str]:
        return [*f"<thinking>x</thinking><output>{request.messages[-1].text}</output>"]

    backend = ScriptedBackend(script, repeat=True)
    async with Client(backend) as asker:
        replies = await asyncio.gather(*(asker.ask(str(n)) for n in range(50)))
    assert [r.output for r in replies] == [str(n) for n in range(50)]
    assert backend.closed == 50


async def test_no_stream_is_left_to_the_collector() -> None:
    """Asyncio would call the hook for a generator that was left unclosed."""
    left: list[AsyncIterator[Event]] = []
    loop = asyncio.get_running_loop()
    asker, backend = client("<output>a", never)
    async with asker.stream("q") as stream:
        async for _ in stream.output:
            break
    del stream
    import sys

    first, last = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(finalizer=left.append)
    gc.collect()
    sys.set_asyncgen_hooks(first, last)
    assert left == []
    assert backend.closed == 1
    assert loop.is_running()


async def test_two_readers_at_a_time_are_told() -> None:
    gate = asyncio.Event()
    client = Client(ScriptedBackend(["<output>a", gate.wait, "b</output>"]))
    async with client.stream("q") as stream:
        first = asyncio.create_task(stream.reply())
        await asyncio.sleep(0.01)
        with pytest.raises(ConfigurationError, match="another task"):
            await anext(stream)
        gate.set()
        assert (await first).output == "ab"


@pytest.mark.parametrize("show", ["full", "summary", "hidden"])
@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("<output>Use the ` key.</output> \n", "Use the ` key."),
        ("<output>a</output>x<output>`</output> \n<output>b</output>", "a\n\n`\n\nb"),
    ],
)
async def test_an_answer_read_again_within_one_piece(text: str, output: str, show: Show) -> None:
    """The lone backtick opens no code, which only the end of its line tells."""
    for pieces in ([text], [*text]):
        async with Client(ScriptedBackend(pieces), mode="trained").stream("q", show=show) as stream:
            assert "".join([piece async for piece in stream.output]) == output
            assert (await stream.reply()).output == output
        events = ScriptedBackend(pieces)
        async with Client(events, mode="trained").stream("q", show=show) as stream:
            told = "".join([e.text async for e in stream if isinstance(e, SectionDelta)])
        assert show == "full" or told == output.replace("\n", "")
