"""What users of chat models suffer from does not happen here: one test for each of ``MODEL``.

Every test asks a real HTTP server on the loopback interface (``scenario.py``); only its words are
written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, trim_messages
from langchain_core.tools import tool
from pydantic import BaseModel

from complaints import AROUND, MODEL
from langchain_reflectkit import ChatReflectKit
from reflectkit.testing import Served, anthropic_chat, chat
from scenario import USAGE, answer, serving, summed


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


class Sum(BaseModel):
    """A sum."""

    value: int


@contextmanager
def model_of(*answers: Any, **settings: Any) -> Iterator[tuple[ChatReflectKit, Any]]:
    """A model at a server that gives these answers, and the server."""
    with serving(*answers) as server:
        yield (
            ChatReflectKit(base_url=server.url, model="m", **{"mode": "plain", **settings}),
            server,
        )


def reasoning(message: Any) -> list[str]:
    return [b["reasoning"] for b in message.content_blocks if b["type"] == "reasoning"]


def test_each_has_a_test() -> None:
    here = {name for name in globals() if name.startswith("test_")}
    assert set(MODEL.values()) <= here
    assert not set(MODEL) & set(AROUND)


def test_reasoning_content_of_a_server_arrives() -> None:
    """langchain#35006: no ``reasoning_content`` for deepseek-reasoner."""
    with model_of(answer("4", thinking=("2+2 ", "is 4"))) as (model, _):
        message = model.invoke("2+2?")
    assert (message.text, reasoning(message)) == ("4", ["2+2 is 4"])


def test_the_same_behind_a_compatible_endpoint() -> None:
    """langchain#34706: o1 and grok behind a compatible endpoint."""
    pieces = answer("4", thinking=("deep",), field="reasoning", model="grok-4")
    with model_of(pieces) as (model, _):
        assert reasoning(summed(model.stream("?"))) == ["deep"]


def test_reasoning_details_arrive() -> None:
    """langchain#32981: OpenRouter's reasoning."""
    detail = {"type": "reasoning.text", "text": "deep", "index": 0, "signature": "s=="}
    with model_of(_details(detail)) as (model, _):
        assert reasoning(model.invoke("?")) == ["deep"]


def _details(*details: dict[str, Any]) -> Served:
    from scenario import event

    steps = [event({"reasoning_details": [d]}) for d in details]
    steps += [event({"content": "4"}), event({}, finish="stop"), b"data: [DONE]\n\n"]
    return Served(tuple(steps), headers={"Content-Type": "text/event-stream"})


def test_reasoning_arrives_while_streaming() -> None:
    """langchain#29513: no reasoning while streaming."""
    with model_of(answer("4", thinking=("a", "b", "c"))) as (model, _):
        kinds = [b["type"] for chunk in model.stream("?") for b in chunk.content]
    assert kinds == ["reasoning"] * 3 + ["text"]


def test_the_other_field_name_arrives() -> None:
    """langchain#30067: DeepSeek hosted on OpenRouter names the field otherwise."""
    with model_of(answer("4", thinking=("x",), field="reasoning")) as (model, _):
        assert reasoning(model.invoke("?")) == ["x"]


def test_a_completions_endpoint_loses_no_reasoning() -> None:
    """langchainjs#10549: the completions class loses reasoning; here in the tags of the text."""
    with model_of(answer("<think>", "x", "</think>", "4")) as (model, _):
        message = summed(model.stream("?"))
    assert (reasoning(message), message.text) == (["x"], "4")


def test_both_names_of_the_field_are_read_and_told_once() -> None:
    """vllm#27755: ``reasoning_content`` became ``reasoning``; some servers send both."""
    from scenario import event

    both = event({"reasoning": "x", "reasoning_content": "x"})
    steps = (both, event({"content": "4"}), event({}, finish="stop"), b"data: [DONE]\n\n")
    with model_of(Served(steps, headers={"Content-Type": "text/event-stream"})) as (model, _):
        assert reasoning(model.invoke("?")) == ["x"]


@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_stream_and_invoke_have_the_same_blocks(version: str) -> None:
    """oracle/langchain-oracle#238: invoke has the reasoning block, stream has not."""
    calls = (("weather", '{"city": "Rome"}'),)
    served = answer("<think>a", "b</think>", "So: ", "4", calls=calls)
    with model_of(served, output_version=version) as (model, _):
        whole, pieces = model.invoke("?"), summed(model.stream("?"))
        awaited = await model.ainvoke("?")
        parts = [chunk async for chunk in model.astream("?")]
    kept = [_bare(m.content_blocks) for m in (whole, pieces, awaited, summed(parts))]
    assert kept == [kept[0]] * 4
    assert [b["type"] for b in kept[0]] == ["reasoning", "text", "tool_call"]
    assert whole.tool_calls == pieces.tool_calls
    assert whole.usage_metadata == pieces.usage_metadata


def _bare(blocks: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in block.items() if k != "index"} for block in blocks]


def test_no_reasoning_hides_in_additional_kwargs() -> None:
    """ag-ui#1251: a bridge reads blocks, and not ``additional_kwargs.reasoning_content``."""
    with model_of(answer("4", thinking=("x",))) as (model, _):
        message = model.invoke("?")
    assert message.additional_kwargs == {}
    assert reasoning(message) == ["x"]


def test_an_empty_think_block_leaves_the_json_alone() -> None:
    """langchain#31585: ``/no_think`` leaves an empty pair of tags, and JSON does not parse."""
    with model_of(answer("<think>\n\n</think>\n\n", '{"value": 4}')) as (model, _):
        assert model.with_structured_output(Sum).invoke("?") == Sum(value=4)
        assert reasoning(model.invoke("?")) == []


def test_the_answer_is_not_part_of_the_thinking() -> None:
    """langchain#29317: with a JSON format, the answer was part of the thinking."""
    with model_of(answer('<think>maybe {"value": 3}', "</think>", '{"value": 4}')) as (model, _):
        assert model.with_structured_output(Sum).invoke("?") == Sum(value=4)


def test_hidden_thinking_leaves_no_tags() -> None:
    """langchain#33041: ``reasoning=False`` still returns tags."""
    with model_of(answer("<think>x</think>", "4"), reasoning="hidden") as (model, _):
        message = model.invoke("?")
        streamed = summed(model.stream("?"))
    assert message.content == "4"
    assert reasoning(streamed) == []
    assert streamed.text == "4"
    assert message.usage_metadata["output_token_details"]["reasoning"] == 5


def test_events_v3_keep_reasoning_beside_a_tool_call() -> None:
    """langchain#37420: the third version of events drops reasoning when there is a tool call."""
    calls = (("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}'))
    with model_of(answer(thinking=("x", "y"), calls=calls)) as (model, _):
        message = _v3(model.bind_tools([weather]))
    assert [b["type"] for b in message.content_blocks] == ["reasoning", *["tool_call"] * 2]
    assert reasoning(message) == ["xy"]


def _v3(model: Any) -> Any:
    stream = model.stream_events("?", version="v3")
    list(stream)
    return stream.output


def test_one_block_for_a_section_not_one_for_a_token() -> None:
    """langchainjs#10684: 200 reasoning blocks of one token."""
    with model_of(answer("4", thinking=tuple("x" * 200))) as (model, _):
        assert reasoning(summed(model.stream("?"))) == ["x" * 200]


def test_reasoning_and_text_do_not_share_an_index() -> None:
    """langchainjs#10691: reasoning and text with one index merge, and the text is lost."""
    with model_of(answer("4", thinking=("x",))) as (model, _):
        message = summed(model.stream("?"))
    indexes = [block["index"] for block in message.content]
    assert len(set(indexes)) == 2
    assert all(index.startswith("lc_") for index in indexes)  # tool calls have numbers
    assert message.text == "4"


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_text_and_a_tool_call_do_not_share_an_index(version: str) -> None:
    """langchainjs#11074: text and tool call collide, ``tool_calls`` is empty, the agent stops."""
    calls = (("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}'))
    served = answer("Look: ", thinking=("x",), calls=calls)
    with model_of(served, output_version=version) as (model, _):
        message = summed(model.bind_tools([weather]).stream("?"))
    assert [c["args"] for c in message.tool_calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert message.text == "Look: ".strip()
    assert reasoning(message) == ["x"]


def test_signatures_survive_events_v3() -> None:
    """langchainjs#11181: the third version of events loses thought signatures."""
    detail = {"type": "reasoning.text", "text": "deep", "index": 0, "signature": "s=="}
    with model_of(_details(detail), chat("5")) as (model, server):
        message = _v3(model)
        model.invoke([HumanMessage("?"), message, HumanMessage("again")])
        sent = server.requests[-1].json["messages"][1]
    assert sent["reasoning_details"] == [detail]


def test_usage_comes_once() -> None:
    """langchain#30429: usage in each chunk is summed, the input counted once a token."""
    with model_of(chat("a", "b", "c", usage="running")) as (model, _):
        chunks = list(model.stream("?"))
    assert len([c for c in chunks if c.usage_metadata]) == 1
    assert summed(chunks).usage_metadata["input_tokens"] == 7
    assert summed(chunks).usage_metadata["output_tokens"] == 3


def test_running_totals_are_not_summed() -> None:
    """langchainjs#8266, #10159: cumulative usage summed, impossible totals."""
    counting = UsageMetadataCallbackHandler()
    with model_of(chat(*"abcdef", usage="running")) as (model, _):
        list(model.stream("?", config={"callbacks": [counting]}))
    (usage,) = counting.usage_metadata.values()
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 6)


def test_usage_sent_twice_counts_once() -> None:
    """databricks-ai-bridge#638: usage sent twice, exactly doubled."""
    with model_of(answer("4", twice=True)) as (model, _):
        message = summed(model.stream("?"))
    assert message.usage_metadata["input_tokens"] == USAGE["prompt_tokens"]
    assert message.usage_metadata["output_tokens"] == USAGE["completion_tokens"]


def test_the_exact_counter_takes_reasoning_blocks() -> None:
    """langchain#39225: the exact counter raises on reasoning blocks and breaks trim_messages."""
    thought = {"type": "reasoning", "reasoning": "word " * 500, "index": "lc_rk_1"}
    turns = [HumanMessage("a?"), AIMessage([thought, {"type": "text", "text": "b"}])]
    turns.append(HumanMessage("c?"))
    with model_of() as (model, _):
        bare = [turns[0], AIMessage("b"), turns[2]]
        assert model.get_num_tokens_from_messages(turns) == model.get_num_tokens_from_messages(bare)
        counted = model.get_num_tokens_from_messages(turns)
        assert trim_messages(turns, max_tokens=counted, token_counter=model) == turns
        tools = model.get_num_tokens_from_messages(turns, tools=[weather])
    assert tools > counted


def test_usage_is_there_on_streams_of_a_custom_endpoint() -> None:
    """langgraph#4848: usage absent in streamed runs."""
    with model_of(answer("4")) as (model, server):
        message = summed(model.stream("?"))
        assert server.requests[0].json["stream_options"] == {"include_usage": True}
    assert message.usage_metadata["total_tokens"] == 52


def test_a_tool_call_inside_thinking_is_reported_not_executed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """vllm#39056: a call emitted inside the thinking is lost without a word."""
    call = '<tool_call>{"name": "weather"}</tool_call>'
    with model_of(answer("Hm.", thinking=("I could ", call))) as (model, _):
        message = model.bind_tools([weather]).invoke("?")
    assert message.tool_calls == []
    (told,) = message.response_metadata["reflectkit"]["calls_in_thinking"]
    assert told["text"] == call
    assert "tool call" in caplog.text


def test_thinking_and_tools_together_give_both() -> None:
    """ollama#10976: thinking and tools together give nothing."""
    calls = (("weather", '{"city": "Rome"}'),)
    with model_of(answer(thinking=("x",), calls=calls)) as (model, _):
        message = model.bind_tools([weather]).invoke("?")
    assert reasoning(message) == ["x"]
    assert message.tool_calls[0]["args"] == {"city": "Rome"}
    assert message.response_metadata["finish_reason"] == "tool_calls"


def test_a_planned_call_is_not_taken_for_one() -> None:
    """Qwen3#1817: the model plans the call in its reasoning, then does not make it."""
    with model_of(answer("Sunny.", thinking=("I will call weather(city='Rome').",))) as (model, _):
        message = model.bind_tools([weather]).invoke("?")
    assert message.tool_calls == []
    assert message.invalid_tool_calls == []
    assert message.text == "Sunny."


def test_a_call_that_is_only_thought_of_is_no_call() -> None:
    """lmstudio-bug-tracker#1592: the tool parser scans inside think blocks, false calls."""
    thought = '<think><tool_call>{"name": "weather"}</tool_call></think>'
    with model_of(answer(thought, "Sunny.")) as (model, _):
        message = summed(model.bind_tools([weather]).stream("?"))
    assert message.tool_calls == []
    assert message.text == "Sunny."
    assert message.response_metadata["reflectkit"]["calls_in_thinking"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_the_second_turn_with_tools_sends_its_reasoning_field(field: str, streamed: bool) -> None:
    """langchain#34166, #37177, #37389, #37390, #37713: HTTP 400 on turn 2 with tools."""
    sent = _second_turn(field, streamed)
    assert sent[field] == "I ask."
    assert sent["tool_calls"][0]["function"]["name"] == "weather"


def _second_turn(field: str, streamed: bool) -> Any:
    calls = (("weather", '{"city": "Rome"}'),)
    first = answer(thinking=("I ", "ask."), calls=calls, field=field)
    with model_of(first, answer("Rain.")) as (model, server):
        bound = model.bind_tools([weather])
        asked = summed(bound.stream("?")) if streamed else bound.invoke("?")
        result = weather.invoke(asked.tool_calls[0])
        bound.invoke([HumanMessage("?"), asked, result])
        return server.requests[-1].json["messages"][1]


def test_the_field_goes_back_after_streaming_too() -> None:
    """langchainjs#10883: the same in another language, streamed."""
    assert _second_turn("reasoning_content", True) == _second_turn("reasoning_content", False)


def test_reasoning_items_go_back_as_a_pair_or_not_at_all() -> None:
    """openai-python#3008, #3009: an orphaned reasoning item gives 400."""
    foreign = AIMessage(
        [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"},
            {"type": "text", "text": "4", "id": "msg_1"},
        ],
        response_metadata={"model_provider": "openai"},
    )
    with model_of(answer("5")) as (model, server):
        model.invoke([HumanMessage("?"), foreign, HumanMessage("again")])
        sent = server.requests[-1].json["messages"][1]
    assert sent == {"role": "assistant", "content": "4"}


@pytest.mark.parametrize("history", ["drop", "keep", "summary"])
async def test_signed_blocks_go_back_byte_exact(history: Any) -> None:
    """langchain#37347, langchainjs#9624: signatures lost, 400 on turn 2. Asked of Anthropic's wire,
    and through JSON, as a checkpoint keeps it."""
    from langchain_core.messages import messages_from_dict, messages_to_dict

    from reflectkit.backends.anthropic import AnthropicBackend

    signed = {"type": "thinking", "thinking": "2+2 \u00e9", "signature": "EqQB/+=="}
    blocks = [signed, {"type": "text", "text": "4"}]
    with serving(_signed(blocks), anthropic_chat("5")) as server:
        backend = AnthropicBackend(server.url, model="m")
        model = ChatReflectKit(client=backend, mode="plain", history=history)
        stored = json.dumps(messages_to_dict([await model.ainvoke("?")]))
        (message,) = messages_from_dict(json.loads(stored))
        await model.ainvoke([HumanMessage("?"), message, HumanMessage("again")])
        sent = server.requests[-1].json["messages"][1]
        await backend.aclose()
    assert json.dumps(sent["content"]) == json.dumps(blocks)


async def test_signed_blocks_go_back_from_a_checked_agent_too() -> None:
    """The record of the middleware stands around the model's own, which holds them."""
    from langchain.agents import create_agent

    from langchain_reflectkit import ReflectionMiddleware
    from reflectkit.backends.anthropic import AnthropicBackend

    signed = {"type": "thinking", "thinking": "2+2", "signature": "EqQB/+=="}
    blocks = [signed, {"type": "text", "text": "4"}]
    with serving(_signed(blocks), anthropic_chat("5")) as server:
        backend = AnthropicBackend(server.url, model="m")
        agent = create_agent(
            ChatReflectKit(client=backend, mode="plain"),
            middleware=[ReflectionMiddleware(lambda draft: True)],
        )
        state = await agent.ainvoke({"messages": [HumanMessage("?")]})
        await agent.ainvoke({"messages": [*state["messages"], HumanMessage("again")]})
        sent = server.requests[-1].json["messages"][1]
        await backend.aclose()
    assert json.dumps(sent["content"]) == json.dumps(blocks)


def _signed(blocks: list[dict[str, Any]]) -> Served:
    thinking, text = blocks
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7}}},
        {"type": "content_block_start", "index": 0,
         "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "thinking_delta", "thinking": thinking["thinking"]}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "signature_delta", "signature": thinking["signature"]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "text_delta", "text": text["text"]}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]  # fmt: skip
    steps = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    return Served(tuple(steps), headers={"Content-Type": "text/event-stream"})
