"""What a text is made of, in numbers that its tokens depend on. Pure, and linear in time.

Byte-level vocabularies cut a text into words, groups of digits, runs of punctuation and of blanks,
and then into what they know of each. A word costs by its length and its capitals, digits by threes
or one by one, characters of other scripts by how common they are: that is counted here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final

__all__ = ["FEATURES", "GROUPS", "cut_marks", "features", "group_of"]

#: Feature -> what it is worth in tokens beforehand, without any vocabulary, and how unsure that is.
FEATURES: Final[Mapping[str, tuple[float, float]]] = {
    "bytes": (0.0, 0.05),
    "words behind a blank": (1.0, 0.05),
    "words": (0.8, 0.25),
    "letters 5 and 6": (0.02, 0.06),
    "letters 7 and 8": (0.08, 0.06),
    "letters 9 and 10": (0.2, 0.1),
    "letters from 11": (0.2, 0.12),
    "humps": (1.1, 0.25),
    "words in capitals": (0.3, 0.3),
    "capitals": (0.3, 0.15),
    "capitalised words": (0.27, 0.15),
    "digit groups": (0.15, 0.15),
    "digits by threes": (0.65, 0.45),
    "digits": (0.3, 0.45),
    "punctuation": (0.8, 0.1),
    "punctuation behind a blank": (0.28, 0.15),
    "more punctuation": (0.28, 0.15),
    "repeated punctuation": (0.08, 0.08),
    "line breaks": (0.8, 0.15),
    "more line breaks": (-0.4, 0.4),
    "indents": (0.8, 0.3),
    "blanks of indents": (0.0, 0.05),
    "gaps": (0.8, 0.3),
    "blanks of gaps": (0.01, 0.03),
    "Han": (0.8, 0.2),
    "rare Han": (0.8, 0.5),
    "kana": (0.7, 0.2),
    "Hangul": (0.8, 0.3),
    "wide punctuation": (0.8, 0.25),
    "Latin with marks": (1.2, 0.5),
    "other letters": (0.6, 0.4),
    "bytes of symbols": (0.7, 0.3),
    "control characters": (1.0, 0.3),
    "marks": (3.0, 1.5),
}
_INDEX: Final = {name: i for i, name in enumerate(FEATURES)}

#: Kinds of text, by features that show them: how far an estimate is off differs from kind to kind.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "words": ("words behind a blank",),
    "digits": ("digits by threes",),
    "signs": ("words", "humps", "punctuation", "indents"),
    "Han": ("Han", "kana", "Hangul"),
    "other": ("Latin with marks", "other letters", "bytes of symbols"),
}
_SHOWN: Final = tuple(tuple(_INDEX[n] for n in names) for names in GROUPS.values())

_PIECE: Final = re.compile(
    r" ?[A-Za-z]+|[0-9]+| ?[!-/:-@\[-`{-~]+|[\r\n]+[ \t]*|[ \t]+|[^\x00-\x7f]+|[\x00-\x1f\x7f]"
)
_HUMP: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: National standards list common characters before rare ones: the last lead byte of the common.
_COMMON: Final = (("gb2312", 0xD7), ("big5", 0xC6), ("euc_jp", 0xCF))
_BLOCKS: Final = (
    (0x00FF, "Latin with marks"),
    (0x024F, "Latin with marks"),
    (0x1FFF, "other letters"),
    (0x206F, "wide punctuation"),
    (0x2FFF, "bytes of symbols"),
    (0x303F, "wide punctuation"),
    (0x30FF, "kana"),
    (0x33FF, "bytes of symbols"),
    (0x9FFF, "Han"),
    (0xABFF, "other letters"),
    (0xD7A3, "Hangul"),
    (0xFEFF, "bytes of symbols"),
    (0xFFEF, "wide punctuation"),
)

Add = Callable[[str, float], None]


def features(text: str, marks: int = 0) -> list[float]:
    """The amounts of ``FEATURES`` in ``text``, in their order; ``marks`` stands for itself."""
    amounts = [0.0] * len(FEATURES)
    amounts[_INDEX["marks"]] = marks
    amounts[_INDEX["bytes"]] = len(text.encode("utf-8", "surrogatepass"))
    for piece, times in Counter(_PIECE.findall(text)).items():
        for index, amount in (_kept if len(piece) <= _SHORT else _parts)(piece):
            amounts[index] += amount * times
    return amounts


def _parts(piece: str) -> tuple[tuple[int, float], ...]:
    found: dict[int, float] = {}

    def add(name: str, amount: float) -> None:
        if amount:
            found[_INDEX[name]] = found.get(_INDEX[name], 0.0) + amount

    _of(piece[-1])(piece, add)
    return tuple(found.items())


#: Texts repeat their words; long pieces are not kept.
_kept: Final = lru_cache(1 << 14)(_parts)
_SHORT: Final = 24


def group_of(amounts: Iterable[float]) -> int:
    """The number of the group of ``GROUPS`` that shows most."""
    known = list(amounts)
    shares = [sum(known[i] for i in shown) for shown in _SHOWN]
    return max(range(len(shares)), key=shares.__getitem__)


def cut_marks(text: str) -> tuple[str, int]:
    """``text`` without the tags of known dialects, and how many there were.

    A model may have a token for each: what it emits is counted so.
    """
    return _marks().subn(" ", text) if "<" in text or "[" in text else (text, 0)


@cache
def _marks() -> re.Pattern[str]:
    from ..protocol import DIALECTS

    found: set[str] = set()
    for dialect in DIALECTS.values():
        for section in dialect.sections.values():
            for mark in (*section.open, *section.close):
                xml = dialect.match == "xml"
                found |= {f"<{mark}>", f"</{mark}>"} if xml else {mark}
    signed = sorted((m for m in found if m[:1] in ("<", "[")), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, signed)))


@lru_cache(256)
def _of(last: str) -> Callable[[str, Add], None]:
    """Who counts a piece, by its last character."""
    if last in " \t\r\n":
        return _blanks
    if not last.isascii():
        return _foreign
    if last.isalpha():
        return _word
    if last.isdigit():
        return _digits
    return _punctuation if last.isprintable() else _control


def _word(piece: str, add: Add) -> None:
    word = piece.lstrip(" ")
    add("words" if len(word) == len(piece) else "words behind a blank", 1)
    if word.isupper() and len(word) > 1:
        add("words in capitals", 1)
        add("capitals", len(word) - 1)
        return
    humps = [word] if word.islower() else _HUMP.findall(word)
    add("humps", len(humps) - 1)
    add("capitalised words", word[0].isupper())
    for hump in humps:
        _length(len(hump), add)


def _length(letters: int, add: Add) -> None:
    if letters >= 5:
        add("letters 5 and 6", 1)
        add("letters 7 and 8", min(max(letters - 6, 0), 2))
    if letters >= 9:
        add("letters 9 and 10", min(letters - 8, 2))
        add("letters from 11", max(letters - 10, 0))


def _digits(piece: str, add: Add) -> None:
    add("digit groups", 1)
    add("digits by threes", -(-len(piece) // 3))
    add("digits", len(piece))


def _punctuation(piece: str, add: Add) -> None:
    signs = piece.lstrip(" ")
    changes = sum(a != b for a, b in pairwise(signs))
    add("punctuation", 1)
    add("punctuation behind a blank", len(piece) - len(signs))
    add("more punctuation", changes)
    add("repeated punctuation", len(signs) - 1 - changes)


def _blanks(piece: str, add: Add) -> None:
    blanks = piece.lstrip("\r\n")
    if breaks := len(piece) - len(blanks):
        add("line breaks", 1)
        add("more line breaks", breaks - 1)
    if blanks:
        add("indents" if breaks else "gaps", 1)
        add("blanks of indents" if breaks else "blanks of gaps", len(blanks) - 1)


def _control(piece: str, add: Add) -> None:
    add("control characters", len(piece))


def _foreign(piece: str, add: Add) -> None:
    for character in piece:
        add(*_character(character))
        if _is_rare(character):
            add("rare Han", 1)


@lru_cache(8192)
def _character(character: str) -> tuple[str, int]:
    point = ord(character)
    name = next((name for last, name in _BLOCKS if point <= last), "bytes of symbols")
    size = len(character.encode("utf-8", "surrogatepass"))
    return name, size if name == "bytes of symbols" else 1


@lru_cache(8192)
def _is_rare(character: str) -> bool:
    """A Han character that no national standard has among the common ones."""
    if not 0x3400 <= ord(character) <= 0x9FFF:
        return False
    return not any(_is_common(character, *table) for table in _COMMON)


def _is_common(character: str, encoding: str, last: int) -> bool:
    try:
        code = character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and code[0] <= last
