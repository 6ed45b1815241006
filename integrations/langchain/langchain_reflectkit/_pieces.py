"""What a message of any LangChain model says, piece by piece and in order: text and reasoning.

Blocks of the v0 and v1 shapes, the keyword fields of older adapters, and plain text are read. What
a vendor has marked as reasoning is never written back into tags: text could forge them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from langchain_core.messages import BaseMessage

from ._messages import PROVIDER

__all__ = ["OWN_INDEX", "Piece", "PieceKind", "Pieces"]

#: ``draft`` is the answer of an attempt that was rejected
PieceKind = Literal["text", "thinking", "reflection", "draft"]

#: how the indexes of our own chat model's blocks begin
OWN_INDEX: Final = "lc_rk_"

_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")
_SECTIONS: Final[Mapping[str, PieceKind]] = {
    "thinking": "thinking",
    "reflection": "reflection",
    "draft": "draft",
}


class Piece(NamedTuple):
    """Some text of a message. ``block`` tells apart neighbours of one kind (None: nothing does)."""

    kind: PieceKind
    text: str
    block: object = None


class Pieces:
    """Reads one answer, whole or chunk by chunk; it remembers what its blocks are."""

    def __init__(self) -> None:
        self._blocks: dict[object, PieceKind] = {}
        self._told = False
        #: it is an answer of our own chat model, whose text is the answer and nothing else
        self.own = False

    def read(self, message: str | BaseMessage) -> list[Piece]:
        """The pieces that a message or chunk adds."""
        if isinstance(message, str):
            return [Piece("text", message)] if message else []
        content = message.content
        if message.response_metadata.get("model_provider") == PROVIDER:
            self.own = True
        pieces = list(self._fields(message.additional_kwargs)) if message.additional_kwargs else []
        if isinstance(content, str):
            return [*pieces, Piece("text", content)] if content else pieces
        blocks = [p for block in content for p in self._block(block)]
        if any(p.kind != "text" for p in blocks):  # blocks know their order, fields do not
            self._told, pieces = True, []
        return pieces + blocks

    def _fields(self, beside: Mapping[str, Any]) -> Iterator[Piece]:
        for name in _FIELDS:
            text = beside.get(name)
            if isinstance(text, Mapping):  # an item with a summary
                text = "\n\n".join(t for t in map(_part, text.get("summary") or ()) if t)
            if isinstance(text, str) and text and not self._told:
                yield Piece("thinking", text)
                return

    def _block(self, block: str | Mapping[str, Any]) -> Iterator[Piece]:
        if isinstance(block, str):
            if block:
                yield Piece("text", block)
            return
        kind, index = block.get("type"), block.get("index")
        value: Any = block.get("value")
        said: Mapping[str, Any] = block
        if kind == "non_standard" and isinstance(value, Mapping):
            said, kind = value, value.get("type")
        if isinstance(index, str) and index.startswith(OWN_INDEX):
            self.own = True
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is None:
            return
        if text := read(said):
            yield Piece(self._kind(str(kind), said, index), text, index)

    def _kind(self, kind: str, block: Mapping[str, Any], index: object) -> PieceKind:
        if kind in _TEXTS:
            return "text"
        extras = block.get("extras")
        section = extras.get("section") if isinstance(extras, Mapping) else None
        found = _SECTIONS.get(section) if isinstance(section, str) else None
        if index is None:
            return found or "thinking"
        if found is not None:
            self._blocks[index] = found
        return self._blocks.setdefault(index, "thinking")


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else part
    return text if isinstance(text, str) else ""


def _of(*names: str) -> Callable[[Mapping[str, Any]], str]:
    """The text under the first of ``names`` that has one: a text, or a list of parts with text."""

    def read(block: Mapping[str, Any]) -> str:
        for name in names:
            value = block.get(name)
            if isinstance(value, Mapping):
                value = value.get("text")
            if isinstance(value, str) and value:
                return value
            if isinstance(value, list) and (texts := [t for t in map(_part, value) if t]):
                return ("\n\n" if name == "summary" else "").join(texts)
        return ""

    return read


_TEXTS: Final = ("text", "output_text", "refusal")
#: a block's type -> its text. Types that are not here (calls, images, signed data) say nothing.
_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "text": _of("text"),
    "output_text": _of("text"),
    "refusal": _of("refusal", "text"),
    "reasoning": _of("reasoning", "summary", "content", "text"),
    "thinking": _of("thinking"),
    "reasoning_content": _of("reasoning_content"),
}
