"""Numbers as models write them: digits, words, fractions, marks, units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from .units import CURRENCIES, SCALES, UNITS, singular

__all__ = ["Number", "Which", "numbers", "read_number"]

#: Which number of a text counts. "auto": the boxed one; else the last one behind words that
#: announce an answer; else the last one; one that is ruled out ("not 5") only if there is no other.
Which = Literal["auto", "boxed", "first", "last"]

MOST_DIGITS: Final = 400
_UNDER_TWENTY: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_SMALL: Final = {word: n for n, word in enumerate(_UNDER_TWENTY)}
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_BIG: Final = {name: int(SCALES[name]) for name in ("thousand", "million", "billion", "trillion")}
_WORDS: Final = "|".join([*_TENS, *sorted(_SMALL, key=len, reverse=True), "hundred", *_BIG])
_DIGITS: Final = r"\d+(?:[.,'’\u00a0\u202f]\d+)*|\.\d+"
_NUMBER: Final = re.compile(
    rf"""
    (?P<sign>(?<![\w.)\]])[-−+]\s?)?(?:(?P<mark>\\?\$|[€£¥₹])\s?(?P<sign2>[-−])?)?
    (?: \\[dt]?frac\s?\{{\s?(?P<above>-?{_DIGITS})\s?\}}\s?\{{\s?(?P<below>{_DIGITS})\s?\}}
      | (?<![\w.])(?P<whole>\d{{1,9}})[ ](?P<part>\d{{1,4}})/(?P<of>\d{{1,4}})(?![\d/])
      | (?<![\w.])(?P<digits>{_DIGITS})
        (?:\s?(?:[x×]|\\times)\s?10\s?(?:\^|\*\*)\s?\{{?(?P<ten>[-−+]?\d{{1,3}})\}}?
          |[eE](?P<exp>[-+]?\d{{1,3}})(?!\w)|\s?/\s?(?P<slash>\d+)(?![\d/]))?
    )
    (?P<percent>\s?\\?%)?
    | (?<!\w)(?P<words>(?:minus\s|negative\s)?(?:{_WORDS})(?:(?:-|\s(?:and\s)?)(?:{_WORDS}))*)(?!\w)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_AFTER: Final = re.compile(r"\s?(¢|[^\W\d_]+|°[CF]?)")
_PERCENT: Final = re.compile(r"\s?(?:percent|per\s?cent)\b", re.IGNORECASE)
_BOXED: Final = re.compile(r"\\boxed\s?\{")
_ANNOUNCED: Final = re.compile(
    r"(?:####|\b(?:answer|result)\b[^\w\n]{0,4}(?:is\b|=)?|^A:)",
    re.IGNORECASE | re.MULTILINE,
)
_RULED_OUT: Final = re.compile(r"\b(?:not|rather than|instead of)[\s$€£¥]{0,3}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number as it stands from ``start`` to ``end``.

    ``value`` is exact; a percentage is divided by 100 and says ``percent``. ``unit``: the unit or
    currency beside it, in the singular, "" if there is none that is known.
    """

    value: Fraction
    start: int
    end: int
    unit: str = ""
    percent: bool = False


def numbers(text: str) -> Iterator[Number]:
    """Every number of the text, in order. Linear."""
    at = 0
    while match := _NUMBER.search(text, at):
        at = match.end()
        if (value := _value(match)) is not None:
            found = _number(text, match, value)
            at = found.end
            yield found


def _number(text: str, match: re.Match[str], value: Fraction) -> Number:
    start, end = match.span()
    percent = bool(match["percent"])
    if not percent and (said := _PERCENT.match(text, end)):
        percent, end = True, said.end()
    unit = CURRENCIES.get(match["mark"] or "", "")
    while (after := _AFTER.match(text, end)) and (scale := SCALES.get(after[1].lower())):
        value, end = value * scale, after.end()
    after = _AFTER.match(text, end)
    if after and not percent:
        name = CURRENCIES.get(after[1], singular(after[1]))
        if name in UNITS and not _is_word(after, name):
            unit, end = name, after.end()
    return Number(
        value=value / 100 if percent else value, start=start, end=end, unit=unit, percent=percent
    )


def _is_word(after: re.Match[str], name: str) -> bool:
    """``in`` is a unit where it touches the number alone; letters are units in lower case."""
    apart = after.group()[0].isspace()
    return (name == "in" and apart) or (len(name) == 1 and apart and after[1].isupper())


def _value(match: re.Match[str]) -> Fraction | None:
    negative = any("-" in s or "−" in s for s in (match["sign"] or "", match["sign2"] or ""))
    if match["words"]:
        return _spoken(match["words"].lower())
    if match["whole"]:
        if not int(match["of"]):
            return None
        found = int(match["whole"]) + Fraction(int(match["part"]), int(match["of"]))
        return -found if negative else found
    scaled = _scaled(match)
    return -scaled if negative and scaled is not None else scaled


def _scaled(match: re.Match[str]) -> Fraction | None:
    """The digits, divided by what stands below them and moved by a power of ten."""
    found = _digits(match["above"] or match["digits"])
    for part in (match["below"], match["slash"]):
        if part and found is not None:
            below = _digits(part)
            found = found / below if below else None
    power = match["ten"] or match["exp"]
    if power and found is not None:
        found *= Fraction(10) ** int(power.replace("−", "-"))
    return found


def _digits(text: str) -> Fraction | None:
    """The value of digits with points and commas in them; None if they are no number.

    Separators that stand before every third digit separate thousands; a single one that does not
    is a decimal point, a comma as well. A lone ``1.234`` has a decimal point, a lone ``1,234`` has
    thousands.
    """
    negative, text = text.startswith("-"), text.lstrip("-")
    if len(text) > MOST_DIGITS:
        return None
    if text.isdecimal():
        return Fraction(-int(text) if negative else int(text))
    marks = [c for c in text if not c.isdigit()]
    kinds = sorted(set(marks), key=text.rfind)
    point = ""
    if len(kinds) > 2:
        return None
    if len(kinds) == 2:
        if marks.count(kinds[1]) > 1:
            return None
        point = kinds[1]
    elif kinds and len(marks) == 1:
        groups = text.split(kinds[0])
        if kinds[0] == "." or (len(groups[1]) != 3 and kinds[0] == ",") or groups[0] == "0":
            point = kinds[0]
    whole, _, rest = text.partition(point) if point else (text, "", "")
    thousands = re.split(r"[^\d]", whole)
    if len(thousands) > 1 and not _are_thousands(thousands):
        return None
    found = Fraction("".join(thousands) + "." + rest if rest else "".join(thousands) or "0")
    return -found if negative else found


def _are_thousands(groups: list[str]) -> bool:
    return 0 < len(groups[0]) <= 3 and all(len(g) == 3 for g in groups[1:])


def _spoken(words: str) -> Fraction | None:
    """``two hundred and five thousand``; None for words that do not make one number."""
    total, group, last = 0, 0, 10**18
    negative = words.startswith(("minus", "negative"))
    for word in re.split(r"[\s-]+", words)[negative:]:
        if word == "and":
            continue
        if word in _BIG:
            total, group, last = total + max(group, 1) * _BIG[word], 0, 10**18
        elif word == "hundred":
            group, last = max(group, 1) * 100, 100
        else:
            size = _SMALL.get(word, _TENS.get(word, 0))
            room = 10 if word in _TENS else 1 if last in _TENS.values() else 0
            if last <= 99 and not (room == 1 and size < 10):
                return None
            group, last = group + size, size if word in _TENS else min(99, max(size, 1))
    return Fraction(-(total + group) if negative else total + group)


def read_number(text: str, which: Which = "auto") -> Number | None:
    """The number that a text gives as its answer; None if there is none.

    Reads ``1,234.5``, ``1.234,5``, ``3,5``, ``1 1/2``, ``2/3``, ``12%``, ``1.5e3``, ``1.5 × 10^3``,
    ``$20``, ``5 km``, ``3 million``, ``twenty-one``, ``\\frac{1}{2}`` and ``\\boxed{...}``. A comma
    before exactly three digits separates thousands: ``1,234`` is read as English has it.
    """
    if which in ("auto", "boxed"):
        inside = _boxed(text)
        if inside is not None:
            found = list(numbers(text[inside[0] : inside[1]]))
            return _shifted(found[-1], inside[0]) if found else None
        if which == "boxed":
            return None
    found = list(numbers(text))
    if not found:
        return None
    if which == "auto":
        stated = [n for n in found if not _RULED_OUT.search(text, max(0, n.start - 20), n.start)]
        found = stated or found
        announced = [m.end() for m in _ANNOUNCED.finditer(text)]
        behind = [n for n in found if announced and n.start >= announced[-1]]
        return behind[0] if behind else found[-1]
    return found[0 if which == "first" else -1]


def _shifted(number: Number, by: int) -> Number:
    return Number(
        value=number.value,
        start=number.start + by,
        end=number.end + by,
        unit=number.unit,
        percent=number.percent,
    )


def _boxed(text: str) -> tuple[int, int] | None:
    """What stands in the last box; an open one goes to the end."""
    openings = list(_BOXED.finditer(text))
    if not openings:
        return None
    start, depth = openings[-1].end(), 1
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return start, at
    return start, len(text)
