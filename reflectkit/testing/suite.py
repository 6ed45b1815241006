"""What every backend must do, as tests: subclass ``BackendSuite`` and give it a backend.

    class TestMine(BackendSuite):
        @pytest_asyncio.fixture
        async def backend(self):
            async with MyBackend() as backend:
                yield backend

The tests are coroutines: run them with pytest-asyncio in auto mode, or anyio's plugin.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from ..backends.base import Backend, Capabilities, capabilities_of
from ..errors import ConfigurationError, MissingCapability, ReflectKitError
from ..messages import Chunk, Message, ReasoningBudget, Request

__all__ = ["BackendSuite"]


class BackendSuite:
    """Conformance tests for a backend; override ``request_`` for one that your model answers."""

    #: a request whose answer has a few words
    request_ = Request(messages=(Message("user", "Say hello in a few words."),), max_tokens=32)
    #: a secret that the backend was given, or ""
    secret = ""
    #: seconds that one answer may take
    seconds = 30.0

    async def test_it_is_a_backend(self, backend: Backend) -> None:
        """It has ``stream``, and its capabilities, if declared, are ``Capabilities``."""
        assert isinstance(backend, Backend)
        declared = getattr(backend, "capabilities", None)
        assert declared is None or isinstance(declared, Capabilities)
        assert isinstance(getattr(backend, "model", ""), str)

    async def test_the_last_chunk_and_only_it_says_finish(self, backend: Backend) -> None:
        """An answer is chunks; the last one carries the reason."""
        chunks = await self.ask(backend, self.request_)
        assert all(isinstance(c, Chunk) for c in chunks)
        assert chunks, "no chunk came"
        assert [c.finish is not None for c in chunks] == [False] * (len(chunks) - 1) + [True]
        assert _text(chunks), "the answer is empty"

    async def test_usage_comes_when_it_is_promised(self, backend: Backend) -> None:
        """``reports_usage`` means figures at the end, within what was asked for."""
        usage = (await self.ask(backend, self.request_))[-1].usage
        if capabilities_of(backend).reports_usage:
            assert usage is not None
            assert usage.completion > 0
            assert self.request_.max_tokens is None or usage.completion <= self.request_.max_tokens

    async def test_a_stop_string_ends_the_answer_before_it(self, backend: Backend) -> None:
        """Neither the stop string nor anything after it arrives."""
        text = "".join(c.text for c in await self.ask(backend, self.request_))
        if len(text) >= 4:
            stop = text[len(text) // 2 :][:2]
            chunks = await self.ask(backend, replace(self.request_, stop=(stop,)))
            assert stop not in "".join(c.text for c in chunks)

    async def test_a_prefix_is_continued_or_refused(self, backend: Backend) -> None:
        """Without the capability the refusal is ``MissingCapability``, and typed as such."""
        request = replace(self.request_, prefix="Hello")
        refusal, chunks = None, []
        try:
            chunks = await self.ask(backend, request)
        except MissingCapability as error:
            refusal = error
        if refusal is not None:
            assert refusal.capability == "continues_prefix"
            assert not capabilities_of(backend).continues_prefix, "it refuses what it declares"
            return
        # some find out only now what their server can do
        declared = capabilities_of(backend).continues_prefix
        assert declared, "it took a prefix that it does not declare to continue"
        assert chunks[-1].finish is not None

    async def test_a_reasoning_budget_is_taken_or_refused(self, backend: Backend) -> None:
        """What the backend has no knob for is ``MissingCapability``, never silence."""
        budget = ReasoningBudget(tokens=8)
        request = replace(self.request_, max_tokens=64, reasoning=budget)
        if capabilities_of(backend).reasoning == frozenset():
            return  # the engine refuses in its place
        try:
            chunks = await self.ask(backend, request)
        except (MissingCapability, ConfigurationError):
            return
        assert "tokens" in (capabilities_of(backend).reasoning or ())
        assert chunks[-1].finish is not None

    async def test_it_answers_again_after_an_early_close(self, backend: Backend) -> None:
        """Closing a stream after its first chunk leaves nothing behind."""
        stream = backend.stream(self.request_)
        async with asyncio.timeout(self.seconds):
            assert isinstance(await anext(aiter(stream)), Chunk)
            await _close(stream)
        assert _text(await self.ask(backend, self.request_))

    async def test_it_answers_again_after_a_cancel(self, backend: Backend) -> None:
        """A cancelled reader gets its cancellation, and the next one an answer."""
        for delay in (0.0, 0.001, 0.01):
            task = asyncio.create_task(self.ask(backend, self.request_))
            await asyncio.sleep(delay)
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            assert isinstance(outcome, list | asyncio.CancelledError), outcome
        assert _text(await self.ask(backend, self.request_))

    async def test_streams_do_not_mix(self, backend: Backend) -> None:
        """Four answers at once are four whole answers."""
        asks = (self.ask(backend, self.request_) for _ in range(4))
        for chunks in await asyncio.gather(*asks):
            assert chunks[-1].finish is not None
            assert _text(chunks)

    async def test_it_raises_only_our_errors(self, backend: Backend) -> None:
        """A request that makes no sense gets an answer or a ``ReflectKitError``, nothing else."""
        for messages in ((), (Message("user", ""),), (Message("user", "\x00\ud800"),)):
            with contextlib.suppress(ReflectKitError):
                await self.ask(backend, replace(self.request_, messages=messages))

    async def test_no_secret_shows(self, backend: Backend) -> None:
        """The repr has no key in it."""
        assert not self.secret or self.secret not in repr(backend)

    async def test_closing_twice_is_harmless(self, backend: Backend) -> None:
        """``aclose`` may be called again."""
        await _close(backend)
        await _close(backend)

    async def ask(self, backend: Backend, request: Request) -> list[Chunk]:
        """All chunks of one answer; the stream is closed on every path."""
        stream: AsyncIterator[Chunk] = backend.stream(request)
        try:
            async with asyncio.timeout(self.seconds):
                return [chunk async for chunk in stream]
        finally:
            await _close(stream)


def _text(chunks: list[Chunk]) -> str:
    return "".join(c.reasoning + c.text for c in chunks)


async def _close(thing: Any) -> None:
    if close := getattr(thing, "aclose", None):
        await close()
