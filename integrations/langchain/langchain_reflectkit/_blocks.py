"""reflectkit's events to LangChain's content blocks: no I/O.

Reasoning has an index that begins with ``lc_``, so that tool calls, which have numbers, never fall
into it; its ``extras`` come with the first piece alone, since joining adds strings together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from reflectkit import Accepted, AttemptEnded, AttemptStarted, Corrected, Retracted, SectionDelta

if TYPE_CHECKING:
    from reflectkit import Attempt, Event

__all__ = ["Blocks", "joined"]

Block = dict[str, Any]
_REASONING: Final = ("thinking", "reflection")
#: with these, the rest of an answer becomes certain
_ENDS: Final = (AttemptEnded, Accepted)


class Blocks:
    """Turns the events of one call into pieces of blocks, in order.

    ``reasoning=False`` leaves everything out but the answer. A section of nothing but white space
    makes no block. What an attempt answered that no longer counts is a reasoning block of the
    section ``draft``: the answer's own text is never taken back.
    """

    def __init__(self, *, reasoning: bool = True) -> None:
        self._shown = reasoning
        self._number = 0
        self._answer = ""
        #: index of the open reasoning block
        self._index = ""
        self._attempt = 1
        #: which section the open block belongs to
        self._open: object = None
        #: white space at the beginning of a section that has said nothing yet
        self._held: str | None = None
        self._source: list[str] = []

    def feed(self, event: Event, attempts: Callable[[], Sequence[Attempt]]) -> Block | None:
        """The reasoning that one event gives. ``attempts`` tells those that are over."""
        if not self._shown:
            return None
        if isinstance(event, SectionDelta):
            self._source.append(event.text)
            return self._reasoning(event.index, event.kind, event.text)
        if isinstance(event, Retracted):
            drafts = [a.transcript.output for a in attempts() if a.number == event.number]
            return self._reasoning(event, "draft", drafts[0]) if drafts else None
        if isinstance(event, AttemptStarted):
            self._attempt, self._open, self._source = event.number, None, []
            return None
        if isinstance(event, Corrected):
            return self._late(event)
        self._source.append(event.source if hasattr(event, "source") else "")
        return None

    def answers(self, event: Event) -> bool:
        """Whether answer text may be taken now. What came at once is read at once, so that it may
        be there before the events of the thinking that it followed have passed."""
        if isinstance(event, SectionDelta):
            if event.kind in _REASONING:
                return False
            self._source.append(event.text)
            return True
        return isinstance(event, _ENDS)

    def answer(self, text: str) -> Block:
        """A piece of the answer, which is one block wherever its pieces stand."""
        if not self._answer:
            self._number += 1
            self._answer = f"lc_rk_{self._number}"
        self._open = "answer"
        return {"type": "text", "text": text, "index": self._answer}

    def _reasoning(self, key: object, section: str, text: str) -> Block | None:
        if self._open != (section, key):
            self._open, self._held = (section, key), ""
        extras: dict[str, Any] = {}
        if self._held is not None:
            text = self._held + text
            if not text.strip():
                self._held = text
                return None
            self._held = None
            self._number += 1
            self._index = f"lc_rk_{self._number}"
            extras = {"extras": {"section": section, "attempt": self._attempt}}
        return {"type": "reasoning", "reasoning": text, "index": self._index, **extras}

    def _late(self, event: Corrected) -> Block | None:
        """Text that turns out to be thinking, where it has not been shown as such."""
        if event.now not in _REASONING or event.was in _REASONING:
            return None
        text = "".join(self._source)[event.start : event.end]
        return self._reasoning(event, str(event.now), text)


def joined(pieces: Iterable[Block]) -> str | list[Any]:
    """The blocks that the pieces make, as one message has them; text alone is a string."""
    blocks: dict[str, Block] = {}
    for piece in pieces:
        whole = blocks.setdefault(piece["index"], piece)
        if whole is not piece:
            field = piece["type"]
            whole[field] += piece[field]
    found = list(blocks.values())
    if all(b["type"] == "text" for b in found):
        return "".join(b["text"] for b in found)
    return found
