"""The transformers backend answers as it was asked to, in any company, and leaves nothing behind.

It needs torch and transformers; ``make engines`` runs it where they are.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import reflectkit
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.errors import (
    BackendError,
    BackendStatus,
    BackendWireError,
    ConfigurationError,
    MissingCapability,
)
from reflectkit.messages import Chunk, Message, ReasoningBudget, Request, Usage
from reflectkit.protocol import parse
from reflectkit.testing import BackendSuite
from requests40 import QUESTIONS, REFLECT, REQUESTS
from test_same_answers import answer, differing

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ANSWER = "<thinking> two plus<reflection> is</reflection></thinking><output> four</output>"
ASK = Request(messages=(Message("user", "hi"),), temperature=0.0)
LONG = replace(ASK, prefix="loop", max_tokens=2000)
#: requests of many lengths, answered at many lengths
MANY = list(REQUESTS.values())
REASONED = Request(
    messages=(Message("system", REFLECT), Message("user", QUESTIONS[0])),
    temperature=0.0,
    max_tokens=300,
)

Pair = tuple[Any, Any]


@pytest_asyncio.fixture
async def backend(markov_pair: Pair) -> AsyncIterator[TransformersBackend]:
    async with TransformersBackend(markov_pair, name="markov") as backend:
        yield backend


@pytest_asyncio.fixture
async def nano(nano_pair: Pair) -> AsyncIterator[TransformersBackend]:
    async with TransformersBackend(nano_pair, name="nano-reflect") as backend:
        yield backend


async def ask(backend: Any, request: Request) -> list[Chunk]:
    return [chunk async for chunk in backend.stream(request)]


async def text(backend: Any, request: Request) -> str:
    return "".join(c.text for c in await ask(backend, request))


def generated(model: Any, tokenizer: Any, request: Request, **given: Any) -> str:
    """What ``generate`` of transformers itself says, greedily, without the end of the turn."""
    messages = [{"role": m.role, "content": m.text} for m in request.messages]
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
    )
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=request.max_tokens,
        pad_token_id=0,
        **given,
    )[0, ids.shape[1] :]
    text: str = tokenizer.decode(made)
    return text.removesuffix(tokenizer.eos_token)


async def soon(true: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    for _ in range(1000):
        if true():
            return True
        await asyncio.sleep(0.01)
    return False


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("reflectkit")]


class TestSuite(BackendSuite):
    """What every backend must do."""

    request_ = replace(ASK, max_tokens=32)

    @pytest_asyncio.fixture
    async def backend(self, markov_pair: Pair) -> AsyncIterator[TransformersBackend]:
        async with TransformersBackend(markov_pair, name="markov") as backend:
            yield backend


class TestSameAnswers:
    @pytest.mark.parametrize("device", ["cpu", "cuda"])
    async def test_forty_requests(self, nano_folder: Path, device: str) -> None:
        """The embedded weights, loaded from their folder, say what they say in llama.cpp, in as
        many tokens; there is no table of differences, as there is none."""
        pytest.importorskip("xllamacpp")
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("no GPU")
        from reflectkit.backends.nano import NanoBackend

        async with (
            NanoBackend("nano-reflect") as there,
            TransformersBackend(nano_folder, device_map=device, dtype="float32", threads=1) as here,
        ):
            for name, each in REQUESTS.items():
                theirs, ours = await answer(there, each), await answer(here, each)
                assert differing(ours, theirs) == {}, name
                assert ours["completion"] > 0

    async def test_through_a_client(self, nano_folder: Path) -> None:
        """The folder's name is known, so the model is asked as it was trained."""
        async with TransformersBackend(nano_folder, threads=1) as backend:
            reply = await reflectkit.Client(backend).ask(QUESTIONS[0])
        assert (reply.mode, reply.output.strip()) == ("trained", "28")
        assert len(reply.reflections) == 2
        assert reply.usage == Usage(prompt=48, completion=50, thinking=43, reflections=11)
        assert reply.transcript.issues == ()


class TestAnswers:
    async def test_the_whole_answer_with_its_tags(self, backend: TransformersBackend) -> None:
        """Tags that are tokens stay in the text; the end of the turn does not."""
        chunks = await ask(backend, ASK)
        assert "".join(c.text for c in chunks) == ANSWER
        assert (chunks[-1].finish, chunks[-1].model) == ("stop", "markov")
        assert [c.finish for c in chunks[:-1]] == [None] * (len(chunks) - 1)

    async def test_usage_is_exact(self, backend: TransformersBackend) -> None:
        """The prompt with its template, the answer with its end, the thinking with its tags."""
        last = (await ask(backend, ASK))[-1]
        assert await backend.count_tokens(ASK) == 23
        assert last.usage == Usage(prompt=23, completion=11, thinking=7)

    async def test_an_answer_cut_short_knows_what_it_cost(
        self, backend: TransformersBackend
    ) -> None:
        seen = 0
        async for chunk in backend.stream(LONG):
            seen += len(chunk.text) // len("loop")
            assert chunk.usage is not None
            assert chunk.usage.completion == seen
            if seen > 20:
                break

    async def test_a_prefix_is_continued_and_not_repeated(
        self, backend: TransformersBackend
    ) -> None:
        assert await backend.count_tokens(replace(ASK, prefix="loop")) == 24
        assert await text(backend, replace(ASK, prefix="loop", max_tokens=3)) == "loop" * 3
        for begun in ("<thinking>", "<thinking> two", "<thinking> two plus"):
            assert await text(backend, replace(ASK, prefix=begun)) == ANSWER.removeprefix(begun)

    async def test_a_character_of_two_tokens_comes_whole(
        self, backend: TransformersBackend
    ) -> None:
        chunks = await ask(backend, replace(ASK, prefix="u"))
        assert "".join(c.text for c in chunks) == "é"
        assert chunks[-1].usage == Usage(prompt=24, completion=3)
        cut = await ask(backend, replace(ASK, prefix="u", max_tokens=1))
        assert "".join(c.text for c in cut) == "\ufffd", "half a character is told of at the end"

    async def test_a_stop_string_ends_the_answer_before_it(
        self, backend: TransformersBackend
    ) -> None:
        chunks = await ask(backend, replace(ASK, stop=("</refl", "never")))
        assert "".join(c.text for c in chunks) == ANSWER.partition("</refl")[0]
        assert chunks[-1].finish == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion == 6, "nothing is made that nobody gets"

    async def test_the_length_limit_says_so(self, backend: TransformersBackend) -> None:
        chunks = await ask(backend, replace(ASK, max_tokens=3))
        assert "".join(c.text for c in chunks) == "<thinking> two plus"
        assert (chunks[-1].finish, chunks[-1].usage) == (
            "length",
            Usage(prompt=23, completion=3, thinking=3),
        )

    async def test_a_full_context_ends_by_length(self, markov_pair: Pair) -> None:
        async with TransformersBackend(markov_pair, context=64) as backend:
            last = (await ask(backend, LONG))[-1]
            assert backend.context == 64
        assert last.finish == "length"
        assert last.usage is not None
        assert last.usage.total == 64

    async def test_stop_ids(self, backend: TransformersBackend) -> None:
        """A token that ends the answer is counted, and not shown."""
        (plus,) = await backend.tokenize(" plus")
        chunks = await ask(backend, replace(ASK, extra={"stop_token_ids": [plus]}))
        assert "".join(c.text for c in chunks) == "<thinking> two"
        assert chunks[-1].finish == "stop"
        ends = replace(ASK, extra={"ignore_eos": True}, max_tokens=12)
        assert (await ask(backend, ends))[-1].finish == "length"

    async def test_special_tags_are_shown_and_the_end_of_turn_is_not(
        self, special_folder: Path
    ) -> None:
        """As in the published Reflection 70B, whose tags are special tokens."""
        async with TransformersBackend(special_folder, threads=1) as backend:
            assert await text(backend, ASK) == ANSWER

    async def test_counting(self, markov_pair: Pair) -> None:
        async with TransformersBackend(markov_pair) as backend:
            assert backend.count is None, "counting must not wait for a model to load"
            assert len(await backend.tokenize("<thinking> two")) == 2
            assert backend.count is not None
            assert backend.count("abc") == 3
            assert backend.count("é\n\n") == 3


class TestSampling:
    async def draw(self, backend: TransformersBackend, **given: Any) -> str:
        request = replace(ASK, prefix="a", max_tokens=400, temperature=1.0)
        return await text(backend, replace(request, **given))

    @pytest.mark.parametrize("seed", [0, -1, 7, 2**32 - 1, 2**64 + 5])
    async def test_a_seed_repeats(self, backend: TransformersBackend, seed: int) -> None:
        assert await self.draw(backend, seed=seed) == await self.draw(backend, seed=seed)

    async def test_a_seed_repeats_in_any_company(self, backend: TransformersBackend) -> None:
        """Other rows have other knobs, come in later and leave earlier."""
        alone = await self.draw(backend, seed=7)
        others = (
            self.draw(backend, seed=8),
            self.draw(backend, seed=7),
            self.draw(backend, seed=9, top_p=0.5, max_tokens=50),
            self.draw(backend, seed=9, extra={"top_k": 1, "repetition_penalty": 1.3}),
            text(backend, ASK),
        )
        eighth, seventh, *_ = await asyncio.gather(*others)
        assert seventh == alone
        assert eighth != alone

    async def test_without_a_seed_answers_differ(self, backend: TransformersBackend) -> None:
        assert await self.draw(backend) != await self.draw(backend)

    async def test_temperature_one_samples_what_the_model_says(
        self, backend: TransformersBackend
    ) -> None:
        """Three b to one c in the model, and so in 200 draws."""
        counts = Counter(await self.draw(backend, seed=1))
        assert 0.65 < counts["b"] / (counts["b"] + counts["c"]) < 0.85

    @pytest.mark.parametrize(
        "given",
        [
            {"temperature": 0.0},
            {"top_p": 0.5},
            {"extra": {"top_k": 1}},
            {"extra": {"min_p": 0.5}},
        ],
    )
    async def test_each_knob_leaves_the_likeliest_alone(
        self, backend: TransformersBackend, given: dict[str, Any]
    ) -> None:
        assert set(await self.draw(backend, seed=1, **given)) == {"a", "b"}

    async def test_a_penalty_on_repetition_is_that_of_generate(
        self, nano: TransformersBackend, nano_pair: Pair
    ) -> None:
        model, tokenizer = nano_pair
        strict = replace(REASONED, extra={"repetition_penalty": 5.0}, max_tokens=60)
        ours = await text(nano, strict)
        assert ours != await text(nano, replace(strict, extra={}))
        assert ours == generated(model, tokenizer, strict, repetition_penalty=5.0)

    async def test_a_silent_request_leaves_it_to_the_model(
        self, markov_pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its generation_config decides, unless a temperature is given."""
        settings = markov_pair[0].generation_config
        monkeypatch.setattr(settings, "do_sample", True)
        monkeypatch.setattr(settings, "top_k", 1)
        async with TransformersBackend(markov_pair) as backend:
            assert set(await self.draw(backend, temperature=None)) == {"a", "b"}
            assert set(await self.draw(backend, temperature=1.0)) == {"a", "b", "c"}
            greedy = await self.draw(backend, temperature=0.0)
        assert set(greedy) == {"a", "b"}


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

        loaded.runner.read = counted  # type: ignore[method-assign]
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
                await stream.aclose()  # type: ignore[attr-defined]
                whole = alone[name]
                return read == whole if chunks != leaves else whole.startswith(read)

            names = [chance.choice(list(REQUESTS)) for _ in range(100)]
            assert all(await asyncio.gather(*map(one, names)))
            assert await soon(lambda: not nano._worker._batches)

    async def test_streams_do_not_mix(self, backend: TransformersBackend) -> None:
        requests = [ASK, replace(ASK, prefix="loop", max_tokens=9), replace(ASK, prefix="u")] * 6
        texts = await asyncio.gather(*(text(backend, r) for r in requests))
        assert texts == [ANSWER, "loop" * 9, "é"] * 6


class TestThinkingCap:
    @pytest.mark.parametrize("cap", [1, 5, 15, 20, 1000])
    async def test_exactly_so_many_tokens(self, nano: TransformersBackend, cap: int) -> None:
        chunks = await ask(nano, replace(REASONED, extra={"thinking_cap": cap}))
        read = parse("".join(c.text for c in chunks))
        thinking = next(s for s in read.sections if s.kind == "thinking")
        usage = chunks[-1].usage
        assert read.issues == ()
        assert next(s for s in read.sections if s.kind == "output").closed
        assert usage is not None
        assert nano.count is not None
        # the tags of an open reflection that the cap closed are on top, as are thinking's own
        whole = nano.count(read.source[thinking.start : thinking.end])
        closed = cap == 15
        assert usage.thinking == whole == min(cap, 41) + 2 + closed

    async def test_a_cap_of_nothing(self, nano: TransformersBackend) -> None:
        answer = await text(nano, replace(REASONED, extra={"thinking_cap": 0}))
        assert answer.startswith("<thinking></thinking>\n<output>")

    async def test_the_three_ways_to_say_it(self, nano_pair: Pair) -> None:
        """A request's own wins over the backend's."""
        async with TransformersBackend(nano_pair, name="nano-reflect", thinking_cap=5) as backend:
            capped = await text(backend, REASONED)
            assert capped.startswith("<thinking>\n2 + 2</thinking>\n<output>")
            budget = replace(REASONED, reasoning=ReasoningBudget(tokens=2))
            assert (await text(backend, budget)).startswith("<thinking>\n2</thinking>\n<output>")
            free = replace(REASONED, extra={"thinking_cap": 1000})
            assert len(await text(backend, free)) > len(capped)

    async def test_rows_have_caps_of_their_own(self, nano: TransformersBackend) -> None:
        caps = (None, 1, 5, 20)
        asked = [replace(REASONED, extra={"thinking_cap": cap}) for cap in caps]
        alone = [await text(nano, request) for request in asked]
        assert await asyncio.gather(*(text(nano, request) for request in asked)) == alone
        assert len(set(alone)) == 4

    async def test_thinking_that_a_prefix_began(self, nano: TransformersBackend) -> None:
        """What the prefix holds is not counted, but that it opened thinking is."""
        asked = replace(REASONED, prefix="<thinking>\n2 + 2", extra={"thinking_cap": 3})
        assert (await text(nano, asked)).startswith(" = 4</thinking>\n<output>")

    async def test_at_least_so_many_tokens(self, nano: TransformersBackend) -> None:
        """The model would stop after 41; until then neither its closer nor its end may come."""
        last = (await ask(nano, replace(REASONED, extra={"thinking_min": 60})))[-1]
        assert last.usage is not None
        assert (last.usage.thinking or 0) >= 62

    async def test_a_client_counts_the_same(self, nano: TransformersBackend) -> None:
        client = reflectkit.Client(nano)
        reply = await client.ask(QUESTIONS[0], reasoning=ReasoningBudget(tokens=5))
        assert reply.thinking == "2 + 2"
        assert reply.usage.thinking == 7
        assert reply.usage.exact


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
                await stream.aclose()  # type: ignore[attr-defined]
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
            await stream.aclose()  # type: ignore[attr-defined]
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
        late: list[float] = []

        async def clock() -> None:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.002)
                late.append(time.perf_counter() - began)

        ticking = asyncio.create_task(clock())
        async with TransformersBackend(markov_folder, threads=1) as backend:
            await asyncio.gather(*(ask(backend, replace(LONG, max_tokens=100)) for _ in range(4)))
        ticking.cancel()
        assert sorted(late)[len(late) // 2] < 0.05


class TestBadRequests:
    async def test_a_prompt_too_long_names_both_lengths(self, markov_pair: Pair) -> None:
        async with TransformersBackend(markov_pair, context=512) as backend:
            long = replace(ASK, messages=(Message("user", "ab" * 500),))
            with pytest.raises(BackendStatus, match=r"has 1021 tokens.* 512\..*context=") as caught:
                await ask(backend, long)
            assert caught.value.status == 400
            assert not caught.value.retryable
            for letters in range(488, 493):
                request = replace(ASK, messages=(Message("user", "a" * letters),))
                if letters + 21 < 512:
                    usage = (await ask(backend, request))[-1].usage
                    assert usage is not None
                    assert usage.prompt == letters + 21
                else:
                    with pytest.raises(BackendStatus, match=f"has {letters + 21} tokens"):
                        await ask(backend, request)

    async def test_what_the_template_refuses(self, nano_pair: Pair) -> None:
        template = "{{ raise_exception('turns must alternate') }}"
        async with TransformersBackend(nano_pair, chat_template=template) as backend:
            with pytest.raises(BackendStatus, match="turns must alternate") as caught:
                await ask(backend, ASK)
        assert caught.value.status == 400

    async def test_template_variables(self, nano_pair: Pair) -> None:
        template = "{% if deep %}deep{% endif %}{{ messages[0]['content'] }}"
        async with TransformersBackend(nano_pair, chat_template=template) as backend:
            plain = await backend.count_tokens(ASK)
            deep = replace(ASK, extra={"chat_template_kwargs": {"deep": True}})
            assert await backend.count_tokens(deep) > plain

    async def test_refused_before_anything_is_queued(self, markov_pair: Pair) -> None:
        backend = TransformersBackend(markov_pair)
        for request, error in (
            (replace(ASK, messages=()), ConfigurationError),
            (replace(ASK, prefix="\udc00"), ConfigurationError),
            (replace(ASK, max_tokens=0), ConfigurationError),
            (replace(ASK, extra={"tools": []}), MissingCapability),
        ):
            with pytest.raises(error):
                await ask(backend, request)
        assert threads() == []


class TestFaults:
    async def test_memory_runs_out(self, markov_pair: Pair, nano_pair: Pair) -> None:
        """All rows of the step are told what to do, and the next request is answered."""
        model, tokenizer = markov_pair
        faulty = Faulty(model, [None] * 3 + [torch.OutOfMemoryError("CUDA out of memory")])
        async with TransformersBackend((faulty, tokenizer)) as backend:
            with pytest.raises(BackendError, match=r"ran out of memory.*max_batch=") as caught:
                await ask(backend, LONG)
            assert caught.value.retryable
            assert caught.value.__cause__ is not None
            assert caught.value.__cause__.__traceback__ is None, "its frames would hold the memory"
            assert await text(backend, ASK) == ANSWER

    async def test_newcomers_that_find_no_memory_leave_the_others_alone(
        self, markov_pair: Pair
    ) -> None:
        model, tokenizer = markov_pair
        faulty = Faulty(model, [])
        async with TransformersBackend((faulty, tokenizer)) as backend:
            stream = backend.stream(replace(LONG, max_tokens=300))
            first = (await anext(stream)).text
            faulty.long_only.append(torch.OutOfMemoryError("CUDA out of memory"))
            with pytest.raises(BackendError, match="ran out of memory"):
                await ask(backend, ASK)
            assert first + "".join([c.text async for c in stream]) == "loop" * 300

    async def test_a_panic_of_a_package(self, markov_pair: Pair) -> None:
        """What is no ``Exception`` ends nobody's thread and leaves nobody waiting."""

        class Panic(BaseException):
            pass

        class Panicking:
            """Somebody's tokenizer that panics over one word."""

            def __getattr__(self, name: str) -> Any:
                return getattr(markov_pair[1], name)

            def __len__(self) -> int:
                return len(markov_pair[1])

            def encode(self, text: str, **given: Any) -> Any:
                if "panic" in text:
                    raise Panic("assertion failed")
                return markov_pair[1].encode(text, **given)

        async with TransformersBackend((markov_pair[0], Panicking())) as backend:
            with pytest.raises(BackendError, match="Panic: assertion failed"):
                await ask(backend, replace(ASK, messages=(Message("user", "panic"),)))
            assert await text(backend, ASK) == ANSWER

    async def test_the_model_fails(self, markov_pair: Pair) -> None:
        model, tokenizer = markov_pair
        faulty = Faulty(model, [None, RuntimeError("mat1 and mat2 shapes\ncannot be multiplied")])
        async with TransformersBackend((faulty, tokenizer)) as backend:
            with pytest.raises(BackendError, match=r"RuntimeError: mat1 and mat2 shapes\)") as info:
                await ask(backend, ASK)
            assert not info.value.retryable
            assert await text(backend, ASK) == ANSWER


class Faulty(torch.nn.Module):
    """Somebody's model that raises what it is given, one for each call (None: nothing)."""

    def __init__(self, model: Any, faults: list[Exception | None]) -> None:
        super().__init__()
        self._inner = [model]  # hidden from torch: it stays whose it was
        self.faults, self.long_only = list(faults), []
        self.config, self.generation_config = model.config, model.generation_config

    def get_input_embeddings(self) -> Any:
        return self._inner[0].get_input_embeddings()

    def forward(self, input_ids: Any, past_key_values: Any, position_ids: Any, **given: Any) -> Any:
        prompts = self.long_only if input_ids.shape[1] > 1 else []
        fault = (prompts or self.faults or [None]).pop(0)
        if fault is not None:
            raise fault
        model = self._inner[0]
        new = "cache" in inspect.signature(model.forward).parameters
        given |= {"cache" if new else "past_key_values": past_key_values}
        return model(input_ids=input_ids, position_ids=position_ids, **given)


class TestSettings:
    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        for wrong in (tmp_path / "none", str(tmp_path / "none"), "./none", "a/b/c", ""):
            with pytest.raises(ConfigurationError, match="no folder"):
                TransformersBackend(wrong)
        with pytest.raises(ConfigurationError, match=r"holds no config\.json"):
            TransformersBackend(tmp_path)

    async def test_a_name_that_is_not_on_this_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is fetched unless told."""
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        backend = TransformersBackend("nobody/nothing", load={"token": "hf_secret123456"})
        with pytest.raises(ConfigurationError, match="local_files_only=False") as caught:
            await ask(backend, ASK)
        assert "secret" not in repr(backend) + str(caught.value)
        with pytest.raises(ConfigurationError, match="local_files_only=False"):
            await backend.load()
        await backend.aclose()
        assert threads() == []

    async def test_no_gpu(self, markov_folder: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("there is one")
        for where in ("cuda:0", {"": "cuda:0"}, {"": 0}):
            async with TransformersBackend(markov_folder, device_map=where) as backend:
                with pytest.raises(ConfigurationError, match="There is no GPU"):
                    await ask(backend, ASK)

    @pytest.mark.parametrize("where", ["cpu", "auto", {"": "cpu"}])
    async def test_device_maps_of_a_processor(self, markov_folder: Path, where: Any) -> None:
        async with TransformersBackend(markov_folder, device_map=where, threads=1) as backend:
            assert await text(backend, ASK) == ANSWER

    async def test_layers_that_are_put_away(self, nano_folder: Path, tmp_path: Path) -> None:
        """Parts of the model lie elsewhere and come when they are needed, as over several GPUs."""
        parts = ("model.embed_tokens", "model.layers", "model.norm", "model.rotary_emb", "lm_head")
        for away in ("model.layers", "model.embed_tokens"):
            where = {part: "disk" if part == away else "cpu" for part in parts}
            if away == "model.layers":
                del where["model.layers"]
                where |= {f"model.layers.{n}": "cpu" if n % 2 else "disk" for n in range(6)}
            async with TransformersBackend(
                nano_folder, device_map=where, threads=1, load={"offload_folder": str(tmp_path)}
            ) as backend:
                answers = await asyncio.gather(*(text(backend, REASONED) for _ in range(2)))
            assert [parse(a).issues for a in answers] == [(), ()]
            assert answers[0].endswith("28\n</output>")

    async def test_half_precision(self, markov_folder: Path) -> None:
        async with TransformersBackend(markov_folder, dtype="bfloat16", threads=1) as backend:
            assert await text(backend, ASK) == ANSWER
            assert backend._worker.loaded is not None
            assert backend._worker.loaded.runner._model.dtype == torch.bfloat16

    async def test_what_load_holds_goes_to_from_pretrained(self, markov_folder: Path) -> None:
        eager = {"attn_implementation": "eager"}
        async with TransformersBackend(markov_folder, load=eager, threads=1) as backend:
            texts = await asyncio.gather(*(text(backend, ASK) for _ in range(3)))
            assert texts == [ANSWER] * 3
        async with TransformersBackend(markov_folder, load={"nonsense": 1}) as backend:
            with pytest.raises(ConfigurationError, match="nonsense"):
                await backend.load()

    async def test_no_chat_template(self, markov_pair: Pair) -> None:
        import copy

        bare = copy.copy(markov_pair[1])
        bare.chat_template = None
        async with TransformersBackend((markov_pair[0], bare)) as backend:
            with pytest.raises(ConfigurationError, match="chat_template="):
                await ask(backend, ASK)

    async def test_a_vocabulary_that_is_larger_than_the_model(
        self, markov_pair: Pair, nano_pair: Pair
    ) -> None:
        """As in the first upload of Reflection 70B, which had six tokens without a row."""
        async with TransformersBackend((markov_pair[0], nano_pair[1])) as backend:
            with pytest.raises(ConfigurationError, match="do not belong together"):
                await ask(backend, ASK)

    async def test_more_context_than_the_model_was_trained_for(self, markov_pair: Pair) -> None:
        async with TransformersBackend(markov_pair, context=4096) as backend:
            with pytest.raises(ConfigurationError, match="trained for 2048"):
                await ask(backend, ASK)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("max_batch", 0), ("context", 1), ("threads", 0), ("thinking_cap", -1)],
    )
    def test_numbers_below_the_least(self, markov_pair: Pair, name: str, value: int) -> None:
        with pytest.raises(ConfigurationError, match=name):
            TransformersBackend(markov_pair, **{name: value})  # type: ignore[arg-type]

    def test_what_is_no_model(self) -> None:
        for wrong in (5, None, ("a", "b"), (1, 2, 3)):
            with pytest.raises(ConfigurationError, match="model"):
                TransformersBackend(wrong)  # type: ignore[arg-type]

    def test_names(self, markov_folder: Path, markov_pair: Pair) -> None:
        assert repr(TransformersBackend(markov_folder)) == "TransformersBackend('markov')"
        assert TransformersBackend("org/model").model == "org/model"
        assert TransformersBackend(markov_pair).model == "markov"
