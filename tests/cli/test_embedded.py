"""The first command of a newcomer: no key, no server, no download, and an answer at once."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from commands import Command

QUESTION = "What is (2 + 2) * 7?"
#: Seconds from the start of the process to the first character of the answer.
FIRST_TOKEN = 3.0


@pytest.fixture
def command() -> Command:
    return Command()


async def test_the_embedded_model_reflects_and_answers(command: Command) -> None:
    result = await command("ask", QUESTION)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("[thinking]\n")
    assert result.out.endswith("[output]\n28\n")


async def test_the_answer_alone(command: Command) -> None:
    result = await command("ask", "--show", "hidden", QUESTION)
    assert (result.code, result.out, result.err) == (0, "28\n", "")


async def test_what_it_says_of_itself(command: Command) -> None:
    value = json.loads((await command("ask", "--json", QUESTION)).out)
    assert (value["output"], value["mode"], value["ending"]) == ("28", "trained", "complete")
    assert value["usage"]["completion"] > 0
    assert value["issues"] == []


async def test_the_first_token_comes_soon(command: Command) -> None:
    await command("ask", QUESTION)  # fills the caches, as an installation does
    started = time.perf_counter()
    async with command.start("ask", QUESTION) as process:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readuntil(b"\n"), 30)
        assert await process.stdout.read(1)
        seconds = time.perf_counter() - started
        await process.stdout.read()
    assert seconds < FIRST_TOKEN


@pytest.mark.parametrize("model", ["gpt-9", "/does/not/exist.gguf"])
async def test_an_unknown_model_is_a_usage_error(command: Command, model: str) -> None:
    result = await command("ask", "--model", model, "hi")
    assert (result.code, result.out) == (2, "")
    assert model in result.err
