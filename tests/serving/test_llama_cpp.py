"""llama.cpp's real server, started with the recipe's options, and a model with special tags."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import llama_cpp
from llama import ELSEWHERE, OPTIONS, Llama, command, serve
from recipes import SERVING, TURNS, goes_on, with_special_tags, written
from reflectkit import Client

SCRIPT = (SERVING / "llama.cpp" / "serve.sh").read_text("utf-8")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_special_tags(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Llama]:
    with serve(model) as running:
        yield running


def test_every_option_of_the_recipe_is_used() -> None:
    options = {option for option, _ in command(SCRIPT)}
    assert options <= OPTIONS.keys() | ELSEWHERE
    assert {"--special", "--chat-template-file", "--alias"} <= options


@pytest.mark.parametrize("name", TURNS)
def test_its_template_engine_gives_the_training_layout(server: Llama, name: str) -> None:
    prompt = server.post("/apply-template", {"messages": TURNS[name]})["prompt"]
    assert prompt == written(TURNS[name], asked=True)


def test_the_begin_token_is_added_once(server: Llama) -> None:
    asked = {"messages": TURNS["system"], "max_tokens": 1}
    prompt = server.post("/apply-template", asked)["prompt"]
    pieces = {"content": prompt, "add_special": True, "parse_special": True}
    begin, *rest = server.post("/tokenize", pieces)["tokens"]
    assert begin not in rest
    read = server.post("/v1/chat/completions", asked)["usage"]["prompt_tokens"]
    assert read == len(rest) + 1


async def test_the_tags_arrive(server: Llama) -> None:
    async with (
        llama_cpp(f"{server.root}/v1", server.key) as backend,
        Client(backend) as client,
    ):
        reply = await client.ask("What is (2 + 2) * 7?", temperature=0.0)
    assert (reply.mode, reply.output) == ("trained", "28")
    assert list(reply.reflections) == ["2 + 2 is 4, yes", "4 * 7 is 28, yes"]
    assert reply.transcript.issues == ()


async def test_without_the_option_they_do_not(model: Path) -> None:
    with serve(model, without="--special") as stripped:
        async with (
            llama_cpp(f"{stripped.root}/v1", stripped.key) as backend,
            Client(backend) as client,
        ):
            reply = await client.ask("What is (2 + 2) * 7?", temperature=0.0)
    assert {issue.kind for issue in reply.transcript.issues} >= {"missing_output"}


async def test_a_prefix_is_gone_on_from(server: Llama) -> None:
    async with llama_cpp(f"{server.root}/v1", server.key) as backend:
        await goes_on(backend, "<|eot_id|>")


def test_the_script_of_the_client_asks_it(server: Llama) -> None:
    at = ["--url", f"{server.root}/v1"]
    said = subprocess.run(
        [sys.executable, str(SERVING / "clients.py"), "llama.cpp", "What is (2 + 2) * 7?", *at],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "REFLECTION_KEY": server.key, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "reflections: " in said.stdout
    assert "28" in said.stdout


def test_the_script_says_what_is_missing() -> None:
    said = subprocess.run(
        ["sh", str(SERVING / "llama.cpp" / "serve.sh")],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert said.returncode != 0
    assert "MODEL" in said.stderr
