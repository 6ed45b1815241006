"""Thinking is counted, capped and held by tokens, however a vocabulary cuts its tags."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from reflectkit.backends._hf.guide import Guide
from reflectkit.protocol import DIALECTS, parse
from reflectkit.protocol.render import marks

TAG = re.compile(r"</?\w+>|.", re.DOTALL)


class Letters:
    """A vocabulary of single characters: a tag has as many tokens as letters."""

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text]

    def beginning(self, text: str) -> Sequence[int]:
        return [ord(text[0])] if len(text) == 1 else []

    def text(self, token: int) -> str:
        return chr(token)


class Tags:
    """A vocabulary in which a tag is one token, and all else single characters."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def encode(self, text: str) -> list[int]:
        return [self._id(piece) for piece in TAG.findall(text)]

    def beginning(self, text: str) -> Sequence[int]:
        return [n for n, piece in enumerate(self.pieces) if piece.startswith(text)]

    def text(self, token: int) -> str:
        return self.pieces[token]

    def _id(self, piece: str) -> int:
        if piece not in self.pieces:
            self.pieces.append(piece)
        return self.pieces.index(piece)


Vocabulary = Letters | Tags


def told(guide: Guide, vocabulary: Vocabulary, wanted: str) -> str:
    """The text of an answer that would rather be ``wanted``, token by token."""
    text, rest = "", vocabulary.encode(wanted)
    while rest or guide.forced is not None:
        forced = guide.forced
        token = rest.pop(0) if forced is None else forced
        if forced is None and token in set(guide.banned):
            continue
        piece = vocabulary.text(token)
        guide.feed(piece)
        text += piece
    return text


def body(text: str, dialect: str = "reflection") -> str:
    return next(s.text for s in parse(text, dialect).sections if s.kind == "thinking")


@pytest.fixture(params=[Letters, Tags])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    made: Vocabulary = request.param()
    return made


@pytest.mark.parametrize("cap", [0, 1, 5, 20])
def test_exactly_so_many_tokens_are_let_through(vocabulary: Vocabulary, cap: int) -> None:
    guide = Guide(DIALECTS["reflection"], vocabulary, cap=cap)
    text = told(guide, vocabulary, "<thinking>" + "1234567890" * 9)
    assert body(text) == ("1234567890" * 9)[:cap]
    assert text.startswith(f"<thinking>{body(text)}</thinking>\n<output>")
    assert guide.body == cap
    assert parse(text + "</output>").issues == ()


@pytest.mark.parametrize("name", [n for n, d in DIALECTS.items() if d.match != "channels"])
def test_in_every_dialect(name: str) -> None:
    dialect, letters = DIALECTS[name], Letters()
    guide = Guide(dialect, letters, cap=3)
    text = told(guide, letters, marks("thinking", dialect)[0] + "abcdef")
    assert body(text, name) == "abc"
    assert parse(text, name).sections[0].closed


def test_in_channels(vocabulary: Vocabulary) -> None:
    guide = Guide(DIALECTS["harmony"], vocabulary, cap=3)
    text = told(guide, vocabulary, "<|channel|>analysis<|message|>abcdef")
    read = parse(text, "harmony")
    assert body(text, "harmony") == "abc"
    assert [s.kind for s in read.sections if s.text] == ["thinking", "output"]


def test_an_open_reflection_is_closed_too(vocabulary: Vocabulary) -> None:
    guide = Guide(DIALECTS["reflection"], vocabulary, cap=30)
    text = told(guide, vocabulary, "<thinking>one<reflection>" + "two" * 30)
    assert "</reflection></thinking>\n<output>" in text
    assert guide.body == 30
    assert parse(text + "</output>").issues == ()


def test_thinking_that_ends_by_itself_is_left_alone(vocabulary: Vocabulary) -> None:
    whole = "<thinking>one</thinking>\n<output>two</output>"
    for cap in (None, 14, 1000):
        guide = Guide(DIALECTS["reflection"], vocabulary, cap=cap)
        assert told(guide, vocabulary, whole) == whole
        assert guide.body == 3 + (isinstance(vocabulary, Letters) and len("</thinking"))


def test_a_cap_that_falls_into_a_closer() -> None:
    """Letter by letter the closer had begun: what is left of it is written."""
    letters = Letters()
    guide = Guide(DIALECTS["reflection"], letters, cap=8)
    text = told(guide, letters, "<thinking>12345</t!!!!!!!!!!!!!!")
    assert text.startswith("<thinking>12345</thinking>\n<output>!!")
    less = Guide(DIALECTS["reflection"], letters, cap=3)
    assert told(less, letters, "<thinking>1 <2").startswith("<thinking>1 <</thinking>\n")


def test_once_spent_no_more_thinking(vocabulary: Vocabulary) -> None:
    """A section that is opened later is closed at once."""
    guide = Guide(DIALECTS["think"], vocabulary, cap=3)
    text = told(guide, vocabulary, "<think>abcdef g <think>hij k")
    assert text == "<think>abc</think>def g <think></think>hij k"


def test_nested_openers_are_closed_as_well(vocabulary: Vocabulary) -> None:
    guide = Guide(DIALECTS["think"], vocabulary, cap=12)
    text = told(guide, vocabulary, "<think>a<think>b" + "c" * 20)
    assert parse(text, "think").sections[0].closed
    assert guide.forced is None


def test_the_prompt_may_open_thinking(vocabulary: Vocabulary) -> None:
    for opening, wanted in (("<thinking>", "abcdef"), ("<thinking>\n12", "3456")):
        guide = Guide(DIALECTS["reflection"], vocabulary, cap=2, opening=opening)
        text = told(guide, vocabulary, wanted)
        assert text.startswith(wanted[:2] + "</thinking>\n<output>")
    spent = Guide(DIALECTS["reflection"], vocabulary, cap=0, opening="<thinking>12")
    assert told(spent, vocabulary, "").startswith("</thinking>")


@pytest.mark.parametrize("end", ["</thinking>", "<output>"])
def test_thinking_does_not_end_too_early(vocabulary: Vocabulary, end: str) -> None:
    """A token that would end it is banned; here the model then goes on as it would."""
    vocabulary.encode(f"{end}</reflection>")
    guide = Guide(DIALECTS["reflection"], vocabulary, least=24)
    text = told(guide, vocabulary, f"<thinking>ab{end}cd<reflection>e</reflection>fg{end}hi{end}")
    inside = text.removeprefix("<thinking>").partition(end)[0]
    assert len(vocabulary.encode(inside)) >= 24 or guide.holds
    assert len(inside) > len("ab")
    free = Guide(DIALECTS["reflection"], vocabulary)
    assert body(told(free, vocabulary, f"<thinking>ab{end}cd")) == "ab", "else it would end there"


def test_thinking_counts_its_tags(vocabulary: Vocabulary) -> None:
    guide = Guide(DIALECTS["reflection"], vocabulary)
    thought = "<thinking>one<reflection>two</reflection></thinking>"
    told(guide, vocabulary, f"Hm. {thought}\n<output>three</output>")
    assert guide.thinking == len(vocabulary.encode(thought))


def test_an_answer_without_thinking(vocabulary: Vocabulary) -> None:
    guide = Guide(DIALECTS["reflection"], vocabulary, cap=1)
    assert told(guide, vocabulary, "just <b>text</b>") == "just <b>text</b>"
    assert (guide.thinking, guide.body) == (0, 0)


def test_tokens_that_complete_nothing_count() -> None:
    """Half a character is no text yet, and a token all the same."""
    guide = Guide(DIALECTS["think"], Letters(), cap=3)
    for text in ("<think>", "", "", "é"):
        assert guide.forced is None
        guide.feed(text)
    assert guide.forced == ord("<")
    assert guide.thinking == 4
