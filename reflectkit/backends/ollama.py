"""Ollama's own chat API, which splits thinking off by itself and says how long a model stays."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..errors import ConfigurationError, MissingCapability
from ..messages import Chunk, FinishReason, Message, Request, ToolCall, Usage
from ._chat import ChatStream
from ._filters import StopFilter
from ._kinds import OLLAMA
from ._remote import RemoteBackend
from ._retry import Retries, Timeouts
from ._secrets import Address, Secrets, hidden
from ._wire import WireFault, read_error, read_finish
from .base import Capabilities

if TYPE_CHECKING:
    import httpx

__all__ = ["OllamaBackend", "Retries", "Timeouts"]

#: our option, and its name among Ollama's
_OPTIONS: Final = {
    "max_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
}


class OllamaBackend(RemoteBackend):
    """Streams from ``POST {base_url}/chat``, where lines of JSON come back.

    ``think``: whether the model thinks, or how hard ("low", "medium", "high"); None leaves it to
    the model. ``keep_alive``: how long the model stays loaded after an answer, as seconds or
    "10m"; negative for ever. ``options``: Ollama's model options for every request (``num_ctx``
    among them: its default context is small, and what does not fit is cut off silently).
    ``continues``: whether the model's template goes on from a prefix. Everything else as in
    ``OpenAIBackend``.

    Raises ``ConfigurationError`` for an address, key or header that cannot work.
    """

    _chat_path: ClassVar = "/chat"
    _models_path: ClassVar = "/tags"
    _hints: ClassVar = {404: "Pull the model first (ollama pull NAME), or check base_url."}

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:11434/api",
        *,
        model: str = "",
        api_key: str | None = None,
        think: bool | str | None = None,
        keep_alive: float | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: Timeouts | float | None = None,
        retries: Retries | int = 2,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        continues: bool = False,
        trust_env: bool = False,
        connections: int | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        base_url, api_key = hidden(base_url), hidden(api_key)
        headers = {name: hidden(value) for name, value in (headers or {}).items()}
        address = Address.parse(base_url, path="/api", endpoint="/chat")
        if address.shown.endswith("/v1"):
            raise ConfigurationError(
                "This is the address of Ollama's OpenAI-compatible API.",
                hint="Give OllamaBackend the one that ends in /api, or use OpenAIBackend.",
            )
        super().__init__(
            address,
            Secrets(api_key, headers, address),
            model=model,
            timeout=timeout,
            retries=retries,
            extra={"think": think, "keep_alive": keep_alive, **(extra or {})},
            trust_env=trust_env,
            connections=connections,
            http_client=http_client,
        )
        self._options = dict(options or {})
        self._continues = continues

    @property
    def capabilities(self) -> Capabilities:
        """What this API does."""
        return Capabilities(
            continues_prefix=self._continues,
            reports_usage=True,
            seeds=True,
            tools=True,
            images=True,
            reasoning=OLLAMA.names,
        )

    def _check(self, request: Request) -> None:
        if request.prefix and not self._continues:
            raise MissingCapability(
                "This model's template is not known to go on from a prefix.",
                capability="continues_prefix",
                hint="Pass continues=True if it does.",
            )

    def _fields(self, request: Request, model: str) -> dict[str, Any]:
        messages = [_message(m, self.provider) for m in request.messages]
        if request.prefix:
            messages.append({"role": "assistant", "content": request.prefix})
        given = {theirs: getattr(request, ours) for ours, theirs in _OPTIONS.items()}
        given["stop"] = list(request.stop) or None
        extra = {**self._extra, **request.extra}
        options = {**self._options, **given, **(extra.pop("options", None) or {})}
        fields = {
            "model": request.model or model,
            "messages": messages,
            "stream": True,
            "options": {k: v for k, v in options.items() if v is not None} or None,
            **extra,
        }
        fields |= OLLAMA.fields(request, self._name)
        return {key: value for key, value in fields.items() if value is not None}

    def _reader(self, content_type: str, request: Request) -> ChatStream:
        return ChatStream(content_type, reader=LineReader(stop=request.stop), lines=True)

    def _model_names(self, data: Any) -> tuple[str, ...]:
        return tuple(row["name"] for row in data["models"] if isinstance(row["name"], str))


def _message(message: Message, provider: str) -> dict[str, Any]:
    images = list(_images(message))
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    if images:
        wire["images"] = images
    if message.tool_calls:
        wire["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "tool" and message.name:
        wire["tool_name"] = message.name
    if message.payload and message.provider == provider:
        wire |= message.payload
    return wire


def _call(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        raise ConfigurationError(
            f"The arguments of the call to {call.name!r} are no JSON.",
            hint="Ollama takes objects alone: mend the call, or leave the turn out.",
        ) from None
    return {"function": {"name": call.name, "arguments": arguments}}


def _images(message: Message) -> Iterator[str]:
    """Images as base64, from parts with a data URL in the OpenAI shape."""
    for part in message.content if not isinstance(message.content, str) else ():
        if part.get("type") == "text":
            continue
        address = (part.get("image_url") or {}).get("url", "")
        head, _, data = str(address).partition(";base64,")
        if part.get("type") != "image_url" or not head.startswith("data:") or not _is_base64(data):
            raise MissingCapability(
                "Ollama takes text and images that are inside the message, as data: URLs.",
                capability="images",
                hint='Use {"type": "image_url", "image_url": {"url": "data:...;base64,..."}}.',
            )
        yield data


def _is_base64(data: str) -> bool:
    try:
        return bool(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return False


class LineReader:
    """Turns the JSON lines of one answer into ``Chunk``s; tool calls come in the last one."""

    def __init__(self, *, stop: Sequence[str] = ()) -> None:
        self._stop = StopFilter(stop)
        self._calls: list[ToolCall] = []
        self._thoughts: list[str] = []
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._model = ""
        self.started = False
        self.ended = False

    @property
    def finished(self) -> bool:
        """The line that says ``done`` has come."""
        return self._finish is not None

    @property
    def stopped(self) -> bool:
        """A stop string was found in the text."""
        return bool(self._stop.hit)

    @property
    def usage(self) -> Usage | None:
        """The figures of the last line."""
        return self._usage

    def fault(self, data: object) -> WireFault | None:
        """The fault that a line reports."""
        return read_error(data) if isinstance(data, Mapping) and "error" in data else None

    def read(self, data: object) -> list[Chunk]:
        """The chunks that one line gives."""
        if not isinstance(data, Mapping):
            return []
        self._model = data.get("model") or self._model
        message = data.get("message")
        chunks = list(self._message(message)) if isinstance(message, Mapping) else []
        if data.get("done") is True:
            self._end(data)
        return chunks

    def finish(self) -> Chunk:
        """The last chunk; between tool calls a thinking model wants its thoughts back."""
        calls, thoughts = tuple(self._calls), "".join(self._thoughts)
        finish = "tool_calls" if calls and self._finish == "stop" else self._finish
        return Chunk(
            self._stop.flush(),
            tool_calls=calls,
            usage=self._usage,
            finish="stop" if self.stopped else finish,
            model=self._model,
            payload={"thinking": thoughts} if calls and thoughts else None,
        )

    def _message(self, message: Mapping[str, Any]) -> Iterator[Chunk]:
        if self.stopped:
            return
        if isinstance(thought := message.get("thinking"), str) and thought:
            self.started = True
            self._thoughts.append(thought)
            yield Chunk(reasoning=thought, model=self._model)
        if isinstance(text := message.get("content"), str) and text:
            self.started = True
            if passed := self._stop.feed(text):
                yield Chunk(passed, model=self._model)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._add(call)

    def _add(self, call: object) -> None:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(call, Mapping) or not isinstance(function, Mapping):
            return
        self.started = True
        arguments = function.get("arguments")
        said = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        identity = str(call.get("id") or f"call_{len(self._calls)}")
        self._calls.append(ToolCall(identity, str(function.get("name", "")), said))

    def _end(self, data: Mapping[str, Any]) -> None:
        self._finish = read_finish(data.get("done_reason")) or "stop"
        self.started = self.ended = True
        figures = (data.get("prompt_eval_count"), data.get("eval_count"))
        prompt, completion = (v if isinstance(v, int) and v >= 0 else 0 for v in figures)
        # a prompt that was cached as a whole is not counted by Ollama
        self._usage = Usage(prompt=prompt, completion=completion, exact=bool(prompt))
