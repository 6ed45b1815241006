"""``reflectkit ask --base-url`` against a real llama.cpp server: the same answer as in-process."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import xllamacpp

from commands import Command
from reflectkit.backends.nano import embedded_models

QUESTIONS = ["What is (2 + 2) * 7?", "What is 9 + 5 - 3?"]
MODEL = "nano-reflect"
KEY = secrets.token_hex()
#: Parts of a reply that belong to the answer and not to the way it came.
ANSWER = ("output", "thinking", "reflections", "sections", "issues", "mode", "ending")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The base URL of a llama.cpp server on loopback that runs the embedded weights."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(embedded_models()[MODEL])
    parameters.n_ctx, parameters.n_parallel = 1024, 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.use_jinja = parameters.special = True
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    parameters.api_keys = [KEY]
    parameters.verbosity = 0
    running = xllamacpp.Server(parameters)
    running.handle_metrics()  # answered once its loop runs
    yield f"{running.listening_address}/v1"
    del running


async def asked(command: Command, *arguments: str) -> dict[str, Any]:
    result = await command(
        "ask", "--json", "--temperature", "0", *arguments, REFLECTKIT_API_KEY=KEY
    )
    assert result.code == 0, result.err
    reply: dict[str, Any] = json.loads(result.out)
    return {part: reply[part] for part in ANSWER}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_answer_over_http_is_the_answer_in_process(server: str, question: str) -> None:
    command = Command()
    here = await asked(command, question)
    there = await asked(command, "--base-url", server, "--model", MODEL, question)
    assert there == here
    assert here["mode"] == "trained"
    assert here["thinking"]


async def test_without_the_key_nobody_gets_in(server: str) -> None:
    result = await Command()("ask", "--base-url", server, "--model", MODEL, "hi")
    assert result.code == 4
    assert "api_key" in result.err
