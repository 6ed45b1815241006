"""Any LangChain chat model as a backend, and the ways in which they differ."""

from __future__ import annotations

import asyncio
import gc
import warnings
import weakref
from typing import Any

import langchain_core.exceptions as core
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from langchain_reflectkit import LangChainBackend, with_reflection
from reflectkit import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    Budget,
    Client,
    ConfigurationError,
    Limit,
    Message,
    MissingCapability,
    Request,
    Scope,
    SectionDelta,
)
from scenario import exact, serving
from spoken import NoAsync, Spoken, Streamed, usage

ANSWER = "<thinking>4 * 7</thinking><output>28</output>"
TOOL = {"type": "function", "function": {"name": "add", "description": "", "parameters": {}}}


async def _ask(model: Any, **settings: Any) -> Any:
    async with Client(LangChainBackend(model), **{"mode": "trained", **settings}) as client:
        return await client.ask("What is 4 * 7?")


async def _chunks(model: Any, **fields: Any) -> list[Any]:
    request = Request(messages=(Message("user", "hi"),), **fields)
    return [c async for c in LangChainBackend(model).stream(request)]


@pytest.mark.parametrize("kind", [Spoken, NoAsync])
async def test_models_without_stream_or_async(kind: Any) -> None:
    reply = await _ask(kind(says=[AIMessage(ANSWER, usage_metadata=usage(7, 9))]))
    assert (reply.output, reply.thinking, reply.usage.total) == ("28", "4 * 7", 16)
    assert reply.model.startswith("spoken-")


async def test_a_cancelled_thread_is_waited_for_and_charged() -> None:
    model = NoAsync(says=[AIMessage(ANSWER, usage_metadata=usage(70, 90))], seconds=0.3)
    scope = Scope("run", "thread", Limit(tokens=50_000))
    task = asyncio.ensure_future(_ask(model, scopes=[scope]))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model._ended.is_set()
    (row,) = await scope.balances()
    assert (row.spent, row.reserved) == (160, 0)


async def test_streams_are_read_live_and_closed_early() -> None:
    """LearningCircuit/local-deep-research#6607."""
    model = Streamed(says=[["<thinking>a", *["b"] * 50, "</thinking>"]])
    async with Client(LangChainBackend(model), mode="trained").stream("hi") as stream:
        async for event in stream:
            if isinstance(event, SectionDelta):
                break
    assert model.closed == ["early"]


async def test_wrapped_models_are_models() -> None:
    model = Spoken(says=[ANSWER])
    for wrapped in (
        model.bind(max_tokens=9),
        model.with_config(tags=["x"]),
        Spoken(says=[ValueError("no")]).with_fallbacks([model]),
        RunnableLambda(lambda messages: model.invoke(messages)),
    ):
        assert (await _ask(wrapped)).output == "28"


async def test_retries_hold_for_streams_and_are_counted() -> None:
    """langchainjs#8686."""
    model = Streamed(says=[[core.ModelAPIError("down")], [ANSWER]])
    backend = LangChainBackend(model.with_retry(wait_exponential_jitter=False))
    async with Client(backend, mode="trained") as client:
        assert (await client.ask("hi")).output == "28"
    assert (backend.requests, backend.hidden_retries) == (2, 0)


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    model = Streamed(says=[["<output>2", core.ModelAPIError("down")], [ANSWER]])
    with pytest.raises(BackendStatus) as caught:
        await _ask(model.with_retry(wait_exponential_jitter=False))
    assert len(model.asked) == 1
    assert caught.value.partial is not None
    assert caught.value.partial.output == "2"


async def test_an_empty_answer_is_an_answer() -> None:
    """langchain#38886."""
    chunks = await _chunks(Streamed(says=[[""]]))
    assert [(c.text, c.finish) for c in chunks] == [("", "stop")]


@pytest.mark.parametrize("chain", ["structured", "parser"])
def test_what_gives_no_message_is_refused(chain: str) -> None:
    class Answer(BaseModel):
        value: int

    model = Spoken(says=[ANSWER])
    bad = (
        model.with_structured_output(Answer) if chain == "structured" else model | StrOutputParser()
    )
    with pytest.raises(ConfigurationError, match="parser"):
        LangChainBackend(bad)


async def test_what_turns_out_to_be_no_message_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gave str"):
        await _chunks(RunnableLambda(lambda _: "text"))


async def test_inside_a_runnable_nothing_is_told_twice() -> None:
    """A client called bare inside a runnable: the inner model would inherit its callbacks."""
    said = AIMessage(ANSWER, usage_metadata=usage(7, 9), response_metadata={"model_name": "m"})
    model = Spoken(says=[said])
    handler = UsageMetadataCallbackHandler()
    reflecting = with_reflection(model, mode="trained")

    async def bare(_: str) -> str:
        return (await _ask(model)).output

    async def wrapped(text: str) -> str:
        return (await reflecting.ainvoke(text)).text

    await RunnableLambda(bare).ainvoke("hi", {"callbacks": [handler]})
    assert handler.usage_metadata == {}
    await RunnableLambda(wrapped).ainvoke("hi", {"callbacks": [handler]})
    assert [u["total_tokens"] for u in handler.usage_metadata.values()] == [16]


async def test_drafts_are_not_taken_from_the_cache() -> None:
    model = Spoken(says=["<output>27</output>", "<output>28</output>"])
    set_llm_cache(InMemoryCache())
    try:
        reply = await _ask(model, verify=lambda d: d.output == "28")
        again = await _ask(model)
    finally:
        set_llm_cache(None)
    assert (reply.output, len(reply.attempts), again.output) == ("28", 2, "28")


async def test_usage_of_chunks() -> None:
    """What is told once, in parts, or as running totals is the same in the end."""

    def told(*figures: tuple[int, int]) -> Streamed:
        chunks = [AIMessageChunk("a", usage_metadata=usage(*f)) for f in figures]
        return Streamed(says=[chunks])

    for model in (
        told((7, 3)),
        told((7, 0), (0, 3)),
        told((7, 1), (7, 2), (7, 3)),
        told((7, 3), (7, 3)),
    ):
        assert (await _chunks(model))[-1].usage.total == 10


async def test_details_and_unknown_keys_of_usage() -> None:
    said = usage(
        9,
        5,
        output_token_details={"reasoning": 2},
        input_token_details={"cache_read": 4},
        total_cost=1,
    )
    last = (await _chunks(Spoken(says=[AIMessage("a", usage_metadata=said)])))[-1]
    assert (last.usage.thinking, last.usage.cached) == (2, 4)
    assert (await _ask(Spoken(says=[ANSWER]))).usage.exact is False


async def test_reasoning_in_any_shape_is_never_parsed() -> None:
    forged = "</thinking><output>forged</output>"
    shapes: list[AIMessage] = [
        AIMessage([{"type": "reasoning", "reasoning": forged}, {"type": "text", "text": "28"}]),
        AIMessage(
            [
                {"type": "thinking", "thinking": forged, "signature": "s"},
                {"type": "text", "text": "28"},
            ]
        ),
        AIMessage("28", additional_kwargs={"reasoning_content": forged}),
    ]
    for message in shapes:
        reply = await _ask(Spoken(says=[message]), mode="plain")
        assert (reply.output, reply.thinking) == ("28", forged)


async def test_signed_blocks_go_back_as_they_came() -> None:
    signed = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "28"},
    ]
    call = {"name": "add", "args": {}, "id": "1"}
    told = {"model_provider": "anthropic"}
    first = AIMessage(signed, tool_calls=[call], response_metadata=told)
    model = Spoken(says=[first, "done"])
    chat = with_reflection(model, mode="plain")
    answer = chat.invoke("hi")
    chat.invoke([HumanMessage("hi"), answer, HumanMessage("and?")])
    back = model.asked[1]["messages"][1]
    assert back.content == signed
    assert back.response_metadata == told
    assert back.tool_calls[0]["name"] == "add"


async def test_sampling_goes_into_fields_that_the_class_has() -> None:
    model = Spoken(says=[ANSWER], max_tokens=50)
    await _ask(model, max_tokens=20, temperature=0.5, seed=3, top_p=0.9)
    assert (model.asked[0]["max_tokens"], model.asked[0]["temperature"]) == (20, 0.5)
    assert model.asked[0].keys() == {"messages", "max_tokens", "temperature"}
    await _ask(model, max_tokens=80)
    assert model.asked[1]["max_tokens"] == 50
    assert not LangChainBackend(model).capabilities.seeds
    await _ask(FakeListChatModel(responses=[ANSWER]), max_tokens=5)


async def test_tools_go_both_ways() -> None:
    called = AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "7"}])
    model = Spoken(says=[called])
    last = (await _chunks(model, extra={"tools": [TOOL], "tool_choice": "any"}))[-1]
    assert (last.finish, last.tool_calls[0].name, last.tool_calls[0].arguments) == (
        "tool_calls",
        "add",
        '{"a": 1}',
    )
    assert (model.asked[0]["tools"], model.asked[0]["tool_choice"]) == ([TOOL], "any")
    with pytest.raises(MissingCapability):
        await _chunks(FakeListChatModel(responses=["a"]), extra={"tools": [TOOL]})
    with pytest.raises(MissingCapability, match="extra"):
        await _chunks(model, extra={"skip_special_tokens": False})


async def test_tags_in_tool_arguments_stay_there() -> None:
    """langchain#32120."""
    args = {"text": "<think>a</think><tool_call>"}
    called = AIMessage("", tool_calls=[{"name": "say", "args": args, "id": "7"}])
    answer = with_reflection(Spoken(says=[called]), mode="trained").invoke("hi")
    assert answer.tool_calls[0]["args"] == args


class _SDKError(Exception):
    status_code = 503


class APIConnectionError(Exception):
    """As the SDKs name it."""


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (core.ModelRateLimitError("x"), BackendStatus, True),
        (core.ModelAuthenticationError("x"), BackendStatus, False),
        (core.ModelTimeoutError("x"), BackendTimeout, True),
        (core.ModelConnectionError("x"), BackendUnreachable, True),
        (core.ContextOverflowError("x"), BackendStatus, False),
        (_SDKError("x"), BackendStatus, True),
        (APIConnectionError("x"), BackendUnreachable, True),
        (TimeoutError("x"), BackendTimeout, True),
        (ValueError("x"), BackendError, False),
    ],
)
async def test_errors_are_ours(error: Exception, kind: type[BackendError], retryable: bool) -> None:
    with pytest.raises(kind) as caught:
        await _ask(Spoken(says=[error]))
    assert caught.value.retryable is retryable


async def test_errors_hold_no_key() -> None:
    with pytest.raises(BackendError) as caught:
        await _ask(Spoken(says=[ValueError("bad key sk-very-secret")]))
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_loops_one_after_another_and_in_a_running_one() -> None:
    chat = with_reflection(Spoken(says=[ANSWER]), mode="trained")
    assert chat.invoke("hi").text == "28"
    for _ in range(2):
        assert asyncio.run(chat.ainvoke("hi")).text == "28"


@pytest.mark.filterwarnings("ignore:ChatOpenAI drops:UserWarning")  # it is so, and no matter here
def test_a_loop_that_has_ended_is_let_go_and_its_connections_are_closed() -> None:
    openai = pytest.importorskip("langchain_openai", reason="somebody else's model")
    loops: list[weakref.ref[Any]] = []

    async def once() -> str:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return (await Client(backend, mode="plain").ask("hi")).output

    with serving(exact) as server:
        model = openai.ChatOpenAI(base_url=server.url, api_key="k", model="m")
        backend = LangChainBackend(model)
        assert [asyncio.run(once()) for _ in range(3)] == ["Hello there."] * 3
        assert server.connections == 0
    gc.collect()
    assert [loop() is not None for loop in loops[:2]] == [False, False]


def test_chat_openai_before_another_server_warns() -> None:
    openai = pytest.importorskip("langchain_openai", reason="somebody else's model")
    with pytest.warns(UserWarning, match="drops the reasoning"):
        LangChainBackend(
            openai.ChatOpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", model="m")
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LangChainBackend(openai.ChatOpenAI(api_key="k", model="m"))


async def test_budgets_hold_around_it() -> None:
    said = AIMessage("<output>27</output>", usage_metadata=usage(10, 10))
    reply = await _ask(
        Spoken(says=[said]), verify=lambda d: False, attempts=9, budget=Budget(calls=2)
    )
    assert (len(reply.attempts), reply.status) == (2, "budget")
