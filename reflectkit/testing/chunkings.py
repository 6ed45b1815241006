"""Ways to cut a text or bytes into pieces: for tests that every way gives the same result."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import TypeVar

__all__ = ["chunkings"]

T = TypeVar("T", str, bytes)


def chunkings(text: T, *, seed: int = 0, random_cuts: int = 8, sizes: int = 3) -> Iterator[list[T]]:
    """Cut ``text`` in many ways; the pieces of each way join to ``text`` again.

    First whole, then one by one, then fixed sizes from 2 to ``sizes``, then every cut in two (for
    texts up to 200 long), then ``random_cuts`` ways drawn from ``seed``, empty pieces among them.
    """
    yield [text]
    for size in range(1, sizes + 1):
        yield [text[i : i + size] for i in range(0, len(text), size)]
    if len(text) <= 200:
        yield from ([text[:cut], text[cut:]] for cut in range(1, len(text)))
    draw = random.Random(seed)
    for _ in range(random_cuts):
        cuts: list[int] = sorted(
            draw.randint(0, len(text)) for _ in range(draw.randint(1, 1 + len(text) // 2))
        )
        edges = [0, *cuts, len(text)]
        yield [text[a:b] for a, b in itertools.pairwise(edges)]
