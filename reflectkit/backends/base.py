"""What a backend is: any object with ``stream(request)``. No base class, no registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..errors import ReflectKitError
from ..messages import Chunk, Request

__all__ = ["Backend", "Capabilities", "capabilities_of", "found_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do. The defaults are what every chat server can."""

    #: it goes on from ``Request.prefix`` instead of opening a new turn
    continues_prefix: bool = False
    #: usage figures arrive while streaming
    reports_usage: bool = False
    #: tags that are special tokens stay in the text
    keeps_special_tokens: bool = True
    #: ``seed`` is honoured
    seeds: bool = False
    #: tool definitions and calls
    tools: bool = False
    #: content parts that are not text
    images: bool = False
    #: parts of a ``ReasoningBudget`` that it takes: "tokens", "effort", "enabled"; None: that is
    #: known once it was asked, and it refuses by itself what it cannot take
    reasoning: frozenset[str] | None = frozenset()
    #: a budget in tokens only limits its thinking; elsewhere it may switch thinking on
    caps_thinking: bool = False
    #: ``count_tokens(request)`` counts a prompt's tokens
    counts_tokens: bool = False


@runtime_checkable
class Backend(Protocol):
    """Turns a request into a stream of chunks.

    ``stream`` is an async generator (or returns an async iterator with ``aclose``). It raises only
    ``ReflectKitError``; closing it early stops the work on the model's side. ``capabilities``,
    ``model`` (the model's name, "" if unknown), ``await resolve()`` (that name, found out if need
    be) and ``aclose()`` are optional.
    """

    def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        """Yield chunks; the last one carries ``finish``."""
        ...


def capabilities_of(backend: Backend) -> Capabilities:
    """The declared capabilities, or the cautious defaults."""
    found = getattr(backend, "capabilities", None)
    return found if isinstance(found, Capabilities) else Capabilities()


async def found_out(backend: Backend) -> Capabilities:
    """The capabilities, once a backend that finds out what its server is (``kind``) has done so."""
    kind = getattr(backend, "kind", None)
    if callable(kind):
        with suppress(ReflectKitError):  # it will say so itself when it is asked for an answer
            await kind()
    return capabilities_of(backend)
