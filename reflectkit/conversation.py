"""From what users pass as a prompt to the messages of a request; checked, with errors that help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, get_args

from .errors import ConfigurationError
from .messages import Message, Role, ToolCall

__all__ = ["Prompt", "Turn", "asked", "at_the_end", "conversation", "neutral"]

#: One turn: a message, or a mapping as the OpenAI API has it.
Turn = Message | Mapping[str, Any]
Prompt = str | Turn | Sequence[Turn]

_ROLES: dict[str, Role] = {role: role for role in get_args(Role)} | {"developer": "system"}
_KNOWN = {
    "role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "annotations",
    "function_call", "reasoning", "reasoning_content", "reasoning_details", "thinking", "payload",
}  # fmt: skip


def conversation(prompt: Prompt) -> tuple[Message, ...]:
    """The turns that ``prompt`` stands for.

    A string is one user turn. Mappings are read as the OpenAI API has them; reasoning fields of
    earlier assistant turns are left out, because models are not shown their old thinking.
    Raises ``ConfigurationError`` for what cannot be sent: nothing to answer, an unknown role.
    """
    turns = tuple(_turn(t, i) for i, t in enumerate(_listed(prompt)))
    if not any(_says_something(m) for m in turns if m.role != "system"):
        raise ConfigurationError("The prompt is empty.", hint="Pass at least one user message.")
    return turns


def asked(
    messages: Sequence[Message],
    *,
    system: Iterable[str] = (),
    suffix: str = "",
) -> tuple[Message, ...]:
    """``messages`` as they are sent.

    ``system`` texts and the conversation's own become one system message at the front; ``suffix``
    ends every user turn.
    """
    own = [m.text for m in messages if m.role == "system"]
    text = "\n\n".join(t for t in (*system, *own) if t.strip())
    head = (Message("system", text),) if text else ()
    turns = (m for m in messages if m.role != "system")
    return (*head, *(_suffixed(m, suffix) for m in turns))


def at_the_end(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """``messages`` with ``text`` as the last paragraph of the last user turn."""
    turns = list(messages)
    for place in reversed(range(len(turns))):
        if turns[place].role == "user":
            turns[place] = _suffixed(turns[place], f"\n\n{text}")
            break
    return tuple(turns)


def _listed(prompt: object) -> list[object]:
    if isinstance(prompt, str):
        return [Message("user", prompt)]
    if isinstance(prompt, Message | Mapping):
        return [prompt]
    if isinstance(prompt, Sequence) and not isinstance(prompt, bytes | bytearray):
        return list(prompt)
    raise ConfigurationError(
        f"A prompt is text or messages, not {type(prompt).__name__}.",
        hint="Pass a string, a Message, or a list of messages.",
    )


def _says_something(message: Message) -> bool:
    return bool(message.text.strip()) if isinstance(message.content, str) else bool(message.content)


def _turn(turn: object, index: int) -> Message:
    if isinstance(turn, Message):
        return _checked(turn, index)
    if not isinstance(turn, Mapping):
        raise ConfigurationError(
            f"Message {index} is a {type(turn).__name__}.",
            hint='Pass Message objects or mappings such as {"role": "user", "content": "..."}.',
        )
    unknown = sorted(set(turn) - _KNOWN)
    if unknown:
        raise ConfigurationError(f"Message {index} has an unknown field {unknown[0]!r}.")
    return Message(
        _role(turn.get("role"), index),
        _content(turn.get("content"), index),
        name=_text(turn, "name", index),
        tool_calls=_calls(turn.get("tool_calls") or (), index),
        tool_call_id=_text(turn, "tool_call_id", index),
    )


def _checked(message: Message, index: int) -> Message:
    """``message`` itself. Nothing has looked at what stands in it before."""
    _role(message.role, index)
    if message.content is None:
        raise _unfit(message.content, index)
    _content(message.content, index)
    return message


def _text(turn: Mapping[str, Any], field: str, index: int) -> str:
    value = turn.get(field) or ""
    if isinstance(value, str):
        return value
    raise ConfigurationError(f"{field} of message {index} is a {type(value).__name__}.")


def _role(role: object, index: int) -> Role:
    if isinstance(role, str) and role in _ROLES:
        return _ROLES[role]
    raise ConfigurationError(
        f"Message {index} has the role {role!r}.", hint=f"Use one of {', '.join(_ROLES)}."
    )


def _content(content: object, index: int) -> str | tuple[Mapping[str, Any], ...]:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Sequence) and all(isinstance(p, Mapping) for p in content):
        return tuple(cast("Sequence[Mapping[str, Any]]", content))
    raise _unfit(content, index)


def _unfit(content: object, index: int) -> ConfigurationError:
    return ConfigurationError(
        f"The content of message {index} is a {type(content).__name__}.",
        hint="Pass text, or a list of content parts (mappings).",
    )


def _calls(calls: object, index: int) -> tuple[ToolCall, ...]:
    if isinstance(calls, Sequence) and not isinstance(calls, str):
        return tuple(_call(c, index) for c in calls)
    raise ConfigurationError(f"tool_calls of message {index} is a {type(calls).__name__}.")


def _call(call: object, index: int) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise ConfigurationError(f"A tool call of message {index} has no function.")
    arguments = function.get("arguments") or ""
    return ToolCall(str(call.get("id") or ""), str(function.get("name") or ""), str(arguments))


def neutral(message: Message, change: Callable[[str], str]) -> Message:
    """``message`` with the text of a user or a tool changed; other turns stay as they are."""
    if message.role not in ("user", "tool"):
        return message
    content = message.content
    if isinstance(content, str):
        return replace(message, content=change(content))
    return replace(message, content=tuple(_part(p, change) for p in content))


def _part(part: Mapping[str, Any], change: Callable[[str], str]) -> Mapping[str, Any]:
    text = part.get("text")
    return {**part, "text": change(text)} if isinstance(text, str) else part


def _suffixed(message: Message, suffix: str) -> Message:
    if message.role != "user" or not suffix or message.text.rstrip().endswith(suffix.strip()):
        return message
    if isinstance(message.content, str):
        return replace(message, content=message.content + suffix)
    return replace(message, content=(*message.content, {"type": "text", "text": suffix}))
