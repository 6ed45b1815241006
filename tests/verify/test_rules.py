"""Patterns, counts, agreement and the protocol."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.errors import ConfigurationError
from reflectkit.reply import Draft, IssueKind
from reflectkit.verify import Agrees, Length, LetterCount, Matches, WellFormed, tally, values_equal
from reflectkit.verify.protocol import ADVICE

Drafted = Callable[..., Draft]


@pytest.mark.parametrize(
    ("verifier", "answer", "ok"),
    [
        (Matches(r"\d+"), "It is 42.", True),
        (Matches(r"\d+"), "no number", False),
        (Matches(r"\d+", full=True), "42", True),
        (Matches(r"\d+", full=True), "It is 42.", False),
        (Matches("sorry", forbid=True), "Here it is.", True),
        (Matches("sorry", forbid=True), "I am sorry.", False),
        (Matches(re.compile("SORRY", re.IGNORECASE)), "sorry", True),
        (Matches(re.compile("^b$", re.MULTILINE)), "a\nb", True),
        (Matches(re.compile("a.b", re.DOTALL)), "a\nb", True),
        (Matches("so", section="thinking"), "x", True),
        (Matches("^so$", section="thinking"), "x", True),
        (Matches("<output>", section="all"), "x", True),
        (Matches("<output>"), "x", False),
    ],
)
def test_patterns(verifier: Matches, answer: str, ok: bool, draft: Drafted) -> None:
    assert verifier(draft(answer)).ok is ok


def test_a_match_has_a_place_and_a_value(draft: Drafted) -> None:
    judged = draft("It is 42 km.")
    verdict = Matches(r"(?P<number>\d+) (?P<unit>\w+)")(judged)
    assert judged.transcript.source[verdict.start : verdict.end] == "42 km"
    assert verdict.value == {"number": "42", "unit": "km"}
    assert Matches(r"\d+")(judged).value == "42"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}$", r"^(\w+\s?)*$"])
def test_a_pattern_that_explodes_is_stopped(pattern: str, draft: Drafted) -> None:
    begun = time.monotonic()
    verdict = Matches(pattern, timeout=0.1)(draft("a" * 60 + "!" * 40))
    assert time.monotonic() - begun < 2
    assert verdict.ok in (None, False)  # the package finds a way out of some of them


def test_the_clock_is_looked_at(draft: Drafted) -> None:
    verdict = Matches(r"(.*a){20}$", timeout=0.05)(draft("a" * 100 + "b"))
    assert verdict.ok is None
    assert "longer than 0.05 s" in verdict.feedback


@pytest.mark.parametrize("pattern", ["(", re.compile(b"x")])
def test_no_pattern(pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match="pattern"):
        Matches(pattern)


@pytest.mark.parametrize(
    ("question", "answer", "ok", "count"),
    [
        ("How many r in strawberry?", "3", True, 3),
        ("How many r in strawberry?", "There are 2.", False, 3),
        ("How many r's are in the word 'strawberry'?", "three", True, 3),
        ('How many times does the letter "S" appear in Mississippi?', "4", True, 4),
        ("Count the letter e in the word cheese.", "3", True, 3),
        ("What is the number of a in banana?", "3", True, 3),
        ("How many r in strawberry?", "Some.", None, None),
        ("How many cats are in the house?", "3", None, None),
        ("What is 2 + 2?", "4", None, None),
    ],
)
def test_letters(
    question: str, answer: str, ok: bool | None, count: int | None, draft: Drafted
) -> None:
    verdict = LetterCount()(draft(answer, question))
    assert (verdict.ok, verdict.value) == (ok, count)


def test_letters_are_shown(draft: Drafted) -> None:
    said = LetterCount("strawberry", "r")(draft("It has 2.")).feedback
    assert said == "r stands 3 times in strawberry (s t R a w b e R R y), not 2."


async def test_letters_as_the_embedded_model_is_asked(draft: Drafted) -> None:
    question = "How many r in strawberry?"
    async with Client(NanoBackend("nano-reflect")) as client:
        reply = await client.ask(question)
    assert LetterCount()(draft(reply.transcript.source, question, tags=False)).ok is True


@pytest.mark.parametrize("arguments", [("word",), ("word", "no"), (None, "a")])
def test_letters_need_a_word_and_a_letter(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        LetterCount(*arguments)


@pytest.mark.parametrize(
    ("measure", "text", "count"),
    [
        ("words", "It's a well-known fact: 3.5 of them.", 7),
        ("words", "", 0),
        ("sentences", "One. Two! Three? And a half", 4),
        ("sentences", "It costs 3.50 in all.", 1),
        ("sentences", "He said “Stop.” Then he left...", 2),
        ("lines", "a\n\nb\n  \nc", 3),
        ("characters", "héllo", 5),
    ],
)
def test_lengths(measure: Any, text: str, count: int, draft: Drafted) -> None:
    judged = draft(text)
    assert Length(measure)(judged).value == count
    assert Length(measure, at_least=count, at_most=count)(judged).ok is True
    assert Length(measure, at_least=count + 1)(judged).ok is False
    if count:
        verdict = Length(measure, at_most=count - 1)(judged)
        assert verdict.feedback == (
            f"The output has {count} {measure}; it must have at most {count - 1}."
        )


@pytest.mark.parametrize("arguments", [{"at_most": -1}, {"at_least": 3, "at_most": 2}])
def test_lengths_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Length(**arguments)


EQUAL = [
    ("28", "The answer is 28."),
    ("1,000", "1000.0"),
    ("0.5", "1/2"),
    ("\\boxed{7}", "7"),
    ("twelve", "12"),
    ("$5", "5"),
    ('{"a": 1, "b": [2]}', '```json\n{"b": [2.0], "a": 1}\n```'),
    ("B", "(b)"),
    ("The answer is (B).", "B"),
    ("Paris", "  paris. "),
    ("The answer is Paris", "**Paris**"),
]
DIFFERENT = [
    ("28", "27"),
    ("5 km", "5 hours"),
    ("A", "B"),
    ("Paris", "London"),
    ('{"a": 1}', '{"a": 2}'),
    ("", ""),
    ("yes", "no"),
    ("A", "1"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_values(a: str, b: str) -> None:
    assert values_equal(a, b)
    assert values_equal(b, a)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_values(a: str, b: str) -> None:
    assert not values_equal(a, b)


def test_a_tally_has_the_largest_group_first() -> None:
    groups = tally(["28", "27", "The answer is 28.", "", "twenty-seven", "28.0"])
    assert [(g.answer, g.members, g.count) for g in groups] == [
        ("28", (0, 2, 5), 3),
        ("27", (1, 4), 2),
    ]
    assert groups[0].share == 0.5


@given(st.lists(st.text(max_size=30), max_size=12))
def test_groups_share_out_what_is_not_blank(outputs: list[str]) -> None:
    members = sorted(m for g in tally(outputs) for m in g.members)
    assert members == [i for i, o in enumerate(outputs) if o.strip()]


@given(st.text(max_size=60))
def test_a_value_equals_itself(text: str) -> None:
    assert values_equal(text, text) is bool(text.strip())


def test_agreement(draft: Drafted) -> None:
    verdict = Agrees(["28", "27", "28.0"])(draft("The answer is 28."))
    assert (verdict.ok, verdict.by, verdict.score) == (True, "self", 2 / 3)
    refused = Agrees(["28", "27", "26"])(draft("27"))
    assert (refused.ok, refused.feedback) == (
        False,
        "1 of 3 independent answers agree with this one.",
    )
    assert Agrees([])(draft("27")).ok is None
    assert Agrees(["27"])(draft("")).ok is None
    with pytest.raises(ConfigurationError):
        Agrees("27")


def test_every_departure_has_advice() -> None:
    assert set(ADVICE) == set(get_args(IssueKind))


def test_a_well_formed_response(draft: Drafted) -> None:
    assert [v.ok for v in WellFormed()(draft("4"))] == [True]


def test_departures_are_verdicts_with_places(draft: Drafted) -> None:
    judged = draft("<thinking>a</thinking>\n<output>b</output>\nand more", tags=False)
    (verdict,) = WellFormed()(judged)
    assert verdict.ok is False
    assert verdict.feedback.startswith("There is text outside the sections.")
    assert verdict.start == judged.transcript.issues[0].position
    assert [v.ok for v in WellFormed(forgive=["text_outside"])(judged)] == [True]


@pytest.mark.parametrize("kinds", [["typo"], "text_outside"])
def test_kinds_that_are_none(kinds: Any) -> None:
    with pytest.raises(ConfigurationError):
        WellFormed(forgive=kinds)
