"""What breaks, breaks clean: text first, a typed error, no connection left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
import types
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

import pytest

from asking import ASK
from reflectkit.backends._secrets import Address, Secrets
from reflectkit.backends.openai import OpenAIBackend, Retries, Timeouts
from reflectkit.errors import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendWireError,
    ConfigurationError,
)
from reflectkit.messages import Chunk, Message, Request
from reflectkit.testing import LoopbackServer, Received, Served, chat, page, refusal

KEY = "sk-0123456789abcdef"
INVALID = b'data: {"choices": [{"delta"\n\n'
REPORTED = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'

#: what is served, and what must come of it
BREAKS: dict[str, tuple[Served, type[BackendError], str]] = {
    "connection closed": (chat("so", "x").broken(2, "drop"), BackendWireError, "broke in the"),
    "connection reset": (chat("so", "x").broken(2, "reset"), BackendWireError, "broke in the"),
    "stall": (chat("so", "x").broken(2, "stall"), BackendTimeout, "no further byte"),
    "early end": (chat("so", finish=None, usage="none", done=False), BackendWireError, "ended"),
    "invalid JSON": (chat("so", "x").insert(2, INVALID), BackendWireError, "no JSON"),
    "error in mid-stream": (chat("so", "x").insert(2, REPORTED), BackendWireError, "out of memory"),
}


async def gather(backend: OpenAIBackend, request: Request = ASK) -> tuple[str, BackendError | None]:
    """The text that arrived, and the error that ended it."""
    text = ""
    try:
        async for chunk in backend.stream(request):
            text += chunk.text
    except BackendError as error:
        return text, error
    return text, None


@pytest.mark.parametrize("cut", [None, 1, 7])
@pytest.mark.parametrize("fault", BREAKS)
async def test_text_comes_before_the_error(fault: str, cut: int | None) -> None:
    served, kind, words = BREAKS[fault]
    served = served.cut(cut) if cut else served
    timeouts = Timeouts(between=0.3 if fault == "stall" else 30.0)
    async with LoopbackServer(served) as server:
        async with OpenAIBackend(server.url, model="m", timeout=timeouts, api_key=KEY) as backend:
            text, error = await gather(backend)
            assert text == "so"
            assert type(error) is kind
            assert words in str(error)
            assert error.__context__ is None
            await server.quiet()
        await server.quiet(connections=True)
        assert len(server.requests) == 1


WHOLE: dict[str, Served] = {
    "cut into single bytes": chat("é", "漢🙂").cut(1),
    "no [DONE]": chat("é漢", "🙂", done=False),
    "usage on the last chunk, no [DONE]": chat("é漢", "🙂", usage="finish", done=False),
    "no usage": chat("é漢🙂", usage="none"),
    "comments and empty lines": chat("é漢🙂").insert(1, b": ping\n\n\n\n"),
    "Windows lines": Served(
        tuple(s.replace(b"\n", b"\r\n") if isinstance(s, bytes) else s for s in chat("é漢🙂").steps)
    ),
    "closed after the reason to finish": chat("é漢🙂", usage="none", done=False).insert(3, "drop"),
    "reset after the reason to finish": chat("é漢🙂", usage="none", done=False).insert(3, "reset"),
    "junk after the reason to finish": chat("é漢🙂", usage="none", done=False).insert(3, INVALID),
    "web server's content type": Served(
        chat("é漢🙂").steps, headers={"Content-Type": "text/plain"}
    ),
}


@pytest.mark.parametrize("oddity", WHOLE)
async def test_oddities_that_are_whole_answers(oddity: str) -> None:
    async with LoopbackServer(WHOLE[oddity]) as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            assert await gather(backend) == ("é漢🙂", None)
        await server.quiet(connections=True)


async def test_a_web_page_with_status_200() -> None:
    async with LoopbackServer(page()) as server, OpenAIBackend(server.url, model="m") as backend:
        text, error = await gather(backend)
    assert text == ""
    assert isinstance(error, BackendWireError)
    assert "Welcome" in str(error)
    assert "/v1" in error.hint


async def test_a_compressed_body_that_is_none() -> None:
    served = Served((b"not gzip at all",), headers={"Content-Encoding": "gzip"})
    async with LoopbackServer(served) as server, OpenAIBackend(server.url, model="m") as backend:
        _, error = await gather(backend)
    assert isinstance(error, BackendWireError)
    assert "decompressed" in str(error)


# --- closing and cancelling


async def test_closing_the_stream_closes_the_connection_at_once() -> None:
    async with (
        LoopbackServer(chat("so", "x").broken(2, "stall")) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        stream = backend.stream(ASK)
        assert (await anext(stream)).text == "so"
        await stream.aclose()
        await server.quiet(connections=True, seconds=1)
        assert server.abandoned == 1


@types.coroutine
def cancelling(work: Coroutine[Any, Any, Any], at: int) -> Generator[Any, Any, tuple[Any, int]]:
    """Drive ``work`` and cancel the task while it is suspended for the ``at``-th time."""
    task = asyncio.current_task()
    assert task is not None
    loop, thrown, waits = asyncio.get_running_loop(), None, 0
    while True:
        try:
            suspended = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration as done:
            return done.value, waits
        waits += 1
        thrown = None
        if waits == at:
            loop.call_soon(task.cancel)
        try:
            yield suspended
        except BaseException as error:  # noqa: BLE001  # handed on to the work
            thrown = error


async def driven(work: Coroutine[Any, Any, Any], at: int) -> Any:
    return await cancelling(work, at)


@pytest.mark.parametrize(
    "answers",
    [
        [chat("a", "b", "c").cut(40)],
        [refusal(503), chat("a")],
        [chat("a", "b").broken(2, "stall")],
    ],
    ids=["answer", "retry", "stall"],
)
async def test_cancelled_at_every_await_nothing_leaks(answers: list[Served]) -> None:
    turn = -1

    def answer(received: Received) -> Served:
        nonlocal turn
        turn += 1
        return answers[min(turn, len(answers) - 1)]

    async with LoopbackServer(answer) as server:
        cancelled, at = 0, 0
        outcome: Any = None
        while True:
            at, turn = at + 1, -1
            backend = OpenAIBackend(
                server.url, model="m", timeout=Timeouts(between=0.05), retries=Retries(base=0.0)
            )
            task = asyncio.create_task(driven(gather(backend), at))
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            await server.quiet(seconds=2)
            await backend.aclose()
            await server.quiet(connections=True, seconds=2)
            if not isinstance(outcome, asyncio.CancelledError):
                break
            cancelled += 1
        assert cancelled >= 5, "the sweep did not reach the work"
        assert outcome[1] < at, "it was to end only after the last await"


async def test_cancelled_in_every_turn_of_the_loop_nothing_leaks() -> None:
    """Finer than awaits: a connection that stands in the turn of its cancellation is closed."""
    async with LoopbackServer(chat("a")) as server:
        for turns in range(60):
            backend = OpenAIBackend(server.url, model="m")
            task = asyncio.create_task(gather(backend))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.quiet(seconds=2)
            await backend.aclose()
            await server.quiet(connections=True, seconds=2)


async def test_cancelled_in_a_tls_handshake_the_connection_is_closed() -> None:
    """The listener takes the connection and never says a word."""
    opened, left = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        opened.set()
        while await reader.read(4096):
            pass
        left.set()
        writer.close()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    gc.disable()  # a lost connection would be closed by the garbage collector
    try:
        async with OpenAIBackend(f"https://127.0.0.1:{port}/v1", model="m") as backend:
            task = asyncio.create_task(gather(backend))
            await opened.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(2):
                await left.wait()
    finally:
        gc.enable()
        listener.close()


async def test_cancelled_streams_give_their_connections_back_to_a_shared_backend() -> None:
    async with LoopbackServer(chat(*"abcdefgh").cut(30)) as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            for at in range(1, 40):
                task = asyncio.create_task(driven(gather(backend), at))
                await asyncio.gather(task, return_exceptions=True)
            await server.quiet()
            assert await gather(backend) == ("abcdefgh", None)
        await server.quiet(connections=True)


async def test_an_abandoned_stream_is_closed_when_its_reader_is_gone() -> None:
    async def first(stream: AsyncGenerator[Chunk, None]) -> str:
        async for chunk in stream:
            return chunk.text
        return ""

    async with (
        LoopbackServer(chat("a", "b").broken(2, "stall")) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        assert await first(backend.stream(ASK)) == "a"
        await server.quiet(connections=True)


async def test_a_server_that_talks_on_after_the_end_is_left() -> None:
    served = chat("so")
    endless = Served((*served.steps, *[b": more\n"] * 100_000), headers=served.headers)
    async with LoopbackServer(endless) as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            assert await gather(backend) == ("so", None)
            await server.quiet()
        await server.quiet(connections=True)
        assert server.abandoned == 1


async def test_fifty_streams_at_once() -> None:
    def answer(received: Received) -> Served:
        name = received.json["messages"][0]["content"]
        return chat(*[f"{name}:{i} " for i in range(20)]).cut(50)

    async def one(backend: OpenAIBackend, name: str) -> str:
        return (await gather(backend, Request(messages=(Message("user", name),))))[0]

    async with LoopbackServer(answer) as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            names = [f"n{i}" for i in range(50)]
            texts = await asyncio.gather(*(one(backend, name) for name in names))
            assert texts == ["".join(f"{n}:{i} " for i in range(20)) for n in names]
            await server.quiet()
        await server.quiet(connections=True)


# --- secrets


async def test_the_key_is_in_no_repr_error_or_traceback() -> None:
    """Servers that say the key back, in every place where they can."""
    answers = [
        refusal(401, f"invalid key {KEY}"),
        chat("so", "x").insert(2, b'data: {"error": "%s"}\n\n' % KEY.encode()),
        chat("so", "x").insert(2, b"data: %s\n\n" % KEY.encode()),
        page(KEY),
        chat("so", "x").broken(2, "reset"),
    ]
    async with LoopbackServer(*answers) as server:
        url = server.url.replace("/v1", "/v1?token=q-" + KEY[3:])
        backend = OpenAIBackend(url, model="m", api_key=KEY, headers={"X-Api-Key": "h-" + KEY[3:]})
        async with backend:
            for _ in answers:
                shown = await everything_shown(backend)
                assert "so" in shown or "***" in shown
                assert KEY[3:] not in shown
        assert all(KEY in r.headers["authorization"] for r in server.requests)
        assert all(r.path.endswith("?token=q-" + KEY[3:]) for r in server.requests)


async def everything_shown(backend: OpenAIBackend) -> str:
    """Text, error, and a traceback with the locals of all frames that are ours."""
    said = ""
    try:
        async for chunk in backend.stream(ASK):
            said += chunk.text
    except BackendError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        # the test's own served answers hold the key on purpose: only frames of the package count
        frames = [f for f in report.stack if "/reflectkit/" in f.filename.replace("\\", "/")]
        assert frames
        said += "".join(f"{f.locals}" for f in frames)
        said += f"{error!r} {error} {error.hint} {error.__cause__} {error.__context__}"
    return said + repr(backend) + repr(backend.provider) + repr(vars(backend))


async def test_no_secret_is_in_the_logs_of_the_libraries(caplog: pytest.LogCaptureFixture) -> None:
    """httpx logs the address of every request at INFO, which many applications switch on."""
    caplog.set_level(logging.DEBUG)
    async with LoopbackServer(chat("so")) as server:
        url = server.url.replace("/v1", "/v1?token=q-" + KEY[3:]).replace("//", "//me:p-secret@")
        async with OpenAIBackend(url, model="m", headers={"X-Api-Key": KEY}) as backend:
            assert (await gather(backend))[0] == "so"
        assert server.requests[0].path.endswith("?token=q-" + KEY[3:])
    assert "/chat/completions" in caplog.text
    assert KEY[3:] not in caplog.text
    assert "p-secret" not in caplog.text


async def test_user_and_password_leave_the_address() -> None:
    async with LoopbackServer(refusal(403, "not for dXNlcjpwYSBzcw==")) as server:
        url = server.url.replace("http://", "http://user:pa%20ss@")
        async with OpenAIBackend(url, model="m") as backend:
            _, error = await gather(backend)
        assert server.requests[0].headers["authorization"] == "Basic dXNlcjpwYSBzcw=="
    assert isinstance(error, BackendStatus)
    for text in (str(error), repr(error), repr(backend), backend.provider):
        assert "pa%20ss" not in text
        assert "dXNlcjpwYSBzcw" not in text


@pytest.mark.parametrize("key", ["sk-1\n", "sk\r\nX: y", "sk-\u4f60", "\x00"])
def test_a_key_that_no_header_can_hold(key: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        OpenAIBackend("http://h/v1", api_key=key)
    assert key.strip() not in str(caught.value) or not key.strip("\x00")


@pytest.mark.parametrize("headers", [{"X Y": "1"}, {"X": "1\n2"}, {"": "1"}])
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        OpenAIBackend("http://h/v1", headers=headers)


def test_two_logins_at_once() -> None:
    with pytest.raises(ConfigurationError, match="Only one"):
        OpenAIBackend("http://u:p@h/v1", api_key="k")


def test_a_bad_address_does_not_show_its_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAIBackend("ftp://user:hunter22@host/v1")
    assert "hunter22" not in str(caught.value)


def test_redaction_takes_the_longest_first_and_leaves_short_words() -> None:
    address = Address.parse("http://h/v1?a=abc")
    secrets = Secrets("abcd", {"X-Key": "abcdef", "X-Team": "blue-team"}, address)
    assert secrets.redact("abcdef abcd abc blue-team") == "*** *** abc blue-team"
    assert "abcd" not in repr(secrets)
