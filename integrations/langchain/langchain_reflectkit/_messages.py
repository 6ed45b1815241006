"""LangChain's messages to reflectkit's and back: pure functions, one for each direction.

There are two ends to send to. A server of our own backends speaks the OpenAI API: parts are put in
its shape, and of an earlier answer goes what its ``history`` says. A LangChain model (``vendor`` is
given) gets back what was taken from it: parts as they were, and what only its vendor can read, such
as signed and encrypted blocks, byte for byte.
"""

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

from reflectkit import ConfigurationError, Message, ProtocolError, ToolCall

if TYPE_CHECKING:
    from langchain_core.messages import ToolCall as LangChainCall

    from reflectkit.messages import Role

__all__ = [
    "PROVIDER",
    "History",
    "calls_in",
    "from_langchain",
    "kept_for_replay",
    "to_langchain",
    "tool_calls",
]

#: ``response_metadata["model_provider"]`` of every message that is made here, and the key of ours.
PROVIDER: Final = "reflectkit"
#: What becomes of earlier turns' thinking: left out, written back, or told in a sentence.
History = Literal["drop", "keep", "summary"]
#: of one section, in a summary
_SHOWN: Final = 200
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
#: LangChain's and the OpenAI API's words -> roles
_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
}
Part = Mapping[str, Any]


def from_langchain(
    messages: Sequence[BaseMessage],
    *,
    history: History = "drop",
    dialect: str = "reflection",
    vendor: str | None = None,
) -> tuple[Message, ...]:
    """The turns as reflectkit's own.

    ``history`` is the rule for the reasoning blocks of earlier answers. ``drop``: they are left
    out, as most models are trained. ``keep``: they are written back in front of the answer, in the
    tags of ``dialect``. ``summary``: a line says the last sentence of each, 200 characters at most.
    What a provider wants back (signed and encrypted blocks, its own reasoning fields) goes back to
    it byte for byte under each of them. Raises ``ConfigurationError`` for what cannot be sent.

    ``vendor``: the LangChain model that is asked, as ``Message.provider`` names it; "" where the
    turns are only counted and judged. Nothing is refused then: who speaks in a role of their own is
    taken for the user.
    """
    return tuple(_turn(m, history, dialect, vendor) for m in messages)


def _turn(message: BaseMessage, history: History, dialect: str, vendor: str | None) -> Message:
    if isinstance(message, AIMessage):
        return _assistant(message, history, dialect, vendor)
    content = _content(message) if vendor is None else _as_it_is(message)
    name = message.name or ""
    if isinstance(message, ToolMessage):
        return Message("tool", content, name=name, tool_call_id=str(message.tool_call_id))
    if isinstance(message, FunctionMessage):
        return Message("tool", content, name=name)
    said = message.role if isinstance(message, ChatMessage) else message.type
    role = _ROLES.get(said, "user" if vendor is not None else None)
    if role is None:
        raise ConfigurationError(
            f"A {type(message).__name__} ({said!r}) cannot be sent to a model.",
            hint="Pass system, human, AI and tool messages.",
        )
    return Message(role, content, name=name)


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


def _as_it_is(message: BaseMessage) -> str | tuple[Part, ...]:
    content = message.content
    if isinstance(content, str):
        return content
    return tuple({"type": "text", "text": p} if isinstance(p, str) else p for p in content)


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


def _assistant(message: AIMessage, history: History, dialect: str, vendor: str | None) -> Message:
    if vendor is None:
        replay = _replay(message)
        payload, provider = replay.get("payload"), replay.get("provider", "")
    else:
        payload, provider = kept_for_replay(message), vendor
    return Message(
        "assistant",
        _RULES[history](message, dialect),
        name=message.name or "",
        tool_calls=calls_in(message),
        payload=payload,
        provider=provider if payload else "",
    )


def _replay(message: AIMessage) -> Mapping[str, Any]:
    """What a server wants back, as an answer of our own chat model has it in its record."""
    ours = message.response_metadata.get(PROVIDER)
    replay = ours.get("replay") if isinstance(ours, Mapping) else None
    return replay if isinstance(replay, Mapping) else {}


def calls_in(message: AIMessage) -> tuple[ToolCall, ...]:
    """The calls of a message; broken arguments stay as they came."""
    good = [ToolCall(c["id"] or "", c["name"], _json(c["args"])) for c in message.tool_calls]
    bad = [
        ToolCall(c["id"] or "", c["name"] or "", c["args"] or "")
        for c in message.invalid_tool_calls
    ]
    return (*good, *bad)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


#: what of a message goes into the replay payload, and comes back from there
_KEPT: Final = ("content", "additional_kwargs", "response_metadata")
#: metadata by which adapters and core know how to read the content
_READ_BY: Final = ("model_provider", "output_version")
#: keyword fields that say nothing but what the message says anyway
_PLAIN_FIELDS: Final = frozenset({"tool_calls", "function_call", "refusal"})


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


# --- what becomes of their thinking --------------------------------------------------------------


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
    from reflectkit import Section, Transcript  # late: they would double what importing this costs
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


def to_langchain(messages: Iterable[Message], *, vendor: str = "") -> list[BaseMessage]:
    """The turns as LangChain's own, for the model ``vendor``: what was kept of its answers comes
    back to it as it was, and goes nowhere else."""
    return [_message(m, vendor) for m in messages]


def _message(message: Message, vendor: str) -> BaseMessage:
    content: Any = message.content if isinstance(message.content, str) else [*message.content]
    name = message.name or None
    match message.role:
        case "system":
            return SystemMessage(content, name=name)
        case "user":
            return HumanMessage(content, name=name)
        case "tool":
            return ToolMessage(content, tool_call_id=message.tool_call_id, name=name)
    payload = message.payload if message.payload and message.provider == vendor else {}
    kept = payload.get("langchain") or {}
    good, bad = tool_calls(message.tool_calls)
    return AIMessage(
        content=kept.get("content", content),
        additional_kwargs=dict(kept.get("additional_kwargs") or {}),
        response_metadata=dict(kept.get("response_metadata") or {}),
        name=name,
        tool_calls=good,
        invalid_tool_calls=bad,
    )


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
