"""A cap on thinking that holds on any backend, because it is kept on this side.

When the cap is reached the answer is cut, thinking is closed, and the answer goes on from there:
from a prefix where the backend continues one, else with a turn that asks for the answer now, and
where even that gives none, with the last result that the thinking had stated.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..budget import estimate, estimate_prompt
from ..budget.meter import Meter, Passed
from ..errors import BackendError, ConfigurationError, MissingCapability
from ..messages import Chunk, Message, Request, Usage, Wrap
from ..protocol import Dialect, neutralise, parse
from ..protocol.dialects import find_dialect
from ..protocol.render import marks
from .base import Backend, Capabilities, capabilities_of, found_out

__all__ = ["ANSWER_NOW", "WrapUpBackend"]

#: What the turn says that asks for the answer.
ANSWER_NOW: Final = "Stop thinking. Give your final answer now, and nothing else."

#: A result that thinking states: a value after "=", "is" or "answer".
_STATED: Final = re.compile(r"(?:=|\bis\b|\banswer:?)\s*(-?\d[\d,]*(?:\.\d+)?|[^\s.,;<]+)", re.I)


class WrapUpBackend:
    """Lets ``thinking`` tokens of thinking through, and up to ``grace`` more to end at a line or a
    sentence; then it sees to an answer. ``Chunk.wrap`` says how that was done:

    "closed": thinking was closed and the answer gone on with from there (``continues_prefix``).
    "asked": a turn asked for the answer. "salvaged": the last result stated is the answer.

    ``output``: tokens that an answer may have then, where the request says nothing. ``dialect`` and
    ``prefilled``: how the model marks thinking. ``count``: gives a text's tokens (default: the
    backend's own counter, else an estimate). The usage is that of all requests together.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        thinking: int,
        grace: int = 8,
        output: int = 512,
        dialect: str | Dialect = "reflection",
        prefilled: bool = False,
        count: Callable[[str], int] | None = None,
    ) -> None:
        for name, value, least in (
            ("thinking", thinking, 0),
            ("grace", grace, 0),
            ("output", output, 1),
        ):
            if value < least:
                raise ConfigurationError(f"{name} is {value}; it has to be at least {least}.")
        self.backend = backend
        self._cap, self._grace, self._output = thinking, grace, output
        self._dialect = find_dialect(dialect)
        self._prefilled = prefilled
        self._count = count

    def __repr__(self) -> str:
        return f"WrapUpBackend({self.backend!r}, thinking={self._cap})"

    @property
    def model(self) -> str:
        """The backend's model."""
        return str(getattr(self.backend, "model", ""))

    @property
    def provider(self) -> str:
        """The backend's provider."""
        return str(getattr(self.backend, "provider", ""))

    @property
    def capabilities(self) -> Capabilities:
        """The backend's; how much to think is said here."""
        return replace(capabilities_of(self.backend), reasoning=frozenset())

    @property
    def count(self) -> Callable[[str], int] | None:
        """The backend's own counter."""
        return getattr(self.backend, "count", None)

    async def resolve(self) -> str:
        """The backend's model, found out if need be."""
        resolve = getattr(self.backend, "resolve", None)
        return str(await resolve()) if resolve else self.model

    async def aclose(self) -> None:
        """Close the backend."""
        await _close(self.backend)

    async def __aenter__(self) -> WrapUpBackend:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield one answer. Raises as the backend does."""
        room = request.max_tokens
        if room is not None and room <= self._cap + self._grace:
            raise ConfigurationError(
                f"max_tokens={room} leaves no token for an answer behind {self._cap} of thinking "
                f"and a grace of {self._grace}.",
                hint="Raise max_tokens, or lower the cap.",
            )
        take = _Take(self._meter(request), estimate_prompt(request))
        async for chunk in self._first(request, take):
            yield chunk
        if not take.unanswered:
            return
        async for chunk in self._rest(request, take):
            yield chunk

    def _meter(self, request: Request) -> Meter:
        count = self._count or getattr(self.backend, "count", None) or estimate
        return Meter(
            self._dialect,
            count,
            cap=self._cap,
            grace=self._grace,
            prefilled=self._prefilled,
            opening=request.prefix,
        )

    async def _first(self, request: Request, take: _Take) -> AsyncIterator[Chunk]:
        """The answer as it comes, until its thinking is spent."""
        chunks = self.backend.stream(request)
        try:
            async for chunk in chunks:
                for passed in take.chunk(chunk):
                    yield passed
                if take.spent:
                    return
        finally:
            await _close(chunks)

    async def _rest(self, request: Request, take: _Take) -> AsyncIterator[Chunk]:
        closing = take.close()
        if not take.apart and (await found_out(self.backend)).continues_prefix:
            yield Chunk(closing, wrap="closed")
            async for chunk in self._continued(request, take, closing):
                yield chunk
            if take.answered:
                return
            closing = ""
        text, finish = await self._asked(request, take)
        wrap: Wrap = "asked" if text else "salvaged"
        opener, closer = marks("output", self._dialect)
        whole = closing + (text or _stated(take.thought)) + (closer if opener else "")
        if take.apart:
            whole = whole.removesuffix(closer)
        yield Chunk(whole, wrap=wrap, usage=take.paid(), finish=finish, model=take.model)

    async def _continued(self, request: Request, take: _Take, closing: str) -> AsyncIterator[Chunk]:
        """The answer behind the closed thinking; nothing at all if it is blank."""
        prefix = request.prefix + take.meter.text + closing
        asked = replace(request, prefix=prefix, max_tokens=self._left(request, take))
        chunks = self.backend.stream(asked)
        closer, held = marks("output", self._dialect)[1], ""
        try:
            async for chunk in chunks:
                take.later = chunk.usage or take.later
                held += "" if take.answered else chunk.text
                take.answered = take.answered or _says(held, closer)
                if not take.answered:
                    continue
                text, held = (held, "") if held else (chunk.text, "")
                paid = take.paid() if chunk.usage else None
                yield replace(chunk, text=text, usage=paid)
        finally:
            await _close(chunks)

    async def _asked(self, request: Request, take: _Take) -> tuple[str, Any]:
        """The answer to a turn that asks for it; "" when there is none."""
        draft = neutralise(take.thought.strip(), self._dialect) or "I have not decided yet."
        turns = (*request.messages, Message("assistant", draft), Message("user", ANSWER_NOW))
        asking = replace(request, messages=turns, prefix="", max_tokens=self._left(request, take))
        chunks = self.backend.stream(asking)
        text, reasoning, finish = "", "", None
        try:
            async for chunk in chunks:
                text += chunk.text
                reasoning += chunk.reasoning
                finish = chunk.finish or finish
                take.later = chunk.usage or take.later
        except (BackendError, MissingCapability):
            return "", "stop"
        finally:
            await _close(chunks)
        found = parse(text, self._dialect)
        plain = not any(s.kind != "outside" for s in found.sections)
        return (text if plain else found.output).strip(), finish

    def _left(self, request: Request, take: _Take) -> int:
        if request.max_tokens is None:
            return self._output
        return max(request.max_tokens - take.written, 1)


@dataclass(slots=True)
class _Take:
    """The first answer while it comes."""

    meter: Meter
    #: about how many tokens the prompt has
    prompt: int
    spent: bool = False
    apart: bool = False
    thought: str = ""
    model: str = ""
    usage: Usage | None = None
    later: Usage | None = None
    over: bool = False
    #: the answer that was gone on with says something
    answered: bool = False

    @property
    def unanswered(self) -> bool:
        """It was cut, or it ended by itself inside its thinking."""
        return self.spent or (self.over and self.meter.open)

    @property
    def written(self) -> int:
        """About how many tokens were written."""
        return self.usage.completion if self.usage else estimate(self.meter.text + self.thought)

    def chunk(self, chunk: Chunk) -> list[Chunk]:
        """What of the chunk may be passed on."""
        self.usage, self.model = chunk.usage or self.usage, chunk.model or self.model
        passed = [self._reasoning(chunk)] if chunk.reasoning else []
        if not self.spent:
            passed.append(self._content(chunk))
        return [c for c in passed if c != Chunk()]

    def _reasoning(self, chunk: Chunk) -> Chunk:
        given = self.meter.feed_reasoning(chunk.reasoning)
        self.apart, self.spent = True, given.spent
        self.thought += given.text
        return Chunk(reasoning=given.text, model=chunk.model)

    def _content(self, chunk: Chunk) -> Chunk:
        given = self.meter.feed(chunk.text) if chunk.text else Passed("")
        text = given.text
        self.spent = given.spent
        if chunk.finish and not given.spent:
            text += self.meter.finish()
            self.over = True
        if self.unanswered:
            return Chunk(text, model=chunk.model)
        return replace(chunk, text=text, reasoning="")

    def close(self) -> str:
        """What ends the thinking; nothing where the server sent it apart."""
        self.thought = self.thought or self.meter.body
        return "" if self.apart else self.meter.close()

    def paid(self) -> Usage:
        """The usage of both requests; an estimate where the first said nothing."""
        first = self.usage or Usage(prompt=self.prompt, completion=self.written, exact=False)
        return first + self.later if self.later else first


def _says(text: str, closer: str) -> bool:
    """There is more than blanks in front of the end of the answer, or of what may become it."""
    text = text.strip()
    return bool(text) and not (closer and (text.startswith(closer) or closer.startswith(text)))


def _stated(thought: str) -> str:
    """The last result that was stated; the last line if there is none."""
    found = _STATED.findall(thought)
    lines = [line for line in thought.splitlines() if line.strip()]
    return str(found[-1]) if found else (lines[-1].strip() if lines else "")


async def _close(thing: object) -> None:
    if close := getattr(thing, "aclose", None):
        await close()
