"""Answers of the transformers backend are the same in any company, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from asking import ANSWER, ask, clock
from asking import text_of as text
from hf_asking import ASK, LONG, REASONED, Pair, soon, threads
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.errors import BackendWireError, ConfigurationError
from requests40 import REQUESTS

#: requests of many lengths, answered at many lengths
MANY = list(REQUESTS.values())


class TestBatches:
    async def test_the_same_alone_and_together(self, nano: TransformersBackend) -> None:
        alone = [await text(nano, each) for each in MANY]
        assert await asyncio.gather(*(text(nano, each) for each in MANY)) == alone
        assert len(set(alone)) > len(MANY) // 2, "equality would mean nothing"

    async def test_the_same_for_one_that_comes_late(self, nano: TransformersBackend) -> None:
        """Each joins when the one before has begun, at another place of its own text."""
        alone = [await text(nano, each) for each in MANY]
        streams = [nano.stream(each) for each in MANY]
        texts = [(await anext(stream)).text for stream in streams]
        assert len(nano._worker._batches) == 1
        for number, stream in enumerate(streams):
            texts[number] += "".join([c.text async for c in stream])
        assert texts == alone

    async def test_steps_are_shared(self, nano: TransformersBackend) -> None:
        """Together they take no more steps than the longest takes alone, and a few to join."""
        steps = []
        await nano.load()
        loaded = nano._worker.loaded
        assert loaded is not None
        read = loaded.runner.read

        def counted(*args: Any) -> Any:
            steps.append(len(args[1]))
            return read(*args)

        loaded.runner.read = counted  # type: ignore[assignment, method-assign]  # it counts
        asked = replace(REASONED, extra={"ignore_eos": True}, max_tokens=60)
        await asyncio.gather(*(ask(nano, asked) for _ in range(8)))
        assert len(steps) < 60 + 8
        assert max(steps) == 8

    async def test_no_more_than_max_batch_at_once(self, markov_pair: Pair) -> None:
        most = 0
        async with TransformersBackend(markov_pair, max_batch=3) as backend:

            async def watch() -> None:
                nonlocal most
                while True:
                    running = sum(len(b.rows) for b in backend._worker._batches)
                    most = max(most, running)
                    await asyncio.sleep(0)

            watching = asyncio.create_task(watch())
            asked = replace(LONG, max_tokens=60)
            texts = await asyncio.gather(*(text(backend, asked) for _ in range(10)))
            watching.cancel()
        assert texts == ["loop" * 60] * 10
        assert most == 3

    async def test_a_hundred_that_come_and_go(self, nano_pair: Pair) -> None:
        """At any time, of any length, some of them left early; each that stays is what it is alone,
        and each that left had a beginning of it."""
        chance = random.Random(11)
        async with TransformersBackend(nano_pair, max_batch=7) as nano:
            alone = {name: await text(nano, each) for name, each in REQUESTS.items()}

            async def one(name: str) -> bool:
                await asyncio.sleep(chance.uniform(0, 1.5))
                leaves = chance.choice((None, None, 1, 2, 4))
                stream, read, chunks = nano.stream(REQUESTS[name]), "", 0
                async for chunk in stream:
                    read, chunks = read + chunk.text, chunks + 1
                    if chunks == leaves:
                        break
                await stream.aclose()  # type: ignore[attr-defined]  # a generator, by its type any iterator
                whole = alone[name]
                return read == whole if chunks != leaves else whole.startswith(read)

            names = [chance.choice(list(REQUESTS)) for _ in range(100)]
            assert all(await asyncio.gather(*map(one, names)))
            assert await soon(lambda: not nano._worker._batches)

    async def test_streams_do_not_mix(self, backend: TransformersBackend) -> None:
        requests = [ASK, replace(ASK, prefix="loop", max_tokens=9), replace(ASK, prefix="u")] * 6
        texts = await asyncio.gather(*(text(backend, r) for r in requests))
        assert texts == [ANSWER, "loop" * 9, "é"] * 6


class TestCancel:
    async def test_closing_a_stream_frees_its_place(self, markov_pair: Pair) -> None:
        """With one place, the next answer would have to wait for a long one that goes on."""
        async with TransformersBackend(markov_pair, max_batch=1) as backend:
            began = time.perf_counter()
            await ask(backend, LONG)
            whole = time.perf_counter() - began
            for _ in range(5):
                stream = backend.stream(LONG)
                await anext(stream)
                await stream.aclose()  # type: ignore[attr-defined]  # a generator, by its type any iterator
                assert await text(backend, ASK) == ANSWER
            assert time.perf_counter() - began < 2 * whole

    async def test_the_others_go_on_undisturbed(self, nano: TransformersBackend) -> None:
        alone = await text(nano, REASONED)
        doomed = [nano.stream(replace(REASONED, extra={"ignore_eos": True})) for _ in range(3)]
        for stream in doomed:
            await anext(stream)
        others = asyncio.gather(*(text(nano, REASONED) for _ in range(3)))
        for stream in doomed:
            await asyncio.sleep(0.01)
            await stream.aclose()  # type: ignore[attr-defined]  # a generator, by its type any iterator
        assert await others == [alone] * 3
        assert await soon(lambda: not nano._worker._batches)

    async def test_cancelling_a_reader(self, markov_pair: Pair) -> None:
        async with TransformersBackend(markov_pair, max_batch=1) as backend:
            task = asyncio.create_task(ask(backend, LONG))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await text(backend, ASK) == ANSWER


class TestClosing:
    async def test_closing_ends_what_is_under_way(self, markov_pair: Pair) -> None:
        """The readers keep the text they have, and are told; no thread is left."""
        backend = TransformersBackend(markov_pair, max_batch=2)
        streams = [backend.stream(LONG) for _ in range(4)]
        firsts = [await anext(s) for s in streams[:2]]
        waiting = [asyncio.ensure_future(anext(s)) for s in streams[2:]]
        await asyncio.sleep(0)
        await backend.aclose()
        assert all(f.text.startswith("loop") for f in firsts)
        assert threads() == []
        for stream in streams[:2]:
            with pytest.raises(BackendWireError, match="closed"):
                async for _ in stream:
                    pass
        for late in waiting:
            with pytest.raises(BackendWireError, match="closed"):
                await late
        with pytest.raises(ConfigurationError, match="closed"):
            await ask(backend, ASK)
        await backend.aclose()

    async def test_one_thread_while_it_runs_and_none_after(self, markov_pair: Pair) -> None:
        """The count above can fail: while the backend is open there is a thread."""
        async with TransformersBackend(markov_pair) as backend:
            assert threads() == [], "nothing begins before it is needed"
            await asyncio.gather(*(ask(backend, ASK) for _ in range(5)))
            assert threads() == ["reflectkit-transformers"]
        assert threads() == []

    async def test_a_dropped_backend_ends_its_thread(self, markov_pair: Pair) -> None:
        backend = TransformersBackend(markov_pair)
        await backend.load()
        del backend
        gc.collect()
        assert await soon(lambda: threads() == [])

    async def test_a_lost_stream_does_not_hold_the_thread(self, markov_pair: Pair) -> None:
        backend = TransformersBackend(markov_pair)
        stream = backend.stream(LONG)
        await anext(stream)
        del stream, backend
        gc.collect()
        assert await soon(lambda: threads() == [])

    def test_one_backend_serves_many_loops(self, markov_pair: Pair) -> None:
        """One after the other, and at once."""
        backend = TransformersBackend(markov_pair)
        assert [asyncio.run(text(backend, ASK)) for _ in range(2)] == [ANSWER] * 2
        texts: list[str] = []
        loops = [
            threading.Thread(target=lambda: texts.append(asyncio.run(text(backend, ASK))))
            for _ in range(4)
        ]
        for thread in loops:
            thread.start()
        for thread in loops:
            thread.join()
        assert texts == [ANSWER] * 4
        asyncio.run(backend.aclose())
        assert threads() == []

    async def test_the_loop_is_never_blocked(self, markov_folder: Path) -> None:
        """A clock in the same loop keeps ticking while the model loads and four answers run."""
        async with clock() as ticks, TransformersBackend(markov_folder, threads=1) as backend:
            await asyncio.gather(*(ask(backend, replace(LONG, max_tokens=100)) for _ in range(4)))
        assert median(ticks) < 0.05
