"""What the chat model does beyond the standard suites: attempts, history, limits, errors, loops."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core import exceptions
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelError, OutputParserException
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.tools import tool
from pydantic import BaseModel, ValidationError

import reflectkit
from langchain_reflectkit import ChatReflectKit
from langchain_reflectkit._messages import from_langchain
from langchain_reflectkit._running import Chunks
from reflectkit import Budget, Draft, Usage
from reflectkit.testing import ScriptedBackend, chat, chunkings, refusal
from scenario import answer, exact, serving, summed

WHOLE = "<thinking>a<reflection>b</reflection>c</thinking><output>4</output>"


class Sum(BaseModel):
    """A sum."""

    value: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


def scripted(*scripts: Any, **settings: Any) -> ChatReflectKit:
    usage = Usage(prompt=10, completion=5, thinking=3)
    backend = ScriptedBackend(*scripts, usage=usage)
    return ChatReflectKit(client=backend, **{"mode": "trained", **settings})


def bare(message: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in b.items() if k != "index"} for b in message.content_blocks]


def sections(message: Any) -> list[tuple[str, str]]:
    return [
        (b.get("extras", {}).get("section", b["type"]), b.get("reasoning", b.get("text")))
        for b in bare(message)
    ]


def is_four(draft: Draft) -> bool:
    return draft.output == "4"


# --- sections, in every form ---------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_any_chunking_gives_the_same_message(version: str) -> None:
    wanted = [("thinking", "a"), ("reflection", "b"), ("thinking", "c"), ("text", "4")]
    for pieces in chunkings(WHOLE):
        model = scripted(pieces, pieces, pieces, output_version=version)
        assert sections(model.invoke("?")) == wanted
        assert sections(summed(model.stream("?"))) == wanted
        stream = model.stream_events("?", version="v3")
        list(stream)
        assert sections(stream.output) == wanted


@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize(
    "piece",
    [
        {"type": "text", "text": "4", "index": "lc_rk_1"},
        {"type": "reasoning", "reasoning": "a", "index": "lc_rk_1", "extras": {"attempt": 1}},
    ],
)
def test_a_chunk_is_what_langchain_would_have_made(
    version: str | None, piece: dict[str, Any]
) -> None:
    told = {"output_version": "v1"} if version else {}
    message = AIMessageChunk(content=[piece], response_metadata=told)
    made, other = (Chunks(version).of(piece) for _ in range(2))
    assert made == ChatGenerationChunk(message=message)
    assert repr(made) == repr(ChatGenerationChunk(message=message))
    assert (made.text, made.message.text) == (message.text, message.text)
    assert made + other == ChatGenerationChunk(message=message) + other
    assert made.message.content_blocks == AIMessageChunk(content=[piece]).content_blocks
    assert pickle.loads(pickle.dumps(made)) == made


def test_chunks_share_nothing() -> None:
    chunks = Chunks("v1")
    one, other = chunks.of({"type": "text", "text": "a"}), chunks.of({"type": "text", "text": "b"})
    mine, theirs = vars(one.message), vars(other.message)
    shared = {n for n, v in mine.items() if isinstance(v, dict | list) and v is theirs[n]}
    assert not shared
    assert len(mine) == len(vars(AIMessageChunk(content=[])))


def test_show_hidden_leaves_no_thinking_anywhere() -> None:
    model = scripted(WHOLE, WHOLE, show="hidden")
    for message in (model.invoke("?"), summed(model.stream("?"))):
        assert sections(message) == [("text", "4")]
        assert "a" not in json.dumps(message.response_metadata["reflectkit"]["issues"])


def test_callbacks_see_no_thinking_where_it_is_hidden() -> None:
    seen: list[Any] = []

    class Watching(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
            seen.append(chunk.message.content)

        def on_llm_end(self, response: Any, **_: Any) -> None:
            seen.append(response.generations[0][0].message.content)

    config: Any = {"callbacks": [Watching()]}
    list(scripted(WHOLE, reasoning="hidden").stream("?", config=config))
    assert "reasoning" not in json.dumps(seen)
    assert '"4"' in json.dumps(seen)


# --- attempts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_a_rejected_draft_is_a_block_and_never_text(streamed: bool) -> None:
    wrong = WHOLE.replace("4", "5")
    model = scripted(wrong, WHOLE, verify=is_four)
    message = summed(model.stream("?")) if streamed else model.invoke("?")
    assert message.text == "4"
    kinds = [kind for kind, _ in sections(message)]
    once = ["thinking", "reflection", "thinking"]
    assert kinds == [*once, "draft", *once, "text"]
    drafts = [text for kind, text in sections(message) if kind == "draft"]
    assert drafts == ["5"]
    assert message.usage_metadata["input_tokens"] == 20
    record = message.response_metadata["reflectkit"]
    assert [a["verdicts"][0]["ok"] for a in record["attempts"]] == [False, True]
    assert record["status"] == "accepted"
    numbers = [b["extras"]["attempt"] for b in bare(message) if "extras" in b]
    assert numbers == [1, 1, 1, 1, 2, 2, 2]


def test_attempts_are_one_run_and_each_waits_for_its_turn() -> None:
    started: list[Any] = []

    class Watching(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, **_: Any) -> None:
            started.append(args)

    class Counting(InMemoryRateLimiter):
        taken = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.taken += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire()

    limiter = Counting()
    wrong = WHOLE.replace("4", "5")
    model = scripted(wrong, wrong, WHOLE, verify=is_four, rate_limiter=limiter)
    model.invoke("?", config={"callbacks": [Watching()]})
    assert len(started) == 1
    assert limiter.taken == 3


def test_structured_output_is_corrected_until_it_fits() -> None:
    model = scripted("<output>no</output>", '<output>{"value": 4}</output>', attempts=2)
    found = model.with_structured_output(Sum, include_raw=True).invoke("?")
    assert found["parsed"] == Sum(value=4)
    assert len(found["raw"].response_metadata["reflectkit"]["attempts"]) == 2
    failing = scripted("<output>no</output>", attempts=1).with_structured_output(Sum)
    with pytest.raises(OutputParserException, match="no JSON"):
        failing.invoke("?")
    raw = scripted("<output>no</output>", attempts=1)
    told = raw.with_structured_output(Sum, include_raw=True).invoke("?")
    assert told["parsed"] is None
    assert isinstance(told["parsing_error"], OutputParserException)


def test_a_forced_tool_call_is_corrected_until_it_fits() -> None:
    wrong = answer(calls=(("Sum", '{"value": "many"}'),))
    right = answer(calls=(("Sum", '{"value": 4}'),))
    with serving(wrong, right) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain")
        chain = model.with_structured_output(Sum, method="function_calling")
        assert chain.invoke("?") == Sum(value=4)
        assert [r.json["tool_choice"]["function"]["name"] for r in server.requests] == ["Sum"] * 2


@pytest.mark.parametrize("tools", [[], [weather]])
def test_an_agents_structured_answer_is_corrected_until_it_fits(tools: list[Any]) -> None:
    model = scripted('{"value": "no"}', '{"value": 3}', mode="plain", attempts=3)
    agent = create_agent(model, tools, response_format=ProviderStrategy(Sum))
    state = agent.invoke({"messages": [HumanMessage("q")]})
    assert state["structured_response"] == Sum(value=3)
    assert ["tools" in r.extra for r in model.client.requests] == [bool(tools)] * 2


def test_a_turn_that_calls_tools_is_not_judged() -> None:
    called = answer(calls=(("weather", '{"city": "Rome"}'),))
    with serving(called, answer("5"), answer("4")) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain", verify=is_four)
        bound = model.bind_tools([weather])
        asked = bound.invoke("?")
        assert len(server.requests) == 1
        result = weather.invoke(asked.tool_calls[0])
        assert bound.invoke([HumanMessage("?"), asked, result]).text == "4"
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("any", "required"),
        (True, "required"),
        ("auto", "auto"),
        ("none", "none"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        (None, None),
    ],
)
def test_tool_choice(choice: Any, sent: Any) -> None:
    with serving(exact) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain")
        bound = model.bind_tools([weather], tool_choice=choice, strict=True)
        bound.bind(parallel_tool_calls=False).invoke("?")
        body = server.requests[0].json
    assert body.get("tool_choice") == sent
    assert body["parallel_tool_calls"] is False
    assert body["tools"][0]["function"]["strict"] is True


def test_an_unknown_tool_or_option_is_refused() -> None:
    model = scripted(WHOLE)
    with pytest.raises(reflectkit.ConfigurationError, match="no tool is called that"):
        model.bind_tools([weather], tool_choice="wether")
    with pytest.raises(exceptions.ModelInvalidRequestError, match="temprature"):
        model.invoke("?", temprature=1)
    with pytest.raises(ValidationError, match="temprature"):
        ChatReflectKit(temprature=1)
    with pytest.raises(reflectkit.ConfigurationError, match="temperature is -1"):
        ChatReflectKit(temperature=-1)


# --- history -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        ("drop", "4"),
        ("keep", "<thinking>a b.</thinking><output>4</output>"),
        ("summary", "(thinking: Then b.)\n\n4"),
    ],
)
def test_history(rule: Any, sent: str) -> None:
    text = "a. Then b." if rule == "summary" else "a b."
    thought = {"type": "reasoning", "reasoning": text, "extras": {"section": "thinking"}}
    draft = {"type": "reasoning", "reasoning": "5", "extras": {"section": "draft"}}
    foreign = {"type": "reasoning", "reasoning": "somebody else's"}
    earlier = AIMessage([thought, draft, foreign, {"type": "text", "text": "4"}])
    (turn,) = from_langchain([earlier], history=rule)
    assert turn.content.replace("\n", "") == sent.replace("\n", "")


# --- budgets, caches, errors ---------------------------------------------------------------------


def test_a_budget_that_is_spent_is_told_and_not_retryable() -> None:
    backend = ScriptedBackend(WHOLE, repeat=True, usage=Usage(prompt=10, completion=5))
    model = ChatReflectKit(client=backend, mode="trained", budget=Budget(total=1))
    with pytest.raises(reflectkit.BudgetExceeded) as caught:
        model.invoke("?")
    assert isinstance(caught.value, ModelError)
    assert caught.value.is_retryable is False
    assert caught.value.limit
    limited = ChatReflectKit(client=backend, mode="trained", budget=Budget(total=2000))
    assert limited.invoke("?").response_metadata["reflectkit"]["grants"]


def test_a_cached_answer_is_that_of_the_same_settings_alone() -> None:
    cache = InMemoryCache()
    with serving(chat("a"), chat("b"), chat("c"), chat("d")) as server:
        kept: Any = {"base_url": server.url, "mode": "plain", "cache": cache}
        one, other = ChatReflectKit(model="x", **kept), ChatReflectKit(model="y", **kept)
        assert [one.invoke("?").text, other.invoke("?").text, one.invoke("?").text] == [*"aba"]
        judged = ChatReflectKit(model="x", verify=lambda d: True, **kept)
        assert judged.invoke("?").text == "c"
        limited = ChatReflectKit(model="x", budget=Budget(output=50), **kept)
        assert limited.invoke("?").text == "d"


@pytest.mark.parametrize(
    ("served", "kind"),
    [
        (refusal(401), exceptions.ModelAuthenticationError),
        (refusal(404), exceptions.ModelNotFoundError),
        (refusal(429), exceptions.ModelRateLimitError),
        (refusal(400), exceptions.ModelInvalidRequestError),
        (refusal(400, "maximum context length is 9"), exceptions.ContextOverflowError),
        (refusal(503), exceptions.ModelAPIError),
        (chat("a", finish=None, done=False), exceptions.ModelAPIError),
    ],
)
async def test_errors_are_of_both_families(served: Any, kind: type[Exception]) -> None:
    with serving(served) as server:
        model = ChatReflectKit(base_url=server.url, model="m", mode="plain", max_retries=0)
        with pytest.raises(kind) as caught:
            await model.ainvoke("?")
        with pytest.raises(kind):
            list(model.stream("?"))
    error = caught.value
    assert isinstance(error, reflectkit.BackendError)
    assert error.is_retryable == error.retryable
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.status) == (type(error), error.status)


# core says so of its own way to load, which is what is tested
@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_serialisation_holds_no_secret() -> None:
    at = "127.0.0.1:9/v1"
    named = ChatReflectKit(base_url=f"http://me:hush@{at}", model="m")
    assert named.base_url == f"http://{at}"
    assert "hush" not in json.dumps(dumpd(named)) + repr(named) + named._get_llm_string()
    model = ChatReflectKit(base_url=f"http://{at}", api_key="sk-hush", model="m", temperature=0.5)
    told = json.dumps(dumpd(model)) + repr(model) + str(model) + repr(model._identifying_params)
    assert "hush" not in told
    assert "hush" not in model._get_llm_string()
    allowed: Any = {
        "allowed_objects": [ChatReflectKit],
        "valid_namespaces": ["langchain_reflectkit"],
    }
    again = load(dumpd(model), secrets_map={"REFLECTKIT_API_KEY": "sk-hush"}, **allowed)
    assert again.temperature == 0.5
    assert again.model == "m"
    assert again.api_key.get_secret_value() == "sk-hush"


# --- what agents and graphs see of it ---


@pytest.mark.parametrize(("model", "calls"), [("nano-reflect", False), ("nano-tools", True)])
def test_the_profile_says_what_the_model_in_this_process_is_able_to(
    model: str, calls: bool
) -> None:
    profile = ChatReflectKit(model=model).profile
    assert profile is not None
    assert profile["tool_calling"] is calls
    assert profile["max_input_tokens"] > 0


def test_a_model_inside_a_graph_counts_once_and_shows_no_drafts_as_text() -> None:
    graph = pytest.importorskip("langgraph.graph", reason="the model works without it")
    wrong = WHOLE.replace("4", "5")
    model = scripted(wrong, WHOLE, verify=is_four)

    def node(state: Any) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    built = graph.StateGraph(graph.MessagesState)
    built.add_node("model", node)
    built.add_edge("__start__", "model")
    texts = [chunk.text for chunk, _ in built.compile().stream(
        {"messages": [HumanMessage("?")]}, stream_mode="messages"
    )]  # fmt: skip
    assert "".join(texts) == "4"
