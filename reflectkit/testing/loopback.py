"""A real HTTP server on the loopback interface that speaks like a chat API and breaks on purpose.

    async with LoopbackServer(chat("Hel", "lo")) as server:
        backend = OpenAIBackend(server.url, model="m")

Each request gets the next ``Served``, the last one for ever. A ``Served`` is a status, headers and
steps; ``chat``, ``refusal`` and ``page`` make the usual ones, ``anthropic_chat`` and
``ollama_chat`` those of other APIs, and its methods break them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Literal

__all__ = ["LoopbackServer", "Received", "Served", "Step", "chat", "page", "refusal"]

#: ``stall``: send nothing more, until the client leaves. ``drop``: close the connection in the
#: middle. ``reset``: end it with a TCP reset.
Fault = Literal["stall", "drop", "reset"]
#: Bytes to send, a fault, or something to await (an ``asyncio.Event().wait``).
Step = bytes | Fault | Callable[[], Awaitable[object]]

_STREAM: Final = {"Content-Type": "text/event-stream"}
_JSON: Final = {"Content-Type": "application/json"}
_CHATS: Final = ("/v1/chat/completions", "/v1/messages", "/api/chat")
_LISTS: Final = ("/v1/models", "/api/tags")
_COUNT: Final = "/v1/messages/count_tokens"
#: the fields of a chat request that a strict server knows
KNOWN_FIELDS: Final = frozenset(
    ("model", "messages", "stream", "max_tokens", "temperature", "top_p", "seed", "stop", "tools")
)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came. ``headers`` have lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Served:
    """One answer: what is sent, in order, and where it breaks.

    With status 0 not even a status line is sent.
    """

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def cut(self, size: int = 1) -> Served:
        """The same bytes in writes of at most ``size``: characters and lines are cut anywhere."""
        return replace(self, steps=tuple(p for s in self.steps for p in _cut(s, size)))

    def insert(self, at: int, step: Step) -> Served:
        """Put a step before step ``at`` (negative: from the end; ``len(steps)``: at the end)."""
        return replace(self, steps=(*self.steps[:at], step, *self.steps[at:]))

    def broken(self, at: int, fault: Fault) -> Served:
        """Break off before step ``at``."""
        return replace(self, steps=(*self.steps[:at], fault))


Answerer = Served | Callable[[Received], Served]


def chat(
    *texts: str,
    reasoning: Sequence[str] = (),
    field: str = "reasoning_content",
    finish: str | None = "stop",
    usage: Literal["chunk", "finish", "running", "none"] = "chunk",
    done: bool = True,
    model: str = "loopback",
) -> Served:
    """A streamed answer, one event a step: a first role, reasoning, texts, finish, usage, [DONE].

    ``usage``: in a chunk of its own without choices, on the finishing chunk, in every chunk, or not
    at all. A piece is a token.
    ``finish=None`` and ``done=False`` leave the ends out.
    """
    figures = {"prompt_tokens": 7, "completion_tokens": len(texts) + len(reasoning)}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
    deltas += [{field: text} for text in reasoning]
    deltas += [{"content": text} for text in texts]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas
    ]
    if finish is not None:
        last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        chunks.append(last | ({"usage": figures} if usage == "finish" else {}))
    if usage == "running":
        most = figures["completion_tokens"]
        chunks = [c | _running(min(n, most)) for n, c in enumerate(chunks)]
    if usage == "chunk":
        chunks.append({"choices": [], "usage": figures})
    steps = [_event({"object": "chat.completion.chunk", "model": model} | c) for c in chunks]
    return Served((*steps, b"data: [DONE]\n\n") if done else tuple(steps), headers=_STREAM)


def _running(tokens: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 7, "completion_tokens": tokens}}


def refusal(status: int, message: str = "no", **headers: str) -> Served:
    """An error status with an OpenAI error body; ``Retry_After="2"`` sets a header."""
    said = json.dumps({"error": {"message": message, "code": status}}).encode()
    return Served((said,), status, _JSON | {k.replace("_", "-"): v for k, v in headers.items()})


def page(text: str = "Welcome", status: int = 200) -> Served:
    """A web page where an API was expected."""
    html = f"<!doctype html><html><body><h1>{text}</h1></body></html>"
    return Served((html.encode(),), status, {"Content-Type": "text/html; charset=utf-8"})


class LoopbackServer:
    """Serves chats and the list of models of three APIs on a free port of 127.0.0.1.

    These are OpenAI's and Anthropic's under ``/v1``, and Ollama's under ``/api``.

    ``owner`` signs the models in the list, by which kinds of servers are told apart. ``routes`` are
    further paths, from the root, and what they answer; they take the place of ours.
    ``strict`` answers 422 to fields that are not in ``KNOWN_FIELDS``, as ``transformers serve``
    does. ``requests`` are the chat requests; ``connections`` is how many are open now, ``streams``
    how many answers are under way, ``abandoned`` how many clients left in the middle.
    """

    def __init__(
        self,
        *answers: Answerer,
        models: Sequence[str] | None = ("loopback",),
        owner: str = "",
        routes: Mapping[str, Answerer] | None = None,
        strict: bool = False,
    ) -> None:
        self._answers = answers or (chat("Hello", "!"),)
        self._models = models
        self._owner = owner
        self._routes = dict(routes or {})
        self._strict = strict
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self.requests: list[Received] = []
        self.asked_models = 0
        self.connections = 0
        self.accepted = 0
        self.streams = 0
        self.abandoned = 0

    @property
    def root(self) -> str:
        """The address without a path."""
        assert self._server is not None, "the server is not running"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        """The base URL of the APIs under ``/v1``."""
        return f"{self.root}/v1"

    async def __aenter__(self) -> LoopbackServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None, "the server is not running"
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def quiet(self, *, connections: bool = False, seconds: float = 5.0) -> None:
        """Wait until no answer (or, with ``connections``, no connection) is left; TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(
                lambda: not (self.connections if connections else self.streams)
            )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        await self._count(connections=1)
        try:
            while (received := await _receive(reader)) and await self._answer(
                received, reader, writer
            ):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client left, or the server is closing
        finally:
            writer.close()
            self._tasks.discard(task)
            await self._count(connections=-1)

    async def _answer(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send one answer; False when the connection is over."""
        served = self._choose(received)
        await self._count(streams=1)
        try:
            writer.write(_head(served) if served.status else b"")
            for step in served.steps:
                if isinstance(step, str):
                    await self._break(step, reader, writer)
                    return False
                await _send(step, reader, writer)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        except OSError:
            self.abandoned += 1
            raise
        finally:
            await self._count(streams=-1)

    async def _break(
        self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await writer.drain()
        if fault == "stall":
            await reader.read()
            self.abandoned += 1
        elif fault == "reset":
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _choose(self, received: Received) -> Served:
        path = received.path.partition("?")[0]
        if path in self._routes:
            return _served(self._routes[path], received)
        if received.method == "GET" and path in _LISTS:
            self.asked_models += 1
            return _models(self._models, self._owner)
        if path == _COUNT:
            return Served((b'{"input_tokens": 7}',), headers=_JSON)
        if path not in _CHATS:
            return refusal(404, f"there is no {received.path}")
        self.requests.append(received)
        if self._strict and (unknown := sorted(received.json.keys() - KNOWN_FIELDS)):
            detail = f"Unexpected keys in the request: {unknown}"
            return Served((json.dumps({"detail": detail}).encode(),), 422, _JSON)
        return _served(self._answers[min(len(self.requests), len(self._answers)) - 1], received)

    async def _count(self, *, connections: int = 0, streams: int = 0) -> None:
        self.connections += connections
        self.streams += streams
        with contextlib.suppress(asyncio.CancelledError):
            async with self._changed:
                self._changed.notify_all()


async def _send(step: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if isinstance(step, bytes):
        writer.write(b"%x\r\n%s\r\n" % (len(step), step) if step else b"")
        await writer.drain()
        await asyncio.sleep(0)
        if reader.at_eof():
            raise ConnectionResetError("the client left")
        return
    gone = asyncio.ensure_future(reader.read(1))
    waiting = asyncio.ensure_future(step())
    try:
        await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ConnectionResetError("the client left")
    finally:
        for task in (gone, waiting):
            task.cancel()
        await asyncio.gather(gone, waiting, return_exceptions=True)


async def _receive(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, body)


def _head(served: Served) -> bytes:
    headers = {"Transfer-Encoding": "chunked", **served.headers}
    lines = [f"HTTP/1.1 {served.status} -", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _served(answer: Answerer, received: Received) -> Served:
    return answer if isinstance(answer, Served) else answer(received)


def _models(names: Sequence[str] | None, owner: str) -> Served:
    if names is None:
        return refusal(500, "no list of models")
    signed = {"owned_by": owner} if owner else {}
    rows = [{"id": name, "name": name, "object": "model", **signed} for name in names]
    lists = {"object": "list", "data": rows, "models": rows}
    return Served((json.dumps(lists).encode(),), headers=_JSON)


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _cut(step: Step, size: int) -> list[Step]:
    if not isinstance(step, bytes):
        return [step]
    return [step[i : i + size] for i in range(0, len(step), size)]
