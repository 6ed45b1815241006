"""The two shapes in which chat servers are asked, as data: OpenAI's, and Anthropic's messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..backends._chat import AnswerReader
from ..backends._messages_wire import MessageReader
from ..backends._wire import ChunkReader

__all__ = ["WIRES", "Wire"]

#: tokens for an answer where the API wants to be told; no profile advises more
_ROOM: Final = 4096
#: fields that have another name or place there, or none
_ELSEWHERE: Final = frozenset({"messages", "stop", "stream_options", "n", "seed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """``chat``: the route for questions. ``fields``: OpenAI's fields in the words of this API.

    ``reader`` reads the answer. ``reason``: what an event says about the end; ``over``: what a
    stream that is over has in it. ``draws``: it knows ``n`` and ``seed``. ``caps``: every request
    has to name a cap.
    """

    chat: str
    fields: Callable[[Mapping[str, Any]], dict[str, Any]]
    reader: Callable[[], AnswerReader]
    reason: Callable[[Mapping[str, Any]], Iterable[object]]
    over: str
    draws: bool = True
    caps: bool = False


def _choices(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = event.get("choices")
    return [c for c in choices if isinstance(c, Mapping)] if isinstance(choices, list) else []


def _finishes(event: Mapping[str, Any]) -> list[object]:
    return [choice.get("finish_reason") for choice in _choices(event)]


def _stops(event: Mapping[str, Any]) -> list[object]:
    delta = event.get("delta")
    inner = delta.get("stop_reason") if isinstance(delta, Mapping) else None
    return [inner, event.get("stop_reason")]


def _as_messages(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A system text has a field of its own there."""
    turns = fields["messages"]
    return {
        "max_tokens": _ROOM,
        **{name: value for name, value in fields.items() if name not in _ELSEWHERE},
        "system": "\n\n".join(t["content"] for t in turns if t["role"] == "system") or None,
        "messages": [turn for turn in turns if turn["role"] != "system"],
        "stop_sequences": fields.get("stop"),
    }


#: by the name that ``doctor`` takes
WIRES: Final[Mapping[str, Wire]] = {
    "openai": Wire(
        chat="/chat/completions",
        fields=dict,
        reader=ChunkReader,
        reason=_finishes,
        over="data: [DONE]",
    ),
    "anthropic": Wire(
        chat="/messages",
        fields=_as_messages,
        reader=MessageReader,
        reason=_stops,
        over='"message_stop"',
        draws=False,
        caps=True,
    ),
}
