"""A backend that plays exact scenarios: for tests of what is built on top of a backend."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..messages import Chunk, Request, Usage

if TYPE_CHECKING:
    from ..backends.base import Capabilities

__all__ = ["Script", "ScriptedBackend", "Step"]

#: One step of a script: text, a chunk, an error to raise here, or something to await here (an
#: ``asyncio.Event().wait``, a fake clock's sleep).
Step = str | Chunk | BaseException | Callable[[], Awaitable[object]]
#: One answer: a text, its steps, or a function from the request to either.
Script = str | Iterable[Step] | Callable[[Request], "str | Iterable[Step]"]


class ScriptedBackend:
    """Answers each request with the next script, in order.

    A script that sends no ``finish`` gets ``finish="stop"`` at its end, with ``usage`` if set.
    With ``repeat`` the last script answers every further request; without it one request too many
    is an ``AssertionError`` that says how many scripts there were. ``requests`` holds what was
    asked; ``opened`` and ``closed`` count streams, so that a test can see a leak.
    """

    def __init__(
        self,
        *scripts: Script,
        repeat: bool = False,
        usage: Usage | None = None,
        capabilities: Capabilities | None = None,
        model: str = "scripted",
    ) -> None:
        self._scripts: list[Script] = [
            s if callable(s) or isinstance(s, str) else tuple(s) for s in scripts
        ]
        self._repeat = repeat
        self._usage = usage
        self.capabilities = capabilities
        self.model = model
        self.requests: list[Request] = []
        self.opened = 0
        self.closed = 0

    def __repr__(self) -> str:
        return f"ScriptedBackend({len(self._scripts)} scripts, {len(self.requests)} requests)"

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        """Play the next script."""
        steps = self._next(request)
        self.opened += 1
        try:
            async with aclosing(_play(steps)) as chunks:
                async for chunk in chunks:
                    yield chunk
                    if chunk.finish is not None:
                        return
            yield Chunk(usage=self._usage, finish="stop", model=self.model)
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        """Nothing is held."""

    def _next(self, request: Request) -> tuple[Step, ...]:
        self.requests.append(request)
        number = len(self.requests) - 1
        if number >= len(self._scripts) and not (self._repeat and self._scripts):
            raise AssertionError(
                f"Request {number + 1}, but only {len(self._scripts)} scripts were written."
            )
        script = self._scripts[min(number, len(self._scripts) - 1)]
        steps = script(request) if callable(script) else script
        return (steps,) if isinstance(steps, str) else tuple(steps)


async def _play(steps: Iterable[Step]) -> AsyncGenerator[Chunk, None]:
    for step in steps:
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, str):
            yield Chunk(step)
        elif isinstance(step, Chunk):
            yield step
        else:
            await step()
