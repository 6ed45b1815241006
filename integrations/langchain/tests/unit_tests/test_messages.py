"""LangChain's messages there and back, whatever they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_reflectkit import SelfCorrecting
from langchain_reflectkit._messages import calls_in, from_langchain, to_langchain, tool_calls
from reflectkit import ConfigurationError, Message, ToolCall
from spoken import Spoken

VENDOR = "langchain spoken"
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
SIGNED = {"type": "thinking", "thinking": "hm ", "signature": "c2ln\u2028=="}

word = st.text(min_size=1, max_size=9)
name = st.none() | word
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(word, inner, max_size=2),
    max_leaves=4,
)
arguments = st.dictionaries(word, json_value, max_size=3)
text_block = st.builds(lambda t: {"type": "text", "text": t}, st.text(max_size=9))
part = text_block | st.just(PICTURE)
content = st.text(max_size=20) | st.lists(part, min_size=1, max_size=3)
#: what only a vendor can read: it may have any fields
vendors_own = st.builds(lambda more: {**more, "type": "redacted_thinking"}, arguments) | st.just(
    SIGNED
)
answered = st.text(max_size=20) | st.builds(
    lambda own, rest: [own, *rest], vendors_own, st.lists(vendors_own | text_block, max_size=3)
)
call = st.builds(
    lambda n, a, i: {"type": "tool_call", "name": n, "args": a, "id": i}, word, arguments, word
)
ai = st.builds(
    lambda c, n, calls, beside: AIMessage(
        c,
        name=n,
        tool_calls=calls,
        additional_kwargs=beside,
        response_metadata={"model_provider": "v"} if beside or isinstance(c, list) else {},
    ),
    answered,
    name,
    st.lists(call, max_size=3),
    st.just({}) | st.builds(lambda t: {"reasoning_content": t}, word),
)
message = (
    st.builds(SystemMessage, content, name=name)
    | st.builds(HumanMessage, content, name=name)
    | st.builds(ToolMessage, content, tool_call_id=word, name=name)
    | ai
)


@given(st.lists(message, max_size=5))
def test_what_a_vendor_is_sent_comes_back_as_it_was(messages: list[AnyMessage]) -> None:
    there = from_langchain(messages, vendor=VENDOR)
    assert to_langchain(there, vendor=VENDOR) == messages
    stranger = to_langchain(there, vendor="langchain other")
    for sent, original in zip(stranger, messages, strict=True):
        if isinstance(original, AIMessage):  # words and calls, and nothing that is not theirs
            assert (sent.content, sent.additional_kwargs) == (original.text, {})
            assert isinstance(sent, AIMessage)
            assert sent.tool_calls == original.tool_calls


calls = st.builds(ToolCall, word, word, arguments.map(json.dumps))
turn = (
    st.builds(Message, st.sampled_from(["system", "user"]), st.text(max_size=9), name=st.just(""))
    | st.builds(Message, st.just("tool"), st.text(max_size=9), tool_call_id=word)
    | st.builds(
        Message,
        st.just("assistant"),
        st.text(max_size=9),
        tool_calls=st.lists(calls, max_size=2).map(tuple),
    )
)


@given(st.lists(turn, max_size=5).map(tuple))
def test_turns_of_ours_come_back_from_langchain(turns: tuple[Message, ...]) -> None:
    def meant(turn: Message) -> Any:
        """Arguments are JSON: blanks and escapes may differ."""
        called = [(c.id, c.name, json.loads(c.arguments)) for c in turn.tool_calls]
        return turn.role, turn.content, turn.tool_call_id, called

    back = from_langchain(to_langchain(turns))
    assert list(map(meant, back)) == list(map(meant, turns))


@given(st.text(max_size=20))
def test_broken_arguments_stay_as_they_came(broken: str) -> None:
    good, bad = tool_calls([ToolCall("1", "f", broken)])
    assert len(good) + len(bad) == 1
    (back,) = calls_in(AIMessage("", tool_calls=good, invalid_tool_calls=bad))
    assert back.arguments == broken or json.loads(back.arguments) == json.loads(broken or "{}")


def test_a_server_of_ours_gets_no_vendors_blocks() -> None:
    (turn,) = from_langchain([AIMessage([SIGNED, {"type": "text", "text": "28"}])])
    assert (turn.content, turn.payload) == ("28", None)


def test_who_speaks_in_a_role_of_their_own() -> None:
    critic: BaseMessage = ChatMessage("no", role="critic")
    with pytest.raises(ConfigurationError, match="critic"):
        from_langchain([critic])
    assert from_langchain([critic], vendor="")[0].role == "user"


def test_pictures_and_signed_blocks_pass_through_a_correcting_model() -> None:
    model = Spoken(says=["27", "28"])
    asked = [
        HumanMessage([{"type": "text", "text": "?"}, PICTURE]),
        AIMessage(
            [SIGNED, {"type": "text", "text": "x"}], response_metadata={"model_provider": "v"}
        ),
        HumanMessage("And?"),
    ]
    SelfCorrecting(model, verify=lambda d: d.output == "28").invoke(asked)
    assert [sent["messages"][:3] for sent in model.asked] == [asked, asked]
