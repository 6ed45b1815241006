"""SyncClient: the same client for code without async."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from inspect import signature

import pytest

from reflectkit import (
    AttemptStarted,
    BackendUnreachable,
    Client,
    ConfigurationError,
    ReflectKitError,
    SyncClient,
)
from reflectkit.options import Connecting, Settings
from reflectkit.sync import SyncReplyStream
from reflectkit.testing import ScriptedBackend

GOOD = "<thinking>a</thinking><output>28</output>"


async def never() -> None:
    await asyncio.Event().wait()


def test_ask() -> None:
    with SyncClient(ScriptedBackend(GOOD, GOOD), mode="prompted") as client:
        assert client.ask("q").output == "28"
        assert client.with_options(show="hidden").ask("q").thinking is None


def test_stream_has_the_same_views() -> None:
    backend = ScriptedBackend([*GOOD], [*GOOD])
    with SyncClient(backend) as client:
        with client.stream("q") as stream:
            assert isinstance(next(stream), AttemptStarted)
            assert "".join(stream.output) == "28"
            assert stream.reply().thinking == "a"
            assert stream.partial.output == "28"
        with client.stream("q") as stream:
            for _ in stream:
                break
    assert (backend.opened, backend.closed) == (1, 1)


def test_leaving_early_closes_the_backend() -> None:
    backend = ScriptedBackend(["<output>a", never])
    with SyncClient(backend) as client, client.stream("q") as stream:
        assert next(stream.output) == "a"
    assert (backend.opened, backend.closed) == (1, 1)
    with pytest.raises(ConfigurationError, match="not open"):
        next(stream)


def test_errors_come_through() -> None:
    with SyncClient(ScriptedBackend([KeyError("mine")], [KeyError("mine")])) as client:
        with pytest.raises(KeyError, match="mine"):
            client.ask("q")
        with client.stream("q") as stream, pytest.raises(KeyError, match="mine"):
            stream.reply()
        with pytest.raises(ConfigurationError, match="empty"):
            client.ask("")


async def test_it_works_where_a_loop_is_running() -> None:
    with SyncClient(ScriptedBackend(GOOD)) as client:
        assert client.ask("q").output == "28"


def test_from_many_threads() -> None:
    answers: list[str] = []
    with SyncClient(ScriptedBackend(GOOD, repeat=True)) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.ask("q").output))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == ["28"] * 8


@pytest.mark.parametrize("streaming", [False, True])
def test_an_interrupt_stops_the_model(streaming: bool) -> None:
    started = threading.Event()

    async def hang() -> None:
        started.set()
        await never()

    backend = ScriptedBackend(["<output>a", hang])
    client = SyncClient(backend)

    def interrupt() -> None:
        started.wait()
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    if streaming:
        with client.stream("q") as stream:
            with pytest.raises(KeyboardInterrupt):
                stream.reply()
            assert stream.partial.output == "a"
            with pytest.raises(ReflectKitError, match="cancelled"):
                next(stream)
    else:
        with pytest.raises(KeyboardInterrupt):
            client.ask("q")
    assert (backend.opened, backend.closed) == (1, 1)
    client.close()


def test_closing_twice_and_after_nothing() -> None:
    client = SyncClient(ScriptedBackend())
    client.close()
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.ask("q")
    client.close()


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    for _ in range(3):
        with SyncClient(ScriptedBackend(GOOD)) as client:
            client.ask("q")
    assert threading.active_count() == before


def test_an_unclosed_client_leaves_no_thread() -> None:
    before = threading.active_count()
    client = SyncClient(ScriptedBackend(GOOD))
    client.ask("q")
    del client
    assert threading.active_count() == before


def test_it_has_what_the_client_has() -> None:
    public = {n for n in vars(Client) if not n.startswith("_")}
    assert public == {n for n in vars(SyncClient) if not n.startswith("_")}


@pytest.mark.parametrize("take", [list, SyncReplyStream.reply, lambda s: "".join(s.output)])
def test_a_stream_that_cannot_begin_says_why(take: Callable[[SyncReplyStream], object]) -> None:
    """The server is asked for its only model as the stream opens, and nobody is there."""
    with (
        SyncClient("http://127.0.0.1:9", retries=0) as client,
        client.stream("q") as stream,
    ):
        for _ in range(2):
            with pytest.raises(BackendUnreachable):
                take(stream)


def test_asking_a_closed_client_starts_no_thread() -> None:
    before = threading.active_count()
    client = SyncClient(ScriptedBackend(GOOD))
    twin = client.with_options(seed=1)
    client.ask("q")
    client.close()
    for closed in (client, twin):
        with pytest.raises(ConfigurationError, match="closed"):
            closed.ask("q")
        with pytest.raises(ConfigurationError, match="closed"), closed.stream("q") as stream:
            stream.reply()
        closed.close()
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_told_and_does_not_hang() -> None:
    """Threads do not survive a fork, so nobody would ever do the child's work."""
    with SyncClient(ScriptedBackend(GOOD, repeat=True)) as client:
        client.ask("q")
        child = os.fork()
        if child == 0:
            try:
                client.ask("q")
            except ConfigurationError as error:
                client.close()
                os._exit(7 if "fork" in str(error) else 8)
            finally:
                os._exit(9)
        deadline = time.monotonic() + 10
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        if not ended[0]:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(ended[1]) == 7
        assert client.ask("q").output == "28"


def test_it_takes_what_the_client_takes() -> None:
    for client in (Client, SyncClient):
        names = list(signature(client).parameters)
        assert names == ["backend_or_base_url", "settings"]
    settings = {f.name for f in fields(Settings)}
    assert settings | {"api_key", "timeout", "retries"} == Connecting.__annotations__.keys()


def test_every_setting_says_what_it_is() -> None:
    text = Client.__doc__ or ""
    assert [name for name in Connecting.__annotations__ if f"``{name}``" not in text] == []
