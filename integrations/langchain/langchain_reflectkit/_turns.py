"""reflectkit's messages as LangChain's, for a LangChain model that is asked. Pure.

A vendor's reasoning blocks come back to it as they were, signatures included, and go nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from reflectkit import Message
from reflectkit import ToolCall as Call

__all__ = ["as_call", "as_langchain", "kept_for_replay"]

#: what of a message goes into the replay payload, and comes back from there
_KEPT: Final = ("content", "additional_kwargs", "response_metadata")
#: metadata by which adapters and core know how to read the content
_READ_BY: Final = ("model_provider", "output_version")
#: keyword fields that say nothing but what the message says anyway
_PLAIN_FIELDS: Final = frozenset({"tool_calls", "function_call", "refusal"})


def as_langchain(message: Message, provider: str) -> BaseMessage:
    """One turn for the model; ``provider`` is who it is, as ``Message.provider`` names it."""
    content: Any = message.content if isinstance(message.content, str) else [*message.content]
    named = {"name": message.name} if message.name else {}
    match message.role:
        case "system":
            return SystemMessage(content, **named)
        case "user":
            return HumanMessage(content, **named)
        case "tool":
            return ToolMessage(content, tool_call_id=message.tool_call_id, **named)
    kept = message.payload if message.payload and message.provider == provider else {}
    kept = kept.get("langchain") or {}
    calls = [as_call(c) for c in message.tool_calls]
    return AIMessage(
        content=kept.get("content", content),
        additional_kwargs=dict(kept.get("additional_kwargs") or {}),
        response_metadata=dict(kept.get("response_metadata") or {}),
        tool_calls=[c for c in calls if c["type"] == "tool_call"],
        invalid_tool_calls=[c for c in calls if c["type"] != "tool_call"],
        **named,
    )


def as_call(call: Call) -> Any:
    """A tool call as a message has it; an invalid one where its arguments are no JSON object."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        return {"type": "tool_call", "id": call.id, "name": call.name, "args": arguments}
    told = {"id": call.id, "name": call.name, "args": call.arguments}
    return {"type": "invalid_tool_call", "error": "The arguments are no JSON object.", **told}


def kept_for_replay(message: AIMessage) -> Mapping[str, Any] | None:
    """What has to go back to the vendor beside text and calls; None where there is nothing."""
    beside = {k: v for k, v in message.additional_kwargs.items() if k not in _PLAIN_FIELDS}
    if (isinstance(message.content, str) or all(map(_is_plain, message.content))) and not beside:
        return None
    known = {k: v for k, v in message.response_metadata.items() if k in _READ_BY}
    kept = dict(zip(_KEPT, (message.content, beside, known), strict=True))
    return {"langchain": kept}


def _is_plain(block: object) -> bool:
    if isinstance(block, Mapping):
        return block.get("type") == "text" and not (block.keys() - {"type", "text", "index"})
    return isinstance(block, str)
