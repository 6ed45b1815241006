"""What the OpenAI backend asks of a server beyond the text, on real llama.cpp and vLLM."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.openai import OpenAIBackend
from reflectkit.backends.several import ResumingBackend, answers
from reflectkit.errors import BackendError, MissingCapability
from reflectkit.messages import Chunk, Message, ReasoningBudget, Request, ToolCall
from requests40 import QUESTIONS, REFLECT, REQUESTS, THINK, asked
from servers import MODEL, Server

KINDS = [("llama", "llama.cpp"), ("transformers", "unknown"), ("vllm", "vllm")]
COUNTING = ["llama", "vllm"]
TAGS = "<thinking>2 + 2</thinking>"
#: what the model cannot say of its own accord, so the server must have made it
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": [77]}}}


@pytest.fixture
def server(name: str, request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(name)
    return found


@pytest.mark.parametrize(("name", "kind"), KINDS)
async def test_it_is_recognised(server: Server, kind: str) -> None:
    async with server.backend() as backend:
        assert await backend.kind() == kind


@pytest.mark.parametrize("name", COUNTING)
async def test_its_tokenizer_is_the_models(server: Server) -> None:
    """Tags are one token each; a prompt is counted, and written out, as the model reads it."""
    async with server.backend() as backend, NanoBackend(MODEL) as here:
        assert await backend.tokenize(TAGS) == await here.tokenize(TAGS)
        assert len(await backend.tokenize(TAGS)) == 6
        for name in ("think 0", "second turn", "lines and spaces", "emoji"):
            each = REQUESTS[name]
            (*_, last) = [chunk async for chunk in backend.stream(replace(each, max_tokens=1))]
            assert last.usage is not None
            assert await backend.count_tokens(each) == last.usage.prompt
        prompt = await backend.render(REQUESTS["think 0"])
        assert THINK in prompt
        assert prompt.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
        assert backend.capabilities.counts_tokens


async def test_a_server_without_a_tokenizers_route(transformers: Server) -> None:
    async with transformers.backend() as backend:
        with pytest.raises(MissingCapability):
            await backend.tokenize(TAGS)


@pytest.mark.parametrize("name", COUNTING)
async def test_usage_runs_along(server: Server) -> None:
    """An answer that is cut knows what it cost, exactly."""
    async with server.backend() as backend:
        await backend.kind()
        seen = []
        async for chunk in backend.stream(REQUESTS["think 0"]):
            seen += [chunk.usage.completion] if chunk.usage else []
        assert len(seen) > 10
        assert seen == sorted(seen)


@pytest.mark.parametrize("name", COUNTING)
async def test_log_probabilities(server: Server) -> None:
    async with server.backend() as backend, Client(backend, temperature=0.0) as client:
        reply = await client.ask(QUESTIONS[0], extra={"logprobs": True, "top_logprobs": 2})
        (attempt,) = reply.attempts
        texts = [entry["token"] for entry in attempt.logprobs]
        assert "".join(texts[:12]) in reply.transcript.source
        assert len(texts) == pytest.approx(reply.usage.completion, abs=1)
        assert all(entry["logprob"] <= 0 and entry["top_logprobs"] for entry in attempt.logprobs)


@pytest.mark.parametrize("name", COUNTING)
async def test_a_schema_is_passed_on_and_kept_to(server: Server) -> None:
    request = replace(REQUESTS["bare"], extra={"response_format": SCHEMA}, max_tokens=60)
    async with server.backend() as backend:
        text = "".join([chunk.text async for chunk in backend.stream(request)])
    assert json.loads(text) == 77


GRAMMARS: dict[str, dict[str, object]] = {
    "llama": {"grammar": 'root ::= "<thinking>" [0-9] "</thinking><output>7</output>"'},
    "vllm": {"structured_outputs": {"regex": "<thinking>[0-9]</thinking><output>7</output>"}},
}


@pytest.mark.parametrize("name", COUNTING)
async def test_a_grammar_can_force_the_protocol(name: str, server: Server) -> None:
    """Its tags come in ordinary pieces."""
    async with server.backend() as backend, Client(backend, mode="trained") as client:
        reply = await client.ask("Hello", extra=GRAMMARS[name], temperature=0.0)
        assert reply.output == "7"
        assert reply.transcript.well_formed


@pytest.mark.parametrize("name", COUNTING)
async def test_a_seed_is_honoured_and_counted_up(server: Server) -> None:
    request = replace(REQUESTS["bare"], temperature=1.5, seed=3)
    async with server.backend() as backend:
        runs = []
        for _ in range(2):
            texts = dict.fromkeys(range(6), "")
            async for number, chunk in answers(backend, request, 6):
                texts[number] += chunk.text
            runs.append(texts)
        assert runs[0] == runs[1]
        assert len(set(runs[0].values())) > 1


CALLS = [ToolCall("", "add", '{"a": 2, "b": 3}'), ToolCall("", "add", '{"a": 4, "b": 1}')]


async def test_tools_called_side_by_side_and_their_results(vllm: Server) -> None:
    """A grammar writes the two calls; they come in pieces, and go back with their results."""
    written = "".join(
        f'<tool_call>\n{{"name": "{c.name}", "arguments": {c.arguments}}}\n</tool_call>\n'
        for c in CALLS
    )
    number = {"type": "integer"}
    parameters = {"type": "object", "properties": {"a": number, "b": number}}
    tool = {"type": "function", "function": {"name": "add", "parameters": parameters}}
    forced = {"tools": [tool], "structured_outputs": {"choice": [written]}}
    async with vllm.backend() as backend, Client(backend, mode="plain", temperature=0.0) as client:
        first = await client.ask(QUESTIONS[0], extra=forced, max_tokens=400)
        calls = first.transcript.tool_calls
        assert [(c.name, json.loads(c.arguments)) for c in calls] == [
            (c.name, json.loads(c.arguments)) for c in CALLS
        ]
        assert len({c.id for c in calls}) == 2
        results = [Message("tool", "5", tool_call_id=c.id, name=c.name) for c in calls]
        turns = [Message("user", QUESTIONS[0]), first.message, *results]
        second = await client.ask(turns, extra={"tools": [tool]}, max_tokens=20)
        assert second.usage.prompt > first.usage.prompt


# --- how much to think -----------------------------------------------------------------------


@pytest.mark.parametrize("cap", [0, 1, 4, 9, 200])
async def test_the_engine_in_this_process_obeys_a_thinking_budget(cap: int) -> None:
    """To the token: thinking ends at the cap, and an answer follows."""
    async with NanoBackend(MODEL) as backend, Client(backend, temperature=0.0) as client:
        free = await client.ask(QUESTIONS[1])
        reply = await client.ask(QUESTIONS[1], reasoning=ReasoningBudget(tokens=cap))
        inside = reply.transcript.sections[0].text
        whole = free.transcript.sections[0].text
        spent = len(await backend.tokenize(inside))
        assert spent == min(cap, len(await backend.tokenize(whole)))
        assert whole.startswith(inside)
        assert reply.output


async def test_a_server_that_finds_no_tags_ignores_a_budget(llama: Server) -> None:
    """llama.cpp looks for them in the template, and this one has none: usage shows it."""
    async with llama.backend() as backend, Client(backend, temperature=0.0) as client:
        reply = await client.ask(QUESTIONS[1], reasoning=ReasoningBudget(tokens=4))
        assert reply.usage.thinking is not None
        assert reply.usage.thinking > 10


async def test_a_server_that_cannot_says_so(vllm: Server) -> None:
    """vLLM takes a budget only when it knows where thinking begins and ends."""
    request = replace(REQUESTS["think 0"], reasoning=ReasoningBudget(tokens=5))
    async with vllm.backend() as backend:
        with pytest.raises(BackendError, match="reasoning-config"):
            [chunk async for chunk in backend.stream(request)]


# --- a break in the middle -------------------------------------------------------------------


class Breaking:
    """Passes a server's answers on, and breaks the first one after a few pieces."""

    def __init__(self, inner: OpenAIBackend) -> None:
        self._inner = inner
        self.capabilities = inner.capabilities
        self.asked = 0

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        from reflectkit.errors import BackendWireError

        self.asked += 1
        broken = self.asked == 1
        pieces = 0
        async for chunk in self._inner.stream(request):
            yield chunk
            pieces += 1
            if broken and pieces == 7:
                raise BackendWireError("The connection broke.", retryable=True)


@pytest.mark.parametrize("name", COUNTING)
async def test_a_broken_answer_is_the_same_answer_in_the_end(server: Server) -> None:
    async with server.backend() as inner, NanoBackend(MODEL) as here:
        await inner.kind()
        breaking = Breaking(inner)
        backend = ResumingBackend(breaking)
        request = asked(REFLECT, QUESTIONS[0])
        texts = ["".join([c.text async for c in each.stream(request)]) for each in (backend, here)]
        assert texts[0] == texts[1]
        assert breaking.asked == 2
