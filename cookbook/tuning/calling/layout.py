"""A conversation as the chat template writes it, in pieces that say what of it is learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from render import Piece
from samples import END, START, header

from .format import CLOSE, OPEN
from .questions import Call
from .tools import Parameter, Tool

#: loss weights of what is decided, and of what is chosen with it
DECISION, CHOICE = 4.0, 2.0


@dataclass(frozen=True)
class Turn:
    """A message. Of an assistant's, the first `silent` characters are not learned, and the next
    one only by `hint`; without `learned` nothing of it is."""

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()
    silent: int = 0
    hint: float = 1.0
    learned: bool = True

    def wire(self) -> dict[str, Any]:
        """The message as the OpenAI API has it."""
        found: dict[str, Any] = {"role": self.role, "content": self.text}
        if self.calls:
            found["tool_calls"] = [
                {"id": f"call_{i}", "type": "function",
                 "function": {"name": call.name, "arguments": call.text}}
                for i, call in enumerate(self.calls)
            ]  # fmt: skip
            found["content"] = self.text or None
        return found


def kind(p: Parameter) -> str:
    """A parameter's type, in the list of tools."""
    known = {"enum": "|".join(p.choices), "array": "array of string"}
    return known.get(p.kind, p.kind)


def listing(tools: Sequence[Tool]) -> str:
    """The message that lists the tools; "" for none."""
    if not tools:
        return ""
    lines = []
    for tool in tools:
        about = f": {tool.description}" if tool.description else ""
        lines += [tool.name.replace("_", " ") + about, f"# {tool.name}"]
        for p in tool.parameters:
            about = f": {p.description}" if p.description else ""
            lines.append(f"- {p.name} ({kind(p)}{'' if p.required else ', optional'}){about}")
    return header("tools") + "\n".join(lines) + "\n" + END


def written(turn: Turn) -> str:
    """What stands between a message's header and its end."""
    calls = [f'{OPEN}\n{{"name": "{c.name}", "arguments": {c.text}}}\n{CLOSE}' for c in turn.calls]
    return "\n".join([*([turn.text] if turn.text else []), *calls])


def pieces(tools: Sequence[Tool], turns: Sequence[Turn]) -> list[Piece]:
    """The whole text; assistants' messages are learned."""
    first = turns[0].role == "system"
    found = [Piece(START, 0.0), *turn_pieces(turns[0])] if first else [Piece(START, 0.0)]
    if tools:
        found.append(Piece(listing(tools), 0.0))
    for turn in turns[1:] if first else turns:
        found += turn_pieces(turn)
    return found


def turn_pieces(turn: Turn) -> list[Piece]:
    """One message with its header and its end."""
    if turn.role != "assistant" or not turn.learned:
        return [Piece(f"{header(turn.role)}{written(turn)}{END}", 0.0)]
    head, end = Piece(header(turn.role), 0.0), Piece(END)
    if not turn.silent:
        return [head, *emphasised(turn), end]
    text, cut = written(turn), turn.silent
    parts = [Piece(text[:cut], 0.0), Piece(text[cut : cut + 1], turn.hint), Piece(text[cut + 1 :])]
    return [head, *(p for p in parts if p.text), end]


def emphasised(turn: Turn) -> list[Piece]:
    """What an assistant wrote; where it decides something, that is learned harder.

    Most bytes of a call follow from the one before. What does not: whether to call, which tool,
    which parameter is next, and where a value begins.
    """
    found = [Piece(turn.text[:1], DECISION), Piece(turn.text[1:])] if turn.text else []
    for call in turn.calls:
        found += [Piece("\n")] if found else []
        found += [Piece(OPEN, DECISION), Piece('\n{"name": "'), Piece(call.name, DECISION)]
        found += [Piece('", "arguments": {'), *_arguments(call), Piece(f"}}}}\n{CLOSE}")]
    return [p for p in found if p.text]


def _arguments(call: Call) -> list[Piece]:
    found: list[Piece] = []
    for name, value in call.arguments.items():
        text = json.dumps(value, ensure_ascii=False)
        start = 3 if isinstance(value, str) else 2
        found += [Piece(", ")] if found else []
        found += [Piece(f'"{name}": ', CHOICE), Piece(text[:start], DECISION)]
        found += [Piece(text[start:], CHOICE)]
    return found
