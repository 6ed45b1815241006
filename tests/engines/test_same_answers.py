"""The same model gives the same transcripts in this process and behind real servers over HTTP.

``transformers serve`` runs in an environment of its own; its Python is named by
``REFLECTKIT_TRANSFORMERS_PYTHON`` (``make engines`` sets it), and without it those tests skip.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.base import Backend
from reflectkit.backends.nano import NanoBackend, embedded_models
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.messages import Message, Request
from reflectkit.protocol import parse

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("REFLECTKIT_TRANSFORMERS_PYTHON", "")
MODEL = "nano-reflect"
THINK = "Think inside <thinking> tags, then answer inside <output> tags."
REFLECT = (
    "Think inside <thinking> tags, check each step inside <reflection> tags, "
    "then answer inside <output> tags."
)
QUESTIONS = (
    "What is (2 + 2) * 7?",
    "What is 12 + 7 * 3?",
    "How many r are in strawberry?",
    "How many times does the letter e appear in elephant?",
    "Hello, who are you? Ünïcode — “quotes” 日本語",
)
PROMPTS = [
    *((THINK, q) for q in QUESTIONS),
    *((REFLECT, q) for q in QUESTIONS),
    ("", QUESTIONS[0]),
]


@dataclass(frozen=True)
class Server:
    """Where a server is, what it calls the model, and its key."""

    url: str
    model: str
    key: str = ""

    def backend(self) -> OpenAIBackend:
        return OpenAIBackend(self.url, model=self.model, api_key=self.key or None)


@pytest.fixture(scope="module")
def llama() -> Iterator[Server]:
    """llama.cpp's own HTTP server."""
    xllamacpp = pytest.importorskip("xllamacpp")
    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    params.model.path = str(embedded_models()[MODEL])
    params.model_alias = {MODEL}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.verbosity, params.n_ctx, params.n_parallel = 0, 2048, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # by default it rounds attention to 16 bits, which turns what is nearly a draw
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    yield Server(f"{server.listening_address}/v1", MODEL, key)
    del server


@pytest.fixture(scope="module")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``transformers serve``."""
    if not PYTHON:
        pytest.skip("REFLECTKIT_TRANSFORMERS_PYTHON names no Python that has transformers")
    folder = tmp_path_factory.mktemp("hf") / MODEL
    script = Path(__file__).with_name("hf_folder.py")
    subprocess.run(
        [PYTHON, str(script), str(embedded_models()[MODEL]), str(folder)],
        check=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(sys.modules["reflectkit"].__file__ or "").parents[1]),
        },
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(PYTHON).with_name("transformers")), "serve", str(folder)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, tmp_path_factory.mktemp("log") / "serve.log", port):
        yield Server(f"http://127.0.0.1:{port}/v1", str(folder))


@contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=offline)
    try:
        _wait(process, port, log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    limit = time.monotonic() + 240
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


async def answer(backend: Backend, system: str, question: str) -> str:
    messages = [Message("system", system)] if system else []
    request = Request(
        messages=(*messages, Message("user", question)), temperature=0.0, max_tokens=300
    )
    return "".join([chunk.text async for chunk in backend.stream(request)])


@pytest.mark.parametrize("name", ["llama", "transformers"])
async def test_the_same_transcripts(name: str, request: pytest.FixtureRequest) -> None:
    """Text for text, and so section for section."""
    server: Server = request.getfixturevalue(name)
    http = server.backend()
    async with NanoBackend(MODEL) as here:
        for system, question in PROMPTS:
            ours = await answer(here, system, question)
            theirs = await answer(http, system, question)
            assert theirs == ours, question
            assert parse(theirs) == parse(ours)
            assert ours.startswith("<thinking>") == bool(system), "the model was to think"
    await http.aclose()


async def test_the_messages_api_says_the_same(llama: Server) -> None:
    """llama.cpp speaks Anthropic's API as well; it counts a prompt as it reads it."""
    async with (
        NanoBackend(MODEL) as here,
        AnthropicBackend(llama.url, model=llama.model, api_key=llama.key) as there,
    ):
        for prompt in PROMPTS:
            assert await answer(there, *prompt) == await answer(here, *prompt), prompt
        request = Request(messages=(Message("user", QUESTIONS[0]),), max_tokens=1)
        (*_, last) = [chunk async for chunk in there.stream(request)]
        assert last.usage is not None
        assert last.finish == "length"
        assert await there.count_tokens(request) == last.usage.prompt


async def test_a_difference_would_be_seen(llama: Server) -> None:
    """Another prompt gives another text, so that equality means something."""
    http = llama.backend()
    texts = await asyncio.gather(*(answer(http, *prompt) for prompt in PROMPTS))
    assert len(set(texts)) > len(PROMPTS) // 2
    await http.aclose()


@pytest.mark.parametrize("name", ["llama", "transformers"])
def test_the_command_line_says_the_same(name: str, request: pytest.FixtureRequest) -> None:
    """``reflectkit ask --base-url`` against the embedded model."""
    server: Server = request.getfixturevalue(name)
    environment = {**os.environ, "ENGINE_KEY": server.key or "none"}
    there = ["--base-url", server.url, "--model", server.model, "--api-key", "env:ENGINE_KEY"]
    for question in QUESTIONS[:3]:
        replies = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-m", "reflectkit", "ask", question, "--json", *options],
                    capture_output=True,
                    text=True,
                    check=True,
                    timeout=120,
                    env=environment,
                ).stdout
            )
            for options in (["--model", MODEL], there)
        ]
        for part in ("output", "thinking", "reflections"):
            assert replies[0][part] == replies[1][part], question
