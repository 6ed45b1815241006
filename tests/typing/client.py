"""How users write it: checked by mypy --strict, never run."""

from __future__ import annotations

from typing import assert_type

import reflectkit
from reflectkit import Client, Message, Reply, ReplyStream, SectionDelta, SyncClient, Usage
from reflectkit.comparison import Plan, Problem, Report, grading, plan, problems
from reflectkit.verify import Judge


async def asking() -> None:
    async with Client("http://localhost:8000/v1", model="m", mode="prompted") as client:
        reply = await client.ask("q", temperature=0.5, show="hidden", stop=["END"])
        assert_type(reply, Reply)
        assert_type(reply.output, str)
        assert_type(reply.thinking, str | None)
        assert_type(reply.reflections, list[str])
        assert_type(reply.usage, Usage)
        await client.ask([Message("user", "q"), reply.message, {"role": "user", "content": "r"}])
        assert_type(client.with_options(seed=1), Client)
        await client.ask("q", temprature=1)  # type: ignore[call-arg]  # wrong on purpose
        await client.ask("q", show="some")  # type: ignore[arg-type]  # wrong on purpose


async def streaming(client: Client) -> None:
    async with client.stream("q") as stream:
        assert_type(stream, ReplyStream)
        async for event in stream:
            assert_type(event, reflectkit.Event)
            match event:
                case SectionDelta(kind="thinking", text=text):
                    assert_type(text, str)
                case _:
                    pass
        async for piece in stream.output:
            assert_type(piece, str)
        assert_type(await stream.reply(), Reply)


def blocking() -> None:
    with SyncClient(model="nano-base") as client, client.stream("q") as stream:
        for event in stream:
            assert_type(event, reflectkit.Event)
        for piece in stream.output:
            assert_type(piece, str)
        assert_type(client.ask("q"), Reply)
    SyncClient("http://localhost:8000/v1", api_key="k", timeout=5, mode="plain", stop="END").close()
    SyncClient(modle="nano-base")  # type: ignore[call-arg]  # wrong on purpose
    SyncClient(temperature="hot")  # type: ignore[arg-type]  # wrong on purpose
    SyncClient(7)  # type: ignore[arg-type]  # wrong on purpose


def same(problem: Problem, text: str) -> bool:
    return bool(text == problem.gold)


async def comparing(client: Client) -> None:
    arms = {"plain": client, "prompted": client.with_options(mode="prompted")}
    found = problems.embedded(n=10)
    assert_type(await plan(found, arms, repeats=2), Plan)
    assert_type(await reflectkit.compare(found, arms, title="t", store="answers.jsonl"), Report)
    await reflectkit.compare(found, arms, repeat=2)  # type: ignore[call-arg]  # wrong on purpose
    await plan(found, arms, seed="one")  # type: ignore[arg-type]  # wrong on purpose
    await reflectkit.compare(found, arms, grading.closed(same))


async def judging(client: Client) -> None:
    await client.ask("q", verify=[Judge(client), lambda draft: bool(draft.output)], attempts=3)
