"""What users write, checked by mypy --strict and never run. Each ignored line must be an error.

(mypy reports an ignore that hides nothing, so this page fails when a mistake stops being found.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_never, assert_type

import reflectkit
from reflectkit import Chunk, Event, Message, Reply, Request, Transcript, protocol


async def ask() -> None:
    async with reflectkit.Client() as client:
        reply = await client.ask("What is (2 + 2) * 7?", temperature=0.7, show="hidden")
        assert_type(reply, Reply)
        assert_type(reply.output, str)
        assert_type(reply.thinking, str | None)
        assert_type(reply.reflections, list[str])
        assert_type(reply.usage.total, int)
        await client.ask([Message("user", "hi"), {"role": "assistant", "content": "hello"}])
        await client.ask(7)  # type: ignore[arg-type]  # wrong on purpose
        await client.ask("hi", show="everything")  # type: ignore[arg-type]  # wrong on purpose
        await client.ask("hi", tempature=0.7)  # type: ignore[call-arg]  # wrong on purpose
        reflectkit.Cliant  # type: ignore[attr-defined]  # noqa: B018  # wrong on purpose
        reply.outptu  # type: ignore[attr-defined]  # noqa: B018  # wrong on purpose


async def stream(client: reflectkit.Client) -> Reply:
    async with client.stream("Is 221 prime?") as coming:
        async for event in coming:
            assert_type(describe(event), str)
        async for text in coming.output:
            assert_type(text, str)
        return await coming.reply()


def describe(event: Event) -> str:
    """The union is closed: a checker says so when a member is forgotten."""
    match event:
        case reflectkit.SectionStarted(kind=kind):
            return f"begin {kind}"
        case reflectkit.SectionDelta(text=text):
            return text
        case reflectkit.SectionEnded(closed=closed):
            return f"end {closed}"
        case reflectkit.Markup(source=source) | reflectkit.Corrected(source=source):
            return source
        case reflectkit.AttemptStarted(number=number) | reflectkit.AttemptEnded(number=number):
            return f"attempt {number}"
        case reflectkit.Judged(number=number, verdicts=verdicts):
            return f"{len(verdicts)} verdicts on {number}"
        case reflectkit.Rejected(number=number) | reflectkit.Retracted(number=number):
            return f"not {number}"
        case reflectkit.Accepted(number=number, status=status):
            return f"{number}: {status}"
        case _:
            assert_never(event)


def forgetful(event: Event) -> str:
    match event:
        case reflectkit.SectionDelta(text=text):
            return text
        case _:
            assert_never(event)  # type: ignore[arg-type]  # it forgets the others


class Echo:
    """A backend is any object with ``stream``."""

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        yield Chunk(request.messages[-1].text)
        yield Chunk(finish="stop")


class Mute:
    async def stream(self, request: Request, /) -> str:
        return request.model


def own_backend() -> None:
    reflectkit.Client(Echo())
    reflectkit.Client(Mute())  # type: ignore[arg-type]  # wrong on purpose
    reflectkit.SyncClient(Echo()).ask("hi").output.upper()


def parse(text: str) -> Transcript:
    parser = protocol.Parser("reflection", prefilled=True)
    for event in (*parser.feed(text), *parser.finish()):
        assert_type(event.source, str)
    return protocol.parse(text, dialect="think")


def fail(error: reflectkit.ReflectKitError) -> int:
    match error:
        case reflectkit.BackendError(status=status, retryable=retryable):
            assert_type(retryable, bool)
            return status or 0
        case reflectkit.VerificationFailed(reply=reply):
            return reply.usage.total
        case _:
            return len(error.hint)
