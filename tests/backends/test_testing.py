"""The fakes that are shipped: exact, and loud when they are used wrongly."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import reflectkit.testing
from reflectkit.backends.base import Backend, Capabilities
from reflectkit.errors import (
    BackendStatus,
    BackendTimeout,
    BackendWireError,
    ConfigurationError,
    MissingCapability,
    ReflectKitError,
)
from reflectkit.messages import Chunk, Message, Request, ToolCall, Usage
from reflectkit.testing import (
    BackendSuite,
    Recorder,
    ReplayBackend,
    ScriptedBackend,
    chunkings,
)

ASK = Request(messages=(Message("user", "hi"),), temperature=0.0)


async def ask(backend: Backend, request: Request = ASK) -> list[Chunk]:
    return [chunk async for chunk in backend.stream(request)]


# --- scripted


async def test_scripts_play_in_order() -> None:
    backend = ScriptedBackend("one", ["t", Chunk("w", finish="length"), "never"], usage=Usage())
    assert await ask(backend) == [
        Chunk("one"),
        Chunk(usage=Usage(), finish="stop", model="scripted"),
    ]
    assert await ask(backend) == [Chunk("t"), Chunk("w", finish="length")]
    with pytest.raises(AssertionError, match="Request 3, but only 2"):
        await ask(backend)
    assert backend.requests == [ASK] * 3
    assert (backend.opened, backend.closed) == (2, 2)


async def test_a_script_may_depend_on_the_request_and_repeat() -> None:
    backend = ScriptedBackend(lambda request: request.messages[0].text.upper(), repeat=True)
    assert [(await ask(backend))[0].text for _ in range(3)] == ["HI"] * 3


async def test_errors_and_waits_stand_where_they_are_written() -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(["a", gate.wait, "b", BackendTimeout("slow")])
    stream = backend.stream(ASK)
    assert (await anext(stream)).text == "a"
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    assert (await waiting).text == "b"
    with pytest.raises(BackendTimeout):
        await anext(stream)
    assert backend.closed == 1


# --- record and replay

CHUNKS = [
    Chunk("a", model="m"),
    Chunk(reasoning="hm"),
    Chunk(
        tool_calls=(ToolCall("1", "f", "{}"),),
        usage=Usage(prompt=1, completion=2, thinking=1, exact=False),
        finish="tool_calls",
        payload={"reasoning_details": [{"data": "z"}]},
    ),
]


class TestReplay(BackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> ReplayBackend:
        """A tape with every request that the suite asks."""
        tape = tmp_path / "tape.jsonl"
        asyncio.run(self.record(tape))
        return ReplayBackend(tape)

    async def record(self, tape: Path) -> None:
        recorder = Recorder(ScriptedBackend(["Hel", "lo"], repeat=True), tape)
        await self.ask(recorder, self.request_)

    async def test_a_stop_string_ends_the_answer_before_it(self, backend: Backend) -> None:
        """A tape cannot be asked what was not recorded: it says so."""
        with pytest.raises(ConfigurationError, match="differs in stop"):
            await super().test_a_stop_string_ends_the_answer_before_it(backend)

    async def test_a_prefix_is_continued_or_refused(self, backend: Backend) -> None:
        """As above."""
        with pytest.raises(ConfigurationError, match="differs in prefix"):
            await super().test_a_prefix_is_continued_or_refused(backend)


async def test_a_tape_gives_back_what_was_recorded(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    recorder = Recorder(ScriptedBackend(CHUNKS, "second"), tape)
    first, second = await ask(recorder), await ask(recorder)
    replay = ReplayBackend(tape)
    assert first == CHUNKS
    assert [await ask(replay) for _ in range(3)] == [first, second, second]


@pytest.mark.parametrize(
    "error",
    [
        BackendStatus("busy", status=503, retryable=True, retry_after=2.0, hint="wait"),
        BackendWireError("cut"),
        MissingCapability("no", capability="tools", hint="x"),
        ConfigurationError("odd"),
    ],
)
async def test_errors_are_recorded_too(tmp_path: Path, error: ReflectKitError) -> None:
    tape = tmp_path / "tape.jsonl"
    recorder = Recorder(ScriptedBackend(["so", error]), tape)
    for backend in (recorder, ReplayBackend):
        played = backend if isinstance(backend, Recorder) else backend(tape)
        stream = played.stream(ASK)
        assert (await anext(stream)).text == "so"
        with pytest.raises(type(error)) as caught:
            await anext(stream)
        for fact in ("message", "hint", "status", "retryable", "retry_after", "capability"):
            assert getattr(caught.value, fact, None) == getattr(error, fact, None)


async def test_an_answer_closed_early_is_marked_and_not_played(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    backend = ScriptedBackend(["a", "b"])
    stream = Recorder(backend, tape).stream(ASK)
    await anext(stream)
    await stream.aclose()
    assert backend.closed == 1
    assert '"cut": true' in tape.read_text()
    with pytest.raises(ConfigurationError, match="which is empty"):
        await ask(ReplayBackend(tape))


async def test_what_is_not_on_the_tape(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    await ask(Recorder(ScriptedBackend("x"), tape))
    other = Request(messages=ASK.messages, temperature=0.5, max_tokens=3)
    with pytest.raises(ConfigurationError, match="differs in max_tokens, temperature"):
        await ask(ReplayBackend(tape), other)


@pytest.mark.parametrize("line", ["{", "[]", "5", '{"request": {}}', '{"chunks": [{"x": 1}]}'])
def test_a_tape_that_is_none(tmp_path: Path, line: str) -> None:
    tape = tmp_path / "tape.jsonl"
    tape.write_text("\n" + line + "\n")
    with pytest.raises(ConfigurationError, match="Line 2"):
        ReplayBackend(tape)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ReplayBackend(tmp_path / "missing.jsonl")


async def test_a_request_that_is_no_json_cannot_be_recorded(tmp_path: Path) -> None:
    request = Request(messages=(), extra={"x": object()})
    with pytest.raises(ConfigurationError, match="recorded as JSON"):
        await ask(Recorder(ScriptedBackend("x"), tmp_path / "t"), request)


def test_recorder_shows_what_it_records(tmp_path: Path) -> None:
    able = Capabilities(tools=True)
    recorder = Recorder(ScriptedBackend(capabilities=able, model="m"), tmp_path / "t")
    assert (recorder.capabilities, recorder.model) == (able, "m")


# --- chunkings, suite, imports


@pytest.mark.parametrize("text", ["", "a", "abc", "é漢🙂" * 30])
def test_chunkings_are_of_the_text(text: str) -> None:
    ways: list[list[str]] = list(chunkings(text))
    assert all("".join(way) == text for way in ways)
    assert [text] in ways
    assert list(text) in ways
    assert all(b"".join(way) == text.encode() for way in chunkings(text.encode()))
    assert list(chunkings(text, seed=3)) == list(chunkings(text, seed=3))


class Talkative:
    """Breaks every rule that the suite checks in the tests below."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = chunks
        self.capabilities = Capabilities(reports_usage=True)

    async def stream(self, request: Request, /) -> Any:
        for chunk in self.chunks:
            yield chunk


@pytest.mark.parametrize(
    ("check", "chunks"),
    [
        ("test_the_last_chunk_and_only_it_says_finish", [Chunk("a")]),
        ("test_the_last_chunk_and_only_it_says_finish", []),
        ("test_the_last_chunk_and_only_it_says_finish", [Chunk(finish="stop")]),
        (
            "test_the_last_chunk_and_only_it_says_finish",
            [Chunk("a", finish="stop"), Chunk("b", finish="stop")],
        ),
        ("test_usage_comes_when_it_is_promised", [Chunk("a", finish="stop")]),
        (
            "test_usage_comes_when_it_is_promised",
            [Chunk("a", finish="stop", usage=Usage(completion=99))],
        ),
        ("test_a_stop_string_ends_the_answer_before_it", [Chunk("abcdef", finish="stop")]),
        ("test_a_prefix_is_continued_or_refused", [Chunk("a", finish="stop")]),
        ("test_streams_do_not_mix", [Chunk("a")]),
    ],
)
async def test_the_suite_can_fail(check: str, chunks: list[Chunk]) -> None:
    with pytest.raises(AssertionError):
        await getattr(BackendSuite(), check)(Talkative(*chunks))


def test_all_names_can_be_had() -> None:
    for name in reflectkit.testing.__all__:
        assert getattr(reflectkit.testing, name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = reflectkit.testing.nonsense  # type: ignore[attr-defined]  # wrong on purpose


def test_importing_it_is_light() -> None:
    code = (
        "import sys, reflectkit.testing, reflectkit.backends.function\n"
        "print(*sorted({'asyncio', 'httpx', 'pytest', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_http_is_imported_at_first_use() -> None:
    code = (
        "import sys, reflectkit.backends.openai as o, reflectkit.testing.loopback\n"
        "o.OpenAIBackend('http://localhost/v1')\n"
        "print('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


class Leaky:
    """Leaves a task behind."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        self.task = asyncio.ensure_future(asyncio.sleep(60))
        yield Chunk("Hello there")
        yield Chunk(finish="stop")


class Rude:
    """Lets a foreign error out."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        if not request.messages:
            raise KeyError("messages")
        yield Chunk("Hello there")
        yield Chunk(finish="stop")


async def test_the_suite_finds_what_is_left_behind() -> None:
    suite = BackendSuite()
    suite.patience = 0.1
    with pytest.raises(AssertionError):
        await suite.test_nothing_is_left_of_readers_that_leave(Leaky())


async def test_the_suite_finds_foreign_errors() -> None:
    with pytest.raises(AssertionError, match="no messages"):
        await BackendSuite().test_a_strange_request_gets_an_answer_or_our_error(Rude())
