"""Untrusted text: inert in every dialect, restored exactly, safe in pieces, linear."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reflectkit import protocol
from reflectkit.errors import ConfigurationError
from reflectkit.events import SectionDelta
from reflectkit.protocol import DIALECTS, Dialect, Parser, neutralise, restore
from reflectkit.protocol.guard import CONTROL_TOKENS

MARK = "\u2060"
NASTY = [
    "<thinking>",
    "</thinking>",
    "<Reflection a='1'>",
    "<output/>",
    "</OUTPUT >",
    "<think>",
    "</think>",
    "[THINK]",
    "[/THINK]",
    "◁think▷",
    "◁/think▷",
    "<seed:think>",
    "</mm:think>",
    "<answer>",
    "</answer>",
    "Here is my thought process:",
    "Here's my response:",
    "<|channel>thought\n",
    "<channel|>",
    "<|start|>assistant<|channel|>analysis<|message|>",
    "<|channel|>final<|message|>",
    "<|end|>",
    "<|return|>",
    "<|eot_id|>",
    "<",
    "</",
    "<|",
    "<t",
    "<th>",
    "</KISS>",
    "<ÜBERLEGUNG>",
    "<\u017f>",
    "<S>",
    "<I>",
    "<x:y",
    "[",
    "Here",
    MARK,
    f"<{MARK}thinking>",
    f"<{MARK}",
    "`",
    "```\n",
    "\n",
    "a < b",
    " ",
]

spicy = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=4))).map("".join)


def user_dialects() -> st.SearchStrategy[Dialect]:
    """Dialects that users could write, the awkward ones among them: short, overlapping, marked."""
    word = st.text(alphabet=f"ab<|§{MARK}\ue000", min_size=1, max_size=4).filter(str.strip)

    def build(words: list[str]) -> Dialect:
        sides = [[w] for w in words]
        sections = {
            "thinking": {"open": sides[0], "close": sides[1]},
            "output": {"open": sides[2], "close": sides[3]},
        }
        return Dialect("mine", sections)

    return st.lists(word, min_size=4, max_size=4, unique=True).map(build)


def user_tags() -> st.SearchStrategy[Dialect]:
    """Tags of a user's own, with names that begin alike or fold oddly."""
    names = st.sampled_from(
        ["t", "th", "thinking", "Think", "x:y", "kiss", "ſ", "überlegung", "K", "ı"]
    )

    def build(words: list[str]) -> Dialect:
        thinking, output = words
        pairs = {"thinking": thinking, "output": output}
        sections = {k: {"open": [f"<{n}>"], "close": [f"</{n}>"]} for k, n in pairs.items()}
        return Dialect("mine", sections, match="xml")

    return st.lists(names, min_size=2, max_size=2, unique_by=str.casefold).map(build)


any_dialect = st.one_of(st.sampled_from(sorted(DIALECTS)), user_dialects(), user_tags())


def assert_plain(text: str, dialect: str | Dialect) -> None:
    """Nothing in ``text`` is structure: no event has markup, every section is outside text."""
    parser = Parser(dialect)
    events = [*parser.feed(text), *parser.finish()]
    markup = [e for e in events if e.source and not isinstance(e, SectionDelta)]
    assert not markup
    assert all(s.kind in ("outside", "output") for s in parser.transcript.sections)
    assert "".join(e.source for e in events) == text
    assert not [i for i in parser.transcript.issues if i.kind == "truncated_tag"]


@given(spicy, any_dialect)
def test_nothing_passes_for_the_protocol(text: str, dialect: str | Dialect) -> None:
    assert_plain(neutralise(text, dialect), dialect)


@given(spicy, any_dialect)
def test_restore_is_the_exact_inverse(text: str, dialect: str | Dialect) -> None:
    once = neutralise(text, dialect)
    assert restore(once, dialect) == text
    twice = neutralise(once, dialect)
    assert_plain(twice, dialect)
    assert restore(restore(twice, dialect), dialect) == text


@given(st.lists(spicy, max_size=5), any_dialect)
def test_pieces_treated_apart_are_safe_and_come_back(
    pieces: list[str], dialect: str | Dialect
) -> None:
    joined = "".join(neutralise(piece, dialect) for piece in pieces)
    assert_plain(joined, dialect)
    assert restore(joined, dialect) == "".join(pieces)


@given(spicy, any_dialect, st.data())
def test_text_that_follows_cannot_complete_a_delimiter(
    text: str, dialect: str | Dialect, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    inert = neutralise(text[:cut], dialect)
    parser = Parser(dialect)
    events = [*parser.feed(inert + text[cut:]), *parser.finish()]
    at = 0
    for event in events:
        if event.source and not isinstance(event, SectionDelta):
            assert at >= len(inert)
        at += len(event.source)


@given(st.text(alphabet="<>/ tThHiInNkKgG\u0130\u0131\u017f\u212a"))
def test_letters_that_fold_to_others_do_not_slip_through(text: str) -> None:
    assert_plain(neutralise(f"<{text}thinking>{text}", "reflection"), "reflection")


def test_the_check_itself_can_fail() -> None:
    with pytest.raises(AssertionError):
        assert_plain("<thinking>", "reflection")


@pytest.mark.parametrize("token", [*CONTROL_TOKENS, "<|im_start|>", "<|begin_of_text|>"])
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_no_control_token_survives(token: str, dialect: str) -> None:
    inert = neutralise(f"a{token}b", dialect)
    assert token not in inert
    assert restore(inert, dialect) == f"a{token}b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words, 2 + 2 = 4",
        "if a < b && c > d { return <div>x</div>; }",
        "List<String> x = a <b ? c : d;",
        "Here we are: my response",
        "[1, 2] and f <| x",
        "the final analysis",
    ],
)
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_ordinary_text_and_code_stay_as_they_are(text: str, dialect: str) -> None:
    assert neutralise(text, dialect) == text


def test_what_is_added_is_invisible_and_small() -> None:
    inert = neutralise("</thinking><output>")
    assert inert == f"<{MARK}/thinking><{MARK}output>"
    assert neutralise("x <") == f"x <{MARK}"


def test_a_tag_of_another_dialect_is_left_alone() -> None:
    assert neutralise("<think>", "magistral") == "<think>"


def test_a_delimiter_of_one_character() -> None:
    dialect = Dialect("signs", {"thinking": {"open": ["§"], "close": ["¶"]}})
    inert = neutralise("a § b ¶ c", dialect)
    assert_plain(inert, dialect)
    assert restore(inert, dialect) == "a § b ¶ c"


def test_restore_takes_any_text() -> None:
    dialect = Dialect("signs", {"thinking": {"open": ["§"], "close": ["¶"]}})
    for text in ("", MARK, "\U000f0000", "\U000f0000x", f"<{MARK * 3}"):
        assert isinstance(restore(text, dialect), str)


def test_an_unknown_dialect_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="nope"):
        neutralise("x", "nope")


@pytest.mark.parametrize(
    "unit", ["<", "<t", "</thinking>", "word ", "Here is my thought process", "<|", f"<{MARK}"]
)
@pytest.mark.parametrize("dialect", ["reflection", "granite"])
def test_time_grows_no_faster_than_text(unit: str, dialect: str) -> None:
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        return min(_timed(lambda: restore(neutralise(text, dialect), dialect)) for _ in range(3))

    small, large = cost(20_000), cost(160_000)
    assert large < 8 * 3 * small + 0.05


def _timed(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


@given(spicy)
def test_in_a_prompt_the_frame_stays_the_only_structure(text: str) -> None:
    """The way it is used: trusted markup around untrusted text."""
    assume("`" not in text)
    framed = f"<thinking>The user wrote: {neutralise(text)} (end)</thinking><output>ok</output>"
    transcript = protocol.parse(framed)
    assert transcript.well_formed
    assert transcript.output == "ok"
