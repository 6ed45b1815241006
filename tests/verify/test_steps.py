"""Statements are read as people write them; the first wrong one is pointed at; doubt is silence."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.comparison.heldout.problems import draw
from reflectkit.reply import Draft
from reflectkit.verify import Statement, Steps, statements

Drafted = Callable[..., Draft]

RIGHT = [
    "2 + 2 = 4",
    "2+2=4",
    "16 - 3 - 4 = 9 duck eggs",
    "2 + 3 * 4 = 14",
    "(2 + 3) * (4 - 1) = 15",
    "2 * (3 + (4 - 1)) = 12",
    "-2 + 5 = 3",
    "10 - -3 = 13",
    "3 x 4 = 12",
    "3x4=12",
    "3 × 4 ÷ 2 = 6",
    "3 · 4 = 12",
    "2^10 = 1024",
    "2 ** 3 = 8",
    "5² = 25",
    "-5 + 2^2 = -1",
    "2(3 + 4) = 14",
    "(2)(3) = 6",
    "20% of 50 = 10",
    "50 * 20% = 10",
    "10 / 50 = 20%",
    "10 / 50 * 100 = 20%",
    "80,000+50,000=$<<80000+50000=130000>>130,000",
    "$5.25 + $3 = $8.25",
    "1920*$.4=$768",
    "10 / 3 = 3.33",
    "2 / 3 = 0.66",
    "2 / 3 = 0.667",
    "10 / 4 = 3",
    "1.1*3=3.3000000000000003",
    "10/3 = 3.33\n3.33 * 3 = 10",
    "22 / 7 ≈ 3.14",
    "1000 / 7 is about 143",
    "3 apples * 2 = 6 apples",
    "7 pets + 14 pets = 21 pets",
    "$10/hour * 20 hours = $200",
    "6 people * 2 slices/person = 12 slices",
    "2 + 2 = 1 + 3 = 4",
    "5 + 3 = 8 * 2 = 16",
    "7 = 3 + 4",
    "5 * 3\n= 15",
    "\\frac{1}{2} + \\frac{1}{3} = \\frac{5}{6}",
    "\\dfrac{10}{4} = 2.5",
    "3 \\times 4 = 12",
    "3 \\cdot 4 = 12",
    "12 \\div 4 = 3",
    "$$2 + 2 = 4$$",
    "\\(2^{3} = 8\\)",
    "\\boxed{3 + 4 = 7}",
    "3 \\text{ apples} + 4 \\text{ apples} = 7 \\text{ apples}",
    "10{,}000 + 1 = 10{,}001",
    "24,\\!000 + 1 = 24,\\!001",
    "1/2 of 20 = 10",
    "2 1/2 + 1 = 3.5",
    "2½ + 1 = 3½",
    "**2 + 2 = 4**",
    "so 3 + 4 = **7**.",
    "1. 5 + 3 = 8",
    "- 5 + 3 = 8",
    "(3 + 4 = 7)",
    "4 * 7 is 28, yes",
    "3 plus 4 equals 7",
    "12 divided by 4 is 3",
    "3 * 2 = 6 - so she has six",
    "2 hours * 60 = 120 minutes",
    "1e3 * 2 = 2000",
]
WRONG = {
    "2 + 2 = 5": (4, 5),
    "so 16 - 3 - 4 = 10 eggs": (9, 10),
    "2 + 3 * 4 = 20": (14, 20),
    "3 x 4 = 13": (12, 13),
    "20% of 50 = 11": (10, 11),
    "$5 + $3 = $9": (8, 9),
    "10 / 3 = 3.34": (Fraction(10, 3), Fraction(167, 50)),
    "7 / 2 = 3.6": (Fraction(7, 2), Fraction(18, 5)),
    "10 / 4 = 4": (Fraction(5, 2), 4),
    "80,000+50,000=$<<80000+50000=130000>>13,000": (130_000, 13_000),
    "\\frac{1}{2} + \\frac{1}{3} = \\frac{2}{5}": (Fraction(5, 6), Fraction(2, 5)),
    "3 apples * 2 = 7 apples": (6, 7),
    "(87 / 6) = 17": (Fraction(29, 2), 17),
    "4 * 7 is 27": (28, 27),
    "3 plus 4 equals 8": (7, 8),
    "a total of 4+3=8 bird feeders": (7, 8),
    "1 + 1 = 2 and 3 + 3 = 7": (6, 7),
    "2^10 = 1000": (1024, 1000),
    "5 * 3\n= 16": (15, 16),
    "180 - 300 = 120 minutes left": (-120, 120),
}
SILENT = [
    "",
    "= 7",
    "x + 3 = 7",
    "2 * x = 10",
    "3x + 4 = 10",
    "2s + 30 = 110",
    "(3/2)x + 7 = 43",
    "3 + 4 = 7x",
    "3 + 4 = 7 - x",
    "2 + 2 = ?",
    "f(2) + 3 = 5",
    "sqrt(16) + 1 = 5",
    "√16 + 1 = 5",
    "5! = 120",
    "1 + 2 + ... + 10 = 55",
    "9:00 + 2 = 11:00",
    "11 am + 3 hours = 2 pm",
    "2 feet + 6 inches = 30 inches",
    "$5 + 50 cents = $5.50",
    "1 hour = 60 * 1 = 60 minutes",
    "12,34 + 1 = 13,34",
    "2 + 2 = 5?",
    "is 2 + 2 = 5 wrong? 2 + 2 = 5 is wrong",
    "2 + 2 = 5 is incorrect.",
    "4 * 1 = 5.  Wait, this is incorrect.",
    "so 4 * 1 = 5. No, that is wrong.",
    "suppose 2 + 2 = 5",
    "half of 20 + 2 = 12",
    "twice 3 + 4 = 10",
    "Day 1 - 5 + 3 = 8",
    "Step **1** 2 + 2 = 4",
    "3 + 4 = 2 more than 5",
    "3 + 4 = 7 million * 2",
    "17 % 5 == 2",
    "if a == 3 + 4: b != 2 + 2",
    "y = 3 + 4",
    "9**9**9 = 1",
    "2^100000 = 1",
    "1 / 0 = 5",
    "27/3/4 = 36",
    "s t r=1 a w b e r=2 r=3 y",
    "```python\nx = 2 + 2 = 5\n```",
    "on 3-5 = the page",
    "50 + 20% = 60",
    "2020-01-02 = a date",
    "2y_1 + 2y_2 = 40",
    "2(y_1 + y_2) = 40",
    "(\\lceil 3.6 \\rceil)^2 = 4^2 = 16",
    "\\frac{7}{30}@\\frac{10}{21}=(7)(10)\\left(\\frac{21}{30}\\right)=49",
    "\\frac{5}{4}=1\\frac{1}{4}",
    "the ratio of a 30-60-90 triangle is 1:2",
    "Since 2/5 is equal to 12.8 hectares",
    "25 classmates + his 1 teacher + 1 himself = 27 people",
    "drank 1.5 quarts = 4 * 1.5 = 6 quarts",
    "Drop 8 degrees = 2 - 8 = -6 degrees",
    "3 + 4 = 7 (5 + 2)",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_arithmetic_is_read_and_holds(text: str) -> None:
    found = statements(text)
    assert found
    assert [s for s in found if not s.holds] == []


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arithmetic_is_found(text: str) -> None:
    wrong = [s for s in statements(text) if not s.holds]
    assert [(s.value, s.right) for s in wrong] == [WRONG[text]]


@pytest.mark.parametrize("text", SILENT)
def test_what_is_in_doubt_is_no_wrong_statement(text: str) -> None:
    assert [s for s in statements(text) if not s.holds] == []


def test_the_place_is_exact(draft: Drafted) -> None:
    source = "<thinking>He has 2 + 2 = 4.\nThen 4 * 7 = 27 of them.</thinking><output>27</output>"
    judged = draft(source, tags=False)
    verdict = Steps()(judged)
    assert verdict.ok is False
    assert source[verdict.start : verdict.end] == "4 * 7 = 27"
    assert verdict.feedback == "4 * 7 is 28, not 27 (line 2: 4 * 7 = 27)."
    assert isinstance(verdict.value, Statement)
    assert (verdict.by, verdict.name) == ("rule", "steps")


def test_all_right_is_yes_and_nothing_to_check_is_unknown(draft: Drafted) -> None:
    assert Steps()(draft("2 + 2 = 4")).ok is True
    assert Steps()(draft("It is blue.")).ok is None


def test_more_wrong_ones_are_counted(draft: Drafted) -> None:
    assert "2 more" in Steps()(draft("1 + 1 = 3\n2 + 2 = 5\n3 + 3 = 7")).feedback


FORGIVEN = [
    "2 + 2 = 5\n<reflection>2 + 2 is 4, not 5. again 2 + 2 is 4, fix</reflection>\n2 + 2 = 4",
    "2 + 2 = 5\nWait, 2 + 2 = 4.",
    "2 + 2 = 5 <reflection>That was wrong, it should be 4.</reflection>",
    "<reflection>2 + 2 = 5 is what I wrote. That is a mistake: it is 4.</reflection>",
    "10 / 4 = 4 <reflection>The quotient is 2.5, not 4.</reflection> 10/4=2.5",
]
NOT_FORGIVEN = [
    "2 + 2 = 4\nno, 2 + 2 = 5",
    "2 + 2 = 5 <reflection>That looks right.</reflection>",
    "<reflection>4 was wrong.</reflection> 2 + 2 = 5",
    "2 + 2 = 5 <reflection>It is wrong: 6.</reflection>",
    "2 + 2 = 5\n3 + 1 = 4",
]


@pytest.mark.parametrize("thinking", FORGIVEN)
def test_what_was_corrected_later_is_forgiven(thinking: str, draft: Drafted) -> None:
    judged = draft(f"<thinking>{thinking}</thinking><output>4</output>", tags=False)
    assert Steps()(judged).ok is True
    assert Steps(strict=True)(judged).ok is False


@pytest.mark.parametrize("thinking", NOT_FORGIVEN)
def test_what_was_not_corrected_counts(thinking: str, draft: Drafted) -> None:
    judged = draft(f"<thinking>{thinking}</thinking><output>5</output>", tags=False)
    assert Steps()(judged).ok is False


def test_the_output_is_not_forgiven_for_the_thinking(draft: Drafted) -> None:
    text = "<thinking>2 + 2 = 5. No, 2 + 2 = 4.</thinking><output>2 + 2 = 5</output>"
    verdict = Steps()(draft(text, tags=False))
    assert verdict.start == text.rindex("2 + 2")


OPERANDS = st.integers(0, 999)
SPACES = st.sampled_from(["", " "])


@st.composite
def sums(draw: st.DrawFn) -> tuple[str, Fraction]:
    """An expression as text, and its value by Python's own rules on fractions."""
    text, code = "", ""
    for i in range(draw(st.integers(2, 6))):
        sign, blank = draw(st.sampled_from("+-*/")), draw(SPACES)
        number = draw(st.integers(1, 999))
        text += f"{blank}{sign}{blank}{number}" if i else str(number)
        code += f"{sign}Fraction({number})" if i else f"Fraction({number})"
    return text, eval(code, {"Fraction": Fraction})


@given(sums())
def test_values_are_those_of_fractions(made: tuple[str, Fraction]) -> None:
    text, value = made
    # three slashes in a row may be a fraction of a fraction: silence, not a wrong value
    (found,) = statements(f"{text} = {float(value):.6f}")
    assert found.holds
    assert found.value == value


@given(sums(), st.integers(1, 50))
def test_a_wrong_whole_number_is_never_right(made: tuple[str, Fraction], off: int) -> None:
    text, value = made
    if value.denominator == 1:
        found = statements(f"{text} = {value + off}")
        assert all(not s.holds for s in found)


ALPHABET = st.text(
    alphabet="0123456789 .,+-*/^=()[]{}$%xX×½²\\fracboxed\n<>`'\"!?:;|√≈isofand", max_size=300
)


@given(ALPHABET)
def test_no_text_breaks_it_and_places_are_in_the_text(text: str) -> None:
    for found in statements(text):
        assert text[found.start : found.end] == found.text


@given(st.text(max_size=200))
def test_no_unicode_breaks_it(text: str) -> None:
    statements(text)


HARD = {
    "brackets": "(",
    "numbers": "1 ",
    "signs": "- ",
    "chain": "1 + 1 = 2 ",
    "equals": "= ",
    "one sum": "1+",
    "powers": "9^",
    "fractions": "\\frac{",
    "stars": "**1",
    "words": "3 apples and ",
    "lines": "\n",
    "blanks": " ",
    "notes": "<<",
    "fences": "```a\n",
    "digits": "1",
    "commas": "1,",
    "units": "5 red apples ",
}


@pytest.mark.parametrize("piece", HARD.values(), ids=HARD)
def test_the_cost_is_linear(piece: str) -> None:
    def cost(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size] + " = 5"
        best = float("inf")
        for _ in range(2):
            begun = time.process_time()
            statements(text)
            best = min(best, time.process_time() - begun)
        return best

    small, large = cost(3_000), cost(24_000)
    assert large < max(small, 0.002) * 8 * 2.5


def test_numbers_do_not_grow_without_bound() -> None:
    begun = time.process_time()
    assert statements("9^64^64^64 = 1") == []
    assert statements("*".join(["9" * 40] * 40) + " = 1") == []
    assert statements("+".join(["1"] * 100) + " = 1") == []
    assert time.process_time() - begun < 0.5


async def test_the_embedded_model_is_read(draft: Drafted) -> None:
    async with Client(NanoBackend("nano-reflect")) as client:
        reply = await client.ask("What is (2 + 2) * 7?")
    judged = draft(reply.transcript.source, tags=False)
    assert Steps()(judged).ok is True
    assert {"2+2", "4*7"} <= {s.left for s in statements(reply.transcript.source)}
    spoilt = draft(reply.transcript.source.replace("4 * 7 = 28", "4 * 7 = 29"), tags=False)
    assert Steps(strict=True)(spoilt).ok is False
    assert Steps()(spoilt).ok is True  # its reflection says 28


TRAINING = Path(__file__).parents[2] / "cookbook" / "tuning"


@pytest.mark.checkout
def test_the_training_texts_of_the_embedded_model_are_read(
    draft: Drafted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted slips are seen, and forgiven: these texts go on to mend them."""
    monkeypatch.syspath_prepend(str(TRAINING))
    import render

    rng = random.Random(5)
    wrong, kept = 0, 0
    for _ in range(200):
        problem = draw(rng, "arithmetic")
        text = "".join(p.text for p in render.reply(problem, render.Habits(reflect=True), rng))
        found = statements(text)
        assert len(found) >= 2
        wrong += any(not s.holds for s in found)
        kept += Steps()(draft(text, tags=False)).ok is True
    assert wrong > 50
    assert kept == 200
