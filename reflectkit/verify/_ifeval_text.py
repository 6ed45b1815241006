"""Sentences, words and lines of a text, found in linear time and without downloads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ._places import Span

__all__ = ["between", "bullets", "capitals", "placeholders", "sentences", "titles", "words"]

#: What may end a sentence, with the quotes and brackets that close behind it. Marks of scripts
#: that put no blank between sentences end one by themselves.
_END: Final = re.compile(
    r"""(?P<mark>[.?!]++|…)["'”’»)\]}*_]*+(?=\s|\Z)|[。！？｡؟।॥۔]++["'”’»)\]}」』）*_]*+"""
)
_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
_NEXT: Final = re.compile(r"[\s\"'“‘«(\[*_#>-]*+(.)", re.DOTALL)
_LAST_WORD: Final = re.compile(r"[^\s(\"'“‘*_]*\Z")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: Behind these no sentence ends; behind the next ones, none before a number; behind the last ones,
#: none before a number or a small letter.
_NEVER: Final = _set("mr mrs ms dr prof st messrs mme mlle rev hon vs e.g i.e cf viz")
_NUMBERED: Final = _set("no nos vol fig eq pp ch sec art")
_SELDOM: Final = _set(
    "etc al inc ltd co corp llc jr sr u.s u.k u.n u.s.a e.u a.m p.m d.c ph.d b.a m.a b.sc m.sc a.d "
    "b.c jan feb mar apr jun jul aug sep sept oct nov dec dept est min max ave blvd approx gov sen "
    "p.s p.p.s"
)
_INITIAL: Final = re.compile(r"[^\W\d_]")
_LIST_NUMBER: Final = re.compile(r"(?:\A|\n)[^\S\n]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})\Z")


def sentences(text: str) -> list[Span]:
    """Where the sentences are. Rules of our own: an end mark before a blank, with exceptions.

    No end: behind titles and initials, behind other abbreviations or an ellipsis when a small
    letter follows, and behind the number of a list's entry. A line end alone ends nothing.
    """
    found, begins, read, worded = [], 0, 0, False
    for match in _END.finditer(text):
        worded = worded or _LETTER_OR_DIGIT.search(text, read, match.end()) is not None
        read = match.end()
        if worded and _ends(text, match):
            found.append((begins, read))
            begins, worded = read, False
    if worded or _LETTER_OR_DIGIT.search(text, read):
        found.append((begins, len(text)))
    return [_stripped(text, span) for span in found]


def _ends(text: str, match: re.Match[str]) -> bool:
    mark = match["mark"]
    if mark is None or not set(mark) <= set(".…"):
        return True
    begins = max(0, match.start() - 24)
    before = text[begins : match.start()]
    last = _LAST_WORD.findall(before)[0].lower()
    following = _NEXT.match(text, match.end())
    after = following[1] if following else ""
    if len(mark) > 1 or mark == "…":
        return not after.islower()
    if last in _SELDOM or last in _NUMBERED:
        return not after.isdecimal() and (last in _NUMBERED or not after.islower())
    if last in _NEVER or (_INITIAL.fullmatch(last) and last != "i"):
        return not after
    return not (_LIST_NUMBER.search(before) or (last.isdecimal() and after.islower()))


def _stripped(text: str, span: Span) -> Span:
    piece = text[span[0] : span[1]]
    first = span[0] + len(piece) - len(piece.lstrip())
    return first, span[0] + len(piece.rstrip())


def words(text: str) -> list[Span]:
    """Runs of letters, digits and underscores: the words that IFEval counts."""
    return [match.span() for match in re.finditer(r"\w+", text)]


#: What stands between two words that are counted apart.
_APART: Final = re.compile(r"""(?:[^\s,;:?!()\[\]{}<>"“”@#$%&….-]|\.(?!\.)|-(?!-))+""")


#: Short forms, which are words of their own: "I'm" has a word in capitals in it.
_CLITIC: Final = re.compile(r"(?:n['’]t|['’](?:s|m|d|ll|re|ve))\Z", re.IGNORECASE)


def capitals(text: str) -> list[Span]:
    """Words in capital letters alone ("A", "NASA", "U.S.", "DON'T", "10AM", "I" in "I'm")."""
    return [m.span() for m in _APART.finditer(text) if _CLITIC.sub("", m[0]).isupper()]


def bullets(text: str) -> list[Span]:
    """Lines that begin with ``*`` (one of it) or ``-``, as IFEval counts them."""
    found = []
    for begins, line in _lines(text):
        bare = line.lstrip()
        first, after = bare[:1], bare[1:2]
        lone = first == "*" and not after and begins + len(line) < len(text)
        if first == "-" or lone or (first == "*" and after not in ("", "*")):
            found.append((begins, begins + len(line)))
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    begins = 0
    for line in text.split("\n"):
        yield begins, line
        begins += len(line) + 1


def between(text: str, opener: str, closer: str) -> Iterator[Span]:
    """From each opener to the next closer on the same line, without overlaps."""
    for begins, line in _lines(text):
        at = 0
        while (first := line.find(opener, at)) >= 0:
            last = line.find(closer, first + len(opener))
            if last < 0:
                break
            at = last + len(closer)
            yield begins + first, begins + at


def placeholders(text: str) -> list[Span]:
    """Texts in square brackets, each on one line."""
    return list(between(text, "[", "]"))


def titles(text: str) -> list[str]:
    """Of each line, what stands between its first ``<<`` and its last ``>>``, if not empty."""
    found = []
    for _, line in _lines(text):
        first, last = line.find("<<"), line.rfind(">>")
        if 0 <= first < last - 2:
            found.append(line[first:last].lstrip("<").rstrip(">").strip())
    return [title for title in found if title]
