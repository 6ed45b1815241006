"""The same model gives the same transcripts in this process and behind real servers over HTTP.

``transformers serve`` and vLLM run in environments of their own; their Pythons are named by
``REFLECTKIT_TRANSFORMERS_PYTHON`` (``make engines`` sets it) and ``REFLECTKIT_VLLM_PYTHON``
(``make vllm``), and without them those tests skip.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.base import Backend
from reflectkit.backends.nano import NanoBackend, embedded_models
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.messages import Message, Request
from reflectkit.protocol import parse
from servers import MODEL, Server, as_folder, free_port, running, serve_vllm

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("REFLECTKIT_TRANSFORMERS_PYTHON", "")
VLLM = os.environ.get("REFLECTKIT_VLLM_PYTHON", "")
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
    folder = as_folder(PYTHON, tmp_path_factory)
    port = free_port()
    command = [str(Path(PYTHON).with_name("transformers")), "serve", str(folder)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, tmp_path_factory.mktemp("log") / "serve.log", port):
        yield Server(f"http://127.0.0.1:{port}/v1", str(folder))


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """vLLM on the processor."""
    if not VLLM:
        pytest.skip("REFLECTKIT_VLLM_PYTHON names no Python that has vLLM")
    with serve_vllm(VLLM, tmp_path_factory) as server:
        yield server


async def answer(backend: Backend, system: str, question: str) -> str:
    messages = [Message("system", system)] if system else []
    request = Request(
        messages=(*messages, Message("user", question)), temperature=0.0, max_tokens=300
    )
    return "".join([chunk.text async for chunk in backend.stream(request)])


@pytest.mark.parametrize("name", ["llama", "transformers", "vllm"])
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


@pytest.mark.parametrize(("name", "continues"), [("llama", "trailing"), ("vllm", "flags")])
async def test_a_prefix_is_gone_on_from_alike(
    name: str, continues: Literal["trailing", "flags"], request: pytest.FixtureRequest
) -> None:
    """With a wrong step in it, which the model then mends; nothing of it is repeated."""
    server: Server = request.getfixturevalue(name)
    messages = (Message("system", REFLECT), Message("user", QUESTIONS[0]))
    asked = Request(messages=messages, prefix="<thinking>\n2 + 2 = 5\n", temperature=0.0)
    asked = replace(asked, max_tokens=200, stop=("</output>",))
    async with (
        NanoBackend(MODEL) as here,
        OpenAIBackend(
            server.url, model=server.model, api_key=server.key, continues=continues
        ) as there,
    ):
        chunks = [[c async for c in backend.stream(asked)] for backend in (here, there)]
    texts = ["".join(c.text for c in each) for each in chunks]
    assert texts[0] == texts[1]
    assert texts[0].startswith("<reflection>2 + 2 is 4, not 5.")
    assert texts[0].endswith("28\n")
    paid = [each[-1].usage for each in chunks]
    assert len({(u.prompt, u.completion) for u in paid if u}) == 1
    assert None not in paid


async def test_a_difference_would_be_seen(llama: Server) -> None:
    """Another prompt gives another text, so that equality means something."""
    http = llama.backend()
    texts = await asyncio.gather(*(answer(http, *prompt) for prompt in PROMPTS))
    assert len(set(texts)) > len(PROMPTS) // 2
    await http.aclose()


@pytest.mark.parametrize("name", ["llama", "transformers", "vllm"])
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
