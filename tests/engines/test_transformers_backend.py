"""The transformers backend answers as it was asked to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import reflectkit
from asking import ANSWER, ask
from asking import text_of as text
from hf_asking import ASK, LONG, REASONED, Pair, generated, torch
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.messages import ReasoningBudget, Usage
from reflectkit.protocol import parse
from reflectkit.testing import BackendSuite
from requests40 import QUESTIONS, REQUESTS
from test_same_answers import answer, differing


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
        pytest.importorskip("xllamacpp")  # reflectkit[local]
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
            before = backend.count
            assert before is None, "counting must not wait for a model to load"
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
        told = generated(model, tokenizer, strict, repetition_penalty=5.0)
        assert ours == told.removesuffix(tokenizer.eos_token)

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
