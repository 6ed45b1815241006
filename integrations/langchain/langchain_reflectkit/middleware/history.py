"""Where a conversation may be cut, for whoever shortens or summarises it. Pure.

A turn of tools is one thing: the message with the calls, its thinking, and the results. Providers
refuse a result without its call, and some refuse a call whose thinking is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

__all__ = ["turn_cutoff", "whole_turns"]


def turn_cutoff(messages: Sequence[AnyMessage], wanted: int) -> int:
    """The largest index up to ``wanted`` where the conversation may be cut in two.

    No result of a tool is parted from its call. The active turn, from the last user message on
    where it has calls, stays whole, so its thinking is kept. Returns 0 where nothing may go.
    """
    wanted = max(0, min(wanted, len(messages)))
    active = _active(messages)
    for cut in range(min(wanted, active), 0, -1):
        if _whole(messages, cut):
            return cut
    return 0


def whole_turns(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """``messages`` without results that nobody asked for, and without old calls that have no
    result; the calls of the last message may still be under way."""
    called = {c["id"] for m in messages if isinstance(m, AIMessage) for c in m.tool_calls}
    answered = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
    last = next((i for i in range(len(messages) - 1, -1, -1) if _calls(messages[i])), -1)
    open_turn = last if all(isinstance(m, ToolMessage) for m in messages[last + 1 :]) else -1
    kept: list[AnyMessage] = []
    dropped: set[str | None] = set()
    for at, message in enumerate(messages):
        if isinstance(message, AIMessage) and _calls(message) and at != open_turn:
            ids = {c["id"] for c in message.tool_calls}
            if not ids <= answered:
                dropped |= ids
                continue
        if isinstance(message, ToolMessage) and (
            message.tool_call_id not in called or message.tool_call_id in dropped
        ):
            continue
        kept.append(message)
    return kept


def _calls(message: AnyMessage) -> bool:
    return isinstance(message, AIMessage) and bool(message.tool_calls)


def _active(messages: Sequence[AnyMessage]) -> int:
    """Where the turn begins that is under way: its question, if tools were called since."""
    for at in range(len(messages) - 1, -1, -1):
        if isinstance(messages[at], HumanMessage):
            return at if any(map(_calls, messages[at:])) else len(messages)
    return 0 if any(map(_calls, messages)) else len(messages)


def _whole(messages: Sequence[AnyMessage], cut: int) -> bool:
    """No call before ``cut`` has its result behind it."""
    before = {c["id"] for m in messages[:cut] if isinstance(m, AIMessage) for c in m.tool_calls}
    return not any(isinstance(m, ToolMessage) and m.tool_call_id in before for m in messages[cut:])
