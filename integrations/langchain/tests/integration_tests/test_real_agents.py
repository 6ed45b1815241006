"""Agents, parsers and wrapped models on the embedded model: in this process, and behind llama.cpp's
own server."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver

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
from reflectkit import Budget, Client, Limit, SQLiteLedger, verify
from reflectkit.backends.nano import embedded_models

MODEL = "nano-reflect"


def ask() -> Any:
    """Anew each time: the graph gives a message its id, and one with a known id is no new one."""
    return {"messages": [HumanMessage("What is (2 + 2) * 7?")]}


@pytest.fixture(scope="module")
def llama() -> Iterator[tuple[str, str]]:
    """llama.cpp's HTTP server: its address and key."""
    xllamacpp = pytest.importorskip("xllamacpp")
    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    params.model.path = str(embedded_models()[MODEL])
    params.model_alias = {MODEL}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.verbosity, params.n_ctx, params.n_parallel = 0, 2048, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    server = xllamacpp.Server(params)
    server.handle_metrics()  # answered once its loop runs
    yield f"{server.listening_address}/v1", key
    del server


def chat_openai(llama: tuple[str, str], **settings: Any) -> Any:
    openai = pytest.importorskip("langchain_openai")
    url, key = llama
    return openai.ChatOpenAI(base_url=url, api_key=key, model=MODEL, temperature=0, **settings)


def reflecting(llama: tuple[str, str], **settings: Any) -> ChatReflectKit:
    url, key = llama
    return ChatReflectKit(base_url=url, api_key=key, model=MODEL, temperature=0, **settings)


@pytest.mark.filterwarnings("ignore:ChatOpenAI drops:UserWarning")
async def test_chat_openai_as_a_backend(llama: tuple[str, str]) -> None:
    backend = LangChainBackend(chat_openai(llama))
    async with Client(backend, mode="trained", dialect="reflection") as client:
        reply = await client.ask("What is (2 + 2) * 7?", max_tokens=200)
    await backend.aclose()
    assert (reply.output, reply.usage.prompt > 0) == ("28", True)
    assert reply.reflections


@pytest.mark.filterwarnings("ignore:ChatOpenAI drops:UserWarning")
def test_one_model_in_several_loops(llama: tuple[str, str]) -> None:
    import asyncio

    chat = with_reflection(chat_openai(llama), mode="trained", dialect="reflection")
    assert chat.invoke("What is 3 + 4?").text == "7"
    assert asyncio.run(chat.ainvoke("What is 3 + 4?")).text == "7"
    assert chat.invoke("What is 3 + 5?").text == "8"


def test_parsers_on_the_embedded_model() -> None:
    chat = ChatReflectKit(temperature=0)
    read = (chat | ReflectionOutputParser()).invoke("What is (2 + 2) * 7?")
    assert (read.output, bool(read.thinking), bool(read.reflections)) == ("28", True, True)
    assert "".join((chat | OutputOnlyParser()).stream("What is (2 + 2) * 7?")) == "28"


@pytest.mark.filterwarnings("ignore:ChatOpenAI drops:UserWarning")
def test_self_correcting_on_a_server(llama: tuple[str, str]) -> None:
    chain = SelfCorrecting(
        chat_openai(llama), verify=verify.Steps(), mode="trained", dialect="reflection"
    )
    answer = chain.invoke("What is (2 + 2) * 7?")
    assert (answer.text, answer.response_metadata["reflectkit"]["status"]) == ("28", "accepted")


@pytest.mark.parametrize("kind", ["chat_openai", "reflectkit"])
def test_an_agent_with_both_on_a_real_server(
    llama: tuple[str, str], tmp_path: Path, kind: str
) -> None:
    """The budget is never passed, the answer comes, and a checkpoint brings the state back."""
    saver = SqliteSaver(sqlite3.connect(tmp_path / "threads.db", check_same_thread=False))
    config: Any = {"configurable": {"thread_id": "t"}}
    limit = 700
    spent = 0
    answers = []
    for number in range(9):  # each time as in a new process
        model = chat_openai(llama) if kind == "chat_openai" else reflecting(llama)
        ledger = SQLiteLedger(tmp_path / f"budget-{number}.db")
        middle = TokenBudgetMiddleware(
            Budget(output=150), thread=Limit(tokens=limit), ledger=ledger
        )
        checked = ReflectionMiddleware(verify.Steps(), max_attempts=2)
        agent = create_agent(model, middleware=[checked, middle], checkpointer=saver)
        last = agent.invoke(ask(), config)["messages"][-1]
        told = agent.get_state(config).values["token_budget"]["thread"]
        assert spent <= told <= limit, number
        if told == spent:
            assert last.response_metadata["token_budget"] == "end"
            break
        spent = told
        answers.append(last)
    assert number > 1
    if kind == "reflectkit":  # without being asked to think it does not compute well
        assert answers[0].text == "28"
        assert answers[0].response_metadata["reflectkit"]["status"] == "accepted"
    assert all(isinstance(m, AIMessage) for m in answers)


async def test_the_wrap_up_is_an_answer(llama: tuple[str, str]) -> None:
    """A model that never stops calling tools, here by its prompt: the last call has no tools."""
    from langchain_core.tools import tool

    @tool
    def look_up(key: str) -> str:
        """Look something up."""
        return "known"

    middle = TokenBudgetMiddleware(Budget(total=420, output_floor=120))
    agent = create_agent(reflecting(llama), [look_up], middleware=[middle])
    last = (await agent.ainvoke(ask()))["messages"][-1]
    assert last.response_metadata["token_budget"] == "answer"
    assert last.text
    assert last.usage_metadata["total_tokens"] <= 420
