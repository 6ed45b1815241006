"""Streamed answers in the formats of other chat APIs, for ``LoopbackServer``.

The shapes are those of the public API references of Anthropic (messages, streaming) and Ollama
(/api/chat), fields that reflectkit does not read included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from .loopback import Served

__all__ = ["anthropic_chat", "ollama_chat"]

_STREAM: Final = {"Content-Type": "text/event-stream; charset=utf-8"}
_LINES: Final = {"Content-Type": "application/x-ndjson"}
#: a kind of block, the kind of its deltas and the field that they carry
_DELTAS: Final = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


def anthropic_chat(
    *texts: str,
    thinking: Sequence[str] = (),
    signature: str = "c2lnbmF0dXJl",
    blocks: Sequence[Mapping[str, Any]] = (),
    stop: str | None = "end_turn",
    done: bool = True,
    model: str = "loopback",
) -> Served:
    """A streamed message, one event a step: start, a ping, thinking, ``blocks``, texts, the end.

    ``blocks`` are whole content blocks; a ``tool_use`` block's input is streamed as JSON. Without
    ``stop`` no reason comes, without ``done`` no ``message_stop``.
    """
    usage = {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 1}
    start = {"id": "msg_1", "role": "assistant", "content": [], "model": model, "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"type": "message", **start}},
        {"type": "ping"},
    ]
    parts: list[tuple[Mapping[str, Any], Sequence[str]]] = []
    if thinking:
        parts.append(({"type": "thinking", "thinking": "", "signature": signature}, thinking))
    parts += [_split(block) for block in blocks]
    if texts:
        parts.append(({"type": "text", "text": ""}, texts))
    for index, (block, pieces) in enumerate(parts):
        events += _block(index, block, pieces)
    figures = {"output_tokens": len(texts) + len(thinking)}
    ending = {"stop_reason": stop, "stop_sequence": None}
    if stop is not None:
        events.append({"type": "message_delta", "delta": ending, "usage": figures})
    if done:
        events.append({"type": "message_stop"})
    return Served(tuple(map(_event, events)), headers=_STREAM)


def _split(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[str]]:
    if block["type"] != "tool_use":
        return block, ()
    said = json.dumps(block["input"])
    cuts = [0, len(said) // 2, len(said)]
    return {**block, "input": {}}, [said[a:b] for a, b in pairwise(cuts)]


def _block(index: int, block: Mapping[str, Any], pieces: Sequence[str]) -> list[dict[str, Any]]:
    begun = {**block, "signature": ""} if "signature" in block else dict(block)
    events: list[dict[str, Any]] = [{"type": "content_block_start", "content_block": begun}]
    kind, name = _DELTAS.get(block["type"], ("", ""))
    deltas = [{"type": kind, name: piece} for piece in pieces]
    if block.get("signature"):
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    events += [{"type": "content_block_delta", "delta": delta} for delta in deltas]
    return [{**e, "index": index} for e in (*events, {"type": "content_block_stop"})]


def ollama_chat(
    *texts: str,
    thinking: Sequence[str] = (),
    calls: Sequence[Mapping[str, Any]] = (),
    reason: str = "stop",
    done: bool = True,
    model: str = "loopback",
) -> Served:
    """A streamed answer, a line a step: thinking, texts, tool calls (name, arguments), the end."""
    messages: list[dict[str, Any]] = [{"content": "", "thinking": text} for text in thinking]
    messages += [{"content": text} for text in texts]
    if calls:
        messages.append({"content": "", "tool_calls": [{"function": dict(c)} for c in calls]})
    lines: list[dict[str, Any]] = [
        {"message": {"role": "assistant", **message}, "done": False} for message in messages
    ]
    if done:
        figures = {"prompt_eval_count": 7, "eval_count": len(texts) + len(thinking)}
        end = {"message": {"role": "assistant", "content": ""}, "done": True}
        lines.append({**end, "done_reason": reason, "total_duration": 5, **figures})
    when = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
    return Served(tuple(_line(when | line) for line in lines), headers=_LINES)


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: ".encode() + _line(data) + b"\n"


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode() + b"\n"
