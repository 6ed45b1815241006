"""Assistant messages whose reasoning a server already took apart, and the way back to the wire.

``parse_message`` reads one complete message, as its provider sent it, in any of these shapes:

- a field beside the content: ``reasoning_content``, ``reasoning``, ``thinking`` (Ollama),
  ``reasoning_details`` (OpenRouter), also under LangChain's ``additional_kwargs``;
- content as a list of blocks: Anthropic ``thinking`` and ``redacted_thinking``, Mistral
  ``thinking`` chunks, LangChain ``reasoning`` blocks, ``reasoning`` items with a ``summary``;
- plain text, which is parsed in the dialect.

Fields first: where reasoning came apart, the content is the answer and is not scanned for tags.
What has to go back to the same provider (signatures, encrypted and redacted data, their order) is
kept in ``Transcript.payload`` as fields of the wire message, untouched; ``replay`` puts it there.
It is never written into text as tags: a model imitates what it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ..errors import ConfigurationError
from ..messages import Message, ToolCall
from ..reply import Issue, Section, Transcript
from .dialects import find_dialect
from .parser import parse

if TYPE_CHECKING:
    from .dialect import Dialect

__all__ = ["as_message", "parse_message", "replay"]

# Tuples, not sets: what is looked up in them may be anything, unhashable things included.
_ROLES: Final = ("assistant", "ai", "model", "AIMessage", "AIMessageChunk")
_TEXT_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")
_DETAILS: Final = "reasoning_details"
#: A reasoning block's text stands under one of these, in this order, as text or a list of parts.
_BLOCK_TEXTS: Final = ("thinking", "reasoning", "text", "summary", "content")
_REASONING_BLOCKS: Final = ("thinking", "redacted_thinking", "reasoning", "reasoning_content")
_TEXT_BLOCKS: Final = ("text", "output_text", "refusal")
_CALL_BLOCKS: Final = ("tool_use", "tool_call", "function_call", "server_tool_use")
_PLAIN_TEXT: Final = frozenset({"type", "text"})


@dataclass(slots=True)
class _Piece:
    kind: Literal["thinking", "output"]
    text: str
    #: pieces with an equal join, not None, that follow each other are one section
    join: object = None


@dataclass(slots=True)
class _Reading:
    """What was found in one message, before it becomes a transcript."""

    fields: list[list[_Piece]] = field(default_factory=list)
    blocks: list[_Piece] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def parse_message(
    message: Mapping[str, Any],
    *,
    dialect: str | Dialect = "reflection",
    prefilled: bool = False,
    scan: bool = False,
) -> Transcript:
    """Read an assistant message as its provider returned it; structured fields come first.

    ``dialect`` and ``prefilled`` are used only when the message carries no reasoning of its own:
    then its text is parsed. With ``scan`` the content is parsed even beside reasoning, for servers
    that take the thinking out and leave the marks of the answer in. ``source`` of the result is
    all text in reading order, reasoning included. A part that cannot be read is an issue
    ``malformed_part`` and stays in the payload.

    Raises ``ConfigurationError`` for something that is not an assistant message, and for an unknown
    dialect.
    """
    _check(message)
    dialect = find_dialect(dialect)
    found = _Reading()
    _read_fields(message, found)
    _read_content(message.get("content"), found)
    _read_calls(message, found)
    if found.calls:
        _keep_thoughts(message, found)
    pieces = _merged(_once(found))
    reasoned = any(p.kind == "thinking" for p in pieces)
    if not reasoned:
        transcript = parse("".join(p.text for p in pieces), dialect, prefilled)
    elif scan:
        transcript = _joined([_part(piece, dialect) for piece in pieces])
    else:
        transcript = _apart(pieces, bool(found.calls))
    end = len(transcript.source)
    faults = tuple(Issue("malformed_part", end, fault) for fault in found.faults)
    return replace(
        transcript,
        issues=transcript.issues + faults,
        dialect=dialect.name,
        payload=found.payload or None,
        tool_calls=tuple(found.calls),
    )


def as_message(transcript: Transcript, provider: str = "") -> Message:
    """The assistant turn for a later request: the answer, the calls, and what must be replayed.

    ``provider`` is who sent it, under any name that ``replay`` is later called with. Thinking is
    not part of the text.
    """
    return Message(
        "assistant",
        transcript.output,
        tool_calls=transcript.tool_calls,
        payload=transcript.payload,
        provider=provider,
    )


def replay(message: Message, provider: str) -> dict[str, Any]:
    """The wire message for ``provider``.

    To the provider that it came from, everything that it sent for replay goes back as it was. To
    any other, the answer and the tool calls go alone: signed or encrypted reasoning would be
    refused there, and reasoning written as text would be imitated.
    """
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        wire["tool_calls"] = [_call_to_wire(call) for call in message.tool_calls]
    if message.payload and provider and provider == message.provider:
        wire.update(_copied(message.payload))
        if isinstance(wire["content"], list) and _holds_calls(wire["content"]):
            wire.pop("tool_calls", None)
    return wire


def _call_to_wire(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _holds_calls(blocks: list[Any]) -> bool:
    return any(isinstance(b, Mapping) and b.get("type") in _CALL_BLOCKS for b in blocks)


def _check(message: object) -> None:
    if not isinstance(message, Mapping):
        raise ConfigurationError(
            f"An assistant message is a mapping, not {_kind(message)}.",
            hint="Pass the message as a dict, as the server's JSON has it.",
        )
    if "content" not in message and ("choices" in message or "message" in message):
        raise ConfigurationError(
            "This is a whole response, not a message.",
            hint="Pass response['choices'][0]['message'], or response['message'] from Ollama.",
        )
    role = message.get("role", "assistant")
    if role not in _ROLES:
        raise ConfigurationError(
            f"Only assistant messages are read; this one's role is {str(role)[:40]!r}.",
            hint="Pass the message that the model wrote.",
        )


def _kind(value: object) -> str:
    return type(value).__name__


# -- fields -------------------------------------------------------------------------------------


def _read_fields(message: Mapping[str, Any], found: _Reading) -> None:
    beside = message.get("additional_kwargs")
    for holder in (message, beside if isinstance(beside, Mapping) else {}):
        for name in _TEXT_FIELDS:
            found.fields.append(list(_field_pieces(name, holder.get(name), found)))
        details = holder.get(_DETAILS)
        if details is not None:
            found.fields.append(list(_detail_pieces(details, found)))
            found.payload.setdefault(_DETAILS, _copied(details))


def _field_pieces(name: str, value: object, found: _Reading) -> Iterator[_Piece]:
    """A reasoning field: text, or (LangChain) one item with a summary. Empty is absent."""
    if isinstance(value, Mapping):
        found.payload.setdefault(name, _copied(value))
        yield from _reasoning_pieces(value, found)
    elif isinstance(value, str):
        if value:
            yield _Piece("thinking", value)
    elif value is not None:
        found.payload.setdefault(name, _copied(value))
        found.faults.append(f"{name} is {_kind(value)}, not text")


def _detail_pieces(details: object, found: _Reading) -> Iterator[_Piece]:
    """OpenRouter's list; what was streamed in pieces under one index is one text."""
    if not isinstance(details, list):
        found.faults.append(f"{_DETAILS} is {_kind(details)}, not a list")
        return
    for number, detail in enumerate(details):
        if not isinstance(detail, Mapping):
            found.faults.append(f"{_DETAILS}[{number}] is {_kind(detail)}, not an object")
            continue
        index = detail.get("index")
        join = (str(detail.get("type")), index) if isinstance(index, int) else None
        yield _Piece("thinking", _block_text(detail), join)


def _keep_thoughts(message: Mapping[str, Any], found: _Reading) -> None:
    """Between tool calls a reasoning server wants its plain thoughts back under the same name.

    In other turns some servers refuse them, so there they are left out.
    """
    for name in _TEXT_FIELDS:
        if isinstance(value := message.get(name), str) and value:
            found.payload.setdefault(name, value)


# -- content ------------------------------------------------------------------------------------


def _read_content(content: object, found: _Reading) -> None:
    if isinstance(content, str):
        found.blocks.append(_Piece("output", content, "text"))
    elif isinstance(content, list):
        for number, block in enumerate(content):
            found.blocks += _block_pieces(number, block, found)
        if not all(_is_plain(block) for block in content):
            found.payload["content"] = _copied(content)
    elif content is not None:
        found.payload["content"] = _copied(content)
        found.faults.append(f"content is {_kind(content)}, neither text nor a list")


def _is_plain(block: object) -> bool:
    if isinstance(block, Mapping):
        return block.get("type") == "text" and block.keys() <= _PLAIN_TEXT
    return isinstance(block, str)


def _block_pieces(number: int, block: object, found: _Reading) -> Iterator[_Piece]:
    if isinstance(block, str):
        yield _Piece("output", block, "text")
        return
    if not isinstance(block, Mapping):
        found.faults.append(f"content[{number}] is {_kind(block)}, not an object")
        return
    kind = block.get("type")
    if not isinstance(kind, str):
        found.faults.append(f"content[{number}] has no type")
    elif kind in _REASONING_BLOCKS:
        yield from _reasoning_pieces(block, found)
    elif kind in _TEXT_BLOCKS:
        text = block.get("text", block.get("refusal"))
        if isinstance(text, str):
            yield _Piece("output", text, "text")
        else:
            found.faults.append(f"content[{number}] has no text")
    elif kind in _CALL_BLOCKS:
        found.calls.append(_call_of_block(block, found))
        yield _Piece("output", "", f"call {number}")


def _reasoning_pieces(block: Mapping[str, Any], found: _Reading) -> Iterator[_Piece]:
    """One reasoning block; redacted or encrypted, it is a section without text."""
    text = _block_text(block)
    known = any(block.get(name) is not None for name in (*_BLOCK_TEXTS, "data", "id"))
    if not text and not known and "encrypted_content" not in block:
        found.faults.append(f"a {block.get('type', 'reasoning')} block has no text")
    yield _Piece("thinking", text)


def _block_text(block: Mapping[str, Any]) -> str:
    for name in _BLOCK_TEXTS:
        value = block.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and (texts := [t for t in map(_part_text, value) if t]):
            return ("\n\n" if name == "summary" else "").join(texts)
    return ""


def _part_text(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else part
    return text if isinstance(text, str) else ""


# -- tool calls ---------------------------------------------------------------------------------


def _read_calls(message: Mapping[str, Any], found: _Reading) -> None:
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        known = {call.id for call in found.calls if call.id}
        for number, call in enumerate(calls):
            if not isinstance(call, Mapping):
                found.faults.append(f"tool_calls[{number}] is {_kind(call)}, not an object")
            elif (read := _call_of_message(call, found)).id not in known:
                found.calls.append(read)
    elif calls is not None:
        found.faults.append(f"tool_calls is {_kind(calls)}, not a list")
    old = message.get("function_call")
    if isinstance(old, Mapping):
        found.calls.append(_call("", old.get("name"), old.get("arguments"), found))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and not any(p.kind == "output" and p.text for p in found.blocks):
        found.blocks.append(_Piece("output", refusal, "text"))


def _call_of_message(call: Mapping[str, Any], found: _Reading) -> ToolCall:
    """OpenAI and Ollama nest name and arguments in ``function``; LangChain does not."""
    inner = call.get("function")
    holder = inner if isinstance(inner, Mapping) else call
    arguments = holder.get("arguments", holder.get("args"))
    return _call(call.get("id"), holder.get("name"), arguments, found)


def _call_of_block(block: Mapping[str, Any], found: _Reading) -> ToolCall:
    arguments = next((block[k] for k in ("input", "args", "arguments") if k in block), None)
    return _call(block.get("id") or block.get("call_id"), block.get("name"), arguments, found)


def _call(identity: object, name: object, arguments: object, found: _Reading) -> ToolCall:
    if not isinstance(name, str) or not name:
        found.faults.append("a tool call has no name")
    if arguments is None:
        arguments = ""
    elif not isinstance(arguments, str):
        try:
            arguments = json.dumps(arguments, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            found.faults.append(f"the arguments of {name!s:.40} are not JSON")
            arguments = ""
    return ToolCall(
        identity if isinstance(identity, str) else "",
        name if isinstance(name, str) else "",
        arguments,
    )


# -- from pieces to a transcript ------------------------------------------------------------------


def _once(found: _Reading) -> list[_Piece]:
    """All pieces in reading order; reasoning that is told twice counts once.

    Blocks win over fields (their order is known), then longer over shorter. White space makes no
    difference: aggregators join the same pieces in different ways.
    """
    heard = [_squeezed(p for p in found.blocks if p.kind == "thinking")]
    fresh: set[int] = set()
    told = {number: _squeezed(pieces) for number, pieces in enumerate(found.fields) if pieces}
    for number in sorted(told, key=lambda n: -len(told[n])):
        if not told[number] or not any(told[number] in text for text in heard):
            fresh.add(number)
            heard.append(told[number])
    return [p for n in sorted(fresh) for p in found.fields[n]] + found.blocks


def _squeezed(pieces: Iterable[_Piece]) -> str:
    return "".join("".join(p.text for p in pieces).split())


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Neighbours that are one text become one piece; empty text is no answer."""
    texts: list[list[str]] = []
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and piece.join is not None and (piece.kind, piece.join) == (last.kind, last.join):
            texts[-1].append(piece.text)
        else:
            merged.append(replace(piece))
            texts.append([piece.text])
    for piece, parts in zip(merged, texts, strict=True):
        piece.text = "".join(parts)
    return [p for p in merged if p.kind == "thinking" or p.text]


def _apart(pieces: list[_Piece], calls: bool) -> Transcript:
    """Sections exactly as the message has them; nothing is scanned."""
    sections: list[Section] = []
    at = 0
    for piece in pieces:
        sections.append(Section(piece.kind, piece.text, at, at + len(piece.text)))
        at += len(piece.text)
    answered = calls or any(p.kind == "output" and p.text.strip() for p in pieces)
    issues = () if answered else (Issue("missing_output", at, "no visible text"),)
    return Transcript(tuple(sections), issues, source="".join(p.text for p in pieces))


def _part(piece: _Piece, dialect: Dialect) -> Transcript:
    if piece.kind == "output":
        return parse(piece.text, dialect)
    section = Section("thinking", piece.text, 0, len(piece.text))
    return Transcript((section,), source=piece.text)


def _joined(parts: list[Transcript]) -> Transcript:
    """One transcript of several, positions and section numbers running on."""
    sections: list[Section] = []
    issues: list[Issue] = []
    at = 0
    for part in parts:
        first = len(sections)
        sections += [_moved(section, first, at) for section in part.sections]
        kept = (issue for issue in part.issues if issue.kind != "missing_thinking")
        issues += [replace(issue, position=issue.position + at) for issue in kept]
        at += len(part.source)
    return Transcript(tuple(sections), tuple(issues), source="".join(p.source for p in parts))


def _moved(section: Section, first: int, at: int) -> Section:
    parent = None if section.parent is None else section.parent + first
    return replace(section, start=section.start + at, end=section.end + at, parent=parent)


def _copied(value: Any) -> Any:
    """A deep copy of a JSON value, however deep it is: what is kept cannot be changed outside."""
    root: list[Any] = [value]
    todo: list[tuple[Any, Any]] = [(root, 0)]
    seen: dict[int, Any] = {}
    while todo:
        holder, key = todo.pop()
        old = holder[key]
        if not isinstance(old, (Mapping, list)):
            continue
        new = seen.get(id(old))
        if new is None:
            new = seen[id(old)] = dict(old) if isinstance(old, Mapping) else list(old)
            todo += ((new, k) for k in (new if isinstance(new, dict) else range(len(new))))
        holder[key] = new
    return root[0]
