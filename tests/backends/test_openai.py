"""The OpenAI-compatible backend against a real HTTP server on the loopback interface."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio

from asking import ASK, ask, text_of
from reflectkit.backends.base import capabilities_of
from reflectkit.backends.openai import OpenAIBackend, Retries, Timeouts
from reflectkit.errors import (
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
    MissingCapability,
)
from reflectkit.messages import Message, Request
from reflectkit.testing import BackendSuite, LoopbackServer, Received, Served, chat, page, refusal


class Naps:
    """A sleep that does not wait, and remembers."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def napping(naps: Naps, times: int = 2) -> Retries:
    return Retries(times=times, draw=lambda: 1.0, sleep=naps)


class TestSuite(BackendSuite):
    secret = "sk-very-secret"

    @pytest_asyncio.fixture
    async def backend(self) -> AsyncIterator[OpenAIBackend]:
        async with (
            LoopbackServer(chat("Hello", " there", ", friend")) as server,
            OpenAIBackend(server.url, model="m", api_key=self.secret) as backend,
        ):
            yield backend


async def test_what_is_sent() -> None:
    async with LoopbackServer() as server:
        backend = OpenAIBackend(
            server.url, model="m", api_key="k-123", headers={"X-Team": "a"}, extra={"top_k": 1}
        )
        async with backend:
            assert await text_of(backend) == "Hello!"
        sent = server.requests[0]
    assert sent.json["top_k"] == 1
    assert sent.json["stream_options"] == {"include_usage": True}
    assert sent.headers["authorization"] == "Bearer k-123"
    assert sent.headers["x-team"] == "a"
    assert sent.headers["content-type"] == "application/json"


@pytest.mark.parametrize("tail", ["", "/", "/chat/completions", "/chat/completions/"])
async def test_the_address_may_be_written_in_several_ways(tail: str) -> None:
    async with LoopbackServer() as server, OpenAIBackend(server.url + tail, model="m") as backend:
        assert await text_of(backend) == "Hello!"


async def test_v1_is_added_to_a_bare_host() -> None:
    async with LoopbackServer() as server:
        async with OpenAIBackend(server.url.removesuffix("/v1"), model="m") as backend:
            assert await text_of(backend) == "Hello!"
        assert server.requests[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://h:port/v1", "http://[::1", "x"]
)
def test_an_address_that_cannot_work(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        OpenAIBackend(url)


# --- models


async def test_the_model_is_asked_for_once() -> None:
    async with LoopbackServer(models=("only",)) as server, OpenAIBackend(server.url) as backend:
        assert backend.model == ""
        await asyncio.gather(*(ask(backend) for _ in range(5)))
        assert backend.model == "only"
        assert server.asked_models == 1
        assert {r.json["model"] for r in server.requests} == {"only"}


@pytest.mark.parametrize(("models", "words"), [(("a", "b"), "offers a, b"), ((), "names none")])
async def test_no_choice_of_model_is_ours_to_make(models: tuple[str, ...], words: str) -> None:
    async with LoopbackServer(models=models) as server, OpenAIBackend(server.url) as backend:
        with pytest.raises(ConfigurationError, match=words):
            await ask(backend)


async def test_no_list_of_models() -> None:
    async with (
        LoopbackServer(models=None) as server,
        OpenAIBackend(server.url, retries=0) as backend,
    ):
        with pytest.raises(BackendStatus, match="Pass model="):
            await ask(backend)


@pytest.mark.parametrize("status", [400, 404])
async def test_an_unknown_model_is_told_what_there_is(status: int) -> None:
    served = refusal(status, "The model `nope` does not exist")
    async with (
        LoopbackServer(served, models=("big", "small")) as server,
        OpenAIBackend(server.url, model="nope") as backend,
    ):
        with pytest.raises(BackendStatus) as caught:
            await ask(backend)
    assert caught.value.status == status
    assert "big, small" in caught.value.hint


async def test_an_unknown_model_without_a_list() -> None:
    async with (
        LoopbackServer(refusal(404, "no model nope"), models=None) as server,
        OpenAIBackend(server.url, model="nope", retries=0) as backend,
    ):
        with pytest.raises(BackendStatus, match="no model nope"):
            await ask(backend)


# --- fields that a server refuses


async def test_refused_fields_are_left_out_once_and_for_all() -> None:
    async with LoopbackServer(strict=True) as server:
        extra = {"skip_special_tokens": False}
        async with OpenAIBackend(server.url, model="m", extra=extra) as backend:
            assert capabilities_of(backend).keeps_special_tokens
            assert await text_of(backend) == "Hello!"
            assert await text_of(backend) == "Hello!"
            assert backend.refused == {"skip_special_tokens", "stream_options"}
            assert not capabilities_of(backend).keeps_special_tokens
            assert not capabilities_of(backend).reports_usage
        assert len(server.requests) == 3


async def test_a_callers_own_field_is_never_dropped() -> None:
    request = Request(messages=ASK.messages, extra={"response_format": {"type": "json_object"}})
    async with (
        LoopbackServer(strict=True) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        with pytest.raises(BackendStatus, match="response_format"):
            await ask(backend, request)


async def test_the_newer_name_of_the_token_cap() -> None:
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def answer(received: Received) -> Served:
        return refusal(400, words) if "max_tokens" in received.json else chat("ok")

    request = Request(messages=ASK.messages, max_tokens=9)
    async with LoopbackServer(answer) as server, OpenAIBackend(server.url, model="m") as backend:
        assert await text_of(backend, request) == "ok"
        assert server.requests[-1].json["max_completion_tokens"] == 9


# --- prefix and stop


async def test_a_prefix_needs_a_server_that_goes_on_from_it() -> None:
    request = Request(messages=ASK.messages, prefix="<thinking>")
    async with LoopbackServer(chat("<think", "ing>so")) as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            with pytest.raises(MissingCapability, match="continues"):
                await ask(backend, request)
        assert server.requests == []
        async with OpenAIBackend(server.url, model="m", continues="trailing") as backend:
            assert await text_of(backend, request) == "so"
        async with OpenAIBackend(server.url, model="m", continues="flags") as backend:
            assert await text_of(backend, request) == "<thinking>so"
        assert server.requests[-1].json["continue_final_message"] is True


async def test_a_stop_string_that_the_server_ignores_ends_the_stream() -> None:
    request = Request(messages=ASK.messages, stop=("STOP",))
    served = chat(*(["word "] * 3), "ST", "OP x", *(["more "] * 500))
    async with LoopbackServer(served) as server, OpenAIBackend(server.url, model="m") as backend:
        chunks = await ask(backend, request)
        assert "".join(c.text for c in chunks) == "word word word "
        assert chunks[-1].finish == "stop"


# --- statuses and retries


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_what_is_safe_is_sent_again(status: int) -> None:
    naps = Naps()
    async with LoopbackServer(refusal(status), refusal(status), chat("ok")) as server:
        async with OpenAIBackend(server.url, model="m", retries=napping(naps)) as backend:
            assert await text_of(backend) == "ok"
        assert len(server.requests) == 3
    assert naps.seconds == [0.5, 1.0]


@pytest.mark.parametrize(
    "status", [301, 400, 401, 402, 403, 404, 405, 408, 413, 418, 422, 429, 500, 502, 503, 599]
)
async def test_every_status_has_a_hint(status: int) -> None:
    async with (
        LoopbackServer(refusal(status, "no")) as server,
        OpenAIBackend(server.url, model="m", retries=0) as backend,
    ):
        with pytest.raises(BackendStatus) as caught:
            await ask(backend)
    assert caught.value.hint


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 418, 422])
async def test_what_is_not_safe_is_not(status: int) -> None:
    naps = Naps()
    async with LoopbackServer(refusal(status, "because")) as server:
        async with OpenAIBackend(server.url, model="m", retries=napping(naps)) as backend:
            with pytest.raises(BackendStatus, match="because") as caught:
                await ask(backend)
        assert len(server.requests) == 1
    assert caught.value.status == status
    assert not caught.value.retryable
    assert naps.seconds == []


async def test_retries_end_with_the_last_refusal() -> None:
    naps = Naps()
    async with LoopbackServer(refusal(429, "slow down", Retry_After="3")) as server:
        async with OpenAIBackend(server.url, model="m", retries=napping(naps, 1)) as backend:
            with pytest.raises(BackendStatus) as caught:
                await ask(backend)
        assert len(server.requests) == 2
    assert naps.seconds == [3.0]
    assert caught.value.retry_after == 3.0
    assert caught.value.retryable


async def test_a_retry_after_date_far_away_is_not_waited_for() -> None:
    naps = Naps()
    served = refusal(503, "later", Retry_After="Fri, 01 Jan 2100 00:00:00 GMT")
    async with LoopbackServer(served) as server:
        async with OpenAIBackend(server.url, model="m", retries=napping(naps)) as backend:
            with pytest.raises(BackendStatus) as caught:
                await ask(backend)
        assert len(server.requests) == 1
    assert caught.value.retry_after
    assert caught.value.retry_after > 1e8


async def test_no_retry_past_the_total_time() -> None:
    naps = Naps()
    async with LoopbackServer(refusal(503, "later", Retry_After="30")) as server:
        backend = OpenAIBackend(server.url, model="m", timeout=5.0, retries=napping(naps))
        async with backend:
            with pytest.raises(BackendStatus):
                await ask(backend)
    assert naps.seconds == []


async def test_nothing_is_sent_again_once_text_was_delivered() -> None:
    naps = Naps()
    served = chat("so", "me", "more").broken(2, "reset")
    async with LoopbackServer(served) as server:
        async with OpenAIBackend(server.url, model="m", retries=napping(naps)) as backend:
            with pytest.raises(BackendWireError):
                await ask(backend)
        assert len(server.requests) == 1
    assert naps.seconds == []


async def test_nobody_listens() -> None:
    async with LoopbackServer() as server:
        url = server.url
    naps = Naps()
    async with OpenAIBackend(url, model="m", retries=napping(naps)) as backend:
        with pytest.raises(BackendUnreachable, match="Is the server running") as caught:
            await ask(backend)
    assert caught.value.__context__ is None
    assert caught.value.retryable
    assert len(naps.seconds) == 2


async def test_a_host_without_address() -> None:
    async with OpenAIBackend("http://no-such-host.invalid/v1", model="m", retries=0) as backend:
        with pytest.raises(BackendUnreachable, match="no-such-host"):
            await ask(backend)


VANISH = Served(("drop",), status=0)


async def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    """The server closes the connection as the second request comes, as after its idle time."""
    async with (
        LoopbackServer(chat("ok"), VANISH, chat("again"), VANISH) as server,
        OpenAIBackend(server.url, model="m", retries=0) as backend,
    ):
        assert await text_of(backend) == "ok"
        assert await text_of(backend) == "again"
        assert server.accepted == 2
        with pytest.raises(BackendUnreachable):
            await text_of(backend)
        assert server.accepted == 3


async def test_a_new_connection_that_closes_unanswered_is_not_tried_again() -> None:
    """The server may have begun the work: only the caller can know whether to pay twice."""
    async with LoopbackServer(VANISH) as server, OpenAIBackend(server.url, model="m") as backend:
        with pytest.raises(BackendUnreachable, match="before it answered") as caught:
            await ask(backend)
        assert len(server.requests) == 1
    assert caught.value.retryable


async def test_connections_are_used_again() -> None:
    async with LoopbackServer() as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            for _ in range(5):
                assert await text_of(backend) == "Hello!"
            assert server.accepted == 1
        await server.quiet(connections=True)


# --- configuration


async def test_a_closed_backend_says_so() -> None:
    async with LoopbackServer() as server:
        backend = OpenAIBackend(server.url, model="m")
        await ask(backend)
        await backend.aclose()
        await backend.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await ask(backend)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
async def test_a_request_that_is_no_json(value: Any) -> None:
    request = Request(messages=ASK.messages, extra={"x": value})
    async with LoopbackServer() as server, OpenAIBackend(server.url, model="m") as backend:
        with pytest.raises(ConfigurationError, match="JSON"):
            await ask(backend, request)
        assert server.requests == []


async def test_half_a_character_can_be_sent() -> None:
    request = Request(messages=(Message("user", "\ud83d"),))
    async with LoopbackServer() as server, OpenAIBackend(server.url, model="m") as backend:
        assert await text_of(backend, request) == "Hello!"


async def test_a_redirect_is_not_followed() -> None:
    served = Served((b"",), 307, {"Location": "http://elsewhere.invalid/v1"})
    async with LoopbackServer(served) as server, OpenAIBackend(server.url, model="m") as backend:
        with pytest.raises(BackendStatus, match="redirects are not followed"):
            await ask(backend)


async def test_an_html_error_page() -> None:
    async with (
        LoopbackServer(page("Bad Gateway", 502)) as server,
        OpenAIBackend(server.url, model="m", retries=0) as backend,
    ):
        with pytest.raises(BackendStatus, match="Bad Gateway"):
            await ask(backend)


async def test_the_environments_proxy_is_not_used_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LoopbackServer() as nobody:
        dead = nobody.url.removesuffix("/v1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with LoopbackServer() as server:
        async with OpenAIBackend(server.url, model="m") as backend:
            assert await text_of(backend) == "Hello!"
        async with OpenAIBackend(server.url, model="m", trust_env=True, retries=0) as backend:
            with pytest.raises(BackendUnreachable):
                await ask(backend)


# --- time


@pytest.mark.parametrize(
    ("served", "timeouts", "words"),
    [
        (Served(("stall",), status=0), Timeouts(first=0.05), "no answer began within 0.05 s"),
        (Served(("stall",)), Timeouts(first=0.5), "no byte of the answer came within 0.5 s"),
        (chat("so", "x").broken(2, "stall"), Timeouts(between=0.2), "no further byte"),
        (chat("so", "x").broken(2, "stall"), Timeouts(total=0.4), "not complete within 0.4 s"),
    ],
)
async def test_time_outs(served: Served, timeouts: Timeouts, words: str) -> None:
    async with LoopbackServer(served) as server:
        async with OpenAIBackend(server.url, model="m", timeout=timeouts) as backend:
            with pytest.raises(BackendTimeout, match=words) as caught:
                await ask(backend)
        await server.quiet(connections=True)
        assert len(server.requests) == 1
    assert caught.value.retryable


async def test_a_slow_first_byte_is_waited_for() -> None:
    gate = asyncio.Event()
    async with (
        LoopbackServer(chat("ok").insert(0, gate.wait)) as server,
        OpenAIBackend(server.url, model="m", timeout=Timeouts(between=0.4)) as backend,
    ):
        asking = asyncio.create_task(text_of(backend))
        await asyncio.sleep(0.6)
        assert not asking.done()
        gate.set()
        assert await asking == "ok"


def test_json_is_in_the_wire_shape() -> None:
    events = [s for s in chat("a").steps if isinstance(s, bytes)]
    assert json.loads(events[1].removeprefix(b"data: "))["choices"][0]["delta"] == {"content": "a"}


def test_one_backend_in_several_loops_one_after_the_other() -> None:
    """asyncio.run in a script makes a loop each time; connections belong to the loop of theirs."""
    with serving(chat("a")) as url, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a loop that ends closes no connection
        backend = OpenAIBackend(url)
        for _ in range(3):
            assert asyncio.run(text_of(backend)) == "a"
        asyncio.run(backend.aclose())
        gc.collect()


def test_one_backend_in_two_loops_at_a_time_is_refused() -> None:
    with serving(chat("a")) as url:
        backend = OpenAIBackend(url, model="m")

        async def here_and_there() -> None:
            assert await text_of(backend) == "a"
            with pytest.raises(ConfigurationError, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(text_of(backend)))
            assert await text_of(backend) == "a"
            await backend.aclose()

        asyncio.run(here_and_there())


@contextmanager
def serving(answer: Served) -> Iterator[str]:
    """A server in a thread and a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(10)

    server = LoopbackServer(answer)
    there(server.__aenter__())
    try:
        yield server.url
    finally:
        there(server.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
