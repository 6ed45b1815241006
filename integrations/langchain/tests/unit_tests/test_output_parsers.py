"""The parsers read a stream once, in whatever shape it comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessageChunk
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.outputs import Generation

from langchain_reflectkit import OutputOnlyParser, ReflectionOutputParser
from reflectkit import SectionDelta
from reflectkit.protocol import Parser, parse

TEXT = "<thinking>4*7=27<reflection>no, 28</reflection></thinking><output>It is 28.</output>"
BLOCKS: list[Any] = [
    {"type": "reasoning", "reasoning": "hm", "index": "lc_rk_0", "extras": {"section": "thinking"}},
    {
        "type": "reasoning",
        "reasoning": "no",
        "index": "lc_rk_1",
        "extras": {"section": "reflection"},
    },
    {"type": "reasoning", "reasoning": "27", "index": "lc_rk_2", "extras": {"section": "draft"}},
    {"type": "text", "text": "28, not <thinking>", "index": "lc_rk_3"},
]


async def _stream(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("said", [TEXT, AIMessage(TEXT), AIMessage([TEXT])])
def test_text_and_messages_are_read_alike(said: Any) -> None:
    read = ReflectionOutputParser().invoke(said)
    assert (read.output, read.reflections) == ("It is 28.", ["no, 28"])
    assert read.transcript == parse(TEXT)
    assert OutputOnlyParser().invoke(said) == "It is 28."


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[a:b] for a, b in pairwise(places)]
    assert "".join(OutputOnlyParser().transform(iter(pieces))) == "It is 28."
    *_, last = ReflectionOutputParser().transform(iter(pieces))
    assert last.complete
    assert last.transcript == parse(TEXT)


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_blocks_keep_their_sections_and_are_not_scanned(version: str) -> None:
    told = {"output_version": "v1"} if version == "v1" else {}
    read = ReflectionOutputParser().invoke(AIMessage(BLOCKS, response_metadata=told))
    assert [(s.kind, s.text) for s in read.transcript.sections] == [
        ("thinking", "hm"), ("reflection", "no"), ("output", "28, not <thinking>"),
    ]  # fmt: skip
    assert read.drafts == ["27"]


def test_chunks_of_blocks_remember_what_their_index_is() -> None:
    first = {"type": "reasoning", "reasoning": "a", "index": "lc_rk_1"}
    chunks = [
        AIMessageChunk([{**first, "extras": {"section": "reflection"}}]),
        AIMessageChunk([{**first, "reasoning": "b"}]),
        AIMessageChunk([{"type": "text", "text": "28", "index": "lc_rk_2"}]),
    ]
    *_, last = ReflectionOutputParser().transform(iter(chunks))
    assert (last.reflections, last.output) == (["ab"], "28")
    assert list(OutputOnlyParser().transform(iter(chunks))) == ["28"]


def test_a_field_is_thinking_and_a_lone_bare_message_chunk_is_read() -> None:
    beside = AIMessage("28", additional_kwargs={"reasoning_content": "4 * 7"})
    assert ReflectionOutputParser().invoke(beside).thinking == "4 * 7"
    bare = BaseMessageChunk(content=TEXT, type="ai")
    assert list(OutputOnlyParser().transform(iter([bare]))) == ["It is 28."]


def test_snapshots_grow_and_stay_what_they_were() -> None:
    snaps = list(ReflectionOutputParser().transform(iter([TEXT[:30], TEXT[30:75], TEXT[75:]])))
    assert [s.complete for s in snaps] == [False, False, False, True]
    assert [s.output for s in snaps] == ["", "It is 28.", "It is 28.", "It is 28."]


def test_diff_gives_each_event_once() -> None:
    events = list(ReflectionOutputParser(diff=True).transform(iter(TEXT)))
    assert "".join(e.source for e in events) == TEXT
    assert sum(isinstance(e, SectionDelta) for e in events) > 10


def test_a_cut_text_never_raises_when_partial() -> None:
    strict = ReflectionOutputParser(strict=True)
    for end in range(len(TEXT)):
        strict.parse_result([Generation(text=TEXT[:end])], partial=True)


def test_strict_raises_with_the_raw_text() -> None:
    cut = TEXT[:-9]
    with pytest.raises(OutputParserException, match="unclosed_output") as caught:
        ReflectionOutputParser(strict=True).invoke(cut)
    assert caught.value.llm_output == cut
    with pytest.raises(OutputParserException):
        list(ReflectionOutputParser(strict=True).transform(iter([cut])))
    assert ReflectionOutputParser().invoke(cut).output == "It is 28."


def test_only_an_answer_is_an_output() -> None:
    assert OutputOnlyParser().invoke("<thinking>4 * 7 is") == ""
    with pytest.raises(OutputParserException, match="no answer"):
        OutputOnlyParser(strict=True).invoke("<thinking>4 * 7 is")


def test_a_text_without_tags_waits_unless_it_is_live() -> None:
    assert list(OutputOnlyParser().transform(iter("plain"))) == ["plain"]
    assert list(OutputOnlyParser(live=True).transform(iter("plain"))) == list("plain")


def test_answers_of_our_own_model_never_wait() -> None:
    told = {"model_provider": "reflectkit"}
    chunks = [AIMessageChunk(t, response_metadata=told) for t in ("It ", "is <b>", "28")]
    assert list(OutputOnlyParser().transform(iter(chunks))) == ["It", " is <b>", "28"]


async def test_a_stream_is_read_once_and_in_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    feed = Parser.feed
    monkeypatch.setattr(Parser, "feed", lambda self, p: fed.append(len(p)) or feed(self, p))
    before = set(threading.enumerate())
    pieces = [AIMessageChunk(c) for c in TEXT * 20]
    assert [s async for s in ReflectionOutputParser().atransform(_stream(*pieces))]
    assert sum(fed) == len(TEXT) * 20
    assert set(threading.enumerate()) <= before


async def test_tags_are_gone_before_json_is_read() -> None:
    """langchain-ai/local-deep-researcher#88."""
    chain = OutputOnlyParser() | JsonOutputParser()
    text = '<thinking>{"a": 0}</thinking><output>{"a": 1}</output>'
    assert chain.invoke(AIMessage(text)) == {"a": 1}
    assert [x async for x in chain.atransform(_stream(*text))][-1] == {"a": 1}


def test_text_before_the_thinking_is_kept() -> None:
    """langchain-ai/langchain-nvidia#345."""
    read = ReflectionOutputParser().invoke("Well. <thinking>hm</thinking><output>28</output>")
    assert read.transcript.outside == "Well."
    assert read.transcript.source.startswith("Well.")


async def test_leaving_a_parsed_stream_closes_what_it_reads() -> None:
    """HKUDS/LightRAG#3634."""
    closed: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            for piece in ["<output>a", "b"] * 50:
                yield piece
        finally:
            closed.append("source")

    stream: Any = OutputOnlyParser().atransform(source())
    async with aclosing(stream) as pieces:
        async for _ in pieces:
            break
    await asyncio.sleep(0.05)
    assert closed == ["source"]
