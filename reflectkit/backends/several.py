"""Several backends as one: the next when one fails, or a second one when the first is slow.

They are backends themselves, so a client takes them like any other, and they can be nested. And one
backend several times: a broken answer gone on with, or several answers to one request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from operator import add
from typing import Any, Final

from ..budget import estimate, estimate_prompt
from ..errors import BackendError, BackendUnreachable, ConfigurationError
from ..messages import Chunk, Message, Request, Usage
from .base import Backend, Capabilities, capabilities_of, found_out

__all__ = ["Breaker", "FailoverBackend", "HedgedBackend", "ResumingBackend", "answers"]

_ANSWERER: Final = "answerer"
#: The loop holds tasks weakly: clean-ups must not be lost.
_CLOSING: Final[set[asyncio.Future[None]]] = set()


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Rests a backend that keeps failing (the circuit breaker of M. Nygard, "Release It!", 2007).

    After ``failures`` in a row it lets nothing through for ``seconds``; then one request tries, and
    its outcome decides. ``clock`` (seconds) is there to be replaced in tests.
    """

    failures: int = 5
    seconds: float = 30.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _failed: int = field(default=0, init=False, repr=False)
    _until: float | None = field(default=None, init=False, repr=False)

    @property
    def resting(self) -> bool:
        """Nothing is let through now."""
        return self._until is not None and self.clock() < self._until

    def admit(self) -> bool:
        """Whether a request may go. After a rest, one may, and no other before it has ended."""
        if self._until is None:
            return True
        if self.resting:
            return False
        self._until = self.clock() + self.seconds
        return True

    def succeeded(self) -> None:
        """An answer began: all is well again."""
        self._failed, self._until = 0, None

    def failed(self) -> None:
        """No answer began."""
        self._failed += 1
        if self._failed >= self.failures:
            self._until = self.clock() + self.seconds


class _Several:
    """What both kinds share: names, capabilities, and whose replay payloads are whose."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        if not backends:
            raise ConfigurationError("No backend was given.", hint="Pass two or more.")
        for backend in backends:
            if not callable(getattr(backend, "stream", None)):
                raise ConfigurationError(
                    f"A {type(backend).__name__} is no backend.",
                    hint="Pass objects with stream(request).",
                )
        self._backends = tuple(backends)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._backends))})"

    @property
    def backends(self) -> tuple[Backend, ...]:
        """The backends, in the order in which they are asked."""
        return self._backends

    @property
    def model(self) -> str:
        """The first backend's model, since its profile decides how it is asked."""
        return str(getattr(self._backends[0], "model", ""))

    @property
    def provider(self) -> str:
        """A name of its own: what has to go back is told apart by who answered."""
        return " | ".join(map(_provider, self._backends))

    @property
    def capabilities(self) -> Capabilities:
        """What all of them can do."""
        each = [capabilities_of(backend) for backend in self._backends]
        names = [f.name for f in fields(Capabilities)]
        common: dict[str, Any] = {n: reduce(_both, [getattr(c, n) for c in each]) for n in names}
        return Capabilities(**{**common, "counts_tokens": False})

    async def resolve(self) -> str:
        """The first backend's model, found out if need be."""
        resolve = getattr(self._backends[0], "resolve", None)
        return str(await resolve()) if resolve else self.model

    async def aclose(self) -> None:
        """Close all of them."""
        for backend in self._backends:
            await _close(backend)

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _request(self, request: Request, backend: Backend) -> Request:
        """The request as ``backend`` is to see it: its own replay payloads, and no one else's."""
        messages = tuple(self._message(m, backend) for m in request.messages)
        return replace(request, messages=messages)

    def _message(self, message: Message, backend: Backend) -> Message:
        if message.payload is None or message.provider != self.provider:
            return message
        if message.payload.get(_ANSWERER) != self._backends.index(backend):
            return replace(message, payload=None, provider="")
        return replace(message, payload=message.payload["payload"], provider=_provider(backend))

    def _chunk(self, chunk: Chunk, backend: Backend, spent: Sequence[Usage]) -> Chunk:
        """The chunk: its payload says who sent it, its usage all that was spent."""
        if chunk.payload is not None:
            marked = {_ANSWERER: self._backends.index(backend), "payload": chunk.payload}
            chunk = replace(chunk, payload=marked)
        if spent and chunk.usage:
            chunk = replace(chunk, usage=reduce(add, spent, chunk.usage))
        return chunk


class FailoverBackend(_Several):
    """Asks the first backend, and the next one when it fails before anything was delivered.

    Only faults that may be the server's own count: those marked ``retryable``, and a status of 401,
    403 or 404, which another server need not share. A fault in the middle of an answer is raised: a
    second answer would repeat the first one's beginning. What failed attempts cost is added to the
    last chunk's usage, if it has any. ``breaker``: makes a ``Breaker`` for each backend; a backend
    that rests is passed over. If none answers, the last error is raised, and its ``failures`` name
    the others.
    """

    def __init__(self, *backends: Backend, breaker: Callable[[], Breaker] | None = Breaker) -> None:
        super().__init__(backends)
        self._breakers = [breaker() if breaker else None for _ in backends]

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the answer of the first backend that gives one. Raises as they do."""
        failures: list[BackendError] = []
        for backend, breaker in zip(self._backends, self._breakers, strict=True):
            if breaker and not breaker.admit():
                failures.append(BackendUnreachable(f"{backend!r} rests after repeated failures."))
                continue
            chunks = backend.stream(self._request(request, backend))
            try:
                first = await anext(chunks, None)
            except BackendError as error:
                await _close(chunks)
                if breaker and error.retryable:
                    breaker.failed()
                if not _is_its_own(error):
                    raise
                failures.append(error)
                continue
            except BaseException:
                await _close(chunks)
                raise
            spent = [e.usage for e in failures if e.usage]
            try:
                if first is not None:
                    yield self._chunk(first, backend, spent)
                async for chunk in chunks:
                    yield self._chunk(chunk, backend, spent)
                if breaker:
                    breaker.succeeded()
                return
            except BackendError as error:
                if breaker and error.retryable:
                    breaker.failed()
                raise
            finally:
                await _close(chunks)
        raise _all_failed(failures)


class HedgedBackend(_Several):
    """Asks the first backend, and the next one too when no answer began within ``after`` seconds.

    The answer that begins first is taken, and the others are closed, which stops their work. What
    the losers cost is added to the last chunk's usage: their own figures where they came, else an
    estimate of the prompt. A backend that fails before its answer begins makes room for the next
    one at once; if all fail, the last error is raised. The method is that of J. Dean and L. A.
    Barroso, "The Tail at Scale", 2013.
    """

    def __init__(self, *backends: Backend, after: float) -> None:
        super().__init__(backends)
        if not after > 0:
            raise ConfigurationError(f"after is {after!r}.", hint="Give seconds above 0.")
        self._after = after

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the answer that begins first. Raises as the backends do."""
        race = _Race(self, request, self._after)
        try:
            winner, first = await race.winner()
            spent = [lane.cost() for lane in race.lanes if lane is not winner]
            await race.close_all_but(winner)
            if first is not None:
                yield self._chunk(first, winner.backend, spent)
            async for chunk in winner.chunks:
                yield self._chunk(chunk, winner.backend, spent)
        finally:
            await race.close_all_but(None)


class ResumingBackend(_Several):
    """Goes on from where a broken answer stopped, on a backend that continues a prefix.

    When an answer breaks off with a fault that may go better next time, the same backend is asked
    again with what had come as the prefix, up to ``times`` times for one answer: the reader sees
    one stream. The usage of all parts is added up. Answers that hold reasoning in a field of its
    own or tool calls cannot be gone on from: their fault is raised, as is any on a backend that
    continues no prefix. At a temperature above 0 the rest is another sample, as it would have been.
    """

    def __init__(self, backend: Backend, *, times: int = 1) -> None:
        super().__init__((backend,))
        if times < 1:
            raise ConfigurationError(f"times is {times!r}.", hint="Give a number from 1 up.")
        self._times = times

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield one answer. Raises as the backend does, when it cannot be gone on from."""
        (backend,) = self.backends
        asked, spent = request, list[Usage]()
        for left in reversed(range(self._times + 1)):
            take = _Part(asked)
            chunks = backend.stream(asked)
            try:
                async for chunk in chunks:
                    take.note(chunk)
                    yield self._chunk(chunk, backend, spent)
                return
            except BackendError as error:
                following = take.following(request) if left and error.retryable else None
                if following is None or not (await found_out(backend)).continues_prefix:
                    raise
                asked = following
                spent.append(error.usage or take.usage or _about(take))
            finally:
                await _close(chunks)


class _Part:
    """What came of an answer before it broke."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._whole = True
        self.text = request.prefix
        self.usage: Usage | None = None

    def note(self, chunk: Chunk) -> None:
        self.text += chunk.text
        self._whole = self._whole and not (chunk.reasoning or chunk.tool_calls)
        self.usage = chunk.usage or self.usage

    @property
    def written(self) -> int:
        """About how many tokens came."""
        return estimate(self.text[len(self.request.prefix) :])

    def following(self, first: Request) -> Request | None:
        """The request for the rest, within ``first``'s cap; None if there can be none."""
        cap = self.request.max_tokens
        written = self.usage.completion if self.usage else self.written
        left = None if cap is None else cap - written
        if not self._whole or self.text == first.prefix or (left is not None and left < 1):
            return None
        return replace(self.request, prefix=self.text, max_tokens=left)


def _about(part: _Part) -> Usage:
    return Usage(prompt=estimate_prompt(part.request), completion=part.written, exact=False)


async def answers(
    backend: Backend, request: Request, n: int, /
) -> AsyncGenerator[tuple[int, Chunk], None]:
    """``n`` answers to one request at once: pairs of an answer's number, from 0, and its chunk.

    Each is a request of its own, on every backend alike: servers disagree on ``n`` (some ignore it,
    some refuse it at temperature 0). A ``seed`` is counted up, so that the answers differ. The
    first fault ends all of them, and is raised; closing the generator closes them.
    """
    if n < 1:
        raise ConfigurationError(f"n is {n!r}.", hint="Ask for one answer or more.")
    arrived: asyncio.Queue[tuple[int, Chunk | Exception | None]] = asyncio.Queue(maxsize=n)
    tasks = [asyncio.ensure_future(_pour(backend, request, i, arrived)) for i in range(n)]
    try:
        while n:
            number, item = await arrived.get()
            if isinstance(item, Chunk):
                yield number, item
            elif item is None:
                n -= 1
            else:
                raise item
    finally:
        await _finish(_cancel(tasks))


async def _pour(
    backend: Backend,
    request: Request,
    number: int,
    arrived: asyncio.Queue[tuple[int, Chunk | Exception | None]],
) -> None:
    if request.seed is not None:
        request = replace(request, seed=request.seed + number)
    chunks = backend.stream(request)
    try:
        async for chunk in chunks:
            await arrived.put((number, chunk))
        await arrived.put((number, None))
    except Exception as error:  # noqa: BLE001  # it is raised again by the reader
        await arrived.put((number, error))
    finally:
        await _close(chunks)


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a clean-up to its end even if the caller is cancelled."""
    closing = asyncio.ensure_future(work)
    _CLOSING.add(closing)
    closing.add_done_callback(_CLOSING.discard)
    await asyncio.shield(closing)


@dataclass(eq=False, slots=True)
class _Lane:
    """One backend's answer, until its first chunk."""

    backend: Backend
    request: Request
    chunks: AsyncIterator[Chunk]
    first: asyncio.Task[Chunk | None]

    def cost(self) -> Usage:
        """What it cost (tokens): its own figures, else about its prompt; a failure may be free."""
        error = self.first.exception() if self.first.done() else None
        if error is not None:
            return getattr(error, "usage", None) or Usage()
        return Usage(prompt=estimate_prompt(self.request), exact=False)


class _Race:
    """Lanes that were started, and the order of starts that are left."""

    def __init__(self, several: _Several, request: Request, after: float) -> None:
        self._several = several
        self._request = request
        self._after = after
        self._left = list(several.backends)
        self._failures: list[BackendError] = []
        self.lanes: list[_Lane] = []

    async def winner(self) -> tuple[_Lane, Chunk | None]:
        """The first lane with a chunk."""
        self._start()
        while True:
            running = [lane for lane in self.lanes if not lane.first.done()]
            if running:
                timeout = self._after if self._left else None
                await asyncio.wait(
                    [lane.first for lane in running],
                    timeout=timeout,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if won := self._first_done():
                return won
            if not self._left and all(lane.first.done() for lane in self.lanes):
                raise _all_failed(self._failures)
            if self._left:
                self._start()

    def _start(self) -> None:
        backend = self._left.pop(0)
        request = self._several._request(self._request, backend)
        chunks = backend.stream(request)
        first = asyncio.ensure_future(_first(chunks))
        self.lanes.append(_Lane(backend, request, chunks, first))

    def _first_done(self) -> tuple[_Lane, Chunk | None] | None:
        for lane in self.lanes:
            if not lane.first.done():
                continue
            error = lane.first.exception()
            if error is None:
                return lane, lane.first.result()
            if not isinstance(error, BackendError) or not _is_its_own(error):
                raise error
            if error not in self._failures:
                self._failures.append(error)
        return None

    async def close_all_but(self, winner: _Lane | None) -> None:
        """Cancel and close what is still going on, to the end even if the caller is cancelled."""
        losers = [lane for lane in self.lanes if lane is not winner]
        self.lanes = [winner] if winner else []
        if losers:
            await _finish(_close_lanes(losers))


async def _close_lanes(lanes: Sequence[_Lane]) -> None:
    for lane in lanes:
        lane.first.cancel()
    await asyncio.gather(*(lane.first for lane in lanes), return_exceptions=True)
    for lane in lanes:
        await _close(lane.chunks)


async def _first(chunks: AsyncIterator[Chunk]) -> Chunk | None:
    return await anext(chunks, None)


def _is_its_own(error: BackendError) -> bool:
    """Whether another server may do better."""
    return error.retryable or error.status in (401, 403, 404)


def _all_failed(failures: Sequence[BackendError]) -> BackendError:
    last = failures[-1]
    last.failures = tuple(failures)
    return last


def _both(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one & other


def _provider(backend: Backend) -> str:
    return str(getattr(backend, "provider", ""))


async def _close(thing: object) -> None:
    close = getattr(thing, "aclose", None)
    if close is not None:
        await close()
