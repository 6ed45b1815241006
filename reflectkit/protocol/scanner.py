"""Finding delimiters in text: whole ones, and beginnings that may still become whole.

Everything here is compiled once per dialect. No pattern can backtrack: repetitions are bounded and
possessive, so every search is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .states import LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..events import Kind
    from .dialect import Delimiters, Match

__all__ = ["MAX_TAG", "Lexicon", "Scan", "compile_lexicon"]

#: A longer tag or delimiter is text. This bounds what a parser may hold back (characters).
MAX_TAG: Final = 256

#: Code in the text of an answer: a whole span of the plainest kind, or a run that may begin a span
#: or fence. Alternatives begin with a fixed character, which lets the engine skip plain text.
_CODE: Final = r"|`(?P<span>[^`\n]++`(?=[^`]))|`(?P<ticks>`*+)|~(?P<tildes>~*+)"

Signals = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """What to look for in one state.

    ``tags`` finds the leftmost whole delimiter, the longest one there; ``answer`` finds code
    marks as well. ``starts`` are the characters without which no delimiter can begin, and
    ``begins`` finds the first three characters of one, or what may become them.
    ``hold(text, at)`` is where a beginning of a delimiter stands at the end of the text, else its
    length; ``sure`` says that none can stand there before a whole delimiter, or be one that is
    longer. ``signals`` says what a match means.
    """

    tags: re.Pattern[str]
    answer: re.Pattern[str]
    starts: tuple[str, ...]
    begins: re.Pattern[str]
    hold: Callable[[str, int], int]
    signals: Callable[[re.Match[str]], Signals]
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The scans of a dialect: anywhere, inside output, inside a call; and output's closers alone,
    to tell which fragment at the very end could have become a tag."""

    anywhere: Scan
    output: Scan
    call: Scan
    closing: Scan


#: A spelling and what it says: ("<thinking>", "+T").
Entry = tuple[str, str]


def compile_lexicon(sections: Mapping[Kind, Delimiters], match: Match) -> Lexicon:
    """Compile the scans of a dialect's sections."""
    make = {"literal": _literal, "xml": _xml, "channels": _channels}[match]
    entries = list(_entries(sections))
    if match == "channels":
        entries.append(("<|call|>", "-C"))
        entries += [(closer, "-C") for closer in ("<|end|>", "<|return|>")]
    return Lexicon(
        anywhere=make(entries),
        output=make([e for e in entries if e[1][-1] == "O"]),
        call=make([e for e in entries if e[1] != "-O"]),
        closing=make([e for e in entries if e[1] == "-O"]),
    )


def _entries(sections: Mapping[Kind, Delimiters]) -> Iterable[Entry]:
    for kind, delimiters in sections.items():
        letter = LETTERS[kind]
        for sign, spellings in (("+", delimiters.open), ("-", delimiters.close)):
            for spelling in spellings:
                yield spelling, sign + letter


def _meanings(entries: Iterable[Entry]) -> dict[str, Signals]:
    table: dict[str, Signals] = {}
    for spelling, signal in entries:
        table[spelling] = (*table.get(spelling, ()), signal)
    return table


def _either(spellings: Iterable[str]) -> str:
    """Alternatives, the longest first; a pattern that never matches if there are none."""
    ordered = sorted(set(spellings), key=len, reverse=True)
    return "|".join(map(re.escape, ordered)) or r"(?!)"


def _beginnings(word: str) -> str:
    """A pattern for every beginning of ``word``, the empty one and the whole word included."""
    return "".join(f"(?:{re.escape(c)}" for c in word) + ")?" * len(word)


def _first(spellings: Iterable[str]) -> re.Pattern[str]:
    """Finds the beginnings of spellings: three characters, or fewer at the end of the text."""
    heads = {re.escape(s[:3]) for s in spellings}
    ends = {re.escape(s[:k]) + r"\Z" for s in spellings for k in (1, 2)}
    return re.compile("|".join(sorted(heads) + sorted(ends)) or r"(?!)", re.IGNORECASE)


# --- literal delimiters


def _literal(entries: list[Entry]) -> Scan:
    table = _meanings(entries)
    pattern = _either(table)
    return Scan(
        tags=re.compile(pattern),
        answer=re.compile(pattern + _CODE),
        starts=tuple(sorted({spelling[0] for spelling in table})),
        begins=_first(table),
        hold=_hold_prefix(table),
        signals=lambda found: table[found[0]],
    )


def _hold_prefix(spellings: Iterable[str]) -> Callable[[str, int], int]:
    beginnings = frozenset(s[:k] for s in spellings for k in range(1, len(s)))
    longest = max(map(len, beginnings), default=0)

    def hold(text: str, at: int) -> int:
        end = len(text)
        places = range(max(at, end - longest), end)
        return next((i for i in places if text[i:] in beginnings), end)

    return hold


# --- tags


def _xml(entries: list[Entry]) -> Scan:
    table = _meanings(
        (("/" if signal[0] == "-" else "") + name, signal) for name, signal in entries
    )
    # Among ASCII names only ASCII letters are the same without case: a dotless i is no i.
    group = "(?a:" if all(map(str.isascii, table)) else "(?:"
    names = group + "|".join(_tag_names(table)) + ")"
    pattern = rf"<(?=[^<>]{{0,{MAX_TAG - 2}}}+>)({names})(?:\s[^<>]*+|/)?>"
    begun = group + "|".join(_beginnings(name) for name in sorted(table)) + ")"
    partial = re.compile(rf"<(?:{begun}|{names}(?:\s[^<>]*+|/)?)", re.IGNORECASE)

    def hold(text: str, at: int) -> int:
        end = len(text)
        start = text.rfind("<", max(at, end - MAX_TAG + 1))
        return start if start >= 0 and partial.fullmatch(text, start) else end

    return Scan(
        tags=re.compile(pattern, re.IGNORECASE),
        answer=re.compile(pattern + _CODE, re.IGNORECASE),
        starts=("<",),
        begins=_first([f"<{name}" for name in table]),
        hold=hold,
        signals=_tag_meaning(table),
        sure=True,
    )


def _tag_meaning(table: Mapping[str, Signals]) -> Callable[[re.Match[str]], Signals]:
    """What a tag's name means. Beyond ASCII, a pattern without case takes a few letters for others
    (a final sigma for a sigma) that ``lower`` keeps apart: then the pattern decides."""
    alike = [(re.compile(re.escape(name), re.IGNORECASE), said) for name, said in table.items()]

    def signals(found: re.Match[str]) -> Signals:
        name = found[1]
        said = table.get(name.lower())
        return said or next(said for pattern, said in alike if pattern.fullmatch(name))

    return signals


def _tag_names(table: Iterable[str]) -> list[str]:
    return [re.escape(name) for name in sorted(table, key=len, reverse=True)] or [r"(?!)"]


# --- channels: a header opens a message, a terminator closes it

_START: Final = r"<\|start\|>[^<]{0,80}+"
_CHANNEL: Final = r"<\|channel\|>"
_HEADER: Final = (
    rf"(?P<role>{_START})?+{_CHANNEL}\s{{0,8}}+(?P<channel>%s)\b[^<]{{0,60}}+"
    r"(?:<\|constrain\|>[^<]{0,40}+)?+<\|message\|>"
)
_NO_CHANNEL: Final = rf"(?P<plain>{_START})<\|message\|>"


def _channels(entries: list[Entry]) -> Scan:
    closers = _meanings(e for e in entries if e[1][0] == "-")
    names = {spelling: "=" + signal[1] for spelling, signal in entries if signal[0] == "+"}
    header = _HEADER % _either(names) + "|" + _NO_CHANNEL if names else r"(?!)"
    pattern = f"{header}|(?P<closer>{_either(closers)})"
    partial = re.compile(rf"(?:{_partial_header(closers)})\Z")

    def hold(text: str, at: int) -> int:
        found = partial.search(text, max(at, len(text) - MAX_TAG + 1))
        return found.start() if found else len(text)

    def signals(found: re.Match[str]) -> Signals:
        if found["closer"]:
            return closers[found["closer"]]
        if "to=" in found[0]:
            return ("=C",)
        return (names[found["channel"]] if found["channel"] else "=O",)

    return Scan(
        tags=re.compile(pattern),
        answer=re.compile(pattern + _CODE),
        starts=("<",),
        begins=_first(["<|start|>", "<|channel|>", *closers]),
        hold=hold,
        signals=signals,
    )


def _partial_header(closers: Iterable[str]) -> str:
    """Every beginning of a header or a terminator, at least one character long."""
    after_role = rf"{_beginnings('<|channel|>')}|{_beginnings('<|message|>')}"
    after_channel = rf"{_beginnings('<|constrain|>')}|{_beginnings('<|message|>')}"
    channel = rf"(?:{_START})?+{_CHANNEL}[^<]{{0,80}}+"
    words = ["<|start|>", "<|channel|>", *closers]
    return "|".join(
        (
            rf"{_START}(?:{after_role})\Z",
            rf"{channel}<\|constrain\|>[^<]{{0,40}}+{_beginnings('<|message|>')}\Z",
            rf"{channel}(?:{after_channel})\Z",
            *(rf"(?=<){_beginnings(word)}\Z" for word in words),
        )
    )
