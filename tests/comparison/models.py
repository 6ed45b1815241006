"""Arms whose answers are known beforehand: each depends on the question and the seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from reflectkit import Client
from reflectkit.backends.base import Capabilities
from reflectkit.comparison import Problem
from reflectkit.messages import Chunk, Request, Usage


def luck(*parts: object) -> float:
    """From 0 to 1, the same for the same parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


class Sums:
    """Adds two numbers, and is right as often as ``skill`` says.

    With ``reflects`` it drafts, looks at its draft and mends so many of the wrong ones
    (``mends``).
    """

    def __init__(
        self, skill: float, *, name: str = "sums", reflects: bool = False, mends: float = 1.0
    ) -> None:
        self.model = name
        self.capabilities = Capabilities(continues_prefix=True)
        self.skill, self.reflects, self.mends = skill, reflects, mends
        self.asked = 0

    def __repr__(self) -> str:
        return f"Sums({self.skill}, reflects={self.reflects}, mends={self.mends})"

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        """The answer in two pieces."""
        self.asked += 1
        text = self.said(request)
        tokens = 2 * len(text.split())
        yield Chunk(text[: len(text) // 2])
        usage = Usage(prompt=10, completion=tokens)
        yield Chunk(text[len(text) // 2 :], usage=usage, finish="stop")

    def said(self, request: Request) -> str:
        """The whole answer."""
        question = request.messages[-1].text
        a, b = (int(word) for word in question.replace("?", "").split() if word.isdigit())
        right = luck(question, request.seed, "draft") < self.skill
        draft = a + b if right else a + b + 1
        if request.prefix:
            return f"\n{draft}\n</output>"
        if not self.reflects:
            return str(draft)
        sees = not right and luck(question, request.seed, "look") < self.mends
        final, said = (a + b, "not right, it is off by one") if sees else (draft, "correct")
        return (
            f"<thinking>\nThe answer is {draft}.\n<reflection>This is {said}.</reflection>\n"
            f"The answer is {final}.\n</thinking>\n<output>\n{final}\n</output>"
        )


def sums(n: int, start: int = 1) -> list[Problem]:
    """Problems that ``Sums`` can answer."""
    return [
        Problem(
            id=f"sum-{k}",
            prompt=f"What is {k} + {2 * k} ?",
            gold=3 * k,
            grader="numeric",
            task="odd" if k % 2 else "even",
        )
        for k in range(start, start + n)
    ]


def plain(skill: float = 0.6) -> Client:
    return Client(Sums(skill, name="sums"), mode="plain")


def reflecting(skill: float = 0.6, mends: float = 0.5) -> Client:
    return Client(Sums(skill, name="sums-r", reflects=True, mends=mends), mode="trained")
