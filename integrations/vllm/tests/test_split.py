"""Streamed or whole, in any pieces: the same reasoning and content, and every word of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reflectkit.protocol import parse
from reflectkit_vllm.split import Split, Splitter, split

CORPUS = Path(__file__).parents[3] / "tests" / "protocol" / "corpus" / "reflection.json"
ROWS: list[dict[str, Any]] = json.loads(CORPUS.read_text("utf-8"))
#: late evidence changes how these read, and what was sent stays sent
LATE = ("missing_open", "nested_thinking")
ENTRIES = [
    row
    for row in ROWS
    if row["dialect"] == "reflection"
    and not row.get("prefilled")
    and not set(LATE) & set(row["issues"])
    and "`" not in row["text"]
    and "~" not in row["text"]
]


def streamed(text: str, size: int, prefix: str = "") -> Split:
    splitter = Splitter()
    splitter.prefix(prefix)
    told = [splitter.feed(text[i : i + size]) for i in range(0, len(text), size)]
    told.append(splitter.finish())
    return Split("".join(t.reasoning for t in told), "".join(t.content for t in told))


@pytest.mark.parametrize("entry", ROWS, ids=lambda e: e["name"])
def test_a_whole_answer(entry: dict[str, Any]) -> None:
    transcript = parse(entry["text"], "reflection")
    found = split(transcript)
    assert found.content == transcript.output
    words = f"{transcript.thinking or ''} {transcript.outside}".split()
    assert sorted(found.reasoning.split()) == sorted(words)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e["name"])
def test_a_streamed_answer(entry: dict[str, Any], size: int) -> None:
    assert streamed(entry["text"], size) == split(parse(entry["text"], "reflection"))


def test_there_are_many() -> None:
    assert len(ENTRIES) > 50


def test_a_prefix_is_read_and_not_told() -> None:
    found = streamed(" = 4</thinking><output>4</output>", 2, "<thinking>\n2 + 2")
    assert found == Split(" = 4", "4")


def test_what_stands_outside_is_not_lost() -> None:
    assert streamed("So: <thinking>a</thinking> b <output>c</output> d", 4) == Split(
        "a\n\nSo:\n\nb\n\nd", "c"
    )
    assert streamed("Just this.", 3) == Split("", "Just this.")
