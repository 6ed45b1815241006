"""Both middlewares in real agents, their models scripted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRetryMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, interrupt

from langchain_reflectkit import ReflectionMiddleware, TokenBudgetMiddleware
from langchain_reflectkit.middleware import TokenBudgetExceeded
from langchain_reflectkit.middleware._wrapup import NOW
from reflectkit import Budget, ConfigurationError, Draft, Limit, MemoryLedger, SQLiteLedger, Verdict
from spoken import Spoken, Streamed, usage

ASK: Any = {"messages": [HumanMessage("What is 4 * 7?")]}


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return f"{key} is known"


@tool
def fits(output: str) -> bool:
    """Whether the answer is right."""
    return output == "28"


def right(draft: Draft) -> Verdict:
    return Verdict(ok="28" in draft.output, feedback="It is not 28.")


def calling(number: int, tokens: tuple[int, int] = (60, 20), text: str = "") -> AIMessage:
    call = {"name": "look_up", "args": {"key": "x"}, "id": f"c{number}"}
    return AIMessage(text, tool_calls=[call], usage_metadata=usage(*tokens))


def said(text: str, prompt: int = 40, written: int = 5) -> AIMessage:
    return AIMessage(text, usage_metadata=usage(prompt, written))


async def run(agent: Any, way: str, given: Any = ASK, config: Any = None) -> Any:
    if way == "sync":
        return await asyncio.to_thread(agent.invoke, given, config)
    return await agent.ainvoke(given, config)


def in_notebook(agent: Any) -> Any:
    """Without async, in a thread that has a running loop."""

    async def cell() -> Any:
        return agent.invoke(ASK)

    return asyncio.run(cell())


# --- reflection


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("judge", [right, fits])
async def test_the_state_gets_one_right_message(way: str, judge: Any) -> None:
    model = Spoken(says=[said("27"), said("28")])
    agent = create_agent(model, middleware=[ReflectionMiddleware(judge)])
    messages = (await run(agent, way))["messages"]
    assert [m.text for m in messages] == ["What is 4 * 7?", "28"]
    record = messages[-1].response_metadata["reflectkit"]
    assert (record["status"], len(record["attempts"]), record["chosen"]) == ("accepted", 2, 2)


def test_in_a_running_loop() -> None:
    agent = create_agent(Spoken(says=["27", "28"]), middleware=[ReflectionMiddleware(right)])
    assert in_notebook(agent)["messages"][-1].text == "28"


async def test_feedback_is_in_the_request_and_not_in_the_state() -> None:
    from reflectkit.correction import Revise

    model = Spoken(says=["27", "28"])
    agent = create_agent(
        model, system_prompt="Be brief.", middleware=[ReflectionMiddleware(right, policy=Revise())]
    )
    given = {"messages": [HumanMessage("What is 4 * 7?", id="mine")]}
    await agent.ainvoke(given)
    system, question, draft, complaint = model.asked[1]["messages"]
    assert (system.content, question.id, draft.content) == ("Be brief.", "mine", "27")
    assert "It is not 28." in complaint.content


async def test_system_messages_of_a_conversation_stay_in_a_request_for_a_better_answer() -> None:
    from reflectkit.correction import Revise

    model = Spoken(says=["27", "28"])
    checked = ReflectionMiddleware(lambda d: d.output == "28", policy=Revise())
    given = [SystemMessage("Be brief."), HumanMessage("4 * 7?", id="mine")]
    await create_agent(model, middleware=[checked]).ainvoke({"messages": given})
    system, question, draft, _ = model.asked[1]["messages"]
    assert (system.content, question.id, draft.content) == ("Be brief.", "mine", "27")


async def test_the_first_answer_stays_unless_somebody_speaks_against_it() -> None:
    model = Spoken(says=["27", "28"])
    agent = create_agent(model, middleware=[ReflectionMiddleware(lambda d: None)])
    assert (await agent.ainvoke(ASK))["messages"][-1].text == "27"
    assert len(model.asked) == 1


async def test_it_ends_with_the_best_so_far() -> None:
    model = Spoken(says=["27", "26", "25"])
    agent = create_agent(model, middleware=[ReflectionMiddleware(right, max_attempts=2)])
    last = (await agent.ainvoke(ASK))["messages"][-1]
    assert (last.text, len(model.asked)) == ("27", 2)
    assert last.response_metadata["reflectkit"]["status"] == "exhausted"
    model = Spoken(says=["27", "28"])
    limited = ReflectionMiddleware(right, budget=Budget(calls=1))
    last = (await create_agent(model, middleware=[limited]).ainvoke(ASK))["messages"][-1]
    assert (last.text, last.response_metadata["reflectkit"]["status"]) == ("27", "budget")
    slow = ReflectionMiddleware(right, budget=Budget(seconds=1e-6))
    last = (await create_agent(Spoken(says=["27"]), middleware=[slow]).ainvoke(ASK))["messages"][-1]
    assert (last.text, last.response_metadata["reflectkit"]["status"]) == ("27", "deadline")


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_no_error_becomes_an_answer(way: str) -> None:
    """langchain#38867."""
    agent = create_agent(
        Spoken(says=[ValueError("sk-fake")]), middleware=[ReflectionMiddleware(right)]
    )
    with pytest.raises(ValueError, match="sk-fake"):
        await run(agent, way)
    agent = create_agent(
        Spoken(says=["27", ValueError("sk-fake")]), middleware=[ReflectionMiddleware(right)]
    )
    last = (await run(agent, way))["messages"][-1]
    assert last.text == "27"
    assert last.response_metadata["reflectkit"]["stopped_by"] == "ValueError"
    assert "sk-fake" not in str(last)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_what_bubbles_up_bubbles_up(way: str) -> None:
    agent = create_agent(
        Spoken(says=["27", GraphBubbleUp()]), middleware=[ReflectionMiddleware(right)]
    )
    with pytest.raises(GraphBubbleUp):
        await agent.ainvoke(ASK) if way == "async" else agent.invoke(ASK)


async def test_turns_with_tools_are_not_judged() -> None:
    model = Spoken(says=[calling(1), "27", "28"])
    agent = create_agent(model, [look_up], middleware=[ReflectionMiddleware(right)])
    messages = (await agent.ainvoke(ASK))["messages"]
    assert [m.type for m in messages] == ["human", "ai", "tool", "ai"]
    assert (messages[-1].text, len(model.asked)) == ("28", 3)


async def test_drafts_do_not_show_in_streams() -> None:
    def streamed(**options: Any) -> Any:
        model = Streamed(says=[["2", "7"], ["2", "8"]])
        return create_agent(model, middleware=[ReflectionMiddleware(right, **options)])

    shown = [m.text async for m, _ in streamed().astream(ASK, stream_mode="messages")]
    assert "".join(shown) == "28"
    shown = [
        m.text async for m, _ in streamed(stream_drafts=True).astream(ASK, stream_mode="messages")
    ]
    assert "".join(shown).startswith("27")


# --- budgets


@pytest.mark.parametrize(
    ("last", "text", "end"),
    [
        ("It is 28. <tool_call>{}", "It is 28. ", "answer"),
        ("<tool_call>{}", "The token budget is nearly spent, and the model gave no answer.", "end"),
    ],
)
async def test_a_call_that_is_written_down_is_no_last_answer(
    last: str, text: str, end: str
) -> None:
    model = Spoken(says=[calling(1), said(last)])
    middle = TokenBudgetMiddleware(Budget(total=2_000, output=60, calls=2))
    state = await create_agent(model, [look_up], middleware=[middle]).ainvoke(ASK)
    answer = state["messages"][-1]
    assert (answer.text, answer.response_metadata["token_budget"]) == (text, end)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_the_answer_comes_before_the_budget_is_spent(way: str) -> None:
    """langchain#38842."""
    says = [*(calling(n, (60 + 30 * n, 20), "It is 28.") for n in range(9))]
    model = Spoken(says=says, max_tokens=100)
    middle = TokenBudgetMiddleware(Budget(total=900, output_floor=40))
    agent = create_agent(model, [look_up], middleware=[middle])
    messages = (await run(agent, way))["messages"]
    spent = sum(m.usage_metadata["total_tokens"] for m in messages if isinstance(m, AIMessage))
    assert spent <= 900
    assert 2 < len(model.asked) < 9
    assert model.asked[-1]["messages"][-1].content == NOW
    assert "tools" not in model.asked[-1]
    assert messages[-1].tool_calls == []
    assert messages[-1].response_metadata["token_budget"] == "answer"
    assert all(a["max_tokens"] <= 100 for a in model.asked)


async def test_each_real_call_is_charged_whoever_makes_it() -> None:
    ledger = MemoryLedger()
    model = Spoken(says=[said("27", 40, 10), said("28", 40, 10)])
    middle = TokenBudgetMiddleware(tenant=Limit(tokens=5_000, per="day"), ledger=ledger)
    agent = create_agent(model, middleware=[ReflectionMiddleware(right), middle])
    with pytest.raises(ConfigurationError, match="tenant"):
        await agent.ainvoke(ASK)
    await agent.ainvoke(ASK, {"configurable": {"tenant": "acme"}})
    (row,) = await ledger.balances("tenant:acme")
    assert (row.spent, row.reserved) == (100, 0)


@pytest.mark.parametrize("how", ["end", "error"])
async def test_the_other_exits(how: Any) -> None:
    model = Spoken(says=[calling(n, (200, 50)) for n in range(9)])
    middle = TokenBudgetMiddleware(700, exit_behavior=how)
    retry = ModelRetryMiddleware(max_retries=3, initial_delay=0, on_failure="error")
    agent = create_agent(model, [look_up], middleware=[retry, middle])
    if how == "error":
        with pytest.raises(TokenBudgetExceeded):
            await agent.ainvoke(ASK)
    else:
        last = (await agent.ainvoke(ASK))["messages"][-1]
        assert "budget is spent" in last.text
        assert last.response_metadata["token_budget"] == "end"
    assert len(model.asked) <= 3


async def test_what_is_not_told_is_counted_and_reasoning_is_not_its_repr() -> None:
    """langchain#39697."""
    reasoning: Any = [{"type": "reasoning", "reasoning": "hm " * 40, "extras": {"x": "y" * 4000}}]
    ledger = MemoryLedger()
    middle = TokenBudgetMiddleware(
        tenant=Limit(tokens=20_000), tenant_of=lambda _: "a", ledger=ledger
    )
    agent = create_agent(Spoken(says=[AIMessage(reasoning)]), middleware=[middle])
    found = await agent.ainvoke(ASK)
    (row,) = await ledger.balances("tenant:a")
    assert 40 <= row.spent < 300
    assert "token_budget" not in found


async def test_an_answer_from_the_cache_costs_nothing() -> None:
    ledger = MemoryLedger()
    middle = TokenBudgetMiddleware(
        tenant=Limit(tokens=20_000), tenant_of=lambda _: "a", ledger=ledger
    )
    agent = create_agent(Spoken(says=[said("28")]), middleware=[middle])
    set_llm_cache(InMemoryCache())
    try:
        for _ in range(2):
            await agent.ainvoke(ASK)
    finally:
        set_llm_cache(None)
    (row,) = await ledger.balances("tenant:a")
    assert row.spent == 45


async def test_failed_calls_are_charged_unless_they_were_refused() -> None:
    from langchain_core.exceptions import ModelRateLimitError

    for error, spent in ((ModelRateLimitError("x"), False), (ValueError("x"), True)):
        ledger = MemoryLedger()
        middle = TokenBudgetMiddleware(
            Budget(output=50), tenant=Limit(tokens=20_000), tenant_of=lambda _: "a", ledger=ledger
        )
        with pytest.raises(type(error)):
            await create_agent(Spoken(says=[error]), middleware=[middle]).ainvoke(ASK)
        (row,) = await ledger.balances("tenant:a")
        assert (row.spent > 50, row.reserved) == (spent, 0)


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_thread_goes_on_with_what_it_had_spent(way: str, tmp_path: Path) -> None:
    saver = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    for number in range(3):  # each time as in a new process: a new ledger
        middle = TokenBudgetMiddleware(thread=Limit(tokens=150), exit_behavior="end")
        model = Spoken(says=[said("28", 35, 10)], max_tokens=12)
        agent = create_agent(model, middleware=[middle], checkpointer=saver)
        asked = {"messages": [HumanMessage("What is 4 * 7?")]}
        last = (await run(agent, way, asked, config))["messages"][-1]
        assert (last.text == "28") is (number < 2), number
        kept = (await agent.aget_state(config)).values["token_budget"]
        assert kept["thread"] == min(90, 45 * (number + 1))


async def test_a_run_that_was_interrupted_goes_on_with_its_budget() -> None:
    @tool
    def approve(key: str) -> str:
        """Ask somebody."""
        return str(interrupt("may I?"))

    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    call = AIMessage(
        "",
        tool_calls=[{"name": "approve", "args": {"key": "x"}, "id": "1"}],
        usage_metadata=usage(300, 100),
    )

    def agent(*says: Any) -> Any:
        middle = TokenBudgetMiddleware(Budget(total=1000, output_floor=20))
        return create_agent(
            Spoken(says=list(says), max_tokens=100),
            [approve],
            middleware=[middle],
            checkpointer=saver,
        )

    first = agent(call)
    await first.ainvoke(ASK, config)
    run_id = (await first.aget_state(config)).values["token_budget"]["run"]
    second = agent(said("28"))
    await second.ainvoke(Command(resume="yes"), config)
    kept = (await second.aget_state(config)).values["token_budget"]
    assert (kept["run"], kept["tokens"], kept["calls"]) == (run_id, 445, 0)


async def test_many_runs_of_a_tenant_never_pass_its_limit(tmp_path: Path) -> None:
    ledger = SQLiteLedger(tmp_path / "budget.db")
    middle = TokenBudgetMiddleware(
        Budget(output=10),
        tenant=Limit(tokens=400),
        tenant_of=lambda _: "a",
        ledger=ledger,
        exit_behavior="end",
    )
    agent = create_agent(Spoken(says=[said("28", 30, 10)]), middleware=[middle])
    found = await asyncio.gather(*(agent.ainvoke(ASK) for _ in range(30)))
    (row,) = await ledger.balances("tenant:a")
    answered = sum(f["messages"][-1].text == "28" for f in found)
    assert row.spent == 40 * answered <= 400
    assert row.reserved == 0
    assert answered >= 4
    await ledger.aclose()


def test_what_cannot_work_is_said() -> None:
    for wrong in (
        {},
        {"budget": Budget(thinking=5)},
        {"budget": 5, "exit_behavior": "stop"},
        {"tenant": Limit(money=5)},
    ):
        with pytest.raises(ConfigurationError):
            TokenBudgetMiddleware(**wrong)
    with pytest.raises(ConfigurationError):
        ReflectionMiddleware(right, max_attempts=0)


async def test_results_that_do_not_fit_are_shortened_for_the_last_answer() -> None:
    @tool
    def read(key: str) -> str:
        """Read a page."""
        return "word " * 600

    call = AIMessage(
        "",
        tool_calls=[{"name": "read", "args": {"key": "x"}, "id": "1"}],
        usage_metadata=usage(60, 20),
    )
    model = Spoken(says=[call, said("28", 200, 10)], max_tokens=50)
    agent = create_agent(
        model, [read], middleware=[TokenBudgetMiddleware(Budget(total=700, output_floor=30))]
    )
    messages = (await agent.ainvoke(ASK))["messages"]
    assert messages[-1].text == "28"
    (result,) = [m for m in model.asked[-1]["messages"] if isinstance(m, ToolMessage)]
    assert "characters left out" in result.text
    assert isinstance(messages[2], ToolMessage)
    assert len(messages[2].text) == 3000


async def test_both_flavours_are_defined() -> None:
    for kind in (ReflectionMiddleware, TokenBudgetMiddleware):
        assert kind.wrap_model_call is not AgentMiddleware.wrap_model_call
        assert kind.awrap_model_call is not AgentMiddleware.awrap_model_call
