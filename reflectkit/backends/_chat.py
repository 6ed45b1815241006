"""One streamed chat answer, without I/O: bytes in any pieces in, ``Chunk``s out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from ..errors import BackendError, BackendWireError, ReflectKitError
from ..messages import Chunk
from ._retry import is_safe_status
from ._sse import LARGEST_EVENT, SSE, EventTooLarge, JSONLines
from ._wire import ChunkReader, WireFault

__all__ = ["AnswerReader", "ChatStream", "excerpt"]

#: what ``json.loads`` calls in the end
_decode: Final = json.JSONDecoder().decode
_DONE: Final = "[DONE]"
_WHITE: Final = b" \t\r\n\xef\xbb\xbf"
#: events to look at, after a stop string was found on our side, for the usage that may follow
_AFTER_STOP: Final = 2
_HTML_HINT: Final = (
    "base_url points at a web page: give the API's own address, which often ends in /v1."
)


class AnswerReader(Protocol):
    """Turns the JSON values of one answer into chunks. No input makes it raise."""

    @property
    def started(self) -> bool:
        """Something of an answer has arrived."""
        ...

    @property
    def finished(self) -> bool:
        """A reason to finish has come; only usage may still follow."""
        ...

    @property
    def stopped(self) -> bool:
        """A stop string was found in the text: nothing that follows belongs to the answer."""
        ...

    @property
    def ended(self) -> bool:
        """The server has said that nothing follows."""
        ...

    def fault(self, data: object) -> WireFault | None:
        """The fault that a value reports, if it is a report of one."""
        ...

    def read(self, data: object) -> list[Chunk]:
        """The chunks that one value gives."""
        ...

    def finish(self) -> Chunk:
        """The last chunk, with what was held back; without ``finish`` if no reason came."""
        ...


class ChatStream:
    """Reads the body of a chat answer: server-sent events, lines of JSON, or one JSON object.

    ``reader`` reads the values (an OpenAI-compatible server's by default, with ``stop`` and
    ``prefix``); ``lines``: every line is one.

    ``feed`` and ``finish`` are generators that give what is good before they raise
    ``BackendWireError``, text held back included. When ``complete``, the answer is whole, and a
    fault that comes later takes nothing from it; when ``over``, no more bytes are needed.
    """

    def __init__(
        self,
        content_type: str = "",
        *,
        stop: Sequence[str] = (),
        prefix: str = "",
        reader: AnswerReader | None = None,
        lines: bool = False,
    ) -> None:
        self._html = "html" in content_type.lower()
        self._reader: AnswerReader = reader or ChunkReader(stop=stop, prefix=prefix)
        self._lines = lines
        self._frames = JSONLines() if lines else SSE()
        self._json: bytearray | None = None
        self._head = b""
        self._sniffed = False
        self._done = False
        self._after_stop = 0

    @property
    def complete(self) -> bool:
        """The end was said, by the server or by a stop string."""
        return self._done or self._reader.finished or self._reader.stopped

    @property
    def over(self) -> bool:
        """Nothing that follows can matter."""
        if self._done or (self._html and self._sniffed):
            return True
        tail_read = self._after_stop >= _AFTER_STOP
        return self._reader.stopped and (tail_read or self._reader.finished)

    def feed(self, data: bytes | ReflectKitError) -> Iterator[Chunk]:
        """The chunks that these bytes complete; a fault of the connection is fed like bytes."""
        if isinstance(data, ReflectKitError):
            yield from self.fail(data)
            return
        if not self._sniffed and not (data := self._sniff(data)):
            return
        try:
            events = self._frames.feed(data) if self._json is None else self._keep(self._json, data)
        except EventTooLarge as error:
            events, too_large = [], str(error)
        else:
            too_large = ""
        if too_large:
            yield from self.fail(BackendWireError(too_large, hint="This is not a chat stream."))
        yield from self._events(events)

    def finish(self) -> Iterator[Chunk]:
        """The last chunk, which carries ``finish``; raises if the answer is not whole."""
        if not self.complete:
            yield from self._rest()
        if not self.complete:
            yield from self.fail(self._early_end())
        last = self._reader.finish()
        yield last if last.finish else _stopped(last)

    def fail(self, error: ReflectKitError) -> Iterator[Chunk]:
        """Deliver the text held back, then raise ``error`` (not when the answer is complete)."""
        if self.complete:
            self._done = True
            return
        last = self._reader.finish()
        if last.text:
            yield Chunk(last.text, model=last.model)
        if isinstance(error, BackendError):
            error.usage = last.usage
        raise error

    def _sniff(self, data: bytes) -> bytes:
        """Decide by the first byte that is not white; content types are often wrong."""
        self._head = (self._head + data).lstrip(_WHITE)
        first = self._head[:1]
        if not first:
            return b""
        self._sniffed = True
        self._html = self._html or first == b"<"
        if self._html or (first in b"{[" and not self._lines):
            self._json = bytearray()
        return self._head

    def _keep(self, body: bytearray, data: bytes) -> list[str]:
        body += data
        if len(body) > LARGEST_EVENT:
            raise EventTooLarge(f"The answer is larger than {LARGEST_EVENT} bytes.")
        return []

    def _rest(self) -> Iterator[Chunk]:
        if self._json is not None and not self._html:
            yield from self._events([self._json.decode("utf-8", "replace")])
            self._done = self._reader.started
        yield from self._events(self._frames.finish())

    def _events(self, events: Iterable[str]) -> Iterator[Chunk]:
        for event in events:
            if self._done or event.strip() == _DONE:
                # a bare [DONE] is no answer; it says only that nothing was lost on the way
                self._done = self._done or self._reader.started
                continue
            self._after_stop += self._reader.stopped
            value = _loads(event)
            if error := self._fault(value, event):
                yield from self.fail(error)
            yield from self._reader.read(value)
            self._done = self._done or self._reader.ended

    def _fault(self, value: object, event: str) -> BackendWireError | None:
        if fault := self._reader.fault(value):
            return _reported(fault)
        return None if isinstance(value, dict) else _not_json(event)

    def _early_end(self) -> BackendWireError:
        if self._html:
            page = excerpt(bytes(self._json or self._head))
            return BackendWireError(f"The server sent a web page: {page}", hint=_HTML_HINT)
        if not self._reader.started:
            return BackendWireError(
                f"The answer is empty or not a chat stream: {excerpt(self._head)}".rstrip(": "),
                hint="Check that base_url is a chat server that speaks this API.",
                retryable=not self._head,
            )
        return BackendWireError(
            "The stream ended before the answer was finished.",
            hint="The server or a proxy cut it; the text so far is kept.",
            retryable=True,
        )


def excerpt(data: bytes, size: int = 200) -> str:
    """The beginning of a body, on one line, for an error message."""
    text = " ".join(data[: size * 4].decode("utf-8", "replace").split())
    return text if len(text) <= size else text[:size] + "…"


def _loads(text: str) -> Any:
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return None


def _not_json(event: str) -> BackendWireError:
    return BackendWireError(
        f"The server sent a chunk that is no JSON object: {excerpt(event.encode())}",
        hint="The text so far is kept.",
        retryable=True,
    )


def _reported(fault: WireFault) -> BackendWireError:
    return BackendWireError(
        f"The server reported a fault in its answer: {fault.message[:500]}",
        status=fault.code,
        retryable=fault.code is not None and is_safe_status(fault.code),
    )


def _stopped(last: Chunk) -> Chunk:
    """A complete answer whose server gave no reason: it stopped."""
    return Chunk(
        last.text,
        tool_calls=last.tool_calls,
        usage=last.usage,
        finish="stop",
        model=last.model,
        logprobs=last.logprobs,
        payload=last.payload,
    )
