"""The embedded engine answers as it was asked to, stops when told, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import pytest_asyncio

from asking import ANSWER, ask, clock
from asking import text_of as text
from reflectkit.backends._llama import Engine
from reflectkit.backends.nano import NanoBackend, embedded_models
from reflectkit.errors import BackendStatus, BackendWireError, ConfigurationError, MissingCapability
from reflectkit.messages import Message, Request, Usage
from reflectkit.testing import BackendSuite

ASK = Request(messages=(Message("user", "hi"),), temperature=0.0)


@pytest_asyncio.fixture
async def backend(markov: Path) -> AsyncIterator[NanoBackend]:
    async with NanoBackend(markov) as backend:
        yield backend


def engine_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("reflectkit")]


class TestAnswers:
    async def test_the_whole_answer_with_its_tags(self, backend: NanoBackend) -> None:
        """Tags that are tokens stay in the text; the end of the turn does not."""
        chunks = await ask(backend, ASK)
        assert "".join(c.text for c in chunks) == ANSWER
        assert chunks[-1].finish == "stop"
        assert chunks[-1].model == "markov"
        assert [c.finish for c in chunks[:-1]] == [None] * (len(chunks) - 1)

    async def test_usage_is_exact(self, backend: NanoBackend) -> None:
        """As many as there are tokens in the prompt, with its template, and in the answer."""
        chunks = await ask(backend, ASK)
        prompt = "<|begin_of_text|>" + "".join(
            f"<|start_header_id|>{role}<|end_header_id|>\n\n{rest}"
            for role, rest in (("user", "hi<|eot_id|>"), ("assistant", ""))
        )
        assert backend.count is not None
        usage = Usage(prompt=backend.count(prompt), completion=11)
        assert chunks[-1].usage == usage

    async def test_an_answer_cut_short_knows_what_it_cost(self, backend: NanoBackend) -> None:
        """Usage comes with every chunk, so that a reader who leaves early has it."""
        seen = 0
        async for chunk in backend.stream(replace(ASK, prefix="loop", max_tokens=300)):
            seen += len(chunk.text) // len("loop")
            assert chunk.usage is not None
            assert chunk.usage.completion == seen
            if seen > 20:
                break

    async def test_a_prefix_is_continued_and_not_repeated(self, backend: NanoBackend) -> None:
        for cut in (10, 14, 18, 19):
            request = replace(ASK, prefix=ANSWER[:cut])
            if ANSWER[cut:].startswith((" two", " plus", "<reflection>")):
                assert await text(backend, request) == ANSWER[cut:]

    async def test_a_continuation_that_looks_like_its_prefix_is_kept(
        self, backend: NanoBackend
    ) -> None:
        """Nothing is stripped by looks: the engine is set up not to repeat the prefix."""
        assert await text(backend, replace(ASK, prefix="loop", max_tokens=3)) == "looplooploop"

    async def test_a_character_of_two_tokens_comes_whole(self, backend: NanoBackend) -> None:
        assert await text(backend, replace(ASK, prefix="u")) == "é"

    async def test_a_stop_string_ends_the_answer_before_it(self, backend: NanoBackend) -> None:
        chunks = await ask(backend, replace(ASK, stop=("</refl", "never")))
        assert "".join(c.text for c in chunks) == ANSWER.partition("</refl")[0]
        assert chunks[-1].finish == "stop"

    async def test_the_length_limit_says_so(self, backend: NanoBackend) -> None:
        chunks = await ask(backend, replace(ASK, max_tokens=3))
        assert "".join(c.text for c in chunks) == "<thinking> two plus"
        assert chunks[-1].finish == "length"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion == 3

    async def test_a_full_context_ends_by_length(self, backend: NanoBackend) -> None:
        last = (await ask(backend, replace(ASK, prefix="loop", max_tokens=10_000)))[-1]
        assert last.finish == "length"
        assert last.usage is not None
        assert last.usage.total == backend.context

    async def test_special_tags_are_shown_and_the_end_of_turn_is_not(self, special: Path) -> None:
        """As in the published Reflection 70B, whose tags are special tokens."""
        async with NanoBackend(special) as backend:
            assert await text(backend, ASK) == ANSWER
            assert (
                await text(backend, replace(ASK, stop=("</refl",))) == ANSWER.partition("</refl")[0]
            )

    async def test_special_tags_would_be_lost_without_our_care(self, special: Path) -> None:
        """The check above can fail: this is what llama.cpp does by default."""
        backend = NanoBackend(special)
        backend._ends = ()
        backend._lease._settings = replace(backend._lease._settings, special=False)
        async with backend:
            assert await text(backend, ASK) == " two plus is four"


class TestSampling:
    async def draw(self, backend: NanoBackend, **given: Any) -> str:
        request = replace(ASK, prefix="a", max_tokens=400, temperature=1.0)
        return await text(backend, replace(request, **given))

    async def test_a_seed_repeats_and_another_differs(self, backend: NanoBackend) -> None:
        first = await self.draw(backend, seed=7)
        assert await self.draw(backend, seed=7) == first
        assert await self.draw(backend, seed=8) != first

    @pytest.mark.parametrize("seed", [0, -1, 2**32 - 1, 2**63, 2**64 + 5])
    async def test_every_seed_is_a_seed(self, backend: NanoBackend, seed: int) -> None:
        """2**32 - 1 and -1 mean "any" to llama.cpp, and larger ones are no number to it."""
        assert await self.draw(backend, seed=seed) == await self.draw(backend, seed=seed)

    async def test_temperature_one_samples_what_the_model_says(self, backend: NanoBackend) -> None:
        """Three b to one c in the model, and so in 200 draws: no hidden filter bends it."""
        counts = Counter(await self.draw(backend, seed=1))
        assert 0.65 < counts["b"] / (counts["b"] + counts["c"]) < 0.85

    async def test_temperature_zero_is_greedy(self, backend: NanoBackend) -> None:
        assert set(await self.draw(backend, temperature=0.0)) == {"a", "b"}

    async def test_top_p_cuts_the_tail(self, backend: NanoBackend) -> None:
        assert set(await self.draw(backend, top_p=0.5, seed=1)) == {"a", "b"}

    async def test_extra_turns_any_knob(self, backend: NanoBackend) -> None:
        assert set(await self.draw(backend, extra={"top_k": 1}, seed=1)) == {"a", "b"}


class TestBadRequests:
    async def test_a_prompt_too_long_names_both_lengths(self, backend: NanoBackend) -> None:
        assert backend.context == 512
        with pytest.raises(BackendStatus, match=r"has 1021 tokens.* 512\..*context=") as caught:
            await ask(backend, replace(ASK, messages=(Message("user", "ab" * 500),)))
        assert caught.value.status == 400
        assert not caught.value.retryable

    @pytest.mark.parametrize("letters", range(488, 493))
    async def test_at_the_border_it_is_an_answer_or_an_error(
        self, backend: NanoBackend, letters: int
    ) -> None:
        """No prompt is ever clipped: every token of it is in the usage, or there is an error."""
        request = replace(ASK, messages=(Message("user", "a" * letters),))
        size = letters + 21
        if size < 512:
            last = (await ask(backend, request))[-1]
            assert last.usage is not None
            assert last.usage.prompt == size
        else:
            with pytest.raises(BackendStatus, match=f"has {size} tokens"):
                await ask(backend, request)

    @pytest.mark.parametrize(
        "asked",
        [
            replace(ASK, messages=(Message("user", "a \ud800"),)),
            replace(ASK, prefix="\udc00"),
            replace(ASK, stop=("\ud800",)),
        ],
    )
    async def test_half_a_character(self, backend: NanoBackend, asked: Request) -> None:
        """llama.cpp takes text as UTF-8, which has none; its own words for that help nobody."""
        with pytest.raises(ConfigurationError, match="surrogate"):
            await ask(backend, asked)

    @pytest.mark.parametrize(
        "messages", [(), (Message("user", ""),), (Message("user", " \n"), Message("system", ""))]
    )
    async def test_an_empty_prompt(
        self, backend: NanoBackend, messages: tuple[Message, ...]
    ) -> None:
        with pytest.raises(ConfigurationError, match="empty"):
            await ask(backend, replace(ASK, messages=messages))

    async def test_images(self, backend: NanoBackend) -> None:
        part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        with pytest.raises(MissingCapability) as caught:
            await ask(backend, replace(ASK, messages=(Message("user", (part,)),)))
        assert caught.value.capability == "images"

    async def test_text_parts_are_text(self, backend: NanoBackend) -> None:
        parts = ({"type": "text", "text": "hi"},)
        assert await text(backend, replace(ASK, messages=(Message("user", parts),))) == ANSWER

    @pytest.mark.parametrize(
        "wrong",
        [
            {"extra": {"grammar": "root ::= ("}},
            {"extra": {"messages": "none"}},
            {"extra": {"samplers": 5}},
            {"extra": {"samplers": object()}},
            {
                "messages": (
                    Message("user", "a"),
                    Message("assistant", "b"),
                    Message("assistant", "c"),
                )
            },
        ],
    )
    async def test_what_llama_cpp_refuses(
        self, backend: NanoBackend, wrong: dict[str, Any]
    ) -> None:
        """It is a typed error or an answer, and the backend goes on working."""
        with contextlib.suppress(BackendStatus):
            await ask(backend, replace(ASK, **wrong))
        assert await text(backend, ASK) == ANSWER

    async def test_no_room_for_an_answer(self, backend: NanoBackend) -> None:
        with pytest.raises(ConfigurationError, match="max_tokens"):
            await ask(backend, replace(ASK, max_tokens=0))


class TestConcurrency:
    async def test_streams_do_not_mix(self, backend: NanoBackend) -> None:
        requests = [ASK, replace(ASK, prefix="loop", max_tokens=9), replace(ASK, prefix="u")] * 6
        texts = await asyncio.gather(*(text(backend, r) for r in requests))
        assert texts == [ANSWER, "loop" * 9, "é"] * 6

    async def test_closing_a_stream_stops_the_engine(self, endless: Path) -> None:
        """With one place, the next answer would have to wait for a long one that goes on."""
        async with NanoBackend(endless, parallel=1, context=16_384) as backend:
            request = replace(ASK, prefix="loop", max_tokens=16_000)
            began = time.perf_counter()
            for _ in range(5):
                stream = backend.stream(request)
                await anext(stream)
                await stream.aclose()  # type: ignore[attr-defined]  # a generator, by its type any iterator
                assert await text(backend, ASK) == ANSWER
            assert time.perf_counter() - began < 1.5

    async def test_cancelling_a_reader_stops_the_engine(self, endless: Path) -> None:
        async with NanoBackend(endless, parallel=1, context=16_384) as backend:
            await backend.load()
            request = replace(ASK, prefix="loop", max_tokens=16_000)
            task = asyncio.create_task(ask(backend, request))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(1):
                assert await text(backend, ASK) == ANSWER

    async def test_closing_the_backend_ends_what_is_under_way(self, endless: Path) -> None:
        """The reader keeps the text it has, and is told; no thread is left."""
        backend = NanoBackend(endless, context=16_384)
        stream = backend.stream(replace(ASK, prefix="loop", max_tokens=16_000))
        first = await anext(stream)
        await backend.aclose()
        assert first.text.startswith("loop")
        assert engine_threads() == []
        with pytest.raises(BackendWireError, match="closed"):
            async for _ in stream:
                pass
        with pytest.raises(ConfigurationError, match="closed"):
            await ask(backend, ASK)
        await backend.aclose()

    async def test_the_loop_is_never_blocked(self, markov: Path) -> None:
        """A clock in the same loop keeps ticking while the model loads and four answers run."""
        async with clock() as ticks, NanoBackend(markov) as backend:
            request = replace(ASK, prefix="loop", max_tokens=400)
            await asyncio.gather(*(ask(backend, request) for _ in range(4)))
        assert median(ticks) < 0.02

    async def test_a_reader_that_sleeps_gets_one_large_chunk(self, backend: NanoBackend) -> None:
        """What came in the meantime comes together: the loop is not woken for every token."""
        chunks = []
        async for chunk in backend.stream(replace(ASK, prefix="loop", max_tokens=200)):
            chunks.append(chunk)
            await asyncio.sleep(0.2)
        assert len(chunks) < 20
        assert "".join(c.text for c in chunks) == "loop" * 200


class TestSharing:
    async def test_equal_settings_share_one_engine(self, markov: Path) -> None:
        one, two = NanoBackend(markov), NanoBackend(str(markov))
        other = NanoBackend(markov, parallel=2)
        await asyncio.gather(*(b.load() for b in (one, two, other)))
        engines = [b._lease.ready for b in (one, two, other)]
        assert engines[0] is engines[1]
        assert engines[0] is not engines[2]
        await one.aclose()
        assert await text(two, ASK) == ANSWER
        await two.aclose()
        await other.aclose()
        assert all(isinstance(e, Engine) and e.closed.is_set() for e in engines)

    def test_one_backend_serves_many_loops(self, markov: Path) -> None:
        """One after the other, as in tests and in synchronous programs."""
        backend = NanoBackend(markov)
        assert [asyncio.run(text(backend, ASK)) for _ in range(3)] == [ANSWER] * 3
        asyncio.run(backend.aclose())
        assert engine_threads() == []

    def test_many_loops_at_once(self, markov: Path) -> None:
        """Each thread has its loop; the engine is one."""
        backend, texts = NanoBackend(markov), []
        threads = [
            threading.Thread(target=lambda: texts.append(asyncio.run(text(backend, ASK))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert texts == [ANSWER] * 4
        asyncio.run(backend.aclose())

    async def test_dropping_a_backend_frees_its_engine(self, markov: Path) -> None:
        """Nobody closed it, and yet the model does not stay in memory."""
        backend = NanoBackend(markov, parallel=3)
        await backend.load()
        engine = backend._lease.ready
        assert engine is not None
        del backend
        assert engine.closed.wait(2)

    async def test_a_lost_stream_does_not_hold_the_engine_open(self, endless: Path) -> None:
        """The generator is dropped in the middle, and the backend too."""
        backend = NanoBackend(endless, parallel=3, context=16_384)
        stream = backend.stream(replace(ASK, prefix="loop", max_tokens=16_000))
        await anext(stream)
        engine = backend._lease.ready
        assert engine is not None
        del stream, backend
        await asyncio.sleep(0.05)
        assert engine.closed.wait(2)


class TestCounting:
    async def test_a_tag_is_one_token(self, backend: NanoBackend) -> None:
        before = backend.count
        assert before is None, "counting must not wait for a model to load"
        assert len(await backend.tokenize("<thinking> two")) == 2
        assert backend.count is not None
        assert backend.count("<thinking> two") == 2
        assert backend.count("abc") == 3
        assert backend.count("") == 0
        assert backend.count("é\n\n") == 3


class TestNames:
    def test_an_unknown_name_lists_the_known(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            NanoBackend("nano-refelct")
        assert "'nano-refelct'" in str(caught.value)
        for name in embedded_models():
            assert name in str(caught.value)

    def test_more_context_than_the_model_was_trained_for(self, markov: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"trained for 512"):
            NanoBackend(markov, context=513)

    @pytest.mark.parametrize("name", ["threads", "context", "parallel"])
    def test_numbers_below_the_least(self, markov: Path, name: str) -> None:
        with pytest.raises(ConfigurationError, match=name):
            NanoBackend(markov, **{name: 0})  # type: ignore[arg-type]  # one of them is text

    def test_the_path_may_be_text_or_path(self, markov: Path) -> None:
        assert NanoBackend(str(markov)).model == NanoBackend(markov).model == "markov"
        assert repr(NanoBackend(markov)) == "NanoBackend('markov')"


class TestSuite(BackendSuite):
    """What every backend must do, done by a real engine."""

    request_ = replace(ASK, max_tokens=32)

    @pytest_asyncio.fixture
    async def backend(self, markov: Path) -> AsyncIterator[NanoBackend]:
        async with NanoBackend(markov) as backend:
            yield backend
