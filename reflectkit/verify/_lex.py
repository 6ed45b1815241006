"""Arithmetic as people and models write it, cut into tokens. Positions are those of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

__all__ = ["Token", "exact", "tokens"]

#: ``unit`` is a word, ``mark`` currency and other decoration, ``times`` an x that may be one;
#: ``bad`` makes what touches it unreadable, ``end`` is a boundary between readable things.
Kind = Literal[
    "number", "op", "open", "close", "equals", "about", "percent", "word", "per", "mark", "times",
    "bad", "end",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One token. ``value`` and ``places`` (digits after the point) are a number's."""

    kind: Kind
    text: str
    start: int
    end: int
    value: Fraction = Fraction(0)
    places: int = 0


MOST_DIGITS: Final = 40
_DASHES: Final = "-−–"
_OPS: Final = {
    **dict.fromkeys(_DASHES, "-"),
    **dict.fromkeys(("*", "×", "·", "⋅", "∗", "✕", "✖", "\\times", "\\cdot", "\\ast"), "*"),
    **dict.fromkeys(("/", "÷", "\\div", "∕", "⁄"), "/"),
    **dict.fromkeys(("^", "**"), "^"),
    "+": "+",
}
_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_VULGAR: Final = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8),
}  # fmt: skip

#: In order of precedence. Every part is linear: no two neighbours share a first character.
_TOKEN: Final = re.compile(
    r"""
      (?P<end>  ^[ \t]*(?:[-*•+]|\(?\d{1,3}[.)])[ \t]+      # the marker of a list
              | </?[A-Za-z][^<>\n]{0,255}> )
    | (?P<calc> <<[^<>\n]{0,300}>> )                         # a calculator's own note
    | (?P<skip> [ \t\r\u00a0\u202f\u2009]+ | \\[,;:!\ ] | &
              | \\(?:left|right|quad|qquad)(?![A-Za-z])
              | (?:\n|\\\\)(?=[\s&]{0,8}(?:=|≈|\\approx)) )
    | (?P<line> \n | \\\\ )
    | (?P<bad>  \d+(?::\d+)+ | [√∛∑∫°@#] | \\sqrt | \\\| )
    | (?P<number> (?:\d+(?:(?:[.,]|\{,\}|,\\!)\d+)*|\.\d+)(?:[eE][+-]?\d+(?![\w.]))? )
    | (?P<vulgar> [½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞] )
    | (?P<power> [⁰¹²³⁴⁵⁶⁷⁸⁹]+ )
    | (?P<about> [≈≅≃≒] | \\approx | ~= | =~ )
    | (?P<equals> (?<![=<>!:+*/~^])=(?![=>~]) )
    | (?P<percent> \\?% )
    | (?P<mark> \\?\$ | [€£¥₹] | \\[()\[\]] | \\boxed\s?\{ )
    | (?P<frac> \\[dt]?frac\s?\{ )
    | (?P<text> \\(?:text|mathrm|mbox|textrm)\s?\{[^{}\n]{0,80}\} )
    | (?P<times> (?<![^\W\d_])[xX](?=\s{0,3}[$(\d.]) )
    | (?P<per>  /(?=\s?[^\W\d_]) )
    | (?P<op>   \*\* | [-−–+*/^×·⋅∗✕✖÷∕⁄] | \\(?:times|cdot|div|ast)(?![A-Za-z]) )
    | (?P<word> [^\W\d_](?:[\w'’]|-(?=[^\W\d_]))* )
    | (?P<open> [(\[] ) | (?P<close> [)\]] ) | (?P<brace> \{ ) | (?P<unbrace> \} )
    | (?P<command> \\[A-Za-z]+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.MULTILINE,
)
_PLAIN: Final = re.compile(r"\d+(?:\.\d+)?|\.\d+|\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_FENCE: Final = re.compile(r"```(?!text|math|latex|plain|\s)[^\n]*\n[\s\S]*?(?:```|\Z)")


def exact(text: str) -> tuple[Fraction, int] | None:
    """The value of a number's digits and how many of them follow the point; None if in doubt.

    A comma separates thousands, in threes; ``12,34`` is in doubt.
    """
    digits, _, power = text.replace("{,}", ",").replace("\\!", "").lower().partition("e")
    if not _PLAIN.fullmatch(digits) or len(digits) > MOST_DIGITS or len(power) > 3:
        return None
    digits, tens = digits.replace(",", ""), int(power or 0)
    places = len(digits.partition(".")[2])
    return Fraction(digits) * Fraction(10) ** tens, max(0, places - tens)


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, in order; program code in fences is one boundary."""
    lexer = _Lexer()
    at = 0
    for fence in _FENCE.finditer(text):
        yield from lexer.read(text, at, fence.start())
        yield Token("end", "", fence.start(), fence.end())
        at = fence.end()
    yield from lexer.read(text, at, len(text))


class _Lexer:
    """Keeps what the open braces stand for."""

    def __init__(self) -> None:
        self._braces: list[str] = []
        self._last: Token | None = None

    def read(self, text: str, start: int, end: int) -> Iterator[Token]:
        for match in _TOKEN.finditer(text, start, end):
            for token in self._made(match):
                self._last = token
                yield token

    def _made(self, m: re.Match[str]) -> list[Token]:
        kind, text, (start, end) = m.lastgroup or "", m.group(), m.span()
        if kind in ("skip", "calc"):
            return []
        if kind == "number":
            return [_number(text, start, end)]
        if kind == "op":
            return [Token("op", _OPS[text], start, end)]
        if kind in ("word", "open", "close", "equals", "about", "percent", "per", "times", "bad"):
            return [Token(kind, text, start, end)]  # type: ignore[arg-type]  # one of those
        special = getattr(self, f"_{kind}", None)
        return special(text, start, end) if special else [Token("end", text, start, end)]

    def _line(self, text: str, start: int, end: int) -> list[Token]:
        self._braces.clear()
        return [Token("end", text, start, end)]

    def _mark(self, text: str, start: int, end: int) -> list[Token]:
        if text.endswith("{"):
            self._braces.append("mark")
        return [Token("mark", text, start, end)]

    def _vulgar(self, text: str, start: int, end: int) -> list[Token]:
        return [Token("number", text, start, end, Fraction(*_VULGAR[text]))]

    def _power(self, text: str, start: int, end: int) -> list[Token]:
        return [
            Token("op", "^", start, start),
            _number(text.translate(_SUPERSCRIPTS), start, end),
        ]

    def _text(self, text: str, start: int, end: int) -> list[Token]:
        inside = text[text.index("{") + 1 : -1].strip()
        return [Token("word", inside or "text", start, end)]

    def _frac(self, _: str, start: int, end: int) -> list[Token]:
        self._braces.append("above")
        return [Token("open", "frac", start, end), Token("open", "(", end, end)]

    def _brace(self, text: str, start: int, end: int) -> list[Token]:
        last = self._last
        if last and last.kind == "close" and last.text == "}/":
            self._braces.append("below")
            return [Token("op", "/", start, start), Token("open", "(", start, end)]
        power = last is not None and (last.kind, last.text) == ("op", "^")
        self._braces.append("group" if power else "")
        return [Token("open" if power else "end", text, start, end)]

    def _unbrace(self, text: str, start: int, end: int) -> list[Token]:
        what = self._braces.pop() if self._braces else ""
        return {
            "above": [Token("close", "}/", start, end)],
            "below": [Token("close", ")", start, end), Token("close", ")", end, end)],
            "group": [Token("close", ")", start, end)],
            "mark": [Token("mark", text, start, end)],
        }.get(what, [Token("end", text, start, end)])

    def _command(self, text: str, start: int, end: int) -> list[Token]:
        return [Token("bad", text, start, end)]


def _number(text: str, start: int, end: int) -> Token:
    found = exact(text)
    if found is None:
        return Token("bad", text, start, end)
    return Token("number", text, start, end, *found)
