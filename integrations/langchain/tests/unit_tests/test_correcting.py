"""Answers that are checked and asked for again, as a runnable."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import PydanticOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from langchain_reflectkit import SelfCorrecting
from reflectkit import VerificationFailed, verify
from spoken import Spoken, Streamed, usage


class Invoice(BaseModel):
    total: int


PARSER: Any = PydanticOutputParser(pydantic_object=Invoice)
PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
BAD, GOOD = '{"total": "x"}', '{"total": 3}'


async def test_a_parser_s_complaint_goes_back_and_its_object_is_the_result() -> None:
    for way in ("invoke", "ainvoke", "stream", "astream"):
        model = Spoken(says=[BAD, GOOD])
        chain = SelfCorrecting(PROMPT | model, parser=PARSER)
        given = {"question": "How much?"}
        if way == "invoke":
            found = chain.invoke(given)
        elif way == "ainvoke":
            found = await chain.ainvoke(given)
        elif way == "stream":
            (found,) = chain.stream(given)
        else:
            (found,) = [x async for x in chain.astream(given)]
        assert found == Invoice(total=3)
        system, question, draft, complaint = model.asked[1]["messages"]
        assert (system.content, question.content, draft.content) == ("Be brief.", "How much?", BAD)
        assert "valid integer" in complaint.content
        assert "docs.langchain" not in complaint.content
        assert "tool_choice" not in model.asked[1]  # nothing is forced (langchain#35539)


def test_no_object_is_an_error_with_the_raw_text() -> None:
    model = Spoken(says=[BAD])
    with pytest.raises(OutputParserException, match="after 2 attempts") as caught:
        SelfCorrecting(model, parser=PARSER, attempts=2).invoke("hi")
    assert caught.value.llm_output == BAD
    assert len(model.asked) == 2


def test_the_best_answer_carries_what_came_of_it() -> None:
    says = [AIMessage(text, usage_metadata=usage(10, 5)) for text in ("27", "26")]
    answer = SelfCorrecting(Spoken(says=says), verify=lambda d: False, attempts=2).invoke("4 * 7?")
    record = answer.response_metadata["reflectkit"]
    assert (answer.text, record["status"], len(record["attempts"])) == ("27", "exhausted", 2)
    assert answer.usage_metadata["total_tokens"] == 30
    with pytest.raises(VerificationFailed):
        SelfCorrecting(Spoken(says=["27"]), verify=lambda d: False, on_failure="raise").invoke("hi")


async def test_runnables_and_rules_judge() -> None:
    judge = RunnableLambda(lambda given: "yes" if given["output"] == "28" else "no: too small")
    chain = SelfCorrecting(Spoken(says=["27", "28"]), verify=[judge, verify.Steps()])
    assert (await chain.ainvoke([HumanMessage("4 * 7?")])).text == "28"


async def test_streamed_text_is_never_withdrawn_and_leaving_stops_the_model() -> None:
    model = Streamed(says=[["2", "7"], ["2", "8"]])
    chain = SelfCorrecting(model, verify=lambda d: d.output == "28")
    chunks = [c async for c in chain.astream("4 * 7?")]
    assert "".join(c.text for c in chunks) == "28"
    assert chunks[-1].response_metadata["reflectkit"]["attempts"][-1]["number"] == 2
    model = Streamed(says=[["<think>hm</think>", *["a"] * 50]])
    found: Any = SelfCorrecting(model, attempts=1).astream("hi")
    async with aclosing(found) as stream:
        async for _ in stream:
            break
    assert model.closed == ["early"]
