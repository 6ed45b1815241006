"""What the transformers backend refuses, and faults: one answer fails, the next does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asking import ANSWER, ask
from asking import text_of as text
from hf_asking import ASK, LONG, Faulty, Pair, threads, torch
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.errors import BackendError, BackendStatus, ConfigurationError, MissingCapability
from reflectkit.messages import Message


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
