"""The gate: exactly the cap, or a boundary within the grace, for every chunking."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.budget.gate import Gate, Words
from reflectkit.budget.meter import Caps, Meter, Tally
from reflectkit.messages import Chunk, ToolCall, Usage
from reflectkit.protocol import DIALECTS, parse
from reflectkit.protocol.closing import closing
from reflectkit.protocol.dialects import find_dialect
from reflectkit.reading import Reader, Reading
from reflectkit.testing import chunkings

THOUGHT = "One two three.\nFour <reflection>five six.</reflection> Seven eight nine ten."
TEXT = f"<thinking>{THOUGHT}</thinking>\n<output>\n11\n</output>"


def words(text: str) -> int:
    """A token is a word: easy to count by hand."""
    return len(text.split())


def gate(
    caps: Caps,
    *,
    dialect: str = "reflection",
    count: Callable[[str], int] = words,
    extends: bool = False,
    prefilled: bool = False,
) -> Gate:
    reader = Reader(Reading(dialect=dialect, prefilled=prefilled))
    meter = Meter(caps, count, prefilled=prefilled)
    return Gate(reader, meter, find_dialect(dialect), extends=extends)


def run(pieces: list[str], caps: Caps, *, extends: bool = False) -> Gate:
    made = gate(caps, extends=extends)
    for piece in pieces:
        made.feed(Chunk(piece))
    made.finish()
    return made


@pytest.mark.parametrize("cap", range(11))
@pytest.mark.parametrize("grace", [0, 1, 3, 50])
def test_thinking_ends_within_cap_and_grace(cap: int, grace: int) -> None:
    for pieces in chunkings(TEXT):
        made = run(list(pieces), Caps(thinking=cap, grace=grace))
        assert TEXT.startswith(made.text)
        if made.cut:
            assert made.cut == "thinking"
            assert made.meter.thinking <= cap + grace
            ends = closing(find_dialect("reflection"), made.meter.open)
            found = parse(made.text + ends + "x</output>")
            assert found.output == "x"
            assert not found.issues
        else:
            assert made.text == TEXT
            assert made.meter.thinking <= cap + grace


def test_a_boundary_is_waited_for_within_the_grace() -> None:
    for pieces in (list(TEXT), [TEXT]):
        made = run(pieces, Caps(thinking=2, grace=3))
        assert made.text == "<thinking>One two three.\n"
        late = run(pieces, Caps(thinking=2, grace=3, eager=False))
        assert made.cut == late.cut == "thinking"
        assert late.meter.thinking == 5  # a server that was told is left to end it by itself


def test_the_cap_is_told_of_with_its_last_token() -> None:
    """Not with the next one, which would have to be paid for."""
    made = gate(Caps(thinking=2))
    cuts = []
    for piece in ("<thinking>", "One ", "two "):
        made.feed(Chunk(piece))
        cuts.append(made.cut)
    assert cuts == [None, None, "thinking"]


def test_an_answer_without_a_cap_is_never_cut() -> None:
    long = "<thinking>a</thinking><output>" + "word " * 500 + "</output>"
    made = run([long], Caps(thinking=5))
    assert (made.text, made.cut) == (long, None)


@pytest.mark.parametrize("size", [1, 4, 10_000])
def test_an_output_ends_at_its_cap(size: int) -> None:
    long = "<thinking>a b c</thinking><output>" + "word " * 500 + "</output>"
    made = run([long[i : i + size] for i in range(0, len(long), size)], Caps(output=7))
    assert made.cut == "output"
    assert made.meter.output == 7
    made = run([long], Caps(completion=9))
    assert made.cut == "completion"
    assert made.meter.thinking + made.meter.output == 9


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_each_reflection_has_its_cap(size: int) -> None:
    text = "<thinking>a <reflection>b c d e f</reflection></thinking><output>x</output>"
    made = run([text[i : i + size] for i in range(0, len(text), size)], Caps(reflection=2))
    assert made.cut == "reflection"
    assert made.meter.open == ("thinking", "reflection")
    assert made.text.startswith("<thinking>a <reflection>b c")


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("most", [0, 1])
def test_reflections_are_numbered(size: int, most: int) -> None:
    """The one too many is not begun: not a character of its tag is passed."""
    one = "<reflection>hm</reflection> "
    text = f"<thinking>a {one * 3}</thinking><output>x</output>"
    made = run([text[i : i + size] for i in range(0, len(text), size)], Caps(reflections=most))
    assert made.cut == "reflections"
    assert made.text == "<thinking>a " + one * most


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("end", ["</thinking>", "<output>", "</THINKING >"])
def test_thinking_below_its_floor_is_cut_before_its_end(size: int, end: str) -> None:
    text = f"<thinking>a b c{end}<output>x</output>"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert run(pieces, Caps(thinking_floor=9), extends=True).text == "<thinking>a b c"
    assert run(pieces, Caps(thinking_floor=3), extends=True).text == text
    assert run(pieces, Caps(thinking_floor=9)).text == text  # the backend cannot be gone on with


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_an_answer_that_would_be_blank_is_cut_before_its_end(size: int) -> None:
    text = "<thinking>a</thinking>\n<output>\n \n</output>"
    made = run([text[i : i + size] for i in range(0, len(text), size)], Caps(thinking=9))
    assert made.cut == "blank"
    assert made.text == text.removesuffix("</output>")


def test_what_is_no_text_passes_when_it_is_cut() -> None:
    """Signatures of the thinking and tool calls are not lost with the words behind the cut."""
    made = gate(Caps(thinking=1))
    call = ToolCall("1", "add")
    made.feed(Chunk("<thinking>one two three", payload={"signature": "s"}, tool_calls=(call,)))
    transcript = made._reader.transcript  # type: ignore[attr-defined]  # the inside of it
    assert made.cut == "thinking"
    assert transcript.payload == {"signature": "s"}
    assert transcript.tool_calls == (call,)


def test_reasoning_that_came_apart_is_counted_whole() -> None:
    made = gate(Caps(thinking=3))
    made.feed(Chunk(reasoning="one two"))
    before = made.cut
    assert not before
    made.feed(Chunk(reasoning=" three four"))
    assert made.cut == "thinking"
    assert made.apart
    assert made.meter.thought.split()[:2] == ["one", "two"]
    assert made.meter.thinking == 3


def test_a_prefilled_prompt_is_thinking_under_way() -> None:
    made = gate(Caps(thinking=2), dialect="think", prefilled=True)
    made.feed(Chunk("one two three"))
    assert made.cut == "thinking"
    assert closing(find_dialect("think"), made.meter.open) == "</think>"


def test_what_a_server_says_is_better_than_an_estimate() -> None:
    """Running usage: 10 tokens to a word, whatever the estimate was."""
    made = gate(Caps(thinking=50), count=lambda text: 1)
    made.feed(Chunk("<thinking>"))
    for number in range(1, 20):
        made.feed(Chunk("word ", usage=Usage(completion=10 * number)))
        if made.cut:
            break
    assert made.cut == "thinking"
    assert made.meter.thinking == 50
    assert number == 5


def test_running_usage_is_split_by_phases() -> None:
    meter = gate(Caps(output=10_000), count=lambda text: 1)
    for text, total in (("<thinking>", 3), ("aaaa", 7), ("bbbb</thinking><output>cccc", 27)):
        meter.feed(Chunk(text, usage=Usage(completion=total)))
    assert (meter.meter.thinking, meter.meter.output) == (7 + 10, 10)


def test_counting_is_rare() -> None:
    """A text has no more tokens than bytes, so most pieces need no count."""
    calls = 0

    def counted(text: str) -> int:
        nonlocal calls
        calls += 1
        return words(text)

    made = gate(Caps(thinking=2000, output=2000, completion=5000), count=counted)
    for piece in ["<thinking>", *["some words here "] * 600]:
        made.feed(Chunk(piece))
    assert calls < 60


def test_a_tally_counts_no_text_twice() -> None:
    texts: list[str] = []

    def counted(text: str) -> int:
        texts.append(text)
        return words(text)

    tally = Tally(counted)
    tally.add("one two", 7)
    assert [tally.tokens(), tally.tokens(), tally.tokens(" three")] == [2, 2, 3]
    assert texts == ["one two", "one two three"]
    tally.told(20)
    assert (tally.most, tally.tokens(), tally.fresh) == (20, 20, 0)


@given(st.text(alphabet="<>/thinkgreflcouptx .\n", max_size=300), st.integers(0, 12))
def test_nothing_is_invented(text: str, cap: int) -> None:
    made = run([text[i : i + 7] for i in range(0, len(text), 7)], Caps(thinking=cap, grace=2))
    assert text.startswith(made.text)
    assert made.cut or made.text == text


@given(st.text(alphabet="<>/thinkgreflcouptx[]THINK◁▷:. \n", max_size=120), st.integers(1, 9))
@pytest.mark.parametrize("name", [n for n in DIALECTS if n != "harmony"])
def test_words_lose_nothing_in_any_dialect(name: str, text: str, size: int) -> None:
    known = Words(DIALECTS[name])
    found, held = [], ""
    for i in range(0, len(text), size):
        some, held = known.split(held + text[i : i + size])
        found += some
    found += known.split(held, final=True)[0]
    assert "".join(found) == text


@pytest.mark.parametrize("name", DIALECTS)
def test_every_delimiter_is_a_word_of_its_own(name: str) -> None:
    dialect = DIALECTS[name]
    known = Words(dialect)
    if dialect.match == "channels":
        return
    for kind, found in dialect.sections.items():
        for side in ("open", "close"):
            mark = getattr(found, side)[0]
            if dialect.match == "xml":
                mark = f"<{'/' * (side == 'close')}{mark}>"
            text = f"before{mark}after"
            some, held = [], ""
            for character in text:
                parts, held = known.split(held + character)
                some += parts
            some += known.split(held, final=True)[0]
            assert mark in some, (kind, side, some)
            assert known.delimits(mark)
            assert known.opens_thinking(mark) == (side == "open" and kind != "output")
