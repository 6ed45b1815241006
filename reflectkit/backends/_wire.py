"""The OpenAI chat wire, both ways: JSON values in and out, no I/O.

One adapter serves every HTTP server that speaks it and llama.cpp in the same process, which takes
and gives the same JSON. What servers disagree about is settled here:

- separated reasoning comes as ``reasoning_content``, ``reasoning``, ``thinking`` or as typed parts
  of ``content``; the same text in two fields counts once;
- usage comes in a chunk without choices, on the finishing chunk, on every chunk, or never;
- the reason to finish may come before the usage, so the last chunk is built at the end;
- a stop string, or a prefix that was to be continued, may be left in the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..messages import Chunk, FinishReason, Message, Request, ToolCall, Usage
from ._filters import PrefixFilter, StopFilter

__all__ = [
    "CONTINUES",
    "ChunkReader",
    "WireFault",
    "body",
    "read_error",
    "read_finish",
    "read_timings",
    "read_usage",
]

_FINISH: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "content_filter",
    "abort": "cancelled",
    "cancelled": "cancelled",
    "error": "error",
    "insufficient_system_resource": "error",
}
_REASONING: Final = ("reasoning_content", "reasoning", "thinking")
_DETAIL_TEXT: Final = ("text", "summary")
#: what a delta may hold beside text
_BESIDE: Final = ("tool_calls", "reasoning_details", *_REASONING)
#: what makes vLLM and SGLang go on from the last message
CONTINUES: Final = {"continue_final_message": True, "add_generation_prompt": False}


# --- out -----------------------------------------------------------------------------------------


def body(
    request: Request,
    *,
    model: str,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
    provider: str = "",
) -> dict[str, Any]:
    """The JSON body of a chat request.

    ``extra`` are a backend's standing fields; ``request.extra`` wins over them, and a value of
    None takes a field out. A message's replay payload is sent only when ``provider`` is the one
    that it came from. ``request.prefix`` becomes a trailing assistant message.
    """
    fields: dict[str, Any] = {
        "model": request.model or model,
        "messages": [_message(m, provider) for m in request.messages],
        "stream": stream,
        "stream_options": {"include_usage": True} if stream else None,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    if request.prefix:
        fields["messages"].append({"role": "assistant", "content": request.prefix})
    fields |= {**(extra or {}), **request.extra}
    return {key: value for key, value in fields.items() if value is not None}


def _message(message: Message, provider: str) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.name:
        wire["name"] = message.name
    if message.tool_calls:
        wire["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
    if message.payload and provider and message.provider == provider:
        wire |= message.payload
    return wire


def _content(message: Message) -> Any:
    if isinstance(message.content, str):
        # beside tool calls "no text" is null: some servers refuse an empty string there
        return message.content or (None if message.tool_calls else "")
    return [dict(part) for part in message.content]


def _tool_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


# --- in ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WireFault:
    """An error body: the server's words, and its code (an HTTP status) if it named one."""

    message: str
    code: int | None = None


def read_error(data: object) -> WireFault | None:
    """The fault that a JSON body or chunk reports, or None when it reports none."""
    if not isinstance(data, dict):
        return None
    if error := data.get("error"):
        inner = error if isinstance(error, Mapping) else {"message": error}
        return WireFault(_words(inner) or _words(data) or _dump(error), _code(inner) or _code(data))
    bare = "choices" not in data and ("detail" in data or isinstance(data.get("message"), str))
    if bare or data.get("object") == "error":
        return WireFault(_words(data) or _dump(data.get("detail")), _code(data))
    return None


def _words(data: Mapping[str, Any]) -> str:
    return next((v for k in ("message", "detail") if isinstance(v := data.get(k), str)), "")


def _code(data: Mapping[str, Any]) -> int | None:
    codes = (data.get(k) for k in ("code", "status", "status_code"))
    return next((c for c in map(_number, codes) if c and 100 <= c < 600), None)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def read_finish(reason: object) -> FinishReason | None:
    """Our word for a server's reason. A reason nobody knows still is an end: "stop"."""
    return _FINISH.get(reason.lower(), "stop") if isinstance(reason, str) and reason else None


def read_usage(data: object) -> Usage | None:
    """Token figures from a ``usage`` object; None when it holds none.

    ``thinking`` stays None where the server reports 0: servers that split reasoning send 0 for
    "not counted" too, and a counter of our own can tell the two apart.
    """
    if not isinstance(data, Mapping):
        return None
    prompt, completion = _number(data.get("prompt_tokens")), _number(data.get("completion_tokens"))
    if prompt is None and completion is None:
        return None
    thinking = _detail(data, "completion_tokens_details", "reasoning_tokens")
    cached = _detail(data, "prompt_tokens_details", "cached_tokens")
    return Usage(
        prompt=prompt or 0, completion=completion or 0, thinking=thinking or None, cached=cached
    )


def read_timings(data: object) -> Usage | None:
    """The exact figures so far in llama.cpp's ``timings`` object; None when there is none."""
    if not isinstance(data, Mapping):
        return None
    cached, read, written = (_number(data.get(n)) for n in ("cache_n", "prompt_n", "predicted_n"))
    if read is None or written is None:
        return None
    return Usage(prompt=(cached or 0) + read, completion=written, cached=cached or 0)


def _detail(data: Mapping[str, Any], group: str, name: str) -> int:
    details = data.get(group)
    return (_number(details.get(name)) or 0) if isinstance(details, Mapping) else 0


def _number(value: object) -> int | None:
    """A count that is not negative; strings of digits are accepted."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if whole else None  # type: ignore[return-value]  # narrowed by ``whole``


class ChunkReader:
    """Turns the JSON chunks of one answer into ``Chunk``s. Feed all of them, then ``finish``.

    No input makes it raise: parts that are not the wire's are passed over, and an answer that never
    says that it is finished has ``finish() .finish is None``, which its caller must judge.

    ``stop`` strings are applied here too (see ``StopFilter``; to content, not to reasoning);
    ``prefix`` is removed when the server repeats it. Tool calls are given once, complete, at the
    end. A complete JSON answer (``message`` in place of ``delta``) is read as one large chunk.
    """

    def __init__(self, *, stop: Sequence[str] = (), prefix: str = "") -> None:
        self._stop = StopFilter(stop)
        self._prefix = PrefixFilter(prefix)
        self._calls = _ToolCalls()
        self._details: list[dict[str, Any]] = []
        self._thoughts: dict[str, list[str]] = {}
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._model = ""
        self._any = False
        self._logprobs: list[Mapping[str, Any]] = []

    #: the end of these answers is an event of its own, which is no JSON
    ended = False

    @property
    def finished(self) -> bool:
        """A reason to finish has come; only usage may still follow."""
        return self._finish is not None

    @property
    def stopped(self) -> bool:
        """A stop string was found in the text: nothing that follows belongs to the answer."""
        return bool(self._stop.hit)

    @property
    def started(self) -> bool:
        """Something of an answer has arrived."""
        return self._any

    @property
    def usage(self) -> Usage | None:
        """The latest figures from the server."""
        return self._usage

    def fault(self, data: object) -> WireFault | None:
        """The fault that a JSON chunk reports."""
        return read_error(data)

    def read(self, data: object) -> list[Chunk]:
        """The chunks that one JSON chunk gives; often one, sometimes none."""
        if not isinstance(data, dict):
            return []
        usage = self._figures(data)
        if isinstance(model := data.get("model"), str):
            self._model = model
        choice = _first_choice(data.get("choices"))
        if reason := choice.get("finish_reason"):
            self._finish = self._finish or read_finish(reason)
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        if self._stop.hit:
            return []
        if logprobs := choice.get("logprobs"):
            self._logprobs += _logprobs(logprobs)
        chunks = self._delta(delta) if delta else []
        if usage is None and not self._logprobs:
            return chunks
        return [replace(c, usage=usage, logprobs=self._taken()) for c in chunks]

    def _figures(self, data: Mapping[str, Any]) -> Usage | None:
        """What the server says beside the text that it has cost so far."""
        found, timings = data.get("usage"), data.get("timings")
        if not found and not timings:
            return None
        usage = read_usage(found) or read_timings(timings)
        self._usage = usage or self._usage
        return usage

    def finish(self) -> Chunk:
        """The last chunk: text still held back, tool calls, usage, reason and replay payload."""
        text = self._flush()
        calls = self._calls.done()
        return Chunk(
            text,
            tool_calls=calls,
            usage=self._usage,
            finish="stop" if self.stopped else self._finish,
            model=self._model,
            logprobs=self._taken(),
            payload=self._payload(bool(calls)),
        )

    def _taken(self) -> tuple[Mapping[str, Any], ...]:
        taken, self._logprobs = tuple(self._logprobs), []
        return taken

    def _delta(self, delta: Mapping[str, Any]) -> list[Chunk]:
        content = delta.get("content")
        if isinstance(content, str) and not any(map(delta.get, _BESIDE)):  # as nearly always
            return self._text(content) if content else []
        return list(self._parts(delta))

    def _text(self, text: str) -> list[Chunk]:
        self._any = True
        passed = self._stop.feed(self._prefix.feed(text))
        return [Chunk(passed, model=self._model)] if passed else []

    def _parts(self, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        self._calls.add(delta.get("tool_calls"))
        self._any = self._any or bool(delta.get("tool_calls"))
        details = _details(delta.get("reasoning_details"))
        self._keep(details)
        pieces = [*self._reasoning(delta, details), *_content_pieces(delta.get("content"))]
        for kind, text in pieces:
            if kind == "text":
                yield from self._text(text)
                continue
            self._any = True
            if held := self._flush():
                yield Chunk(held, model=self._model)
            yield Chunk(reasoning=text, model=self._model)

    def _reasoning(
        self, delta: Mapping[str, Any], details: list[dict[str, Any]]
    ) -> Iterator[tuple[str, str]]:
        """Reasoning fields, equal texts once; details speak only where no plain field does."""
        texts: dict[str, str] = {}
        for name in _REASONING:
            if isinstance(text := delta.get(name), str) and text and text not in texts:
                texts[text] = name
        for text, name in texts.items():
            self._thoughts.setdefault(name, []).append(text)
            yield "reasoning", text
        if not texts:
            yield from (("reasoning", t) for d in details for t in _texts(d))

    def _flush(self) -> str:
        # the prefix filter stands first, so what it holds comes after what the stop filter holds
        tail = self._stop.feed(self._prefix.flush())
        return tail + self._stop.flush()

    def _keep(self, details: list[dict[str, Any]]) -> None:
        for detail in details:
            last = self._details[-1] if self._details else None
            if last is None or not _continues(last, detail):
                self._details.append(dict(detail))
                continue
            for key, value in detail.items():
                joins = key in _DETAIL_TEXT and isinstance(value, str)
                last[key] = (last.get(key) or "") + value if joins else value or last.get(key)

    def _payload(self, calls: bool) -> dict[str, Any] | None:
        payload: dict[str, Any] = {}
        if self._details:
            payload["reasoning_details"] = self._details
        if calls:
            # between tool calls a reasoning server wants its thoughts back under the same name;
            # in other turns some refuse them
            payload |= {name: "".join(texts) for name, texts in self._thoughts.items()}
        return payload or None


def _first_choice(choices: object) -> Mapping[str, Any]:
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
            return choice
    return {}


def _logprobs(value: object) -> list[Mapping[str, Any]]:
    """The entries of the answer's tokens, as they came."""
    entries = value.get("content") if isinstance(value, Mapping) else None
    return [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) and value else None


def _content_pieces(content: object) -> Iterator[tuple[str, str]]:
    """Content is text, null, or a list of typed parts (text, thinking)."""
    if isinstance(content, str):
        if content:
            yield "text", content
        return
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield from _content_pieces(part)
        elif isinstance(part, Mapping):
            yield from _part_pieces(part)


def _part_pieces(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if part.get("type") in ("thinking", "reasoning"):
        inner = part.get("thinking") or part.get("reasoning") or part.get("text")
        # one level only: thinking holds a text or a list of text parts, never thinking again
        parts = inner if isinstance(inner, list) else [{"text": inner}]
        texts = (p.get("text") for p in parts if isinstance(p, Mapping))
        yield from (("reasoning", t) for t in texts if isinstance(t, str) and t)
    elif isinstance(text := part.get("text"), str) and text:
        yield "text", text


def _details(value: object) -> list[dict[str, Any]]:
    return [dict(d) for d in value if isinstance(d, Mapping)] if isinstance(value, list) else []


def _texts(detail: Mapping[str, Any]) -> Iterator[str]:
    yield from (t for k in _DETAIL_TEXT if isinstance(t := detail.get(k), str) and t)


def _continues(last: Mapping[str, Any], detail: Mapping[str, Any]) -> bool:
    """A streamed piece of the same block: same type and place, and nothing but text to join."""
    same = all(last.get(k) == detail.get(k) for k in ("type", "index"))
    fresh_id = detail.get("id") not in (None, last.get("id"))
    textual = any(isinstance(last.get(k), str) for k in _DETAIL_TEXT)
    return same and textual and not fresh_id and "data" not in detail


@dataclass(slots=True)
class _Slot:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class _ToolCalls:
    """Assembles calls from their deltas, by index where there is one, else by id."""

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}

    def add(self, deltas: object) -> None:
        for delta in deltas if isinstance(deltas, list) else ():
            if isinstance(delta, Mapping):
                self._add(delta, _mapping(delta.get("function")) or {})

    def done(self) -> tuple[ToolCall, ...]:
        return tuple(ToolCall(s.id, s.name, "".join(s.arguments)) for s in self._slots)

    def _add(self, delta: Mapping[str, Any], function: Mapping[str, Any]) -> None:
        identity = _text(delta.get("id"))
        slot = self._slot(_number(delta.get("index")), identity)
        slot.id = slot.id or identity
        slot.name = slot.name or _text(function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping | list):
            arguments = _dump(arguments)
        slot.arguments.append(_text(arguments))

    def _slot(self, index: int | None, identity: str) -> _Slot:
        last = self._slots[-1] if self._slots else None
        slot = last if index is None else self._by_index.get(index)
        # one index for several ids: a server that numbers every call 0
        if slot is None or (identity and slot.id and identity != slot.id):
            slot = _Slot()
            self._slots.append(slot)
        if index is not None:
            self._by_index[index] = slot
        return slot


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
