"""LangChain's messages as reflectkit's, to be counted and judged, and replies as records. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from reflectkit import Message, Reply, Request
from reflectkit.messages import Role

from ._transcripts import calls_of

__all__ = ["answer_in", "as_request", "as_turn", "record_of", "text_of"]

_ROLES: dict[type, Role] = {
    HumanMessage: "user",
    SystemMessage: "system",
    ToolMessage: "tool",
    AIMessage: "assistant",
}


def as_turn(message: BaseMessage) -> Message:
    """One message: its text and calls, without what only its provider reads."""
    role: Role = next((r for kind, r in _ROLES.items() if isinstance(message, kind)), "user")
    calls = calls_of([message]) if isinstance(message, AIMessage) else ()
    identity = message.tool_call_id if isinstance(message, ToolMessage) else ""
    return Message(role, text_of(message), tool_calls=calls, tool_call_id=identity)


def text_of(message: BaseMessage) -> str:
    """The text of a message, its pictures and reasoning left out."""
    return str(message.text)


def as_request(
    messages: Sequence[AnyMessage],
    system: SystemMessage | None = None,
    tools: Sequence[BaseTool | dict[str, Any]] = (),
) -> Request:
    """What is sent, as far as it counts: turns and tools."""
    head = [as_turn(system)] if system else []
    told = [t if isinstance(t, dict) else convert_to_openai_tool(t) for t in tools]
    return Request(messages=(*head, *map(as_turn, messages)), extra={"tools": told} if told else {})


def answer_in(messages: Sequence[Any]) -> AIMessage | None:
    """The last message of a model."""
    return next((m for m in reversed(messages) if isinstance(m, AIMessage)), None)


def record_of(reply: Reply) -> dict[str, Any]:
    """What came of the attempts, in plain values that a checkpoint keeps."""
    return {
        "status": reply.status,
        "attempts": len(reply.attempts),
        "chosen": reply.chosen,
        "because": reply.because,
        "stopped_by": reply.stopped_by,
        "verdicts": [
            {"name": v.name, "ok": v.ok, "by": v.by, "feedback": v.feedback} for v in reply.verdicts
        ],
        "tokens": {"prompt": reply.usage.prompt, "completion": reply.usage.completion},
        "exact": reply.usage.exact,
    }
