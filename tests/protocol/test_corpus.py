"""Transcripts with what they mean, worked out by hand from the protocol page; each names its class
of failure seen in other parsers (F1 to F17)."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .helpers import brief, dialect_of, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflectkit.reply import Transcript

CORPUS = Path(__file__).parent / "corpus"
ENTRIES: list[dict[str, Any]] = [
    entry for file in sorted(CORPUS.glob("*.json")) for entry in json.loads(file.read_text("utf-8"))
]


def chunkings(text: str) -> Iterator[list[str]]:
    yield [text]
    yield list(text)
    chance = random.Random(text)
    for longest in (3, 7, 40):
        pieces, at = [], 0
        while at < len(text):
            step = chance.randint(1, longest)
            pieces.append(text[at : at + step])
            at += step
        yield pieces


def views(transcript: Transcript) -> dict[str, Any]:
    return {
        "thinking": transcript.thinking,
        "reflections": transcript.reflections,
        "output": transcript.output,
        "outside": transcript.outside,
        "issues": sorted(issue.kind for issue in transcript.issues),
    }


def check(entry: dict[str, Any]) -> None:
    for pieces in chunkings(entry["text"]):
        dialect = dialect_of(entry["dialect"])
        events, transcript = read(pieces, dialect, entry.get("prefilled", False))
        assert "".join(event.source for event in events) == entry["text"]
        expected = {key: entry[key] for key in views(transcript)}
        assert views(transcript) == expected
        if "events" in entry:
            assert brief(events) == entry["events"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e['class']} {e['name']}")
def test_means_what_the_page_says(entry: dict[str, Any]) -> None:
    check(entry)


@pytest.mark.parametrize(
    "key", ["thinking", "reflections", "output", "outside", "issues", "events"]
)
def test_each_check_can_fail(key: str) -> None:
    entry = deepcopy(next(e for e in ENTRIES if e["name"] == "the protocol as meant"))
    entry[key] = "wrong" if isinstance(entry[key], str) else ["wrong"]
    with pytest.raises(AssertionError):
        check(entry)


def test_the_corpus_is_large_and_covers_every_class_and_dialect() -> None:
    names = [e["dialect"] if isinstance(e["dialect"], str) else "own" for e in ENTRIES]
    assert len(ENTRIES) >= 150
    assert len({e["name"] for e in ENTRIES}) == len(ENTRIES)
    assert {e["class"] for e in ENTRIES} == {f"F{n}" for n in range(1, 18)}
    assert {"reflection", "think", "magistral", "kimi", "seed"} < set(names)
    assert {"minimax_m3", "hunyuan", "granite", "gemma4", "harmony", "own"} < set(names)
