"""The reasoning parser of ``integrations/vllm`` inside a real vLLM server.

A grammar makes the model write the protocol corpus, its tags spelled in ordinary tokens.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reflectkit import Client
from reflectkit.messages import Message, ReasoningBudget, Request
from reflectkit.protocol import parse
from reflectkit_vllm.split import split
from servers import Server, serve_vllm

ROOT = Path(__file__).resolve().parents[2]
VLLM = os.environ.get("REFLECTKIT_VLLM_PYTHON", "")
CORPUS = ROOT / "tests" / "protocol" / "corpus" / "reflection.json"
ROWS: list[dict[str, Any]] = json.loads(CORPUS.read_text("utf-8"))
#: what cannot be written by this model, or fits no context; what late evidence changes
ENTRIES = [r for r in ROWS if not r.get("prefilled") and 0 < len(r["text"].encode()) < 700]
LATE = {"missing_open", "nested_thinking"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """vLLM with the plugin."""
    if not VLLM:
        pytest.skip("REFLECTKIT_VLLM_PYTHON names no Python that has vLLM")
    home = ROOT / "integrations" / "vllm"
    plugin = home / "reflectkit_vllm" / "plugin.py"
    options = ["--reasoning-parser-plugin", str(plugin), "--reasoning-parser", "reflection"]
    options += ["--structured-outputs-config", '{"enable_in_reasoning": true}']
    packages = Path(f"{ROOT}{os.pathsep}{home}")
    with serve_vllm(VLLM, tmp_path_factory, *options, path=packages) as server:
        yield server


async def asked(server: Server, text: str, *, stream: bool) -> tuple[str, str]:
    """Reasoning and content of an answer that can only be ``text``."""
    extra: dict[str, object] = {"structured_outputs": {"choice": [text]}, "stream": stream}
    if not stream:
        extra["stream_options"] = None
    request = Request(
        messages=(Message("user", "Go on."),),
        max_tokens=900,
        temperature=0.0,
        extra=extra,
    )
    async with server.backend() as backend:
        chunks = [chunk async for chunk in backend.stream(request)]
    assert chunks[-1].finish == "stop"
    return "".join(c.reasoning for c in chunks), "".join(c.text for c in chunks)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_corpus(server: Server, stream: bool) -> None:
    """Every transcript of the corpus, as vLLM's two fields."""
    wrong = []
    for entry in ENTRIES:
        late = LATE & set(entry["issues"]) or set("`~") & set(entry["text"])
        if stream and late:
            continue
        found = await asked(server, entry["text"], stream=stream)
        if found != tuple(split(parse(entry["text"], "reflection"))):
            wrong.append((entry["name"], found))
    assert wrong == []


async def test_a_client_sees_the_same_model(server: Server) -> None:
    """Its own answers: thinking apart, no tag in either field, and thinking counted."""
    async with (
        server.backend() as backend,
        Client(backend, mode="trained") as client,
    ):
        reply = await client.ask("What is (2 + 2) * 7?", temperature=0.0)
    assert reply.output == "28"
    assert reply.thinking is not None
    assert "2 + 2 is 4, yes" in reply.thinking
    assert "<" not in reply.thinking + reply.output
    assert reply.usage.thinking


NAMED = "Think inside <thinking></thinking> tags, then answer inside <output> tags."


async def thinking_tokens(server: Server, system: str, cap: int | None) -> int:
    """Tokens of thinking under a cap; an answer has to follow."""
    budget = ReasoningBudget(tokens=cap) if cap is not None else None
    async with (
        server.backend() as backend,
        Client(backend, mode="plain", system=system, temperature=0.0) as client,
    ):
        reply = await client.ask("What is 12 + 7 * 3?", reasoning=budget)
        assert reply.output
        return len(await backend.tokenize(reply.thinking or ""))


@pytest.mark.parametrize("cap", [1, 5, 9, 300])
async def test_vllm_obeys_a_thinking_budget_with_it(server: Server, cap: int) -> None:
    """The parser tells vLLM which tags its own budget counts between. The newlines next to the tags
    are among what it counts, and no part of ``thinking``."""
    free = await thinking_tokens(server, NAMED, None)
    assert free > 12
    assert await thinking_tokens(server, NAMED, cap) == pytest.approx(min(cap, free), abs=2)


async def test_vllm_counts_from_a_tag_that_the_prompt_names(server: Server) -> None:
    """A trap that the page on vLLM warns of: the words after the tag are taken for thinking."""
    named = "Think inside <thinking> tags, then answer inside <output> tags."
    assert await thinking_tokens(server, named, None) > 12
    assert await thinking_tokens(server, named, 9) == 0
