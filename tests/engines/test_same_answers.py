"""The same forty requests give the same answers in this process and behind real servers over HTTP.

``transformers serve`` and vLLM run in environments of their own; their Pythons are named by
``REFLECTKIT_TRANSFORMERS_PYTHON`` (``make engines`` sets it) and ``REFLECTKIT_VLLM_PYTHON``
(``make vllm``), and without them those tests skip. What is still different is in ``DIFFERENCES``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.base import Backend
from reflectkit.backends.nano import NanoBackend
from reflectkit.errors import ReflectKitError
from reflectkit.messages import Message, Request
from reflectkit.protocol import parse
from requests40 import QUESTIONS, REQUESTS
from servers import MODEL, Server

SERVERS = ["llama", "transformers", "vllm"]

#: server, request, and the parts of its answer that differ from those of the engine in this process
DIFFERENCES: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {
    # the last token that it may write is the end of the turn, and it does not look
    ("transformers", "cut before the closer"): {"finish": ("stop", "length")},
    # it refuses the flags and opens a new turn without them, so the SDK refuses in its place
    ("transformers", "go on after a wrong step"): {"error": (None, "MissingCapability")},
}


async def answer(backend: Backend, request: Request) -> dict[str, Any]:
    """What can be compared: text, transcript, the reason to finish and the tokens paid for."""
    try:
        chunks = [chunk async for chunk in backend.stream(request)]
    except ReflectKitError as error:
        return {"error": type(error).__name__}
    text, usage = "".join(c.text for c in chunks), chunks[-1].usage
    figures = {"prompt": usage.prompt, "completion": usage.completion} if usage else {}
    return {"text": text, "finish": chunks[-1].finish, **figures}


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    refused = {"error"} & (ours.keys() | theirs.keys())
    parts = refused or ours.keys() | theirs.keys()
    pairs = {part: (ours.get(part), theirs.get(part)) for part in parts}
    return {part: pair for part, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("name", SERVERS)
async def test_forty_requests(name: str, request: pytest.FixtureRequest) -> None:
    """Text for text, and so section for section; and the table of differences is true."""
    server: Server = request.getfixturevalue(name)
    found = {}
    async with NanoBackend(MODEL) as here, server.backend() as there:
        for asked, each in REQUESTS.items():
            ours, theirs = await answer(here, each), await answer(there, each)
            if different := differing(ours, theirs):
                found[name, asked] = different
            elif "text" in ours:
                assert parse(theirs["text"]) == parse(ours["text"])
    assert found == {key: row for key, row in DIFFERENCES.items() if key[0] == name}


async def test_the_model_thinks_when_it_is_told_to() -> None:
    """So that equal answers are answers."""
    async with NanoBackend(MODEL) as here:
        texts = {name: (await answer(here, each))["text"] for name, each in REQUESTS.items()}
    thoughtful = [name for name in texts if "think" in name or "reflect" in name]
    assert all(texts[name].startswith("<thinking>") for name in thoughtful)
    assert not texts["bare"].startswith("<thinking>")
    assert len(set(texts.values())) > 30


async def test_the_messages_api_says_the_same(llama: Server) -> None:
    """llama.cpp speaks Anthropic's API as well; it counts a prompt as it reads it."""
    async with (
        NanoBackend(MODEL) as here,
        AnthropicBackend(llama.url, model=llama.model, api_key=llama.key) as there,
    ):
        for name, each in REQUESTS.items():
            if not each.prefix:
                assert not differing(await answer(here, each), await answer(there, each)), name
        request = Request(messages=(Message("user", QUESTIONS[0]),), max_tokens=1)
        (*_, last) = [chunk async for chunk in there.stream(request)]
        assert last.usage is not None
        assert last.finish == "length"
        assert await there.count_tokens(request) == last.usage.prompt


@pytest.mark.parametrize("name", SERVERS)
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
