"""One call as it runs: its errors, its end, and its events as chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.messages.tool import tool_call_chunk as call_chunk
from langchain_core.outputs import ChatGenerationChunk

if TYPE_CHECKING:
    from reflectkit import Event, Reply, ReplyStream, ToolCall

    from ._blocks import Blocks

__all__ = ["Chunks", "Translating", "call_chunks", "pieces", "translated", "with_ids"]


def translated(error: Exception) -> Exception:
    """The same error, of LangChain's family as well, if it is one of reflectkit's."""
    from reflectkit import ReflectKitError

    if not isinstance(error, ReflectKitError):
        return error
    from . import _errors

    return _errors.translated(error)


class Translating:
    """A stream whose errors are LangChain's as well, and that is closed where the loop ends.

    LangChain's generators are often left without being closed. A loop that ends then closes all
    generators at once, inner ones before outer ones are done; but it ends its tasks before. So a
    task of its own closes the stream.
    """

    def __init__(self, begin: Callable[[], Awaitable[ReplyStream]]) -> None:
        self._begin = begin
        self._over = asyncio.Event()
        self._guard: asyncio.Task[None] | None = None
        self._stream: ReplyStream | None = None

    async def __aenter__(self) -> ReplyStream:
        from reflectkit import ReflectKitError

        try:
            self._stream = await self._begin()
            entered = await self._stream.__aenter__()
        except ReflectKitError as error:
            raise translated(error) from error.__cause__
        self._guard = asyncio.create_task(self._watch(entered))
        return entered

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._over.set()
        if self._stream is not None:
            await self._stream.__aexit__(kind, error, trace)
        if isinstance(error, Exception) and (found := translated(error)) is not error:
            raise found from error.__cause__

    async def _watch(self, stream: ReplyStream) -> None:
        try:
            await self._over.wait()
        finally:
            if not self._over.is_set():
                with suppress(RuntimeError):  # it is being read: then it ends with its reader
                    await stream.__aexit__(None, None, None)


def pieces(event: Event, stream: ReplyStream, blocks: Blocks) -> list[dict[str, Any]]:
    """What one event brings: reasoning, or answer text that has become certain with it."""
    if blocks.answers(event):
        return [blocks.answer(text) for text in stream.ready()]
    piece = blocks.feed(event, lambda: stream.attempts)
    return [piece] if piece else []


class Chunks:
    """Makes the chunk of each piece of a block.

    There are many, so each is a copy of one that was validated: half of what validating costs,
    and equal. ``version`` is the form of messages that LangChain was asked for; the pieces have
    that of "v1", and a chunk that says so is not translated to it again.
    """

    def __init__(self, version: str | None) -> None:
        self._marks = {"output_version": "v1"} if version == "v1" else {}
        self._message = AIMessageChunk(content=[])
        self._chunk = ChatGenerationChunk(message=self._message)

    def of(self, piece: dict[str, Any]) -> ChatGenerationChunk:
        """A chunk that holds one piece of a block, and shares nothing with any other."""
        content = {
            "content": [piece],
            "response_metadata": self._marks.copy(),
            "additional_kwargs": {},
            "tool_calls": [],
            "invalid_tool_calls": [],
            "tool_call_chunks": [],
        }
        message = self._message.model_copy(update=content)
        return self._chunk.model_copy(update={"message": message, "text": piece.get("text", "")})


def with_ids(reply: Reply) -> list[ToolCall]:
    """The calls; one without an id gets one, since its result has to name it."""
    calls = reply.transcript.tool_calls
    return [c if c.id else replace(c, id=f"call_{uuid4().hex}") for c in calls]


def call_chunks(reply: Reply) -> list[ToolCallChunk]:
    """The calls, complete, with numbers for indexes."""
    return [
        call_chunk(name=call.name, args=call.arguments or "{}", id=call.id, index=index)
        for index, call in enumerate(with_ids(reply))
    ]
