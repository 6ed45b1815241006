"""Numbers as models write them, and whether they are the right ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.errors import ConfigurationError
from reflectkit.reply import Draft
from reflectkit.verify import Numeric, read_number

Drafted = Callable[..., Draft]

READ: dict[str, tuple[Any, str]] = {
    "42": (42, ""),
    "-42": (-42, ""),
    "−42": (-42, ""),
    "1,234.5": ("2469/2", ""),
    "1.234,5": ("2469/2", ""),
    "1,234": (1234, ""),
    "1.234": ("617/500", ""),
    "3,5": ("7/2", ""),
    "0,125": ("1/8", ""),
    "1,234,567": (1_234_567, ""),
    "1.234.567": (1_234_567, ""),
    "1 1/2 cups": ("3/2", "cup"),
    "2/3": ("2/3", ""),
    "-2/3": ("-2/3", ""),
    "12%": ("3/25", ""),
    "12 percent": ("3/25", ""),
    "1.5e3": (1500, ""),
    "1.5 × 10^3": (1500, ""),
    "1.5 \\times 10^{-3}": ("3/2000", ""),
    "$20": (20, "dollar"),
    "-$20": (-20, "dollar"),
    "$-20": (-20, "dollar"),
    "50¢": (50, "cent"),
    "€3.50": ("7/2", "euro"),
    "5 km": (5, "km"),
    "5km": (5, "km"),
    "90 minutes": (90, "minute"),
    "5 feet": (5, "foot"),
    "3 million": (3_000_000, ""),
    "$2.5 billion": (2_500_000_000, "dollar"),
    "12 dozen": (144, ""),
    "three": (3, ""),
    "twenty-one": (21, ""),
    "minus three": (-3, ""),
    "nineteen hundred": (1900, ""),
    "two hundred and five thousand": (205_000, ""),
    "one million two hundred thousand and six": (1_200_006, ""),
    "\\frac{1}{2}": ("1/2", ""),
    "\\dfrac{-3}{4}": ("-3/4", ""),
    "5 in total": (5, ""),
    "\\boxed{42}": (42, ""),
    "first \\boxed{1} then \\boxed{\\frac{1}{2}} of 7": ("1/2", ""),
    "The answer is 12. That took 3 steps.": (12, ""),
    "**Answer:** 7 (of 20)": (7, ""),
    "3 steps.\n#### 72": (72, ""),
    "A: 18\n": (18, ""),
    "2 + 2 makes 4": (4, ""),
    "3-5": (5, ""),
    "A1 has 5": (5, ""),
}
NO_NUMBER = [
    "", "none", "one two", "12,34,56", "x2", "v1.2.3", "1/0", "9" * 500, "someone",
    "\\boxed{x} 5",
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_numbers_are_read(text: str) -> None:
    value, unit = READ[text]
    found = read_number(text)
    assert found is not None
    assert (found.value, found.unit) == (Fraction(value), unit)


@pytest.mark.parametrize("text", NO_NUMBER)
def test_what_is_no_number(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(("which", "value"), [("first", 1), ("last", 4), ("boxed", 2), ("auto", 2)])
def test_which_number_counts(which: Any, value: int) -> None:
    found = read_number("1, then \\boxed{2}; the answer is 3, not 4", which)
    assert found is not None
    assert found.value == value


def test_without_a_box_there_is_no_boxed_number() -> None:
    assert read_number("4", "boxed") is None


@given(st.decimals(-(10**9), 10**9, places=3, allow_nan=False, allow_infinity=False))
def test_decimals_come_back(number: Any) -> None:
    for text in (f"{number:f}", f"{number:,f}", f"$ {number:f}", f"{number:e}"):
        found = read_number(f"It is {text}.")
        assert found is not None, text
        assert found.value == Fraction(number)


@given(st.integers(0, 10**12 - 1))
def test_words_come_back(number: int) -> None:
    found = read_number(_spoken(number))
    assert found is not None
    assert found.value == number


def _spoken(number: int) -> str:
    small = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ]
    tens = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905 - readable
    for size, name in (
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if number >= size:
            rest = f" {_spoken(number % size)}" if number % size else ""
            return f"{_spoken(number // size)} {name}{rest}"
    if number >= 20:
        return tens[number // 10] + (f"-{small[number % 10]}" if number % 10 else "")
    return small[number]


@given(st.text(alphabet="0123456789 .,-/%$€x×^e{}\\fracboxedonetwhundr'", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    read_number(text)


@pytest.mark.parametrize("piece", ["1 ", "1,", "one ", "- ", "$ ", "\\boxed{", "answer ", "1/"])
def test_the_cost_is_linear(piece: str) -> None:
    def cost(size: int) -> float:
        begun = time.process_time()
        read_number(piece * size)
        return time.process_time() - begun

    cost(10)
    small, large = min(cost(500), cost(500)), min(cost(4000), cost(4000))
    assert large < max(small, 0.003) * 8 * 2.5


@pytest.mark.parametrize(
    ("verifier", "answer", "ok"),
    [
        (Numeric(28), "28", True),
        (Numeric(28), "It is 27.", False),
        (Numeric(28), "It is blue.", None),
        (Numeric("1,234"), "1234.0", True),
        (Numeric(0.1), "0.1", True),
        (Numeric(Fraction(1, 3)), "1/3", True),
        (Numeric(Fraction(1, 3)), "0.333", False),
        (Numeric(Fraction(1, 3), relative=0.01), "0.333", True),
        (Numeric(3.14159, tolerance=0.01), "3.14", True),
        (Numeric(3.14159, tolerance=0.001), "3.14", False),
        (Numeric(2, unit="km"), "2000 m", True),
        (Numeric(2, unit="km"), "2 km", True),
        (Numeric(2, unit="km"), "2", True),
        (Numeric(2, unit="km"), "2 hours", False),
        (Numeric("90 minutes"), "1.5 hours", True),
        (Numeric("$5"), "500 cents", True),
        (Numeric("$5"), "€5", False),
        (Numeric(25), "25%", True),
        (Numeric(0.25), "25%", True),
        (Numeric(0.25), "25", False),
        (Numeric(-4), "-4", True),
        (Numeric(-4), "4", False),
        (Numeric(), "about 7", True),
        (Numeric(), "no idea", None),
        (Numeric(7, which="first"), "7 of 9", True),
    ],
)  # fmt: skip
def test_verdicts(verifier: Numeric, answer: str, ok: bool | None, draft: Drafted) -> None:
    assert verifier(draft(answer)).ok is ok


def test_a_verdict_says_where_and_by_whom_and_gives_nothing_away(draft: Drafted) -> None:
    judged = draft("It is 27 km.")
    verdict = Numeric(28, unit="km")(judged)
    source = judged.transcript.source
    assert source[verdict.start : verdict.end] == "27 km"
    assert verdict.by == "oracle"
    assert "28" not in verdict.feedback
    assert "28" not in repr(Numeric(28))
    assert verdict.value.unit == "km"
    assert Numeric(28, by="rule")(judged).by == "rule"
    assert Numeric()(judged).by == "rule"


@pytest.mark.parametrize(
    "arguments",
    [
        {"expected": "none"},
        {"expected": True},
        {"expected": float("nan")},
        {"expected": 1, "unit": "parsec"},
        {"expected": 1, "tolerance": -1},
        {"expected": 1, "section": "answer"},
    ],
)
def test_what_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Numeric(**arguments)
