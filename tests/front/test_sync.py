"""SyncClient: the same client for code without async."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from reflectkit import AttemptStarted, Client, ConfigurationError, ReflectKitError, SyncClient
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
