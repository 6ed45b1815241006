"""What a consumer may see of the thinking, whatever the model and the wire do."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reflectkit import (
    BackendWireError,
    Chunk,
    Client,
    SectionDelta,
    SectionEnded,
    SectionStarted,
    Transcript,
)
from reflectkit.messages import FinishReason
from reflectkit.protocol import parse
from reflectkit.reading import Reader, Reading
from reflectkit.testing import ScriptedBackend, chunkings
from reflectkit.visibility import AnswerText, Screen, Show, visible

GOOD = "<thinking>SECRET <reflection>SECRET again</reflection></thinking>\n<output>28</output>"
VEILED: list[Show] = ["summary", "hidden"]


def asker(*steps: Any, **settings: Any) -> Client:
    return Client(ScriptedBackend(list(steps)), mode="prompted", **settings)


async def test_full_shows_everything() -> None:
    reply = await asker(GOOD).ask("q")
    assert reply.transcript.source == GOOD
    assert reply.summary is not None
    assert (reply.summary.sections, reply.summary.reflections) == (1, 1)


async def test_summary_counts_and_shows_no_text() -> None:
    reply = await asker(GOOD, show="summary").ask("q")
    assert reply.summary is not None
    assert reply.summary.sections == 1
    assert reply.summary.reflections == 1
    assert reply.summary.characters == len("SECRET SECRET again")
    assert reply.summary.tokens == reply.usage.thinking
    assert reply.output == "28"
    assert reply.thinking == ""
    assert reply.reflections == [""]
    assert "SECRET" not in repr(reply) + reply.transcript.source


async def test_hidden_shows_the_answer_alone() -> None:
    reply = await asker(GOOD, show="hidden").ask("q")
    assert reply.output == "28"
    assert reply.thinking is None
    assert reply.reflections == []
    assert reply.summary is None
    assert [s.kind for s in reply.sections] == ["output"]
    assert reply.transcript.source == "<output>28</output>"
    assert reply.attempts[0].transcript == reply.transcript


@pytest.mark.parametrize("pieces", list(chunkings(GOOD)), ids=len)
async def test_summary_events_say_where_thinking_is(pieces: list[str]) -> None:
    async with asker(*pieces, show="summary").stream("q") as stream:
        events = [e async for e in stream][1:-1]
        reply = await stream.reply()
    borders = [(type(e), e.kind) for e in events if isinstance(e, SectionStarted | SectionEnded)]
    assert borders == [
        (SectionStarted, "thinking"),
        (SectionStarted, "reflection"),
        (SectionEnded, "reflection"),
        (SectionEnded, "thinking"),
        (SectionStarted, "output"),
        (SectionEnded, "output"),
    ]
    for event in events:
        if isinstance(event, SectionDelta):
            assert reply.sections[event.index].kind == event.kind == "output"


@pytest.mark.parametrize("show", VEILED)
async def test_no_error_carries_thinking(show: Show) -> None:
    fault = BackendWireError("bad JSON: SECRET")
    fault.__cause__ = ValueError("SECRET")
    with pytest.raises(BackendWireError) as caught:
        await asker("<thinking>SECRET</thinking>ok <outp", fault, show=show).ask("q")
    error = caught.value
    assert error.partial is not None
    assert "SECRET" not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert "SECRET" not in error.partial.source + repr(error.partial)


@pytest.mark.parametrize("show", VEILED)
@pytest.mark.parametrize("cut", ["length", "cancelled", "error", "content_filter"])
async def test_a_response_cut_before_any_tag_shows_nothing(cut: FinishReason, show: Show) -> None:
    reply = await asker("SECRET, or the answer", Chunk(finish=cut), show=show).ask("q")
    assert reply.output == ""
    assert "SECRET" not in repr(reply)


@pytest.mark.parametrize("show", VEILED)
async def test_a_running_response_shows_no_text_in_doubt(show: Show) -> None:
    async with asker("SECRET", "</thinking>28", show=show).stream("q") as stream:
        await anext(stream)
        await stream.reply()
        assert "SECRET" not in repr(stream.partial)


async def test_an_untagged_answer_is_an_answer() -> None:
    assert (await asker("It is 28.", show="hidden").ask("q")).output == "It is 28."


@pytest.mark.parametrize("show", VEILED)
async def test_what_the_server_separated_is_veiled(show: Show) -> None:
    chunks = [
        Chunk(reasoning="SECRET", payload={"signature": "SECRET"}),
        Chunk("28"),
        Chunk(finish="stop"),
    ]
    backend = ScriptedBackend(chunks)
    async with Client(backend, mode="plain", show=show).stream("q") as stream:
        events = [e async for e in stream]
        reply = await stream.reply()
    assert reply.output == "28"
    assert "SECRET" not in repr(events) + repr(reply) + repr(reply.transcript.payload)
    assert reply.message.payload is None


# --- any text, any chunking ---------------------------------------------------------------------

TAGS = [
    "<thinking>", "</thinking>", "<reflection>", "</reflection>", "<output>", "</output>",
    "<think>", "</think>", "<THINKING a='b'>", "<thin", "king>", "<", ">", "`", "```\n", "\n", " ",
]  # fmt: skip
DIALECTS = ["reflection", "think", "magistral", "hunyuan", "harmony", "gemma4", "granite"]
MORE = [
    "[THINK]", "[/THINK]", "<answer>", "</answer>", "<|channel>thought", "<channel|>",
    "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|end|>",
    "Here is my thought process:", "Here is my response:",
]  # fmt: skip


@st.composite
def responses(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text in which every word is its own, and a way to cut it."""
    parts = draw(st.lists(st.sampled_from([*TAGS, *TAGS, *MORE, "word"]), max_size=14))
    words = [f"w{i}w" if part == "word" else part for i, part in enumerate(parts)]
    text = "".join(words)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def words(text: str) -> set[str]:
    return set(re.findall(r"w\d+w", text))


def told(transcript: Transcript) -> set[str]:
    return words(repr(transcript) + transcript.source)


@given(
    response=responses(),
    dialect=st.sampled_from(DIALECTS),
    prefilled=st.booleans(),
    show=st.sampled_from(VEILED),
    finish=st.sampled_from(["stop", "length", "error"]),
)
@example(
    response=("w0w</think>w1w", ["w0w", "</think>w1w"]),
    dialect="think", prefilled=False, show="hidden", finish="stop",
)  # fmt: skip
def test_no_thinking_gets_through(
    response: tuple[str, list[str]],
    dialect: str,
    prefilled: bool,
    show: Show,
    finish: Literal["stop", "length", "error"],
) -> None:
    text, pieces = response
    whole = parse(text, dialect, prefilled=prefilled)
    thinking = {
        w for s in whole.sections if s.kind in ("thinking", "reflection") for w in words(s.text)
    }
    complete = finish == "stop"
    reader, screen = Reader(Reading(dialect=dialect, prefilled=prefilled)), Screen(show)
    seen = []
    for piece in pieces:
        events = reader.feed(Chunk(piece))
        seen += screen.feed(events, reader.progress)
        assert not told(visible(reader.transcript, show, complete=False)) & thinking
    progress = reader.progress
    seen += screen.feed(reader.finish(), progress)
    final = visible(reader.transcript, show, complete=complete)
    seen += screen.finish(final)

    assert not words(repr(seen)) & thinking
    assert not told(final) & thinking
    if complete:
        assert final.output == whole.output
        text_seen: dict[int, str] = {}
        for event in seen:
            if isinstance(event, SectionDelta):
                text_seen[event.index] = text_seen.get(event.index, "") + event.text
        answer = {i: s.text for i, s in enumerate(final.sections) if s.text}
        assert text_seen == answer


@given(response=responses(), dialect=st.sampled_from(DIALECTS), prefilled=st.booleans())
def test_answer_text_is_never_withdrawn(
    response: tuple[str, list[str]], dialect: str, prefilled: bool
) -> None:
    text, pieces = response
    output = parse(text, dialect, prefilled=prefilled).output
    reader, screen = Reader(Reading(dialect=dialect, prefilled=prefilled)), Screen("full")
    answer, told_text = AnswerText(), ""
    for piece in [*pieces, None]:
        before = reader.progress
        events = reader.finish() if piece is None else reader.feed(Chunk(piece))
        screen.feed(events, before if piece is None else reader.progress)
        told_text += "".join(answer.feed(screen.settled))
        assert output.startswith(told_text)
    assert told_text + answer.finish(output) == output


def test_the_search_for_leaks_can_find_one() -> None:
    leaky = visible(parse("<thinking>w0w</thinking>w1w", "reflection"), "full")
    assert "w0w" in told(leaky)
