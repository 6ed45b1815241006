"""Which number a text gives as its answer. Numbers themselves are read by ``values.numbers``."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from ...values.numbers import Number, numbers, read_number
from ...values.units import dimension
from .finals import NEGATED, Place, places, sentence, tidied, unmarked

__all__ = ["amount", "said_amount", "written"]

_SMALL: Final = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_PARTS: Final = {
    "half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
    "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
_PART: Final = "|".join(_PARTS)
_VULGAR: Final = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5",
    "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_HIGH: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def _value(word: str) -> Fraction:
    found = read_number(word)
    return found.value if found else Fraction(0)


def _power(match: re.Match[str]) -> str:
    power = int(match[2])
    return written(Fraction(int(match[1])) ** power) if match[1].strip("0") else match[0]


#: Spellings that no number has alone: what is found, and what it is read as.
_SPELT: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(f"(\\d?)([{''.join(_VULGAR)}])"), lambda m: f"{m[1]} {_VULGAR[m[2]]}".strip()),
    (re.compile(r"[⁻⁰¹²³⁴-⁹]+"), lambda m: f"^{m[0].translate(_HIGH)}"),
    (
        re.compile(rf"\b({_SMALL}|\d+)\s+and\s+(?:a|one)[\s-]({_PART})\b", re.IGNORECASE),
        lambda m: written(_value(m[1]) + Fraction(1, _PARTS[m[2].lower()])),
    ),
    (
        re.compile(rf"\b(a|{_SMALL})[\s-]({_PART})s?\b(?!\s+(?:of|as)\b)", re.IGNORECASE),
        lambda m: written(
            (Fraction(1) if m[1].lower() == "a" else _value(m[1])) / _PARTS[m[2].lower()]
        ),
    ),
    (
        re.compile(r"(?<![\d)])(?<![\d)]\s)\b(?:minus|negative)\s+(?=[$€£]?[\d.])", re.IGNORECASE),
        lambda _: "-",
    ),
    (re.compile(r"\.{2,}(?=[-$€£\d])"), lambda _: "… "),
    (re.compile(r"\b(\d+) and (\d+/\d+)"), lambda m: f"{m[1]} {m[2]}"),
    (re.compile(r"(\d)\s?\\[dt]?frac\s?\{(\d+)\}\s?\{(\d+)\}"), lambda m: f"{m[1]} {m[2]}/{m[3]}"),
    (re.compile(r"\ba (dozen|hundred|thousand|million|billion)\b", re.I), lambda m: f"1 {m[1]}"),
    (re.compile(r"(?<![\d.,])(\d{1,3}(?: \d{3})+)(?![\d/.,]*\d)"), lambda m: m[1].replace(" ", "")),
    (
        re.compile(r"(?<![×x*·.,\d\w])(?<![×x*·]\s)(\d{1,6})\s?(?:\^|\*\*)\s?\{?(-?\d{1,2})\}?(?!\d)"),
        _power,
    ),
)  # fmt: skip

#: Characters of an announcement or a last line that are looked at.
_LONGEST_ANSWER: Final = 1000

_FILL: Final = re.compile(
    r"""(?:\s|[*_"“'$(\[~≈=:]|\\approx
    |\b(?:therefore|thus|then|simply|just|exactly|about|approximately|approx\.|around|roughly|only
    |equal\s+to|given\s+by|equals|a\s+total\s+of|still|indeed|clearly|of\s+course|in\s+fact|also
    |hence|so|it|it's|is|be|the\s+number|the\s+value|at\s+least|precisely|,|indeed|us|usd|eur|rs\.?
    |inr|gbp|cad|aud|A\$|US\$)(?=\W|\d|$)|,|US(?=\$)|A(?=\$)|C(?=\$))*""",
    re.VERBOSE | re.IGNORECASE,
)
_ASIDE: Final = re.compile(r"\([^()\n]*\)")
#: What stands behind these names a place in the text, a day or a year, and no amount.
_REFERS: Final = re.compile(
    r"(?:\b(?:step|steps|equation|eq\.|question|problem|example|part|page|case|figure|table|option"
    r"|method|line|section|chapter|theorem|lemma|note|footnote|no\.|number|version|item|exercise"
    r"|jan\w*|feb\w*|march|mar|apr\w*|may|june?|july?|aug\w*|sept?\w*|oct\w*|nov\w*|dec\w*)"
    r"\s*[#(]?|\[|#\s?|\^\s?\{?|\d/|\d[/-]\d{1,2}[/-]|\d{4}-)$",
    re.IGNORECASE,
)
_REFERRED: Final = re.compile(
    r"(?:st|nd|rd|th)\b|\s(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b(?!\s*\?)"
    r"|\s?(?:am|pm|a\.m\.|p\.m\.)(?!\w)|/\d+/\d+|-\d\d-\d\d|\]",
    re.IGNORECASE,
)
_GLUED: Final = re.compile(r"[A-Za-z_\\]$")
#: The two halves of a time of day.
_HOUR, _MINUTE = re.compile(r":\d\d(?!\d)"), re.compile(r"\d:$")
_YEAR: Final = re.compile(r"(?:\b(?:in|since|by|until|year|of|from)|,)\s*$", re.IGNORECASE)
_LISTED: Final = re.compile(r"^\W*\d+[.)]\s+(?=\S)")
_UNREAD_BEFORE: Final = re.compile(
    r"(?:\\?sqrt|√|\b(?:log|ln|sin|cos|tan|exp)|root\s+of)(?:\[\d+\])?[\s({\\]*$", re.IGNORECASE
)
_UNREAD_BEHIND: Final = re.compile(
    r"\s?(?:\\pi|π|√|\\sqrt)|(?:[xyzni]|\\?[A-Za-z]?\^)(?![A-Za-z])|\s?\^|\s?[xyz](?=\s*(?:[+=]|$))"
)
_OPERATOR: Final = re.compile(
    r"\s*(?:[*×·÷+/]|\bx\b|\bplus\b|\btimes\b|\bminus\b|\\div)\s*\(?\s*[$€£]?\s*"
)
_EITHER: Final = re.compile(
    r"[^.\n\d;]{0,24}?(?:\bor\b|\bto\b|\bthrough\b|[-–—~]|\band\b|[,;&±]|\bversus\b|\bvs\b|:)\s*[$€£]?\s*",
    re.IGNORECASE,
)
_BETWEEN: Final = re.compile(r"\bbetween\s+\W?$", re.IGNORECASE)


def written(value: Fraction) -> str:
    """The value in digits: a whole number, a decimal that ends, else a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    for digits in range(1, 13):
        if (10**digits) % value.denominator == 0:
            sign, scaled = "-" * (value < 0), abs(value) * 10**digits
            text = str(scaled.numerator).rjust(digits + 1, "0")
            return f"{sign}{text[:-digits]}.{text[-digits:]}"
    return f"{value.numerator}/{value.denominator}"


def amount(text: str) -> str:
    """The number that a finished text answers with, as it is written; "" where none is plain.

    What is announced last counts; without an announcement, the last line. Two answers, a range, a
    sum that is not worked out and a root give none.
    """
    text = _spelt(tidied(text))
    found = _announced(text)
    return _of_line(text) if found is None else found


def said_amount(text: str) -> tuple[str, int]:
    """The announced number alone, and where its announcement begins in the tidied text."""
    text = _spelt(tidied(text))
    marks = [place for place in places(text) if any(numbers(place.text))]
    return (_of_place(marks[-1]), marks[-1].start) if marks else ("", -1)


def _spelt(text: str) -> str:
    for pattern, read in _SPELT:
        text = pattern.sub(read, text)
    return text


def _announced(text: str) -> str | None:
    """None where nothing that has a number in it is announced."""
    marks = [place for place in places(text) if any(numbers(place.text))]
    return _of_place(marks[-1]) if marks else None


def _of_place(place: Place) -> str:
    text = unmarked(place.text[:_LONGEST_ANSWER])
    said = text if place.boxed else sentence(text)
    if not any(numbers(said)):
        said = text
    begins = said[_FILL.match(said).end() :]  # type: ignore[union-attr]  # it can match nothing
    first = next(numbers(begins), None)
    if place.boxed or "=" in said or (first is not None and first.start == 0):
        return _direct(said)
    return _last(said)


def _of_line(text: str) -> str:
    ends = (line[-_LONGEST_ANSWER:] for line in reversed(text.splitlines()))
    found = next((line for line in ends if any(_candidates(line))), None)
    if found is None:
        return text.strip() if re.fullmatch(r"\W*\d[\d.,]*\W*", text) else ""
    line = _LISTED.sub("", found)
    bold = [b for b in re.findall(r"\*\*([^*\n]{1,40})\*\*", line) if _is_amount(b)]
    if bold:
        return _direct(unmarked(bold[-1]))
    parts = [p for p in re.split(r"(?<=[.!?])\s+", unmarked(line)) if any(_candidates(p))]
    said = (parts or [line])[-1]
    return _direct(said) if "=" in said else _last(said)


def _is_amount(bold: str) -> bool:
    first = next(numbers(bold), None)
    return first is not None and not bold[: first.start].strip(" $€£~≈") and len(bold.split()) <= 4


def _sides(said: str) -> list[str]:
    sides = re.split(r"(?<![<>!])=+>?|≈", said)
    return [side for side in sides if any(numbers(side))]


def _direct(said: str) -> str:
    """The first number of the last side of an equation that is worked out."""
    sides = _sides(said)
    if re.search(r"[,;]|\band\b|\bor\b", said) and len(re.findall(r"\b[a-z]\s?=(?!=)", said)) > 1:
        return ""  # x = 5, y = 6
    for side in reversed(sides):
        found = _candidates(side)
        if found and not _works(side, found[0]):
            return _plain(side, found[0])
    return ""


def _last(said: str) -> str:
    said = _ASIDE.sub(" ", said) if any(_candidates(_ASIDE.sub(" ", said))) else said
    found = _candidates(said)
    if not found:
        return ""
    if _works(said, found[-1]) or _either_before(said, found[-1]):
        return ""
    return _plain(said, found[-1])


def _candidates(said: str) -> list[Number]:
    """The numbers that may be meant: none that is denied, and no day, year or reference where
    there is another."""
    every = [n for n in numbers(said) if not NEGATED.search(_before(said, n))]
    amounts = [n for n in every if not _refers(said, n)]
    years = [n for n in amounts if _is_year(said, n)]
    return [n for n in amounts if n not in years] or amounts


def _before(said: str, number: Number) -> str:
    return said[max(0, number.start - 40) : number.start]


def _refers(said: str, number: Number) -> bool:
    before = _before(said, number)
    written = said[number.start : number.end].strip()
    glued = written[:1].isdecimal() and _GLUED.search(before)
    minute = len(written) >= 2 and written[:2].isdecimal() and _MINUTE.search(before)
    referred = _REFERRED.match(said, number.end) or _HOUR.match(said, number.end)
    return bool(glued or minute or referred or _REFERS.search(before))


def _is_year(said: str, number: Number) -> bool:
    digits = said[number.start : number.end].strip()
    year = digits.isdecimal() and len(digits) == 4 and 1800 <= int(digits) < 2100
    return year and bool(_YEAR.search(_before(said, number)))


def _works(said: str, number: Number) -> bool:
    """Whether an operator stands beside it: a computation that is not worked out."""
    behind = _OPERATOR.match(said, number.end)
    if behind and next((n for n in numbers(said) if n.start >= number.end), None) is not None:
        following = next(n for n in numbers(said) if n.start >= number.end)
        if following.start <= behind.end() + 1:
            return True
    before = [n for n in numbers(said) if n.end <= number.start]
    if not before:
        return False
    gap = said[before[-1].end : number.start].strip()
    signed = said[number.start] in "-−+" and not gap
    return signed or bool(gap and _OPERATOR.fullmatch(gap))


def _plain(said: str, number: Number) -> str:
    """The number as it is written, if nothing around it makes it another."""
    squared = number.unit and re.compile(r"\s?\^").match(said, number.end)
    if _UNREAD_BEFORE.search(_before(said, number)):
        return ""
    if not squared and _UNREAD_BEHIND.match(said, number.end):
        return ""
    if _BETWEEN.search(_before(said, number)) or _alternative(said, number):
        return ""
    return said[number.start : number.end].strip()


def _following(said: str, number: Number) -> Number | None:
    every = (n for n in numbers(said) if n.start >= number.end)
    return next((n for n in every if not NEGATED.search(_before(said, n))), None)


def _alternative(said: str, number: Number) -> bool:
    """Whether it goes on with another: a range, a list, hours and minutes."""
    other = _following(said, number)
    if other is None or _refers(said, other):
        return False
    gap = said[number.end : other.start]
    same = number.unit and other.unit and dimension(number.unit) == dimension(other.unit)
    if (same and len(gap.strip()) <= 4) or not gap.strip():
        return True
    joined = _EITHER.fullmatch(gap + " ")
    return joined is not None and len(gap.split()) <= 4 and other.value != number.value


def _either_before(said: str, number: Number) -> bool:
    """Whether the number before it is as much of an answer: ``5 or 7``, ``5 to 7``."""
    before = [n for n in _candidates(said) if n.end <= number.start]
    if not before:
        return False
    gap = said[before[-1].end : number.start]
    if re.fullmatch(r"\s*[$€£]?\s*", gap) and number.unit and before[-1].unit:
        return dimension(number.unit) == dimension(before[-1].unit)
    close = re.fullmatch(r"\s*(?:or|to|and|[-–—])\s*[$€£]?\s*|\s+\w+\s+or\s+[$€£]?", gap)
    return close is not None and before[-1].value != number.value
