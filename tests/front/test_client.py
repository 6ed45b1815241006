"""Client: what is sent, what comes back, and what is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from traceback import TracebackException
from typing import Any

import pytest

from reflectkit import (
    Chunk,
    Client,
    ConfigurationError,
    Message,
    SyncClient,
    ToolCall,
    Usage,
)
from reflectkit.backends.base import Backend
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.testing import ScriptedBackend

GOOD = "<thinking>2 + 2 is 4. <reflection>Yes.</reflection></thinking>\n<output>28</output>"


async def test_a_reply_tells_answer_thinking_and_reflections_apart() -> None:
    async with Client(ScriptedBackend(GOOD), mode="prompted") as client:
        reply = await client.ask("What is (2 + 2) * 7?")
    assert reply.output == "28"
    assert reply.thinking == "2 + 2 is 4. Yes."
    assert reply.reflections == ["Yes."]
    assert reply.issues == ()
    assert (reply.mode, reply.model, reply.ending) == ("prompted", "scripted", "complete")
    assert len(reply.attempts) == 1
    assert reply.transcript.source == GOOD


async def test_settings_reach_the_request() -> None:
    backend = ScriptedBackend("a", "b")
    client = Client(
        backend, model="m", mode="plain", temperature=0.5, top_p=0.9, max_tokens=7, seed=3,
        stop="END", extra={"top_k": 1},
    )  # fmt: skip
    await client.ask("q")
    await client.ask("q", temperature=0.0, stop=["X", "Y"], max_tokens=8)
    first, second = backend.requests
    assert (first.model, first.temperature, first.top_p, first.seed) == ("m", 0.5, 0.9, 3)
    assert (first.max_tokens, first.stop, first.extra) == (7, ("END",), {"top_k": 1})
    assert (second.temperature, second.max_tokens, second.stop) == (0.0, 8, ("X", "Y"))


async def test_with_options_shares_the_connection_and_leaves_it_open() -> None:
    backend = ScriptedBackend("a", "b")
    async with Client(backend, mode="plain") as client:
        async with client.with_options(seed=1) as other:
            await other.ask("q")
        await client.ask("q")
    assert [r.seed for r in backend.requests] == [1, None]


async def test_a_closed_client_says_so_and_so_do_its_twins() -> None:
    client = Client(ScriptedBackend("a"))
    twin = client.with_options(seed=1)
    await client.close()
    await client.close()
    for closed in (client, twin):
        with pytest.raises(ConfigurationError, match="closed"):
            await closed.ask("q")


class _Watched(ScriptedBackend):
    stopped = 0

    async def aclose(self) -> None:
        self.stopped += 1


async def test_a_backend_that_was_handed_over_stays_open() -> None:
    backend = _Watched("a")
    async with Client(backend) as client:
        await client.ask("q")
    assert backend.stopped == 0


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("hi", ["hi"]),
        (Message("user", "hi"), ["hi"]),
        ({"role": "user", "content": "hi"}, ["hi"]),
        ([Message("user", "a"), Message("assistant", "b"), Message("user", "c")], ["a", "b", "c"]),
        (
            [
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": "b", "reasoning_content": "never sent back"},
                {"role": "user", "content": "c"},
            ],
            ["a", "b", "c"],
        ),
    ],
)
async def test_forms_of_a_prompt(prompt: Any, texts: list[str]) -> None:
    backend = ScriptedBackend("x")
    await Client(backend, mode="plain").ask(prompt)
    assert [m.text for m in backend.requests[0].messages] == texts


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ([], "empty"),
        (None, "NoneType"),
        (b"hi", "bytes"),
        (3, "int"),
        ([3], "Message 0 is a int"),
        ([{"role": "robot", "content": "x"}], "robot"),
        ([{"content": "x"}], "role None"),
        ([{"role": "user", "content": 3}], "content of message 0"),
        ([{"role": "user", "content": "x", "colour": 1}], "colour"),
        ([{"role": "assistant", "content": "x", "tool_calls": [{}]}], "no function"),
        ([{"role": "assistant", "content": "x", "tool_calls": 3}], "tool_calls"),
        ([{"role": "user", "content": "x", "name": 3}], "name"),
        ([{"role": "system", "content": "only rules"}], "empty"),
        ({"role": "user", "content": ""}, "empty"),
        (Message("robot", "x"), "robot"),  # type: ignore[arg-type]  # wrong on purpose
        ([Message("user", 3)], "content of message 0"),  # type: ignore[arg-type]  # wrong on purpose
        (Message("user", None), "content of message 0"),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
async def test_a_prompt_that_cannot_work(prompt: Any, words: str) -> None:
    backend = ScriptedBackend()
    with pytest.raises(ConfigurationError, match=words):
        await Client(backend).ask(prompt)
    assert backend.requests == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "clever"}, "auto, trained, prompted, plain"),
        ({"show": "some"}, "full, summary, hidden"),
        ({"temperature": -1}, "from 0 up"),
        ({"temperature": float("nan")}, "from 0 up"),
        ({"temperature": "hot"}, "from 0 up"),
        ({"top_p": 0}, "above 0"),
        ({"top_p": 1.5}, "up to 1"),
        ({"max_tokens": 0}, "whole number above 0"),
        ({"max_tokens": True}, "whole number above 0"),
        ({"max_tokens": 1.5}, "whole number above 0"),
        ({"seed": "x"}, "whole number"),
        ({"stop": ["", "a"]}, "none of them empty"),
        ({"stop": 3}, "a text or several"),
        ({"extra": []}, "mapping"),
        ({"policy": 3}, "flow"),
        ({"dialect": "klingon"}, "known dialect"),
        ({"system": 3}, "a text"),
        ({"model": None}, "model's name"),
        ({"temperature": 10**400}, "from 0 up"),
        ({"variant": []}, "v1-format"),
    ],
)
async def test_a_setting_that_cannot_work(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Client(ScriptedBackend(), **settings)
    with pytest.raises(ConfigurationError, match=words):
        await Client(ScriptedBackend()).ask("q", **settings)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("temprature", "Did you mean 'temperature'"),
        ("api_key", "new Client"),
        ("xyzzy", "Options are"),
    ],
)
async def test_an_unknown_option_is_named(option: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await Client(ScriptedBackend()).ask("q", **{option: 1})  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("target", ["localhost:8000", "model.gguf", 3, object(), ScriptedBackend])
def test_what_is_no_backend(target: Any) -> None:
    with pytest.raises(ConfigurationError, match="neither a URL nor a backend"):
        Client(target)


def test_what_belongs_to_a_url_is_refused_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="api_key belongs to a URL"):
        Client(ScriptedBackend(), api_key="secret-key")


def test_a_key_is_not_in_the_repr() -> None:
    client = Client("http://localhost:9/v1", api_key="secret-key", model="m")
    assert "secret-key" not in repr(client)
    assert "localhost:9" in repr(client)


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        ({"api_key": 5}, "api_key is a int"),
        ({"timeout": "long"}, "total"),
        ({"timeout": -1}, "total"),
        ({"timeout": float("nan")}, "total"),
        ({"timeout": True}, "total"),
        ({"retries": -1}, "times"),
        ({"retries": "some"}, "times"),
        ({"retries": True}, "times"),
    ],
)
def test_a_setting_of_the_connection_that_cannot_work(wire: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Client("http://localhost:9/v1", **wire)


@pytest.mark.parametrize("scheme", ["HTTP", "Http"])
def test_the_scheme_of_a_url_has_no_case(scheme: str) -> None:
    assert "localhost:9" in repr(Client(f"{scheme}://localhost:9/v1"))


def key() -> str:
    """Put together here, so that no line of this file shows it in a traceback."""
    return "-".join(("sk", "very", "secret"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Client("http://x", api_key=key() + "\n"),
        lambda: Client("http://x", api_key=key(), mode="x"),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Client("http://x", api_key=key(), retries=-1),
        lambda: Client(api_key=key()),
        lambda: Client("localhost", api_key=key()),
        lambda: Client(f"htp://me:{key()}@x"),
        lambda: Client(f"me:{key()}@x"),
        lambda: Client(f"http://me:{key()}@x", api_key="other"),
        lambda: SyncClient("http://x", api_key=key() + "\n"),
        lambda: OpenAIBackend("http://x", api_key=key() + "\n"),
        lambda: OpenAIBackend("http://x", headers={"X-Key": key() + "\n"}),
        lambda: OpenAIBackend(f"http://me:{key()}@x", api_key="other"),
        lambda: NanoBackend("nothing"),
    ],
)
def test_what_cannot_be_made_keeps_its_secrets(make: Callable[[], object]) -> None:
    """In the message, and in a report with the locals of every frame; what is half made has a
    repr too, or the report would fail over it."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    report = TracebackException.from_exception(caught.value, capture_locals=True)
    assert key() not in "".join(report.format())


class _NotAGenerator:
    async def stream(self, request: Any) -> list[str]:
        return ["a"]


async def test_a_backend_of_the_wrong_shape_is_named() -> None:
    backend: Any = _NotAGenerator()
    with pytest.raises(ConfigurationError, match="async generator"):
        await Client(backend).ask("q")


async def test_a_conversation_goes_on_without_its_thinking() -> None:
    backend = ScriptedBackend(GOOD, "<thinking>x</thinking><output>29</output>")
    client = Client(backend, mode="plain", dialect="reflection")
    first = await client.ask("What is (2 + 2) * 7?")
    turns: Sequence[Message] = [Message("user", "q"), first.message, Message("user", "And + 1?")]
    assert (await client.ask(turns)).output == "29"
    assert [m.text for m in backend.requests[1].messages] == ["q", "28", "And + 1?"]


async def test_reported_usage_is_kept_and_thinking_split_off() -> None:
    backend = ScriptedBackend(GOOD, usage=Usage(prompt=10, completion=40))
    usage = (await Client(backend).ask("q")).usage
    assert (usage.prompt, usage.completion) == (10, 40)
    assert 0 < (usage.thinking or 0) < 40
    assert not usage.exact


class _Counting(ScriptedBackend):
    async def count(self, text: str) -> int:
        return len(text.split())


async def test_thinking_is_counted_by_the_model_where_it_can() -> None:
    backend = _Counting(GOOD, usage=Usage(prompt=10, completion=40))
    usage = (await Client(backend).ask("q")).usage
    assert usage == Usage(prompt=10, completion=40, thinking=6, reflections=1)


async def test_no_report_gives_an_estimate_marked_as_one() -> None:
    usage = (await Client(ScriptedBackend(GOOD)).ask("q")).usage
    assert usage.prompt > 0
    assert len(GOOD) // 8 < usage.completion < len(GOOD) // 2
    assert not usage.exact


async def test_no_thinking_is_no_estimate() -> None:
    backend = ScriptedBackend("28", usage=Usage(prompt=1, completion=2))
    usage = (await Client(backend, mode="plain").ask("q")).usage
    assert usage == Usage(prompt=1, completion=2, thinking=0, reflections=0)


def test_any_object_with_stream_is_a_backend() -> None:
    assert isinstance(ScriptedBackend(), Backend)


class _Provider(ScriptedBackend):
    provider = "here"


async def test_the_turn_to_send_back_has_payload_provider_and_tool_calls() -> None:
    call = ToolCall("1", "add", "{}")
    chunks = [
        Chunk("28", payload={"signature": "x"}, tool_calls=(call,)),
        Chunk(finish="tool_calls"),
    ]
    turn = (await Client(_Provider(chunks), mode="plain").ask("q")).message
    assert (turn.payload, turn.provider, turn.tool_calls) == ({"signature": "x"}, "here", (call,))
