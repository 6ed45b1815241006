"""A byte-level BPE trained on the spot, and a slow, plain reading of it to compare with."""

from __future__ import annotations

import json
import pydoc_data.topics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import regex

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def letters() -> dict[int, str]:
    """How byte-level files spell each byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in kept]
    return {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(rest)}


LETTERS = letters()


def spell(data: bytes) -> str:
    return "".join(LETTERS[b] for b in data)


@dataclass
class Bpe:
    """Merges of byte strings, in order; ``extra`` tokens that no merge makes."""

    merges: list[tuple[bytes, bytes]]
    pattern: str = GPT2
    extra: Sequence[bytes] = ()
    ignore_merges: bool = False
    specials: Sequence[str] = ()
    rank: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, pair in enumerate(self.merges):
            self.rank.setdefault(pair, place)

    def count(self, text: str) -> int:
        return sum(len(self.parts(p.encode())) for p in regex.findall(self.pattern, text))

    def parts(self, piece: bytes) -> list[bytes]:
        if self.ignore_merges and piece in {*self.extra, *(a + b for a, b in self.merges)}:
            return [piece]
        parts = [bytes([b]) for b in piece]
        while True:
            ranked = [(self.rank[p], i) for i, p in enumerate(pairwise(parts)) if p in self.rank]
            if not ranked:
                return parts
            _, at = min(ranked)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]

    def tokenizer_json(self, **changes: Any) -> dict[str, Any]:
        tokens = [*(bytes([b]) for b in range(256)), *(a + b for a, b in self.merges), *self.extra]
        vocab = {spell(t): i for i, t in enumerate(dict.fromkeys(tokens))}
        model = {
            "type": "BPE",
            "vocab": vocab,
            "merges": [f"{spell(a)} {spell(b)}" for a, b in self.merges],
            "ignore_merges": self.ignore_merges,
        }
        added = [{"id": len(vocab) + i, "content": s} for i, s in enumerate(self.specials)]
        cut = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
        return {"model": model, "pre_tokenizer": cut, "added_tokens": added} | changes

    def write(self, folder: Path, **changes: Any) -> Path:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(self.tokenizer_json(**changes)), "utf-8")
        return path


def learn_merges(text: str, size: int) -> list[tuple[bytes, bytes]]:
    """The merges of the commonest pair, again and again (Sennrich et al. 2016)."""
    times = Counter(regex.findall(GPT2, text))
    split = {w: [bytes([b]) for b in w.encode()] for w in times}
    pairs: Counter[tuple[bytes, bytes]] = Counter()
    where: dict[tuple[bytes, bytes], set[str]] = {}

    def note(word: str, sign: int) -> None:
        for pair in pairwise(split[word]):
            pairs[pair] += sign * times[word]
            where.setdefault(pair, set()).add(word)

    for word in times:
        note(word, 1)
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < size:
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for word in where.pop(best):
            note(word, -1)
            split[word] = _merged(split[word], best)
            note(word, 1)
    return merges


def _merged(parts: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    found: list[bytes] = []
    for part in parts:
        joins = found and (found[-1], part) == pair
        found[len(found) - bool(joins) :] = [pair[0] + pair[1] if joins else part]
    return found


@pytest.fixture(scope="session")
def prose() -> list[str]:
    """English paragraphs, from the documentation that Python carries."""
    topics = sorted(pydoc_data.topics.topics.items())
    return [text for _, text in topics if len(text) > 2000]


@pytest.fixture(scope="session")
def bpe(prose: list[str]) -> Bpe:
    return Bpe(
        learn_merges("\n".join(text[:1500] for text in prose[:40]), 300), specials=("<thinking>",)
    )


@pytest.fixture(scope="session")
def train() -> Callable[[str, int], list[tuple[bytes, bytes]]]:
    return learn_merges


@pytest.fixture(scope="session")
def make_bpe() -> type[Bpe]:
    return Bpe
