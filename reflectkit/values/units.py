"""Common units as data: dimension and size in the dimension's base unit, exact."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

__all__ = ["CURRENCIES", "SCALES", "UNITS", "convert", "dimension", "singular"]

F = Fraction

#: dimension -> spellings, each with its size
_TABLE: Final[dict[str, dict[str, Fraction]]] = {
    "length": {
        "mm millimeter millimetre": F(1, 1000), "cm centimeter centimetre": F(1, 100),
        "m meter metre": F(1), "km kilometer kilometre": F(1000),
        "in inch": F(254, 10_000), "ft foot": F(3048, 10_000), "yd yard": F(9144, 10_000),
        "mi mile": F(1_609_344, 1000),
    },
    "time": {
        "ms millisecond": F(1, 1000), "s sec second": F(1), "min minute": F(60),
        "h hr hour": F(3600), "day": F(86_400), "week": F(604_800),
    },
    "calendar": {"month": F(1), "yr year": F(12), "decade": F(120), "century": F(1200)},
    "mass": {
        "mg milligram": F(1, 1_000_000), "g gram": F(1, 1000), "kg kilogram": F(1),
        "t tonne": F(1000), "oz ounce": F(45_359_237, 1_600_000_000),
        "lb pound": F(45_359_237, 100_000_000),
    },
    "volume": {
        "ml milliliter millilitre": F(1, 1000), "l liter litre": F(1),
        "cup": F(473_176_473, 2_000_000_000), "pint": F(473_176_473, 1_000_000_000),
        "quart": F(473_176_473, 500_000_000), "gallon": F(473_176_473, 125_000_000),
    },
    "money": {"cent": F(1, 100), "dollar usd": F(1)},
    "euros": {"eurocent": F(1, 100), "euro eur": F(1)},
    "sterling": {"penny pence": F(1, 100), "gbp": F(1)},
}  # fmt: skip

#: a mark of money -> the unit that it stands for
CURRENCIES: Final = {"$": "dollar", "\\$": "dollar", "€": "euro", "£": "gbp", "¢": "cent"}

_IRREGULAR: Final = {"feet": "foot", "inches": "inch", "centuries": "century", "pennies": "penny"}

#: unit -> (dimension, size)
UNITS: Final = {
    name: (dimension, size)
    for dimension, rows in _TABLE.items()
    for names, size in rows.items()
    for name in names.split()
}

#: words that multiply the number before them
SCALES: Final = {
    "hundred": F(100), "thousand": F(1000), "million": F(10**6), "billion": F(10**9),
    "trillion": F(10**12), "dozen": F(12), "score": F(20), "k": F(1000), "bn": F(10**9),
}  # fmt: skip


def singular(word: str) -> str:
    """The word as the tables spell it: lower case, without the ending of a plural."""
    word = word.lower().rstrip(".")
    if word in UNITS or word in SCALES:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def dimension(unit: str) -> str:
    """What the unit measures; "" for a word that is no unit of the table."""
    return UNITS.get(singular(unit), ("", F(1)))[0]


def convert(value: Fraction, unit: str, into: str) -> Fraction | None:
    """The value in another unit of the same dimension; None if they measure different things."""
    source, target = UNITS.get(singular(unit)), UNITS.get(singular(into))
    if source is None or target is None or source[0] != target[0]:
        return value if singular(unit) == singular(into) else None
    return value * source[1] / target[1]
