"""What a streamed answer costs the client: CPU time a chunk, beside raw httpx and openai.

    make bench   # or, in an environment with benchmarks/requirements.txt and this package's own:
    PYTHONPATH=. python benchmarks/streams.py
    PYTHONPATH=. python benchmarks/streams.py --many 1000   # that many streams at once, with memory

A server in a process of its own sends answers of 200 chunks, all at once or paced by 1 ms. The
floor is httpx and ``json.loads``; "over" is what a contestant takes beyond it, and the last column
its share of what the openai package takes beyond it. All take turns in one process; CPU times of
this process alone; medians over rounds. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

CHUNKS = 200
TEXT = "The sum is four. "
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}

Way = Callable[[str], Awaitable[int]]


def serve(pipe: Connection) -> None:
    """The server's process: tells its port, and serves until it is ended.

    Paths: /burst or /paced, then /running where each chunk says how many tokens there are so far.
    """
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    def event(choices: list[Any], **more: Any) -> bytes:
        row = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return b"data: " + json.dumps({**row, "choices": choices, **more}).encode() + b"\n\n"

    def delta(text: str, **more: Any) -> bytes:
        return event([{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more)

    def usage(tokens: int) -> dict[str, int]:
        return {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": tokens + 7}

    marks = {10: "<think>", CHUNKS // 2: "</think>"}
    texts = [marks.get(i, "") + TEXT for i in range(CHUNKS)]
    pieces = [delta(text) for text in texts]
    running = [delta(text, usage=usage(at)) for at, text in enumerate(texts, 1)]
    tail = event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    tail += event([], usage=usage(CHUNKS)) + b"data: [DONE]\n\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):  # a question for what kind of server this is
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    continue
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                await reader.readexactly(size)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
                writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
                path = head.split(b"\r\n", 1)[0]
                paced = b"/paced/" in path
                for piece in (*(running if b"/running/" in path else pieces), tail):
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    if paced:
                        await writer.drain()
                        await asyncio.sleep(0.001)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2048)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """The server's root, while it runs."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    server = context.Process(target=serve, args=(other,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{pipe.recv()}"
    finally:
        server.terminate()
        server.join()


async def raw() -> tuple[Way, Callable[[], Awaitable[None]]]:
    import httpx

    client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None))

    async def ask(url: str) -> int:
        found = 0
        async with client.stream("POST", f"{url}/chat/completions", json=BODY) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    found += bool(json.loads(line[6:])["choices"])
        return found

    return ask, client.aclose


async def ours() -> tuple[Way, Callable[[], Awaitable[None]]]:
    from reflectkit.backends.openai import OpenAIBackend
    from reflectkit.messages import Message, Request

    backends: dict[str, OpenAIBackend] = {}
    request = Request(messages=(Message("user", "hi"),))

    async def ask(url: str) -> int:
        backend = backends.setdefault(url, OpenAIBackend(url, model="m"))
        return sum([1 async for _ in backend.stream(request)])

    async def close() -> None:
        for backend in backends.values():
            await backend.aclose()

    return ask, close


async def client() -> tuple[Way, Callable[[], Awaitable[None]]]:
    """Parsing, sections, visibility and usage included."""
    from reflectkit import Client

    clients: dict[str, Client] = {}

    async def ask(url: str) -> int:
        made = clients.setdefault(url, Client(url, model="m", mode="plain"))
        async with made.stream("hi") as stream:
            found = sum([1 async for _ in stream])
            reply = await stream.reply()
        assert reply.usage.completion == CHUNKS
        assert reply.thinking
        return found

    async def close() -> None:
        for made in clients.values():
            await made.close()

    return ask, close


async def openai() -> tuple[Way, Callable[[], Awaitable[None]]]:
    from openai import AsyncOpenAI

    clients: dict[str, Any] = {}

    async def ask(url: str) -> int:
        made = clients.setdefault(url, AsyncOpenAI(base_url=url, api_key="none", max_retries=0))
        stream = await made.chat.completions.create(**BODY)
        return sum([1 async for _ in stream])

    async def close() -> None:
        for made in clients.values():
            await made.close()

    return ask, close


WAYS = {
    "httpx and json.loads": raw,
    "reflectkit backend": ours,
    "reflectkit client": client,
    "openai package": openai,
}


async def compare(root: str, rounds: int) -> None:
    ways, closers = {}, []
    for name, make in WAYS.items():
        try:
            ways[name], close = await make()
        except ImportError:
            print(f"{name}: not installed, left out")
        else:
            closers.append(close)
    for pace in ("burst", "paced"):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        url = f"{root}/{pace}/v1"
        for turn in range(rounds + 1):
            for name, ask in ways.items():
                gc.collect()
                start = time.process_time()
                await ask(url)
                if turn:  # the first turn opens connections and loads modules
                    taken[name].append((time.process_time() - start) / CHUNKS * 1e6)
        show(pace, taken)
    for close in closers:
        await close()


def show(pace: str, taken: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(times) for name, times in taken.items()}
    floor = medians["httpx and json.loads"]
    peer = medians.get("openai package", 0.0) - floor
    print(f"\n{CHUNKS} chunks, {pace}: CPU microseconds a chunk")
    print(f"  {'':24}{'all':>8}{'over':>8}{'of openai':>11}")
    for name, cost in medians.items():
        share = f"{(cost - floor) / peer:11.2f}" if peer > 0 else ""
        print(f"  {name:24}{cost:8.1f}{cost - floor:8.1f}{share}")


async def many(root: str, name: str, count: int) -> None:
    """``count`` streams on one loop: do all end, in what time, with what memory?"""
    ask, close = await WAYS[name]()
    await ask(f"{root}/paced/v1")
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.monotonic(), time.process_time()
    found = await asyncio.gather(*(ask(f"{root}/paced/v1") for _ in range(count)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{name}: {sum(n >= CHUNKS for n in found)} of {count} complete, "
        f"{time.monotonic() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU, "
        f"{grown / count:.0f} KiB a stream at the peak"
    )
    await close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--many", type=int, help="so many streams at once, instead")
    parser.add_argument("--way", choices=WAYS, default="reflectkit client", help="for --many")
    options = parser.parse_args()
    with serving() as root:
        if options.many:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            asyncio.run(many(root, options.way, options.many))
        else:
            asyncio.run(compare(root, options.rounds))


if __name__ == "__main__":
    main()
