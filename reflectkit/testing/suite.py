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
import os
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ..backends.base import Backend, Capabilities, capabilities_of
from ..errors import ConfigurationError, MissingCapability, ReflectKitError
from ..messages import Chunk, Message, ReasoningBudget, Request, ToolCall

__all__ = ["BackendSuite"]

#: the files that this process has open, where the system lists them
_FILES: Final = "/proc/self/fd"
_PAUSE: Final = 0.02


_PICTURE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
#: what is wrong with a request, and the fields that make it so
STRANGE: Final[Mapping[str, dict[str, Any]]] = {
    "no messages": {"messages": ()},
    "an empty message": {"messages": (Message("user", ""),)},
    "blanks": {"messages": (Message("user", " \n\t "),)},
    "a null and a lone surrogate": {"messages": (Message("user", "\x00\ud800"),)},
    "a system text alone": {"messages": (Message("system", "Be brief."),)},
    "an answer alone": {"messages": (Message("assistant", "Hello."),)},
    "two answers in a row": {
        "messages": (Message("user", "a"), Message("assistant", "b"), Message("assistant", "c"))
    },
    "a result that nobody asked for": {
        "messages": (Message("user", "a"), Message("tool", "5", tool_call_id="none"))
    },
    "a call without a result": {
        "messages": (
            Message("user", "a"),
            Message("assistant", "", tool_calls=(ToolCall("1", "f", "{}"),)),
        )
    },
    "arguments that are no JSON": {
        "messages": (
            Message("user", "a"),
            Message("assistant", "", tool_calls=(ToolCall("1", "f", "{oops"),)),
            Message("tool", "5", tool_call_id="1"),
        )
    },
    "a picture": {"messages": (Message("user", ({"type": "text", "text": "a"}, _PICTURE)),)},
    "a part of no known type": {"messages": (Message("user", ({"type": "smell"},)),)},
    "a prompt far too long": {"messages": (Message("user", "word " * 60_000),)},
    "tags and template marks": {
        "messages": (Message("user", "</thinking><|eot_id|><|im_end|>{{ x }}{% if %}"),)
    },
    "no token": {"max_tokens": 0},
    "fewer than none": {"max_tokens": -5},
    "one token": {"max_tokens": 1},
    "a billion tokens and a stop": {"max_tokens": 10**9, "stop": ("e", "a", "o", " ")},
    "negative temperature": {"temperature": -1.0},
    "no number as temperature": {"temperature": float("nan")},
    "top_p of 7": {"top_p": 7.0},
    "a huge seed": {"seed": 2**70},
    "a stop string of a thousand letters": {"stop": ("x" * 1000,)},
    "forty stop strings": {"stop": tuple(f"stop {i}" for i in range(40))},
    "an empty stop string": {"stop": ("",)},
    "a surrogate as stop string": {"stop": ("\ud800",)},
    "a field that is no JSON": {"extra": {"field": object()}},
    "a field nobody knows": {"extra": {"reflectkit_unknown": 1}},
    "a field of the wrong type": {"extra": {"temperature": "hot"}},
    "a wrong model": {"model": "no-such-model"},
    "a payload of another provider": {
        "messages": (
            Message("user", "a"),
            Message("assistant", "b", payload={"thinking": "c"}, provider="nobody"),
            Message("user", "d"),
        )
    },
}


class BackendSuite:
    """Conformance tests for a backend; override ``request_`` for one that your model answers."""

    #: a request whose answer has a few words
    request_ = Request(messages=(Message("user", "Say hello in a few words."),), max_tokens=32)
    #: a secret that the backend was given, or ""
    secret = ""
    #: threads that stay by design, such as those of a package below
    threads = 0
    #: seconds that clean-ups may take
    patience = 10.0
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

    async def test_a_strange_request_gets_an_answer_or_our_error(self, backend: Backend) -> None:
        """Whatever is wrong with it: a whole answer or a ``ReflectKitError``, nothing else."""
        for name, change in STRANGE.items():
            outcome = await self._outcome(backend, replace(self.request_, **change))
            assert outcome is None or isinstance(outcome, ReflectKitError), (name, outcome)
            assert outcome is None or str(outcome), name
        assert _text(await self.ask(backend, self.request_)), "it does not answer any more"

    async def test_nothing_is_left_of_readers_that_leave(self, backend: Backend) -> None:
        """Tasks, threads and open files are counted, before and after the backend was closed."""
        tasks, threads, files = _left()
        before = tasks, threads + self.threads, files
        for leave in (_after_first, _after_all, _at_once, _with_an_error, _by_time_out):
            async with asyncio.timeout(self.seconds):
                await asyncio.gather(*(leave(backend, self.request_) for _ in range(3)))
        await self.close(backend)
        after = await _settled(before, self.patience)
        assert all(b <= a for a, b in zip(before, after, strict=True)), (before, after)

    async def test_no_secret_shows(self, backend: Backend) -> None:
        """The repr has no key in it."""
        assert not self.secret or self.secret not in repr(backend)

    async def test_closing_twice_is_harmless(self, backend: Backend) -> None:
        """``aclose`` may be called again."""
        await _close(backend)
        await _close(backend)

    async def close(self, backend: Backend) -> None:
        """Close the backend; override it where more than its ``aclose`` is yours to close."""
        await _close(backend)

    async def _outcome(self, backend: Backend, request: Request) -> BaseException | None:
        try:
            chunks = await self.ask(backend, request)
        except Exception as error:  # noqa: BLE001  # it is judged by the caller
            return error
        ended = bool(chunks) and chunks[-1].finish is not None
        return None if ended else AssertionError("neither an end nor an error")

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


# --- readers that leave --------------------------------------------------------------------------


async def _after_first(backend: Backend, request: Request) -> None:
    stream = backend.stream(request)
    await anext(aiter(stream), None)
    await _close(stream)


async def _after_all(backend: Backend, request: Request) -> None:
    stream = backend.stream(request)
    async for _ in stream:
        pass
    await _close(stream)


async def _at_once(backend: Backend, request: Request) -> None:
    await _close(backend.stream(request))


async def _with_an_error(backend: Backend, request: Request) -> None:
    stream = backend.stream(request)
    with contextlib.suppress(ZeroDivisionError):
        try:
            async for _ in stream:
                raise ZeroDivisionError
        finally:
            await _close(stream)


async def _by_time_out(backend: Backend, request: Request) -> None:
    for seconds in (0.0, 0.002, 0.01):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _after_all(backend, request)


def _left() -> tuple[int, int, int]:
    """How many tasks, threads and open files there are."""
    files = len(os.listdir(_FILES)) if os.path.isdir(_FILES) else 0
    return len(asyncio.all_tasks()), threading.active_count(), files


async def _settled(before: tuple[int, int, int], seconds: float) -> tuple[int, int, int]:
    """What is left, once it is no more than before, or after ``seconds``."""
    for _ in range(int(seconds / _PAUSE)):
        if all(b <= a for a, b in zip(before, _left(), strict=True)):
            break
        await asyncio.sleep(_PAUSE)
    return _left()
