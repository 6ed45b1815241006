"""A function as a backend: for a model that is reached in some way of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final

from ..errors import BackendError, ConfigurationError, MissingCapability, ReflectKitError
from ..messages import Chunk, Request
from ._filters import StopFilter
from .base import Capabilities

__all__ = ["FunctionBackend"]

Piece = str | Chunk
Function = Callable[[Request], Awaitable[Piece] | AsyncIterator[Piece]]

_SHAPE: Final = "Write it as `async def f(request): return text`, or with `yield` for streaming."


class FunctionBackend:
    """Answers by calling ``function(request)``, an async callable or async generator function.

    It gives text, or ``Chunk``s; a plain text is one chunk. Stop strings are applied here, and an
    answer that says no ``finish`` gets "stop". An exception of the function that is not a
    ``ReflectKitError`` becomes the cause of a ``BackendError``. An async generator is closed when
    the stream is.
    """

    def __init__(
        self,
        function: Function,
        *,
        model: str = "",
        capabilities: Capabilities | None = None,
    ) -> None:
        if not callable(function):
            raise ConfigurationError("A FunctionBackend needs a function.", hint=_SHAPE)
        self._function = function
        self.model = model or getattr(function, "__name__", "function")
        self.capabilities = capabilities or Capabilities()

    def __repr__(self) -> str:
        return f"FunctionBackend({self.model})"

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield what the function gives; the last chunk carries ``finish``."""
        if request.prefix and not self.capabilities.continues_prefix:
            raise MissingCapability(
                f"The function {self.model} is not known to go on from a prefix.",
                capability="continues_prefix",
                hint="If it does, pass capabilities=Capabilities(continues_prefix=True).",
            )
        pieces = _pieces(self._call(request))
        stop = StopFilter(request.stop)
        try:
            while (chunk := await self._next(pieces)) is not None:
                for ready in _filtered(chunk, stop):
                    yield ready
                    if ready.finish is not None:
                        return
            yield Chunk(stop.flush(), finish="stop", model=self.model)
        finally:
            await pieces.aclose()

    async def aclose(self) -> None:
        """Nothing is held."""

    def _call(self, request: Request) -> Any:
        try:
            return self._function(request)
        except Exception as error:
            raise self._failed(error) from error

    async def _next(self, pieces: AsyncGenerator[Chunk, None]) -> Chunk | None:
        try:
            return await anext(pieces, None)
        except ReflectKitError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ReflectKitError:
        if isinstance(error, ReflectKitError):
            return error
        return BackendError(f"The function {self.model} raised {type(error).__name__}: {error}.")


async def _pieces(result: Any) -> AsyncGenerator[Chunk, None]:
    """One shape for what the function returned: an async generator of chunks."""
    if not hasattr(result, "__anext__"):
        yield _chunk(await _awaited(result))
        return
    try:
        async for piece in result:
            yield _chunk(piece)
    finally:
        if hasattr(result, "aclose"):
            await result.aclose()


async def _awaited(result: Any) -> Any:
    if not isinstance(result, Awaitable):
        raise ConfigurationError("The function is not async: it would block all else.", hint=_SHAPE)
    return await result


def _chunk(piece: Any) -> Chunk:
    if isinstance(piece, str):
        return Chunk(piece)
    if not isinstance(piece, Chunk):
        raise ConfigurationError(
            f"The function gave {type(piece).__name__}, not text or a Chunk.", hint=_SHAPE
        )
    return piece


def _filtered(chunk: Chunk, stop: StopFilter) -> list[Chunk]:
    """The chunk with stop strings applied: a hit ends the answer, its finish flushes the rest."""
    text = stop.feed(chunk.text)
    if not stop.hit and (chunk.finish is not None or chunk.reasoning):
        text += stop.flush()
    finish = "stop" if stop.hit else chunk.finish
    changed = Chunk(
        text,
        reasoning=chunk.reasoning,
        tool_calls=chunk.tool_calls,
        usage=chunk.usage,
        finish=finish,
        model=chunk.model,
        payload=chunk.payload,
    )
    return [changed] if changed != Chunk() else []
