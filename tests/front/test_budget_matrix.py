"""What servers do with budgets, on three wires: never an empty answer without a reason, and what
was spent is known or said to be an estimate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from reflectkit import Budget, Client
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.base import Backend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.budget.wrapup import ANSWER_NOW
from reflectkit.reply import ANSWERED, Reply
from reflectkit.testing import (
    LoopbackServer,
    Received,
    Served,
    anthropic_chat,
    chat,
    ollama_chat,
    refusal,
)

pytestmark = pytest.mark.long

Fault = Literal["ignores", "eats", "hides", "drops", "refuses", "repeats", "no usage"]
Wire = Literal["openai", "anthropic", "ollama"]
CAP, GRACE, OUTPUT = 120, 8, 40
WORDS = ["house ", "water ", "light ", "paper ", "green ", "under ", "round ", "think "]
THOUGHTS = [WORDS[i % len(WORDS)] for i in range(400)]
ANSWER = ["The ", "answer ", "is ", "42."]
PROMPT = 7


@dataclass
class Model:
    """Answers as a server with one fault does; a piece is a token, and they are counted.

    ``apart``: thinking comes in the wire's own field, not in tags.
    """

    wire: Wire
    fault: Fault
    apart: bool = False
    sent: int = 0
    prompts: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, received: Received) -> Served:
        body = received.json
        self.seen.append(body)
        self.prompts += PROMPT
        last = body["messages"][-1]
        said = last["content"] if isinstance(last["content"], str) else last["content"][0]["text"]
        prefix = said if last["role"] == "assistant" else ""
        if prefix and self.fault == "refuses":
            self.prompts -= PROMPT
            return refusal(400, "the last turn must be the user's")
        if prefix and self.fault != "drops":
            return self._written([], [*([prefix] if self.fault == "repeats" else []), *ANSWER])
        if ANSWER_NOW in said:
            return self._written([], ANSWER)
        return self._thought(body)

    def _thought(self, body: dict[str, Any]) -> Served:
        most = body.get("max_tokens") or body.get("options", {}).get("num_predict")
        if self.fault == "hides":
            self.sent += most
            return self._written([], [], finish=self._length, hidden=most)
        if self.fault == "eats":
            return self._written(THOUGHTS[:most], [], finish=self._length)
        return self._written(THOUGHTS, ANSWER)

    @property
    def _length(self) -> str:
        return {"openai": "length", "anthropic": "max_tokens", "ollama": "length"}[self.wire]

    def _written(
        self, thoughts: list[str], answer: list[str], *, finish: str = "", hidden: int = 0
    ) -> Served:
        pieces = answer
        if thoughts and not self.apart:
            closed = ["</thinking>", "<output>"] if answer else []
            pieces, thoughts = ["<thinking>", *thoughts, *closed, *answer], []
        served = getattr(self, f"_{self.wire}")(pieces, thoughts, finish)
        if hidden:
            served = replace(served, steps=tuple(_told(step, hidden) for step in served.steps))
        return self._paced(served)

    def _openai(self, pieces: list[str], thoughts: list[str], finish: str) -> Served:
        usage: Any = "none" if self.fault == "no usage" else "running"
        return chat(*pieces, reasoning=thoughts, finish=finish or "stop", usage=usage)

    def _anthropic(self, pieces: list[str], thoughts: list[str], finish: str) -> Served:
        return anthropic_chat(*pieces, thinking=thoughts, stop=finish or "end_turn")

    def _ollama(self, pieces: list[str], thoughts: list[str], finish: str) -> Served:
        return ollama_chat(*pieces, thinking=thoughts, reason=finish or "stop")

    def _paced(self, served: Served) -> Served:
        """One piece after the other, so that who is left stops soon."""
        return Served(tuple(self._steps(served.steps)), served.status, served.headers)

    def _steps(self, steps: tuple[Any, ...]) -> Iterator[Any]:
        for step in steps:
            yield step
            if isinstance(step, bytes) and _is_piece(step):
                yield self._counted

    async def _counted(self) -> None:
        self.sent += 1
        await asyncio.sleep(0.0015)


def _told(step: Any, tokens: int) -> Any:
    """The step, whose figures tell of tokens that nobody sees."""
    for name in (b'"completion_tokens": ', b'"output_tokens": ', b'"eval_count": '):
        step = step.replace(name + b"0", name + str(tokens).encode())
    return step


def _is_piece(step: bytes) -> bool:
    marks = (b'"content": "', b'"reasoning_content": "', b"text_delta", b"thinking_delta")
    said = any(mark in step for mark in marks) or b'"content": "", "thinking": "' in step
    return said and b'"content": "", "tool' not in step and b'"done": true' not in step


CONNECT: dict[Wire, Callable[[LoopbackServer], Backend]] = {
    "openai": lambda s: OpenAIBackend(s.url, model="m", kind="vllm"),
    "anthropic": lambda s: AnthropicBackend(s.url, model="m", continues=True),
    "ollama": lambda s: OllamaBackend(s.root, model="m", continues=True),
}


@asynccontextmanager
async def asked(model: Model, budget: Budget) -> AsyncIterator[Client]:
    async with LoopbackServer(model, owner="vllm") as server:
        backend = CONNECT[model.wire](server)
        client = Client(backend, mode="trained", dialect="reflection", budget=budget)
        yield client
        await server.quiet()
        await backend.aclose()  # type: ignore[attr-defined]  # each of these has one


def check(reply: Reply, model: Model) -> None:
    """What holds whatever the server does."""
    assert reply.output.strip() or reply.ending == "unanswered", reply.ending
    assert (reply.ending in ANSWERED) == bool(reply.output.strip())
    assert "<" not in reply.output
    assert "house" not in reply.output
    true = model.sent + model.prompts
    if reply.usage.exact:
        assert abs(reply.usage.total - true) <= max(0.02 * true, 4), (reply.usage, true)
    else:
        assert 0.4 * true < reply.usage.total < 2.5 * true, (reply.usage, true)


@pytest.mark.parametrize("apart", [False, True], ids=["tags", "fields"])
@pytest.mark.parametrize("wire", CONNECT)
@pytest.mark.parametrize(
    "fault", ["ignores", "eats", "hides", "drops", "refuses", "repeats", "no usage"]
)
async def test_whatever_a_server_does(fault: Fault, wire: Wire, apart: bool) -> None:
    model = Model(wire, fault, apart)
    budget = Budget(thinking=CAP, grace=GRACE, output=OUTPUT)
    async with asked(model, budget) as client:
        for turn in range(2):  # the second time what was learnt of the server is used
            model.sent = model.prompts = 0
            reply = await client.ask("What is 6 * 7?")
            check(reply, model)
            hidden = fault == "hides" and turn == 0
            assert reply.output == ("" if hidden else "The answer is 42.")
            if fault != "hides":
                assert reply.ending == ("closed" if _goes_on(fault, apart) else "asked")
                assert len((reply.thinking or "").split()) <= 1.3 * (CAP + GRACE)


def _goes_on(fault: Fault, apart: bool) -> bool:
    return not apart and fault not in ("drops", "refuses")


async def test_running_usage_is_exact_when_an_answer_is_cut() -> None:
    model = Model("openai", "refuses", apart=True)
    async with asked(model, Budget(thinking=CAP, grace=GRACE)) as client:
        reply = await client.ask("What is 6 * 7?")
        assert reply.usage.exact
        assert reply.usage.thinking is not None
        assert CAP <= reply.usage.thinking <= CAP + GRACE
        check(reply, model)


async def test_a_prefix_that_is_dropped_once_is_not_tried_again() -> None:
    model = Model("openai", "drops")
    async with asked(model, Budget(thinking=20, grace=4)) as client:
        for requests in (3, 2):
            model.seen.clear()
            assert (await client.ask("What is 6 * 7?")).output == "The answer is 42."
            assert len(model.seen) == requests
