"""The real path: the embedded model through the public client, thinking and all."""

from __future__ import annotations

import pytest

from reflectkit import Client, ConfigurationError, SyncClient

pytest.importorskip("xllamacpp")  # reflectkit[local]

QUESTION = "What is (2 + 2) * 7?"


async def test_it_thinks_and_answers() -> None:
    async with Client() as client:
        reply = await client.ask(QUESTION)
        hidden = await client.ask(QUESTION, show="hidden")
        async with client.stream(QUESTION) as stream:
            told = "".join([t async for t in stream.output])
    assert (reply.mode, reply.issues) == ("trained", ())
    assert reply.thinking
    assert reply.reflections
    assert reply.output == hidden.output == told == "28"
    assert hidden.thinking is None
    assert reply.usage.exact
    assert 0 < (reply.usage.thinking or 0) < reply.usage.completion


async def test_leaving_early_leaves_the_model_usable() -> None:
    async with Client() as client:
        async with client.stream(QUESTION) as stream:
            async for _ in stream:
                break
        assert (await client.ask(QUESTION)).output == "28"


async def test_plain_is_a_bare_answer() -> None:
    async with Client(mode="plain") as client:
        reply = await client.ask(QUESTION)
    assert reply.thinking is None
    assert reply.issues == ()


def test_without_async() -> None:
    with SyncClient(model="nano-base") as client:
        assert client.ask("What is 3 + 4?").output == "7"


async def test_a_call_names_another_embedded_model() -> None:
    async with Client() as client:
        first = await client.ask(QUESTION)
        other = await client.ask(QUESTION, model="nano-base")
        again = await client.with_options(model="nano-base").ask(QUESTION)
        with pytest.raises(ConfigurationError, match="no embedded model 'nano-nothing'"):
            await client.ask(QUESTION, model="nano-nothing")
    assert (first.model, other.model) == ("nano-reflect", "nano-base")
    assert first.reflections
    assert not other.reflections  # it never saw one
    assert (again.model, again.output) == (other.model, other.output)
    with pytest.raises(ConfigurationError, match="closed"):
        await client.ask(QUESTION, model="nano-base")


@pytest.mark.parametrize("model", ["nano-nothing", "missing.gguf"])
def test_a_model_that_is_not_there(model: str) -> None:
    with pytest.raises(ConfigurationError):
        Client(model=model)
