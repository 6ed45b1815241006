"""Anthropic's messages wire, both ways: JSON values in and out, no I/O.

Thinking comes in blocks with signatures, which have to go back unchanged, in their order, while
tools are used. So the whole content is kept as it came and replayed as the message's payload.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..errors import ConfigurationError, MissingCapability
from ..messages import Chunk, FinishReason, Message, Request, ToolCall, Usage
from ._filters import StopFilter
from ._wire import WireFault, read_error, read_finish

__all__ = ["MessageReader", "body", "check_thinking"]

#: error types that name no status, and the status that they stand for
_STATUS: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
#: the text field that a kind of delta adds to
_GROWS: Final[Mapping[str, str]] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_CALLS: Final = ("tool_use", "server_tool_use")


# --- out -----------------------------------------------------------------------------------------


def body(
    request: Request, *, model: str, max_tokens: int, extra: Mapping[str, Any], provider: str
) -> dict[str, Any]:
    """The JSON body of a messages request; ``request.extra`` wins over ``extra``, None takes out.

    System messages become the ``system`` field wherever they stand; turns of one role in a row
    become one. Raises ``ConfigurationError`` for a tool call whose arguments are no JSON object.
    """
    turns = [_turn(m, provider) for m in request.messages if m.role != "system"]
    if request.prefix:
        turns.append(("assistant", [{"type": "text", "text": request.prefix}]))
    fields: dict[str, Any] = {
        "model": request.model or model,
        "max_tokens": request.max_tokens or max_tokens,
        "messages": [{"role": role, "content": blocks} for role, blocks in _merged(turns)],
        "system": "\n\n".join(m.text for m in request.messages if m.role == "system") or None,
        "stream": True,
        "temperature": request.temperature,
        "top_p": request.top_p,
        # blank ones are refused there, and applied here
        "stop_sequences": [s for s in request.stop if s.strip()] or None,
    }
    fields |= {**extra, **request.extra}
    return {key: value for key, value in fields.items() if value is not None}


Turn = tuple[str, list[dict[str, Any]]]


def _turn(message: Message, provider: str) -> Turn:
    if message.role == "tool":
        block = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        return "user", [{**block, "content": _blocks(message) or ""}]
    if message.role == "assistant":
        kept = (message.payload or {}).get("content") if message.provider == provider else None
        if isinstance(kept, list):
            return "assistant", [dict(block) for block in kept]
        return "assistant", [*_blocks(message), *map(_tool_use, message.tool_calls)]
    return "user", _blocks(message)


def _blocks(message: Message) -> list[dict[str, Any]]:
    """Content parts go as they are; an empty text is refused there, so it is no block."""
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return [dict(part) for part in message.content]


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": _object(call)}


def _object(call: ToolCall) -> dict[str, Any]:
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"The arguments of the call to {call.name!r} are no JSON object.",
            hint="This API takes objects alone: mend the call, or leave the turn out.",
        )
    return found


def _merged(turns: Sequence[Turn]) -> Iterator[Turn]:
    last: Turn | None = None
    for role, blocks in turns:
        if last and last[0] == role:
            last = (role, last[1] + blocks)
            continue
        if last:
            yield last
        last = (role, blocks)
    if last:
        yield last


def check_thinking(fields: Mapping[str, Any], *, prefix: bool) -> None:
    """Refuse here what the service refuses with thinking on. Raises ``ConfigurationError``, and
    ``MissingCapability`` for a prefix."""
    thinking = fields.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("type") == "disabled":
        return
    if prefix:
        raise MissingCapability(
            "With thinking on, this API does not go on from a prefix.",
            capability="continues_prefix",
            hint="Turn thinking off for this request, or leave out the prefix.",
        )
    budget = thinking.get("budget_tokens")
    forced = (fields.get("tool_choice") or {}).get("type") in ("any", "tool")
    faults = {
        "temperature must be 1 or left out": fields.get("temperature") not in (None, 1, 1.0),
        "top_k cannot be set": "top_k" in fields,
        "tools cannot be forced": forced,
        "budget_tokens must be 1024 or more": isinstance(budget, int) and budget < 1024,
        "budget_tokens must be less than max_tokens": (
            isinstance(budget, int) and budget >= fields["max_tokens"]
        ),
    }
    found = [fault for fault, true in faults.items() if true]
    if found:
        raise ConfigurationError(
            f"With thinking on: {'; '.join(found)}.", hint="Change the request's options."
        )


# --- in ------------------------------------------------------------------------------------------


class MessageReader:
    """Turns the events of one streamed message, or one whole message, into ``Chunk``s.

    ``stop`` strings are applied here too, to text. Tool calls come complete, in the last chunk;
    its ``payload`` is the content as it came, if more than text was in it.
    """

    def __init__(self, *, stop: Sequence[str] = ()) -> None:
        self._stop = StopFilter(stop)
        self._blocks: dict[int, dict[str, Any]] = {}
        self._finish: FinishReason | None = None
        self._usage: dict[str, int] = {}
        self._model = ""
        self._reads: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Chunk]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "message": self._whole,
        }
        self._begun = False
        self.started = False
        self.ended = False

    @property
    def finished(self) -> bool:
        """The reason to stop has come."""
        return self._finish is not None

    @property
    def stopped(self) -> bool:
        """A stop string was found in the text."""
        return bool(self._stop.hit)

    @property
    def usage(self) -> Usage | None:
        """The latest figures; the prompt's include what was read from, or written to, a cache."""
        if not self._usage:
            return None
        cached = self._usage.get("cache_read_input_tokens", 0)
        made = self._usage.get("cache_creation_input_tokens", 0)
        return Usage(
            prompt=self._usage.get("input_tokens", 0) + cached + made,
            completion=self._usage.get("output_tokens", 0),
            cached=cached,
        )

    def fault(self, data: object) -> WireFault | None:
        """The fault that an ``error`` event reports."""
        if not isinstance(data, Mapping) or data.get("type") != "error":
            return read_error(data) if isinstance(data, Mapping) and "type" not in data else None
        error = data.get("error")
        kind = error.get("type") if isinstance(error, Mapping) else None
        fault = read_error(data) or WireFault("an error without words")
        return WireFault(fault.message, fault.code or _STATUS.get(str(kind)))

    def read(self, data: object) -> list[Chunk]:
        """The chunks that one event gives; kinds that nobody knows give none."""
        if not isinstance(data, Mapping) or self.stopped:
            return []
        read = self._reads.get(str(data.get("type")))
        return list(read(data)) if read else []

    def finish(self) -> Chunk:
        """The last chunk: text held back, tool calls, usage, reason and replay payload."""
        blocks = [self._closed(self._blocks[i]) for i in sorted(self._blocks)]
        plain = all(b.get("type") == "text" for b in blocks)
        return Chunk(
            self._stop.flush(),
            tool_calls=tuple(self._calls()),
            usage=self.usage,
            finish="stop" if self.stopped else self._finish,
            model=self._model,
            payload=None if plain or self.stopped else {"content": blocks},
        )

    def _message_start(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        message = _mapping(event.get("message"))
        self._model = message.get("model") or self._model
        self._count(message.get("usage"))
        yield from ()

    def _block_start(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        block = dict(_mapping(event.get("content_block")))
        self._blocks[_index(event)] = block
        self.started = True
        yield from self._told("text", block.get("text"))
        yield from self._told("thinking", block.get("thinking"))

    def _block_delta(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        delta = _mapping(event.get("delta"))
        name = _GROWS.get(str(delta.get("type")))
        value = delta.get(name) if name else None
        block = self._blocks.setdefault(_index(event), {"type": name})
        if isinstance(value, str) and name:
            self.started = True
            block[name] = block.get(name, "") + value
            yield from self._told(name, value)
        elif isinstance(citation := delta.get("citation"), Mapping):
            block["citations"] = [*(block.get("citations") or []), dict(citation)]

    def _message_delta(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        self._finish = read_finish(_mapping(event.get("delta")).get("stop_reason")) or self._finish
        self._count(event.get("usage"))
        yield from ()

    def _message_stop(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        self.ended = self.started or self.finished
        yield from ()

    def _whole(self, message: Mapping[str, Any]) -> Iterator[Chunk]:
        yield from self._message_start({"message": message})
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            yield from self._block_start({"index": index, "content_block": block})
        self.started = True
        self._finish = read_finish(message.get("stop_reason"))

    def _told(self, name: str, text: object) -> Iterator[Chunk]:
        if not isinstance(text, str) or not text:
            return
        if name == "thinking":
            yield Chunk(reasoning=text, model=self._model, usage=self._at_first())
        elif name == "text" and (passed := self._stop.feed(text)):
            yield Chunk(passed, model=self._model, usage=self._at_first())

    def _at_first(self) -> Usage | None:
        """What the prompt cost, once, for those who cut the answer before its end."""
        first, self._begun = not self._begun, True
        return self.usage if first else None

    def _count(self, usage: object) -> None:
        figures = _mapping(usage).items()
        self._usage |= {k: v for k, v in figures if isinstance(v, int) and v >= 0}

    def _calls(self) -> Iterator[ToolCall]:
        for index in sorted(self._blocks):
            block = self._blocks[index]
            if block.get("type") == "tool_use":
                said = block.get("partial_json") or json.dumps(block.get("input") or {})
                yield ToolCall(str(block.get("id", "")), str(block.get("name", "")), said)

    def _closed(self, block: Mapping[str, Any]) -> dict[str, Any]:
        """A block as it stands in a whole message: a call's input is a value there."""
        done = {k: v for k, v in block.items() if k != "partial_json"}
        if block.get("type") in _CALLS and block.get("partial_json"):
            try:
                done["input"] = json.loads(block["partial_json"])
            except (ValueError, RecursionError):
                done["input"] = {}
        return done


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _index(event: Mapping[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
