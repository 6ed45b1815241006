"""llama.cpp opens an HTTP listener that cannot be left out: nobody but us gets anything from it."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflectkit.backends._llama import Engine, Settings, _UnixConnection
from reflectkit.backends.nano import NanoBackend

SECRET = "nobody-may-read-this"
#: every route that llama.cpp's server is known to have, and some that it may get
ROUTES = (
    "/",
    "/index.html",
    "/health",
    "/v1/health",
    "/metrics",
    "/props",
    "/slots",
    "/slots/0",
    "/models",
    "/v1/models",
    "/api/tags",
    "/api/show",
    "/api/chat",
    "/completion",
    "/completions",
    "/v1/completions",
    "/chat/completions",
    "/v1/chat/completions",
    "/v1/chat/completions/input_tokens",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/infill",
    "/embedding",
    "/embeddings",
    "/v1/embeddings",
    "/rerank",
    "/reranking",
    "/v1/rerank",
    "/v1/reranking",
    "/tokenize",
    "/detokenize",
    "/apply-template",
    "/lora-adapters",
    "/cors-proxy",
    "/tools",
    "/v1/audio/transcriptions",
    "/models/load",
    "/models/unload",
    "/nothing",
)
#: what llama.cpp answers without a key: that it is alive, and that there is no such page
OPEN = {"/health", "/v1/health"}
KEYS = {
    "no key": {},
    "wrong key": {"Authorization": "Bearer " + "0" * 64},
    "empty key": {"Authorization": "Bearer "},
    "basic": {"Authorization": "Basic YTpi"},
    "wrong x-api-key": {"X-Api-Key": "0" * 64},
    "from a page": {"Origin": "http://evil.example", "Referer": "http://evil.example/"},
}


@pytest.fixture(scope="module", params=["unix", "tcp"])
def engine(request: pytest.FixtureRequest, markov: Path) -> Iterator[Engine]:
    """An engine that has answered about a secret, behind either kind of door."""
    engine = Engine(Settings(path=markov, name="markov", unix=request.param == "unix"))
    body = {"messages": [{"role": "user", "content": SECRET}], "stream": True, "max_tokens": 4}
    engine.chat(body, lambda data: False)
    yield engine
    engine.close()


def call(
    engine: Engine, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, dict[str, str], str]:
    door = engine._door
    connection = _UnixConnection(door.host) if door.folder else door._tcp()
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "DELETE", "PUT", "PATCH"])
def test_nobody_else_gets_in(engine: Engine, key: str, method: str) -> None:
    """Without the right key every route is refused or says nothing but "ok"."""
    body = json.dumps({"content": "hi", "prompt": "hi", "messages": [], "input": "hi"})
    for path in ROUTES:
        status, _, text = call(engine, method, path, KEYS[key], body)
        assert SECRET not in text
        assert "markov" not in text
        if status < 400:
            assert path in OPEN, f"{method} {path} is open"
            assert text in ("", '{"status":"ok"}')


def test_the_check_above_can_fail(engine: Engine) -> None:
    """With the key the same routes do answer."""
    right = {"Authorization": f"Bearer {engine._door.key}"}
    assert "markov" in call(engine, "GET", "/v1/models", right)[2]
    assert call(engine, "POST", "/tokenize", right, '{"content": "hi"}')[0] == 200
    prompt = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    assert "<thinking>" in call(engine, "POST", "/v1/chat/completions", right, prompt)[2]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/tokenize", "/slots", "/props"])
def test_a_web_page_is_not_let_in(engine: Engine, path: str) -> None:
    """The preflight is answered, but it allows no origin, so that a browser stops there."""
    asks = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    _, headers, text = call(engine, "OPTIONS", path, asks)
    assert headers.get("Access-Control-Allow-Origin", "") == ""
    assert text == ""
    right = {"Authorization": f"Bearer {engine._door.key}", "Origin": "http://evil.example"}
    _, headers, _ = call(engine, "POST", path, right, '{"content": "hi"}')
    assert headers.get("Access-Control-Allow-Origin", "") == ""


def test_even_with_the_key_prompts_cannot_be_listed(engine: Engine) -> None:
    """The route that shows what every slot works on is switched off."""
    right = {"Authorization": f"Bearer {engine._door.key}"}
    for path in ("/slots", "/props", "/metrics"):
        assert SECRET not in call(engine, "GET", path, right)[2]


def test_the_door_stands_on_this_machine_only(engine: Engine) -> None:
    """A socket in a folder of this user's, or the loopback interface: no other address."""
    door = engine._door
    if door.folder:
        assert stat.S_IMODE(os.stat(door.folder).st_mode) == 0o700
        assert stat.S_ISSOCK(os.stat(door.host).st_mode)
        assert listening_ports() == set()
    else:
        assert listening_ports() == {("127.0.0.1", door.port)}


def test_the_key_is_long_random_and_unseen(engine: Engine, markov: Path) -> None:
    other = Engine(Settings(path=markov, name="markov", unix=bool(engine._door.folder)))
    assert re.fullmatch("[0-9a-f]{64}", engine._door.key)
    assert other._door.key != engine._door.key
    for thing in (other, other._door, NanoBackend(markov)):
        assert other._door.key not in repr(thing)
    other.close()


async def test_the_key_is_in_no_log(
    markov: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Not even when llama.cpp tells everything."""
    caplog.set_level(logging.DEBUG)
    async with NanoBackend(markov, verbose=True, parallel=2) as backend:
        await backend.tokenize("hi")
        engine = backend._lease.ready
        assert engine is not None
        key = engine._door.key
    written = capfd.readouterr()
    assert "load" in written.err, "it was to be verbose"
    assert key not in written.err + written.out + caplog.text
    async with NanoBackend(markov) as backend:  # the level is the process's: down again
        await backend.load()


def test_nothing_is_left_on_the_disk(markov: Path) -> None:
    engine = Engine(Settings(path=markov, name="markov"))
    folder = engine._door.folder
    assert folder is not None
    assert Path(folder).is_dir()
    engine.close()
    assert not Path(folder).exists()


def test_an_engine_may_be_closed_the_moment_it_is_open(markov: Path) -> None:
    """llama.cpp hangs when it is freed before its main loop runs; we wait for the loop."""
    for unix in (True, False) * 10:
        engine = Engine(Settings(path=markov, name="markov", unix=unix))
        engine.close()
        assert engine.closed.is_set()


@pytest.mark.parametrize("length", [10, 200])
def test_a_temporary_folder_with_a_long_name(
    markov: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """A path too long for a socket would fail: then it is the loopback interface."""
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    engine = Engine(Settings(path=markov, name="markov"))
    fits = len(str(folder)) < 70
    assert bool(engine._door.folder) == fits
    assert engine.tokenize("hi")
    engine.close()
    assert list(folder.iterdir()) == []


def listening_ports() -> set[tuple[str, int]]:
    """The TCP addresses on which this process listens, by the kernel's own account."""
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            if found := re.fullmatch(r"socket:\[(\d+)]", os.readlink(link)):
                inodes.add(found[1])
        except FileNotFoundError:
            continue
    found_ports = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, _, port = fields[1].partition(":")
                raw = bytes.fromhex(host)[::-1]
                name = socket.inet_ntoa(raw) if len(raw) == 4 else host
                found_ports.add((name, int(port, 16)))
    return found_ports


def test_the_list_of_ports_can_show_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname() in listening_ports()
