"""What is known of each kind of server: recognised, asked in its own fields, refused beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reflectkit import Client
from reflectkit.backends._kinds import KINDS, MESSAGES, OLLAMA, Knobs, merged, recognised
from reflectkit.backends._secrets import Address
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.function import FunctionBackend
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.errors import (
    BackendStatus,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
    MissingCapability,
)
from reflectkit.messages import Message, ReasoningBudget, Request
from reflectkit.testing import LoopbackServer, Served, anthropic_chat, chat, ollama_chat

ASK = Request(messages=(Message("user", "hi"),), max_tokens=4000)


def budgeted(**parts: Any) -> Request:
    return replace(ASK, reasoning=ReasoningBudget(**parts))


#: kind, what is wanted, the fields that say it
FIELDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vllm", {"tokens": 500}, {"thinking_token_budget": 500}),
    ("vllm", {"enabled": False}, {"chat_template_kwargs": {"enable_thinking": False}}),
    ("vllm", {"effort": "none"}, {"reasoning_effort": "none"}),
    ("sglang", {"effort": "low"}, {"reasoning_effort": "low"}),
    ("sglang", {"enabled": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
    ("llama.cpp", {"tokens": 0}, {"reasoning_budget_tokens": 0}),
    ("llama.cpp", {"enabled": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
    ("ollama", {"enabled": False}, {"reasoning_effort": "none"}),
    ("openai", {"effort": "xhigh"}, {"reasoning_effort": "xhigh"}),
    ("openai", {"enabled": False}, {"reasoning_effort": "none"}),
    ("openrouter", {"tokens": 9}, {"reasoning": {"max_tokens": 9}}),
    ("openrouter", {"effort": "high"}, {"reasoning": {"effort": "high"}}),
    ("openrouter", {"enabled": False}, {"reasoning": {"enabled": False}}),
    ("deepseek", {"enabled": True}, {"thinking": {"type": "enabled"}}),
    ("deepseek", {"effort": "none"}, {"thinking": {"type": "disabled"}}),
    ("dashscope", {"tokens": 9}, {"thinking_budget": 9, "enable_thinking": True}),
    ("dashscope", {"enabled": False}, {"enable_thinking": False}),
    (
        "gemini",
        {"tokens": 9},
        {"extra_body": {"google": {"thinking_config": {"thinking_budget": 9}}}},
    ),
    ("gemini", {"effort": "minimal"}, {"reasoning_effort": "minimal"}),
    ("vllm", {}, {}),
]


@pytest.mark.parametrize(("kind", "wanted", "fields"), FIELDS)
def test_a_budget_in_the_words_of_each_server(
    kind: str, wanted: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert KINDS[kind].knobs.fields(budgeted(**wanted), kind) == fields


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"tokens": 2048}, {"thinking": {"budget_tokens": 2048, "type": "enabled"}}),
        ({"enabled": True}, {"thinking": {"type": "adaptive"}}),
        ({"enabled": False}, {"thinking": {"type": "disabled"}}),
        ({"effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"effort": "low"}, {"output_config": {"effort": "low"}}),
    ],
)
def test_the_messages_api(wanted: dict[str, Any], fields: dict[str, Any]) -> None:
    assert MESSAGES.fields(budgeted(**wanted), "there") == fields


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"enabled": True}, {"think": True}),
        ({"effort": "none"}, {"think": False}),
        ({"effort": "high"}, {"think": "high"}),
        ({"enabled": True, "effort": "low"}, {"think": "low"}),
    ],
)
def test_ollamas_one_field(wanted: dict[str, Any], fields: dict[str, Any]) -> None:
    assert OLLAMA.fields(budgeted(**wanted), "there") == fields


#: knobs, what is wanted, what the refusal names
MISSING = [
    (KINDS["openai"].knobs, {"tokens": 9}, "reasoning.tokens"),
    (KINDS["sglang"].knobs, {"tokens": 9}, "reasoning.tokens"),
    (KINDS["llama.cpp"].knobs, {"effort": "low"}, "reasoning.effort"),
    (KINDS["transformers"].knobs, {"enabled": True}, "reasoning.enabled"),
    (OLLAMA, {"tokens": 9}, "reasoning.tokens"),
    (Knobs(), {"effort": "none"}, "reasoning.effort"),
]


@pytest.mark.parametrize(("knobs", "wanted", "capability"), MISSING)
def test_what_a_server_has_no_field_for(
    knobs: Knobs, wanted: dict[str, Any], capability: str
) -> None:
    with pytest.raises(MissingCapability) as caught:
        knobs.fields(budgeted(**wanted), "This server")
    assert caught.value.capability == capability
    assert caught.value.hint


REFUSED = [
    (MESSAGES, {"tokens": 1000}, "1024 tokens or more"),
    (MESSAGES, {"tokens": 4000}, "none of max_tokens=4000"),
    (KINDS["openrouter"].knobs, {"tokens": 9, "effort": "low"}, "not both"),
    (KINDS["gemini"].knobs, {"tokens": 9, "effort": "low"}, "not both"),
    (KINDS["openai"].knobs, {"effort": "max"}, "'max' is not among its words"),
    (KINDS["vllm"].knobs, {"tokens": 5000}, "none of max_tokens=4000"),
]


@pytest.mark.parametrize(("knobs", "wanted", "words"), REFUSED)
def test_combinations_that_a_server_refuses(
    knobs: Knobs, wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        knobs.fields(budgeted(**wanted), "This server")


@pytest.mark.parametrize(
    "parts",
    [
        {"tokens": -1},
        {"tokens": True},
        {"tokens": 1.5},
        {"effort": "hard"},
        {"tokens": 9, "enabled": False},
        {"effort": "low", "enabled": False},
        {"effort": "none", "tokens": 9},
        {"effort": "none", "enabled": True},
        {"tokens": 0, "enabled": True},
    ],
)
def test_a_budget_that_contradicts_itself(parts: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="cannot be"):
        ReasoningBudget(**parts)


def test_the_same_field_said_twice() -> None:
    switch = {"chat_template_kwargs": {"enable_thinking": True}}
    asked = replace(budgeted(enabled=False), extra=switch)
    with pytest.raises(ConfigurationError, match="enable_thinking is in extra"):
        KINDS["vllm"].knobs.fields(asked, "vllm")
    beside = replace(asked, extra={"chat_template_kwargs": {"date": "today"}})
    assert KINDS["vllm"].knobs.fields(beside, "vllm")


def test_objects_are_merged_and_other_values_replaced() -> None:
    one = {"a": {"x": 1, "y": [1]}, "b": 1}
    assert merged(one, {"a": {"y": [2]}, "c": 3}) == {"a": {"x": 1, "y": [2]}, "b": 1, "c": 3}
    assert merged(one, {"a": 5}) == {"a": 5, "b": 1}
    assert one == {"a": {"x": 1, "y": [1]}, "b": 1}


# --- recognising -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "owner", "name"),
    [
        ("api.openai.com", "", "openai"),
        ("eu.api.openai.com", "", "openai"),
        ("dashscope-intl.aliyuncs.com", "", "dashscope"),
        ("127.0.0.1", "vllm", "vllm"),
        ("127.0.0.1", "sglang", "sglang"),
        ("127.0.0.1", "llamacpp", "llama.cpp"),
        ("127.0.0.1", "library", "ollama"),
        ("notapi.openai.com.example", "", None),
        ("127.0.0.1", "somebody", None),
        ("", "", None),
    ],
)
def test_by_host_or_by_signature(host: str, owner: str, name: str | None) -> None:
    found = recognised(host=host, owners=frozenset({owner}))
    assert (found.name if found else None) == name


async def test_the_kind_is_asked_once_and_only_when_it_matters() -> None:
    async with (
        LoopbackServer(chat("ok"), owner="vllm") as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        before = backend.capabilities
        assert not before.continues_prefix
        assert before.reasoning is None
        await drained(backend, ASK)
        assert server.asked_models == 0
        for _ in range(2):
            await drained(backend, replace(ASK, prefix="o"))
        assert server.asked_models == 1
        assert await backend.kind() == "vllm"
        assert backend.capabilities.continues_prefix
        sent = server.requests[-1].json
        assert sent["continue_final_message"] is True
        assert sent["stream_options"]["continuous_usage_stats"] is True


async def test_a_kind_that_is_named_is_not_asked() -> None:
    async with (
        LoopbackServer(chat("ok")) as server,
        OpenAIBackend(server.url, model="m", kind="sglang") as backend,
    ):
        await drained(backend, replace(ASK, prefix="o"))
        assert server.asked_models == 0
    with pytest.raises(ConfigurationError, match="no kind of server 'vlm'"):
        OpenAIBackend("http://127.0.0.1:1/v1", kind="vlm")


async def test_an_unknown_server_refuses_what_is_not_known_of_it() -> None:
    async with (
        LoopbackServer(chat("ok")) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        for asked in (replace(ASK, prefix="o"), budgeted(tokens=9)):
            with pytest.raises(MissingCapability):
                await drained(backend, asked)
        with pytest.raises(MissingCapability, match="no route that tokenizes"):
            await backend.tokenize("a")
        assert await backend.kind() == "unknown"
        assert not server.requests


async def test_a_server_that_cannot_be_reached_is_of_no_kind() -> None:
    async with LoopbackServer(chat("ok")) as server:
        gone = server.url
    async with OpenAIBackend(gone, model="m", retries=0, api_key="sk-1234") as backend:
        for ask in (backend.kind, lambda: backend.tokenize("a")):
            with pytest.raises(BackendUnreachable):
                await ask()


ROUTES = {
    "/tokenize": lambda r: value(
        {"tokens": [1, 2], "count": 2} if "prompt" in r.json else {"tokens": [1, 2, 3], "count": 3}
    ),
    "/detokenize": lambda r: value({"text": f"{r.json['tokens']} {r.json['skip_special_tokens']}"}),
}


async def test_the_tokenizers_routes_lie_beside_the_api() -> None:
    async with (
        LoopbackServer(chat("ok"), owner="sglang", routes=ROUTES) as server,
        OpenAIBackend(server.url) as backend,
    ):
        assert await backend.tokenize("a b") == (1, 2)
        assert await backend.count_tokens(ASK) == 3
        assert await backend.render(ASK) == "[1, 2, 3] False"
        assert backend.capabilities.counts_tokens


@pytest.mark.parametrize(
    ("base", "beside"),
    [
        ("http://a:1", "http://a:1/tokenize"),
        ("http://a/v1/", "http://a/tokenize"),
        ("http://a/team/v2", "http://a/team/tokenize"),
        ("http://a/openai?key=1", "http://a/openai/tokenize?key=1"),
    ],
)
def test_beside_the_apis_version(base: str, beside: str) -> None:
    assert Address.parse(base).url("/../tokenize") == beside


async def test_a_route_that_answers_something_else() -> None:
    routes = {"/tokenize": value({"tokens": "none"})}
    async with LoopbackServer(chat("ok"), routes=routes) as server:
        async with OpenAIBackend(server.url, model="m", kind="vllm") as backend:
            for ask in (backend.count_tokens, backend.render):
                with pytest.raises(BackendWireError, match="sent no"):
                    await ask(ASK)
        async with OpenAIBackend(server.url, model="m", kind="llama.cpp") as backend:
            with pytest.raises(BackendStatus, match="404"):
                await backend.render(ASK)


async def test_several_answers_are_no_stream() -> None:
    async with (
        LoopbackServer(chat("ok")) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        with pytest.raises(ConfigurationError, match="several"):
            await drained(backend, replace(ASK, extra={"n": 2}))
        assert not server.requests


# --- through the backends ----------------------------------------------------------------------


async def test_the_client_passes_a_budget_on() -> None:
    async with (
        LoopbackServer(chat("ok"), owner="llamacpp") as server,
        Client(server.url, model="m", reasoning=ReasoningBudget(tokens=7)) as client,
    ):
        await client.ask("hi")
        assert server.requests[-1].json["reasoning_budget_tokens"] == 7
        await client.ask("hi", reasoning=None)
        assert "reasoning_budget_tokens" not in server.requests[-1].json


TOOLS = [{"type": "function", "function": {"name": n, "parameters": {}}} for n in ("one", "two")]


def choosing(name: str) -> Request:
    choice = {"type": "function", "function": {"name": name}}
    return replace(ASK, extra={"tools": TOOLS, "tool_choice": choice})


async def test_a_tool_chosen_by_name_is_offered_alone_where_the_server_knows_no_names() -> None:
    for owner, sent in (("llamacpp", (TOOLS[1:], "required")), ("vllm", (TOOLS, "named"))):
        async with (
            LoopbackServer(chat("ok"), owner=owner) as server,
            OpenAIBackend(server.url, model="m") as backend,
        ):
            await drained(backend, choosing("two"))
            body = server.requests[-1].json
        choice = body["tool_choice"]
        assert (body["tools"], choice if isinstance(choice, str) else "named") == sent


async def test_a_tool_that_there_is_not_cannot_be_chosen() -> None:
    async with (
        LoopbackServer(chat("ok"), owner="llamacpp") as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        with pytest.raises(ConfigurationError, match="names 'three'"):
            await drained(backend, choosing("three"))
        assert not server.requests


async def test_the_other_apis_take_it() -> None:
    async with (
        LoopbackServer(anthropic_chat("ok")) as server,
        AnthropicBackend(server.url, model="m") as backend,
    ):
        await drained(backend, budgeted(tokens=1024))
        thinking = {"type": "enabled", "budget_tokens": 1024}
        assert server.requests[-1].json["thinking"] == thinking
        with pytest.raises(ConfigurationError, match="temperature"):
            await drained(backend, replace(budgeted(tokens=1024), temperature=0.5))
    async with (
        LoopbackServer(ollama_chat("ok")) as server,
        OllamaBackend(server.root, model="m") as backend,
    ):
        await drained(backend, budgeted(effort="low"))
        assert server.requests[-1].json["think"] == "low"


async def test_a_backend_without_knobs_is_not_asked_in_vain() -> None:
    asked = []

    async def answer(request: Request) -> str:
        asked.append(request)
        return "ok"

    backend = FunctionBackend(answer)
    async with Client(backend) as client:
        with pytest.raises(MissingCapability) as caught:
            await client.ask("hi", reasoning=ReasoningBudget(tokens=9))
        assert caught.value.capability == "reasoning"
    assert not asked


async def test_the_client_refuses_what_is_no_budget() -> None:
    with pytest.raises(ConfigurationError, match="a ReasoningBudget"):
        Client("http://127.0.0.1:1/v1", reasoning=800)  # type: ignore[arg-type]  # wrong on purpose


# --- figures beside the text ---------------------------------------------------------------------


async def test_running_usage_and_logprobs_arrive_with_their_text() -> None:
    figures = {"prompt_tokens": 3, "completion_tokens": 1}
    entry = {"token": "ok", "logprob": -0.5}
    chunk = {
        "choices": [{"index": 0, "delta": {"content": "ok"}, "logprobs": {"content": [entry]}}],
        "usage": figures,
    }
    async with (
        LoopbackServer(chat().insert(1, event(chunk))) as server,
        OpenAIBackend(server.url, model="m") as backend,
    ):
        chunks = [c async for c in backend.stream(ASK)]
        assert chunks[0].usage is not None
        assert chunks[0].usage.completion == 1
        assert chunks[0].logprobs == (entry,)
        async with Client(backend) as client:
            (attempt,) = (await client.ask("hi")).attempts
            assert attempt.logprobs == (entry,)
            (attempt,) = (await client.ask("hi", show="hidden")).attempts
            assert attempt.logprobs == ()


def value(data: dict[str, Any]) -> Served:
    return Served((json.dumps(data).encode(),), headers={"Content-Type": "application/json"})


def event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


async def drained(backend: Any, request: Request) -> str:
    return "".join([chunk.text async for chunk in backend.stream(request)])
