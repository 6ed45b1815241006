"""The answer is a number: the right one, within a tolerance, in whatever unit it is given."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar

from ..errors import ConfigurationError
from ..reply import Draft, Verdict, VerdictBy
from ..values.numbers import Number, Which, read_number
from ..values.units import UNITS, convert, singular
from ._views import Part, checked_part, view

__all__ = ["Number", "Numeric", "Which", "read_number"]


class Numeric:
    """The number in the answer is ``expected``, or at least is a number where that is None.

    ``tolerance`` is absolute, ``relative`` a share of ``expected``; the wider one counts. With
    neither it must be equal, or be ``expected`` rounded to the digits of a processor (a share of
    10^-9). ``unit``: that of ``expected``; an answer in another unit of the same kind is converted,
    one without a unit is taken to be in it. ``which`` number of the answer counts: see
    ``read_number``. A percentage may be written as its share: 25% is 0.25, and, where ``expected``
    is such a number, 25.

    Whoever knows the right answer is an oracle, and ``by`` says so; pass ``by="rule"`` where the
    number follows from a rule of yours. The verdict's value is the ``Number``; without one in the
    answer the verdict is unknown.
    """

    inline: ClassVar = True

    def __init__(
        self,
        expected: float | int | str | Fraction | None = None,
        *,
        tolerance: float = 0.0,
        relative: float = 0.0,
        unit: str = "",
        which: Which = "auto",
        by: VerdictBy = "oracle",
        section: Part = "output",
        name: str = "numeric",
    ) -> None:
        self.name = name
        self._expected, self._unit = _expectation(expected, unit)
        self._allowed = _allowance(self._expected, tolerance, relative)
        self._which, self._section = which, checked_part(section)
        self._by: VerdictBy = by if self._expected is not None else "rule"

    def __repr__(self) -> str:
        known = self._by != "oracle"  # a gold answer does not belong into logs
        return f"Numeric({self._expected if known else '...'})"

    def __call__(self, draft: Draft, /) -> Verdict:
        shown = view(draft.transcript, self._section)
        number = read_number(shown.text, self._which)
        if number is None:
            why = "There is no number in the answer. State the result as a number."
            return Verdict(ok=None, feedback=why, by=self._by, name=self.name)
        start, end = shown.span(number.start, number.end)
        complaint = self._complaint(number, shown.text[number.start : number.end].strip())
        return Verdict(
            ok=not complaint,
            feedback=complaint,
            by=self._by,
            name=self.name,
            start=start,
            end=end,
            value=number,
        )

    def _complaint(self, number: Number, said: str) -> str:
        if self._expected is None:
            return ""
        values = [number.value] + [number.value * 100] * number.percent
        if self._unit and number.unit:
            converted = convert(number.value, number.unit, self._unit)
            if converted is None:
                return f"{said} is not in {self._unit}, or in a unit that converts to it."
            values = [converted]
        if any(abs(v - self._expected) <= self._allowed for v in values):
            return ""
        # What is right is not said here: feedback may be sent to the model.
        return f"{said} is not the right number."


def _expectation(expected: object, unit: str) -> tuple[Fraction | None, str]:
    if expected is None:
        return None, singular(unit) if unit else ""
    if isinstance(expected, str):
        number = read_number(expected)
        if number is None:
            raise ConfigurationError(f"{expected!r} is no number.", hint="Give the number itself.")
        return number.value, _known(unit or number.unit)
    if isinstance(expected, bool) or not isinstance(expected, (int, float, Fraction)):
        raise ConfigurationError(f"{expected!r} is no number.", hint="Give the number itself.")
    if isinstance(expected, float) and not math.isfinite(expected):
        raise ConfigurationError(f"{expected!r} cannot be compared.", hint="Give a finite number.")
    # The decimal digits of a float are what was meant: 0.1 is a tenth.
    exact = Fraction(repr(expected)) if isinstance(expected, float) else Fraction(expected)
    return exact, _known(unit)


def _known(unit: str) -> str:
    name = singular(unit) if unit else ""
    if name and name not in UNITS:
        raise ConfigurationError(
            f"The unit {unit!r} is not known.", hint=f"Known are {', '.join(sorted(UNITS))}."
        )
    return name


def _allowance(expected: Fraction | None, tolerance: float, relative: float) -> Fraction:
    for name, value in (("tolerance", tolerance), ("relative", relative)):
        if not 0 <= value < math.inf:
            raise ConfigurationError(f"{name} is {value!r}.", hint="Give a number from 0 up.")
    share = Fraction(repr(float(relative))) or Fraction(1, 10**9)
    size = abs(expected) if expected is not None else Fraction(0)
    return max(Fraction(repr(float(tolerance))), share * size)
