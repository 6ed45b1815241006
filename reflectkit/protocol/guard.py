"""Untrusted text that cannot pass for the protocol, and the way back for display.

A user's question, a retrieved page or a tool's result may hold ``</thinking><output>…`` or
``<|eot_id|>``. Put into a prompt as it is, it can become control tokens there, or be copied by the
model into its answer and be read as its structure. ``neutralise`` puts an invisible character (the
*mark*) behind the first character of everything that is, or at the end of the text could become,
a delimiter. ``restore`` takes it out again.

Both rest on one rule. Let F be the first characters of all delimiters. Behind a character of F,
``neutralise`` puts one mark if a mark stands there already, or if a delimiter begins there;
``restore`` takes one mark away behind every character of F that has one. So they are exact
inverses for every text, with marks in it or not; pieces may be treated apart and joined, in any
split; and a second ``neutralise`` adds a second layer, which a second ``restore`` removes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .dialects import find_dialect

if TYPE_CHECKING:
    from .dialect import Dialect

__all__ = ["CONTROL_TOKENS", "neutralise", "restore"]

#: Control tokens of common chat templates, spelt as a tokeniser would take them for real. Besides
#: these, everything that begins like ``<|name`` is taken for one.
CONTROL_TOKENS: Final = (
    "<|eot_id|>",
    "<｜User｜>",
    "<channel|>",
    "<turn|>",
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<sop>",
    "<unk>",
    "<pad>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[gMASK]",
    "<start_of_turn>",
    "<end_of_turn>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<seed:bos>",
    "<seed:eos>",
)
_CONTROL_START: Final = r"<(?=[|｜]\w)"

#: Marks to choose from: the first that no delimiter contains. WORD JOINER is invisible, breaks no
#: line, and is not white space.
_MARKS: Final = ("\u2060", "\u2063", "\u200b", "\ufeff", "\ue000", "\ue001", "\ue002")
#: For delimiters of one character, which a mark cannot break: private characters spell them.
_PRIVATE: Final = range(0xF0000, 0xFFFFE)


def neutralise(text: str, dialect: str | Dialect = "reflection") -> str:
    """``text`` with nothing in it that passes for markup of ``dialect`` or for a control token.

    Parsed in that dialect the result is text and nothing else, also when it is followed by more
    text, or when the pieces of a stream were treated one by one. The cost is linear. It guards
    against text that imitates markup, not against text that merely asks a model to obey it.

    Raises ``ConfigurationError`` for an unknown dialect.
    """
    return _guard_for(dialect).neutralise(text)


def restore(text: str, dialect: str | Dialect = "reflection") -> str:
    """The original of neutralised text, to show it to people. Never parse what comes out.

    ``restore(neutralise(text, d), d) == text`` for every text and dialect.
    """
    return _guard_for(dialect).restore(text)


def _guard_for(dialect: str | Dialect) -> _Guard:
    found = find_dialect(dialect)
    spellings = tuple(s for sides in found.sections.values() for s in (*sides.open, *sides.close))
    return _guard(spellings, found.match)


@dataclass(frozen=True, slots=True)
class _Guard:
    mark: str
    #: longest delimiters first; folded when the dialect does not tell cases apart
    delimiters: tuple[str, ...]
    folds: bool
    begins: re.Pattern[str]
    marked: re.Pattern[str]
    code: _Code | None

    def neutralise(self, text: str) -> str:
        if self.code:
            text = self.code.encode(text)
        broken = self.begins.sub(rf"\g<0>{self.mark}", text)
        return self._tail(broken)

    def restore(self, text: str) -> str:
        text = self.marked.sub(r"\1", text)
        return self.code.decode(text) if self.code else text

    def _tail(self, text: str) -> str:
        """Break every beginning of a delimiter with which the text ends."""
        longest = max(map(len, self.delimiters), default=1)
        start = max(0, len(text) - longest)
        tail = "".join(map(_folded, text[start:])) if self.folds else text[start:]
        cuts = [i for i in range(len(tail)) if self._could_become(tail[i:])]
        for cut in reversed(cuts):
            at = start + cut + 1
            text = f"{text[:at]}{self.mark}{text[at:]}"
        return text

    def _could_become(self, end: str) -> bool:
        return any(d.startswith(end) and len(d) > len(end) for d in self.delimiters)


@dataclass(frozen=True, slots=True)
class _Code:
    """Spells single characters with private ones, reversibly."""

    spelt: dict[str, str]
    plain: dict[str, str]
    find: re.Pattern[str]
    unfind: re.Pattern[str]

    def encode(self, text: str) -> str:
        return self.find.sub(lambda m: self.spelt[m[0]], text)

    def decode(self, text: str) -> str:
        return self.unfind.sub(lambda m: self.plain[m[0]], text)


@lru_cache(maxsize=64)
def _guard(spellings: tuple[str, ...], match: str) -> _Guard:
    folds = match == "xml"
    own = _OWN[match](spellings)
    every = tuple(dict.fromkeys([*own, *CONTROL_TOKENS]))
    used = "".join(every)
    long = sorted((d for d in every if len(d) > 1), key=len, reverse=True)
    mark = next(_unused(used))
    firsts = "".join(re.escape(c) for c in dict.fromkeys(d[0] for d in long))
    tails = "|".join(_lookaheads(long, mark))
    return _Guard(
        mark=mark,
        delimiters=tuple("".join(map(_folded, d)) if folds else d for d in long),
        folds=folds,
        begins=re.compile(f"{_CONTROL_START}|{tails}", re.IGNORECASE if folds else 0),
        marked=re.compile(f"([{firsts}]){mark}"),
        code=_code([d for d in every if len(d) == 1], used + mark),
    )


def _tag_starts(names: Iterable[str]) -> list[str]:
    """What a tag begins with; what follows the name is not looked at, to be on the safe side."""
    return [f"{start}{name}" for name in names for start in ("<", "</")]


def _no_names(spellings: Iterable[str]) -> list[str]:
    """Of a channel protocol, the tokens: a channel's name alone is a word like any other."""
    return [s for s in spellings if s.startswith("<|")]


_OWN: Final[dict[str, Callable[[Iterable[str]], list[str]]]] = {
    "xml": _tag_starts,
    "literal": list,
    "channels": _no_names,
}


def _folded(letter: str) -> str:
    """Without case, one letter for one: every letter that a reader may take for another."""
    letter = {"İ": "i", "ı": "i"}.get(letter, letter)
    folded = letter.casefold()
    return folded if len(folded) == 1 else letter


def _lookaheads(delimiters: list[str], mark: str) -> Iterator[str]:
    """One alternative for each first character: it, if a mark or a delimiter's rest follows."""
    for first in dict.fromkeys(d[0] for d in delimiters):
        rests = [re.escape(d[1:]) for d in delimiters if d[0] == first]
        yield f"{re.escape(first)}(?=(?:{'|'.join([mark, *rests])}))"


def _unused(used: str) -> Iterator[str]:
    yield from (c for c in (*_MARKS, *map(chr, _PRIVATE)) if c not in used)


def _code(singles: list[str], used: str) -> _Code | None:
    if not singles:
        return None
    free = (c for c in map(chr, _PRIVATE) if c not in used)
    escape = next(free)
    spelt = {escape: escape * 2} | {c: escape + next(free) for c in singles}
    plain = {v: k for k, v in spelt.items()}
    return _Code(
        spelt,
        plain,
        re.compile("|".join(map(re.escape, spelt))),
        re.compile("|".join(map(re.escape, plain))),
    )
