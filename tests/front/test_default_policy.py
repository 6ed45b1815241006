"""What ``attempts`` means by itself: who may speak against the first answer."""

from __future__ import annotations

import pytest

from reflectkit import Client
from reflectkit.testing import ScriptedBackend


@pytest.mark.parametrize(
    ("attempts", "answers", "output", "asked"),
    [
        (1, "ab", "a", 1),
        (2, "ab", "a", 1),  # of two that differ, either may be the wrong one
        (3, "abb", "b", 3),
        (3, "abc", "a", 3),
        (3, "aab", "a", 2),
        (5, "abbcc", "b", 3),  # more than two need not agree
    ],
)
async def test_without_a_verifier(attempts: int, answers: str, output: str, asked: int) -> None:
    backend = ScriptedBackend(*(f"It is {letter}." for letter in answers))
    reply = await Client(backend, mode="plain", attempts=attempts).ask("Which one?")
    assert reply.output == f"It is {output}."
    assert len(backend.requests) == asked
