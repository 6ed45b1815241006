"""Agents, parsers and wrapped models on the embedded models: in process, and on a real server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver

import llama
from langchain_reflectkit import (
    ChatReflectKit,
    LangChainBackend,
    OutputOnlyParser,
    ReflectionMiddleware,
    ReflectionOutputParser,
    SelfCorrecting,
    TokenBudgetMiddleware,
    with_reflection,
)
from langchain_reflectkit._sync import call
from reflectkit import Budget, Client, Draft, Limit, SQLiteLedger, Verdict, verify

Made = Callable[..., Any]
# what we say of ChatOpenAI at other servers is true, and no matter here: reasoning comes in tags
DROPS = pytest.mark.filterwarnings("ignore:ChatOpenAI drops:UserWarning")


def ask(question: str = "What is (2 + 2) * 7?") -> Any:
    """Anew each time: the graph gives a message its id, and one with a known id is no new one."""
    return {"messages": [HumanMessage(question)]}


@pytest.fixture(scope="module")
def reflect() -> Iterator[dict[str, Any]]:
    with llama.serving("nano-reflect") as where:
        yield where


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, Any]]:
    with llama.serving("nano-tools") as where:
        yield where


def chat_openai(where: dict[str, Any], **settings: Any) -> Any:
    openai = pytest.importorskip("langchain_openai", reason="somebody else's model")
    return openai.ChatOpenAI(**where, temperature=0, **settings)


def reflecting(where: dict[str, Any], **settings: Any) -> ChatReflectKit:
    return ChatReflectKit(**where, temperature=0, **settings)


@DROPS
async def test_chat_openai_as_a_backend(reflect: dict[str, Any]) -> None:
    backend = LangChainBackend(chat_openai(reflect))
    async with Client(backend, mode="trained", dialect="reflection") as client:
        reply = await client.ask("What is (2 + 2) * 7?", max_tokens=200)
    await backend.aclose()
    assert (reply.output, reply.usage.prompt > 0) == ("28", True)
    assert reply.reflections


@DROPS
def test_one_model_in_several_loops(reflect: dict[str, Any]) -> None:
    import asyncio

    chat = with_reflection(chat_openai(reflect), mode="trained", dialect="reflection")

    async def once() -> str:
        try:
            return (await chat.ainvoke("What is 3 + 4?")).text
        finally:
            await chat.client.aclose()

    assert chat.invoke("What is 3 + 4?").text == "7"
    assert asyncio.run(once()) == "7"
    assert chat.invoke("What is 3 + 5?").text == "8"
    call(chat.client.aclose())


def test_parsers_on_the_embedded_model() -> None:
    chat = ChatReflectKit(temperature=0)
    read = (chat | ReflectionOutputParser()).invoke("What is (2 + 2) * 7?")
    assert (read.output, bool(read.thinking), bool(read.reflections)) == ("28", True, True)
    assert "".join((chat | OutputOnlyParser()).stream("What is (2 + 2) * 7?")) == "28"


@DROPS
def test_self_correcting_on_a_server(reflect: dict[str, Any]) -> None:
    chain = SelfCorrecting(
        chat_openai(reflect), verify=verify.Steps(), mode="trained", dialect="reflection"
    )
    answer = chain.invoke("What is (2 + 2) * 7?")
    assert (answer.text, answer.response_metadata["reflectkit"]["status"]) == ("28", "accepted")
    chain.close()


@tool
def get_weather(location: str) -> str:
    """Get the weather at a location."""
    return f"19 degrees and rain in {location}"


def says_the_weather(draft: Draft) -> Verdict:
    ok = "19 degrees" in draft.output
    return Verdict(ok=ok, feedback="" if ok else "Say what the tool reported.", by="rule")


@pytest.mark.parametrize("make", [chat_openai, reflecting])
def test_an_agent_with_both_on_a_real_server(
    tools: dict[str, Any], tmp_path: Path, make: Made
) -> None:
    """The budget is never passed, answers come of real calls of tools, and a checkpoint brings the
    state back: each turn is as in a new process, with a ledger that knows nothing."""
    config: Any = {"configurable": {"thread_id": "t"}}
    limit, spent, places = 2_400, 0, ["Lisbon", "Oslo", "Kyoto", "Quito", "Turin", "Perth"]
    with closing(sqlite3.connect(tmp_path / "threads.db", check_same_thread=False)) as threads:
        for number, place in enumerate(places):
            middle = TokenBudgetMiddleware(
                Budget(output=120),
                thread=Limit(tokens=limit),
                ledger=SQLiteLedger(tmp_path / f"budget-{number}.db"),
            )
            agent = create_agent(
                make(tools),
                [get_weather],
                middleware=[ReflectionMiddleware(says_the_weather, max_attempts=2), middle],
                checkpointer=SqliteSaver(threads),
            )
            state = agent.invoke(ask(f"What is the weather in {place}?"), config)["messages"]
            told = agent.get_state(config).values["token_budget"]["thread"]
            assert spent <= told <= limit, number
            spent, last = told, state[-1]
            if last.response_metadata.get("token_budget"):
                break
            if number == 0:  # it is too small a model to be as sure in long conversations
                call, result = state[-3], state[-2]
                assert [c["args"] for c in call.tool_calls] == [{"location": place}]
                assert isinstance(result, ToolMessage)
                assert "19 degrees" in last.text
                assert last.response_metadata["reflectkit"]["status"] == "accepted"
    assert number > 0
    assert last.text
    assert last.response_metadata["token_budget"] in ("answer", "end")


@pytest.mark.parametrize("make", [chat_openai, reflecting])
async def test_the_wrap_up_is_an_answer(tools: dict[str, Any], make: Made) -> None:
    """The run has called a tool; what is left pays one more request, which asks for the answer."""
    middle = TokenBudgetMiddleware(Budget(total=850, output_floor=100))
    agent = create_agent(make(tools), [get_weather], middleware=[middle])
    state = (await agent.ainvoke(ask("What is the weather in Lisbon?")))["messages"]
    last = state[-1]
    assert isinstance(state[-2], ToolMessage)
    assert last.response_metadata["token_budget"] == "answer"
    assert "19 degrees and rain in Lisbon" in last.text
    assert not last.tool_calls
    assert sum(m.usage_metadata["total_tokens"] for m in state if isinstance(m, AIMessage)) <= 850


def test_a_thinking_agent_checks_its_steps(reflect: dict[str, Any]) -> None:
    agent = create_agent(
        reflecting(reflect),
        middleware=[
            ReflectionMiddleware(verify.Steps(), max_attempts=2),
            TokenBudgetMiddleware(700),
        ],
    )
    last = agent.invoke(ask())["messages"][-1]
    assert (last.text, last.response_metadata["reflectkit"]["status"]) == ("28", "accepted")
    assert last.usage_metadata["total_tokens"] <= 700
