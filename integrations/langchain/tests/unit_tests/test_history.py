"""Where conversations may be cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from langchain_reflectkit.middleware import turn_cutoff, whole_turns


def _call(*ids: str) -> AIMessage:
    thought: Any = [{"type": "reasoning", "reasoning": "hm"}]
    return AIMessage(thought, tool_calls=[{"name": "f", "args": {}, "id": i} for i in ids])


def _result(identity: str) -> ToolMessage:
    return ToolMessage("5", tool_call_id=identity)


TALK: list[AnyMessage] = [
    HumanMessage("a"), _call("1", "2"), _result("1"), _result("2"), AIMessage("b"),
    HumanMessage("c"), _call("3"), _result("3"),
]  # fmt: skip


@given(st.integers(-2, 12))
def test_no_cut_parts_a_call_from_its_result_or_enters_the_active_turn(wanted: int) -> None:
    """langchain#34794: the active turn keeps its thinking; langchain#38352: no orphans."""
    cut = turn_cutoff(TALK, wanted)
    assert 0 <= cut <= max(0, wanted)
    assert cut in (0, 1, 4, 5)
    assert whole_turns(TALK[cut:]) == TALK[cut:]


def test_the_best_cut_is_found() -> None:
    assert [turn_cutoff(TALK, n) for n in (1, 2, 3, 4, 5, 8)] == [1, 1, 1, 4, 5, 5]
    assert turn_cutoff([HumanMessage("a"), AIMessage("b")], 2) == 2


def test_orphans_go_and_calls_under_way_stay() -> None:
    """langchain#34282."""
    orphan = _result("9")
    unanswered = _call("8")
    assert whole_turns([orphan, unanswered, AIMessage("b"), *TALK]) == [AIMessage("b"), *TALK]
    called: Any = whole_turns([HumanMessage("a"), _call("5", "6"), _result("5")])[1]
    assert called.tool_calls
