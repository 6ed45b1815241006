"""What comes of a request that sees to an answer after thinking was cut. Pure.

Servers that are to go on from a prefix may repeat it, or drop it and begin anew; servers that are
asked for the answer may think again. None of that may reach the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from ..messages import Chunk
from ..protocol import Parser
from ..protocol.render import marks
from .gate import words_of
from .meter import Caps, Meter, Tally, size

if TYPE_CHECKING:
    from ..protocol import Dialect

__all__ = ["ANSWER_NOW", "EXTEND", "HINT", "Asked", "Continued", "Through", "stated"]

#: The turn that asks for the answer.
ANSWER_NOW: Final = "Stop thinking. Give your final answer now, and nothing else."
#: What a question ends with where the model is told how much it may think.
HINT: Final = "Think in about {tokens} tokens at most, then answer."
#: What thinking that ended too soon is gone on with (budget forcing, Muennighoff et al. 2025, s1),
#: where the dialect has no reflections; where it has, one is opened.
EXTEND: Final = "\nWait, "

#: Results that thinking states, the surest first: boxed, called the answer, behind an equals sign.
_STATED: Final = (
    re.compile(r"\\boxed\{([^{}\n]{1,80})\}"),
    re.compile(r"\banswer(?:\s+is|:)\s*\**([^\n.;<*]{1,60}(?:\.\d+)?)", re.I),
    re.compile(r"(?:=|\bis)\s*(-?\d[\d,]*(?:\.\d+)?)"),
)


class Through(Protocol):
    """Stands between a backend's chunks and the gate."""

    over: bool

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """What of the chunk goes on to the gate."""
        ...


class Continued:
    """The answer to a request whose prefix ends where the answer begins.

    ``prefix`` is taken out where the server repeats it. Nothing passes before the answer says
    something. ``dropped``: it began to think instead, so the prefix was not gone on from.
    """

    def __init__(self, prefix: str, dialect: Dialect) -> None:
        self._prefix = prefix.lstrip()
        self._words = words_of(dialect)
        self._opener, self._closer = marks("output", dialect)
        self._held = ""
        self._begun = False
        self.dropped = False
        self.over = False

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """What of the chunk is the answer's."""
        if chunk.reasoning:
            self.dropped = self.over = not self._begun
            return []
        text = self._begin(chunk.text) if not self._begun else self._held + chunk.text
        final = chunk.finish is not None
        words, self._held = self._words.split(text, final=final)
        passed = ""
        for word in words:
            if self._words.opens_thinking(word):
                self.over, self.dropped = True, not (self._begun or passed.strip())
                break
            passed += word
        if not self._begun and not self._says(passed, final=final):
            self._held = "" if self.over else passed + self._held
            return [replace(chunk, text="", reasoning="")] if chunk.usage or chunk.finish else []
        self._begun = True
        return [replace(chunk, text=passed, reasoning="")]

    def _begin(self, text: str) -> str:
        """The text so far, without the prefix and the answer's own opener."""
        text = (self._held + text).lstrip()
        if text.startswith(self._prefix):
            text = text[len(self._prefix) :].lstrip()
        return text.removeprefix(self._opener) if self._opener else text

    def _says(self, text: str, *, final: bool) -> bool:
        """There is more than blanks, more than a prefix or an end that may be coming."""
        text = text.strip()
        ends = bool(self._closer) and (
            text.startswith(self._closer) or self._closer.startswith(text)
        )
        return bool(text) and not ends and (final or not self._prefix.startswith(text))


class Asked:
    """The answer to a turn that asked for it: gathered, because it may think first.

    It may have ``most`` tokens; ``thinking`` of them may be thinking (None: any). A server that
    ignores its own cap is left when it has written twice as many.
    """

    def __init__(
        self,
        dialect: Dialect,
        count: Callable[[str], int],
        most: int,
        thinking: int | None = None,
    ) -> None:
        self._dialect = dialect
        self._parser = Parser(dialect)
        self._apart = Tally(count)
        self._allowed = thinking
        cap = None if thinking is None else thinking + 1
        self._meter = Meter(Caps(thinking=cap, eager=False, completion=2 * most), count)
        self.over = False

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """Nothing goes on."""
        if chunk.text:
            self._meter.charge(self._parser.feed(chunk.text))
        if chunk.reasoning:
            self._apart.add(chunk.reasoning, size(chunk.reasoning))
        self.over = self._meter.due() is not None or self._thinks_too_long
        return []

    @property
    def _thinks_too_long(self) -> bool:
        allowed, apart = self._allowed, self._apart
        return allowed is not None and apart.most > allowed and apart.tokens() > allowed

    @property
    def answer(self) -> str:
        """The answer, without any thinking and without tags; "" if there is none."""
        known = words_of(self._dialect)
        text = self._parser.transcript.output
        words = known.split(text, final=True)[0]
        return "".join(w for w in words if not known.delimits(w)).strip()


def stated(thought: str) -> str:
    """The last result that thinking states; "" if it states none."""
    for pattern in _STATED:
        if found := pattern.findall(thought):
            return str(found[-1]).strip()
    return ""
