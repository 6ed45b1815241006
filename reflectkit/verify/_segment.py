"""One expression of a chain, and its exact value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from ..values.units import dimension, singular
from ._lex import Token

__all__ = ["Segment", "dimensions", "value_of"]

#: What is not computed: longer expressions, larger powers and larger numbers.
MOST_TOKENS: Final = 120
MOST_POWER: Final = 64
MOST_BITS: Final = 4096


@dataclass(slots=True)
class Segment:
    """One expression of a chain. ``doubtful``: it may mean something else."""

    tokens: list[Token] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    doubtful: bool = False
    about: bool = False
    said: int = 0

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end

    @property
    def operates(self) -> bool:
        """It computes something."""
        return any(t.kind == "op" and t.text != "neg" for t in self.tokens)

    @property
    def head(self) -> Segment:
        """Its first number alone, as in ``5 + 3 = 8 * 2`` where somebody went on from 8."""
        signs = 1 if self.tokens[0].text == "neg" else 0
        return Segment(tokens=self.tokens[: signs + 1])

    @property
    def literal(self) -> Token | None:
        """Its number, if it is nothing else (but for a sign and a percent mark)."""
        found = [t for t in self.tokens if t.text != "neg" and t.kind != "percent"]
        return found[0] if len(found) == 1 and found[0].kind == "number" else None

    @property
    def is_fraction(self) -> bool:
        """Two numbers and the slash that touches them: it says how much, and computes nothing."""
        if [t.text for t in self.tokens if t.kind == "op"] != ["/"] or len(self.tokens) != 3:
            return False
        return self.tokens[0].end == self.tokens[1].start

    @property
    def percents(self) -> bool:
        return any(t.kind == "percent" for t in self.tokens)


def dimensions(segment: Segment) -> dict[str, set[str]]:
    """The units that the segment names, by what they measure."""
    found: dict[str, set[str]] = {}
    for unit in segment.units:
        if kind := dimension(unit):
            found.setdefault(kind, set()).add(singular(unit))
    return found


_RANK: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "^": 4}


def value_of(
    segment: Segment, *, percent: int = 100, known: Mapping[Fraction, Fraction] | None = None
) -> Fraction | None:
    """The exact value; None where there is none, or where it would be too large.

    ``percent``: what a percent mark divides by. ``known``: the exact values of rounded numbers.
    """
    if len(segment.tokens) > MOST_TOKENS:
        return None
    values: list[Fraction] = []
    signs: list[str] = []
    try:
        for token in segment.tokens:
            _shift(token, values, signs, percent, known or {})
        while signs:
            _reduce(values, signs)
    except (ArithmeticError, IndexError):
        return None
    return values[0] if len(values) == 1 else None


def _shift(
    token: Token,
    values: list[Fraction],
    signs: list[str],
    percent: int,
    known: Mapping[Fraction, Fraction],
) -> None:
    if token.kind == "number":
        values.append(known.get(token.value, token.value))
    elif token.kind == "percent":
        values[-1] /= percent
    elif token.kind == "open":
        signs.append("(")
    elif token.kind == "close":
        while signs[-1] != "(":
            _reduce(values, signs)
        signs.pop()
    else:
        # A sign before an operand waits for it, and powers group from the right.
        while (
            token.text not in ("neg", "^")
            and signs
            and _RANK.get(signs[-1], 0) >= _RANK[token.text]
        ):
            _reduce(values, signs)
        signs.append(token.text)


def _reduce(values: list[Fraction], signs: list[str]) -> None:
    sign = signs.pop()
    right = values.pop()
    if sign == "neg":
        values.append(-right)
        return
    left = values.pop()
    if sign == "^":
        values.append(_power(left, right))
    else:
        values.append(
            left + right if sign == "+" else left - right if sign == "-"
            else left * right if sign == "*" else left / right
        )  # fmt: skip
    size = max(values[-1].numerator.bit_length(), values[-1].denominator.bit_length())
    if size > MOST_BITS:
        raise OverflowError


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > MOST_POWER:
        raise OverflowError
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size * abs(exponent) > MOST_BITS:
        raise OverflowError
    return base ** int(exponent)
