"""The recipes for vLLM: read by its own parser, and started with the embedded model.

The model's tags are special tokens here, and its tokenizer adds the begin token by itself, as those
of Reflection 70B do.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import KEEP, vllm
from recipes import SERVING, TURNS, goes_on, with_special_tags, written
from reflectkit import Client
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.messages import Message, Request, Role
from reflectkit.models import profile_for
from servers import MODEL, Server, as_folder, serve_vllm

ROOT = Path(__file__).resolve().parents[2]
VLLM = os.environ.get("REFLECTKIT_VLLM_PYTHON", "")
RECIPES = sorted(path.name for path in (SERVING / "vllm").glob("*.yaml"))
BEGIN = "<|begin_of_text|>"
#: beside the model, its length and its type, which the helper puts in place
SMALLER = ["--tensor-parallel-size", "1", "--gpu-memory-utilization", "0.1"]

pytestmark = pytest.mark.skipif(not VLLM, reason="REFLECTKIT_VLLM_PYTHON names no Python")


def parsed(*arguments: str) -> dict[str, Any]:
    """The values of ``vllm serve``'s arguments, from the recipes' folder."""
    return said("vllm_arguments.py", *arguments)


def said(script: str, *arguments: str) -> dict[str, Any]:
    """What one of the scripts beside this one prints."""
    done = subprocess.run(
        [VLLM, str(Path(__file__).with_name(script)), *arguments],
        cwd=SERVING,
        env={**os.environ, "VLLM_TARGET_DEVICE": "cpu", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_its_parser_reads_the_recipe(name: str) -> None:
    found = parsed("--config", f"vllm/{name}")
    assert found["model"] == "glaiveai/Reflection-Llama-3.1-70B"
    assert found["chat_template"] == "reflection.jinja"
    assert found["override_generation_config"] == {"temperature": 0.7, "top_p": 0.95}
    assert found["max_model_len"] == 8192
    assert found["host"] == "127.0.0.1"
    own = name == "reasoning.yaml"
    assert found["reasoning_parser"] == ("reflection" if own else "")
    assert ("enable_in_reasoning=True" in found["structured_outputs_config"]) == own


@pytest.mark.parametrize(
    "wrong", [["--max-model-length", "9"], ["--chat-template", "./gone.jinja"]]
)
def test_it_refuses_what_it_does_not_know(wrong: list[str]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        parsed("--config", "vllm/bf16.yaml", *wrong)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    special = with_special_tags(tmp_path_factory.mktemp("gguf"))
    folder = as_folder(VLLM, tmp_path_factory, special)
    begins_by_itself(folder / "tokenizer.json")
    return folder


def test_its_own_reasoning_parsers_are_a_trap(folder: Path) -> None:
    """Some cannot be made, some take the whole answer for reasoning: so no recipe names one."""
    found = said("vllm_parsers.py", str(folder), "deepseek_r1", "qwen3", "glm45")
    assert found["deepseek_r1"] is None
    for name in ("qwen3", "glm45"):
        reasoning, content = found[name]
        assert "<output>4" in reasoning
        assert not content


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The recipe for 16 bits, for want of cards and weights with another model and less of it."""
    options = ["--config", str(SERVING / "vllm" / "bf16.yaml"), *SMALLER]
    options += ["--chat-template", str(SERVING / "reflection.jinja")]
    with serve_vllm(VLLM, tmp_path_factory, *options, folder=folder) as server:
        yield server


def begins_by_itself(path: Path) -> None:
    """The tokenizer puts the begin token before what it reads, as Llama 3's does."""
    settings = json.loads(path.read_text("utf-8"))
    (number,) = [t["id"] for t in settings["added_tokens"] if t["content"] == BEGIN]
    begin = {"SpecialToken": {"id": BEGIN, "type_id": 0}}
    settings["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": each, "type_id": 0}} for each in "AB"],
        "special_tokens": {BEGIN: {"id": BEGIN, "ids": [number], "tokens": [BEGIN]}},
    }
    path.write_text(json.dumps(settings), "utf-8")


def post(server: Server, path: str, body: object) -> Any:
    request = urllib.request.Request(
        server.url.removesuffix("/v1") + path, json.dumps(body).encode()
    )
    request.add_header("Authorization", f"Bearer {server.key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", TURNS)
def test_its_prompt_is_the_training_layout(server: Server, name: str) -> None:
    """From the tokens themselves, so that a second begin token would be seen."""
    tokens = post(server, "/tokenize", {"model": MODEL, "messages": TURNS[name]})["tokens"]
    text = post(server, "/detokenize", {"model": MODEL, "tokens": tokens})["prompt"]
    assert text == BEGIN + written(TURNS[name], asked=True)


def recipe(server: Server) -> OpenAIBackend:
    return vllm(server.url, server.key, server.model)


async def test_the_tags_arrive(server: Server) -> None:
    async with recipe(server) as backend, asking(backend) as client:
        reply = await client.ask("What is (2 + 2) * 7?", temperature=0.0)
    assert reply.output == "28"
    assert list(reply.reflections) == ["2 + 2 is 4, yes", "4 * 7 is 28, yes"]
    assert reply.transcript.issues == ()
    assert backend.refused == frozenset()


async def test_a_client_that_does_not_ask_for_them_gets_none(server: Server) -> None:
    async with server.backend() as backend, asking(backend) as client:
        reply = await client.ask("What is (2 + 2) * 7?", temperature=0.0)
    assert reply.thinking is None
    assert list(reply.reflections) == []
    assert "2 + 2 is 4, yes" in reply.output, "the words are there, their tags are not"


def asking(backend: OpenAIBackend) -> Client:
    """With the text that the larger model's profile brings."""
    profile = profile_for("glaiveai/Reflection-Llama-3.1-70B")
    assert profile.extra == KEEP, "the recipe sends what the profile does"
    return Client(backend, mode="plain", system=profile.system, dialect="reflection")


async def test_a_prefix_is_gone_on_from(server: Server) -> None:
    async with recipe(server) as backend:
        await goes_on(backend, "<|eot_id|>")


@pytest.fixture(scope="module")
def splitting(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The recipe for other clients; the parser is named as a file, and nothing is rounded."""
    home = ROOT / "integrations" / "vllm"
    options = ["--config", str(SERVING / "vllm" / "reasoning.yaml"), *SMALLER]
    options += ["--chat-template", str(SERVING / "reflection.jinja"), "--quantization", ""]
    options += ["--reasoning-parser-plugin", str(home / "reflectkit_vllm" / "plugin.py")]
    packages = Path(f"{ROOT}{os.pathsep}{home}")
    with serve_vllm(VLLM, tmp_path_factory, *options, path=packages, folder=folder) as server:
        yield server


async def test_vllm_itself_splits_for_clients_that_ask_for_nothing(splitting: Server) -> None:
    """Neither streamed nor whole is a tag lost or left, although the tags are special."""
    profile = profile_for("glaiveai/Reflection-Llama-3.1-70B")
    turns: list[tuple[Role, str]] = [
        ("system", profile.system),
        ("user", "What is (2 + 2) * 7? Think carefully."),
    ]
    body = {
        "model": MODEL,
        "temperature": 0,
        "max_tokens": 200,
        "messages": [{"role": role, "content": text} for role, text in turns],
    }
    whole = post(splitting, "/v1/chat/completions", body)["choices"][0]["message"]
    request = Request(
        messages=tuple(Message(role, text) for role, text in turns), temperature=0.0, max_tokens=200
    )
    async with splitting.backend() as backend:
        chunks = [chunk async for chunk in backend.stream(request)]
    streamed = "".join(c.reasoning for c in chunks), "".join(c.text for c in chunks)
    assert streamed == (whole["reasoning"], whole["content"])
    assert whole["content"].strip() == "28"
    assert "2 + 2 is 4, yes" in whole["reasoning"]
    assert "<" not in whole["reasoning"] + whole["content"]


def test_health_needs_no_key(server: Server) -> None:
    """A cluster's probes have none."""
    with urllib.request.urlopen(f"{server.url.removesuffix('/v1')}/health", timeout=20) as answer:
        assert answer.status == 200
