"""What the tests of backends ask, a chain whose answers are known, and how they look at both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reflectkit.backends.base import Backend
from reflectkit.errors import BackendError
from reflectkit.messages import Chunk, Message, Request
from reflectkit.testing.markov import chain

ASK = Request(messages=(Message("user", "hi"),))

#: the answer of the chain to every prompt
ANSWER = "<thinking> two plus<reflection> is</reflection></thinking><output> four</output>"
WORDS = (" two", " plus", " is", " four", "loop")
TABLE = {
    **chain("\n\n", "<thinking>", " two", " plus", "<reflection>", " is", "</reflection>"),
    **chain("</reflection>", "</thinking>", "<output>", " four", "</output>", "<|eot_id|>"),
    # a prefix that ends in one of these goes its own way
    "loop": {"loop": 1.0},
    "a": {"b": 3.0, "c": 1.0},
    **chain("b", "a"),
    **chain("c", "a"),
    **chain("u", "Ã", "©", "<|eot_id|>"),
}

#: how a program may end that forgets its backend; ``LOOP`` is a request without an end
ENDINGS = [
    "",
    "sys.exit(3)",
    "raise KeyboardInterrupt",
    "del backend; import gc; gc.collect()",
    "threading.Thread(target=lambda: asyncio.run(ask(backend, LOOP)), daemon=True).start()",
]


async def ask(backend: Backend, request: Request = ASK) -> list[Chunk]:
    return [chunk async for chunk in backend.stream(request)]


async def text_of(backend: Backend, request: Request = ASK) -> str:
    return "".join(c.text for c in await ask(backend, request))


async def read(backend: Backend) -> tuple[str, BackendError | None]:
    """The text that arrived, and the error after it, if there was one."""
    text = ""
    try:
        async for chunk in backend.stream(ASK):
            text += chunk.text
    except BackendError as error:
        return text, error
    return text, None


async def failed(backend: Backend) -> tuple[str, BackendError]:
    """The text that arrived, and the error after it."""
    text, error = await read(backend)
    assert error is not None, "no error came"
    return text, error


@asynccontextmanager
async def clock() -> AsyncIterator[list[float]]:
    """A clock in the loop that ticks every 2 ms: the seconds that each tick took."""
    took: list[float] = []

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            took.append(time.perf_counter() - began)

    ticking = asyncio.create_task(tick())
    yield took
    ticking.cancel()
