"""LangChain's messages to reflectkit's and back: pure functions, no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
    convert_to_openai_data_block,
    is_data_content_block,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call

if TYPE_CHECKING:
    from langchain_core.messages import ToolCall as LangChainCall

    from reflectkit import Message, ToolCall

__all__ = ["PROVIDER", "History", "from_langchain", "to_langchain", "tool_calls"]

#: ``response_metadata["model_provider"]`` of every message that is made here, and the key of ours.
PROVIDER: Final = "reflectkit"
#: What becomes of earlier turns' thinking: left out, written back, or told in a sentence.
History = Literal["drop", "keep", "summary"]
#: of one section, in a summary
_SHOWN: Final = 200
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
Part = Mapping[str, Any]


def from_langchain(
    messages: Sequence[BaseMessage], *, history: History = "drop", dialect: str = "reflection"
) -> tuple[Message, ...]:
    """The turns as reflectkit's own.

    ``history`` is the rule for the reasoning blocks of earlier answers. ``drop``: they are left
    out, as most models are trained. ``keep``: they are written back in front of the answer, in the
    tags of ``dialect``. ``summary``: a line says the last sentence of each, 200 characters at most.
    What a provider wants back (signed and encrypted blocks, its own reasoning fields) goes back to
    it byte for byte under each of them. Raises ``ConfigurationError`` for what cannot be sent.
    """
    return tuple(_turn(m, history, dialect) for m in messages)


def _turn(message: BaseMessage, history: History, dialect: str) -> Message:
    from reflectkit import ConfigurationError, Message

    if isinstance(message, AIMessage):
        return _assistant(message, history, dialect)
    name = message.name or ""
    if isinstance(message, ToolMessage):
        return Message("tool", _content(message), name=name, tool_call_id=str(message.tool_call_id))
    if isinstance(message, FunctionMessage):
        return Message("tool", _content(message), name=name)
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, "")
    role = {"human": "user", "ai": "assistant", "developer": "system"}.get(role, role)
    if role not in ("system", "user", "assistant"):
        raise ConfigurationError(
            f"A {type(message).__name__} ({role or message.type!r}) cannot be sent to a model.",
            hint="Pass system, human, AI and tool messages.",
        )
    return Message(cast("Any", role), _content(message), name=name)


_ROLES: Final = {"system": "system", "human": "user"}


def _content(message: BaseMessage) -> str | tuple[Part, ...]:
    """Text, or parts as the OpenAI API has them; what is not known goes as it is."""
    content = message.content
    if isinstance(content, str):
        return content
    parts = tuple(map(_part, content))
    texts = [p["text"] for p in parts if p.get("type") == "text" and isinstance(p.get("text"), str)]
    if len(texts) == len(parts) and (len(parts) == 1 or isinstance(message, ToolMessage)):
        return "\n".join(texts)  # tools' results are text alone for many servers
    return parts


def _part(part: str | dict[str, Any]) -> Part:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.get("type") == "text":
        return {"type": "text", "text": part.get("text", "")}
    source = part.get("source")
    if part.get("type") == "image" and isinstance(source, Mapping):  # as Anthropic has it
        url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": url}}
    if is_data_content_block(part):
        named = {"filename": "document", **part} if part.get("type") == "file" else part
        return convert_to_openai_data_block(named)
    return part


# --- the assistant's turns -----------------------------------------------------------------------


def _assistant(message: AIMessage, history: History, dialect: str) -> Message:
    from reflectkit import Message

    ours = message.response_metadata.get(PROVIDER)
    replay = ours.get("replay") if isinstance(ours, Mapping) else None
    kept = replay if isinstance(replay, Mapping) else {}
    return Message(
        "assistant",
        _RULES[history](message, dialect),
        name=message.name or "",
        tool_calls=tuple(_calls(message)),
        payload=kept.get("payload"),
        provider=kept.get("provider", ""),
    )


def _calls(message: AIMessage) -> Iterable[ToolCall]:
    from reflectkit import ToolCall

    for call in message.tool_calls:
        yield ToolCall(call["id"] or "", call["name"], _json(call["args"]))
    for bad in message.invalid_tool_calls:
        yield ToolCall(bad["id"] or "", bad["name"] or "", bad["args"] or "")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _sections(message: AIMessage) -> list[tuple[str, str]]:
    """Section and text of the reasoning blocks that were made here; rejected drafts are none."""
    found: list[tuple[str, str]] = []
    for block in message.content if isinstance(message.content, list) else ():
        if not isinstance(block, Mapping) or block.get("type") != "reasoning":
            continue
        section = (block.get("extras") or {}).get("section")
        if section in ("thinking", "reflection") and str(block.get("reasoning", "")).strip():
            found.append((str(section), str(block["reasoning"]).strip()))
    return found


def _dropped(message: AIMessage, dialect: str) -> str:
    return str(message.text)


def _kept(message: AIMessage, dialect: str) -> str:
    """The answer behind its thinking, in the tags of the dialect.

    Text that holds tags of its own cannot be told from the protocol: then the thinking stays out.
    """
    from reflectkit import ProtocolError, Section, Transcript
    from reflectkit.protocol import render

    sections: list[Section] = []
    place: int | None = None
    for kind, text in _sections(message):
        if kind == "reflection" and place is not None:
            sections.append(Section("reflection", text, parent=None))
        else:
            sections.append(Section("thinking", text))
            place = len(sections) - 1
    if not sections:
        return _dropped(message, dialect)
    kind = "output" if dialect == "reflection" else "outside"
    sections.append(Section(cast("Any", kind), str(message.text)))
    try:
        return render(Transcript(tuple(sections), dialect=dialect))
    except ProtocolError:
        return _dropped(message, dialect)


def _summarised(message: AIMessage, dialect: str) -> str:
    found = _sections(message)
    if not found:
        return _dropped(message, dialect)
    said = "; ".join(f"{section}: {_last_sentence(text)}" for section, text in found)
    return f"({said})\n\n{message.text}"


def _last_sentence(text: str) -> str:
    last = " ".join(_SENTENCE.split(text.strip())[-1].split())
    return last if len(last) <= _SHOWN else f"{last[: _SHOWN - 3]}..."


_RULES: Final[dict[History, Callable[[AIMessage, str], str]]] = {
    "drop": _dropped,
    "keep": _kept,
    "summary": _summarised,
}


# --- the way back --------------------------------------------------------------------------------


def tool_calls(
    calls: Iterable[ToolCall],
) -> tuple[list[LangChainCall], list[InvalidToolCall]]:
    """Calls with arguments that are JSON objects, and those that are not, as LangChain has them."""
    good: list[LangChainCall] = []
    bad: list[InvalidToolCall] = []
    for call in calls:
        try:
            found = json.loads(call.arguments or "{}")
            fault = None if isinstance(found, dict) else "The arguments are no JSON object."
        except (ValueError, RecursionError) as error:
            found, fault = None, f"The arguments are no JSON: {error}."
        if fault is None:
            good.append(tool_call(name=call.name, args=found, id=call.id))
        else:
            bad.append(
                invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error=fault)
            )
    return good, bad


def to_langchain(messages: Sequence[Message]) -> list[BaseMessage]:
    """The turns as LangChain's own: for a LangChain model that is asked as a backend."""
    return [_message(m) for m in messages]


def _message(message: Message) -> BaseMessage:
    content: Any = message.content if isinstance(message.content, str) else list(message.content)
    name = message.name or None
    match message.role:
        case "system":
            return SystemMessage(content=content, name=name)
        case "user":
            return HumanMessage(content=content, name=name)
        case "tool":
            return ToolMessage(content=content, tool_call_id=message.tool_call_id, name=name)
    good, bad = tool_calls(message.tool_calls)
    return AIMessage(content=content, name=name, tool_calls=good, invalid_tool_calls=bad)
