"""Messages whose reasoning came apart: every provider's shape, replay, and malformed ones."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit import protocol
from reflectkit.errors import ConfigurationError
from reflectkit.messages import Message, ToolCall
from reflectkit.protocol import as_message, parse_message, replay
from reflectkit.reply import Transcript

R, A = "2 + 2 is 4.", "It is 4."

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": R, "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b=="},
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4a"},
        {"type": "text", "text": A},
    ],
}
ANTHROPIC_TOOLS = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "First,", "signature": "s1"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 2, "b": 2}},
        {"type": "thinking", "thinking": "then.", "signature": "s2"},
        {"type": "text", "text": "Done."},
    ],
}
MISTRAL = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2 + 2 "}], "closed": True},
        {"type": "text", "text": A},
    ],
}
LANGCHAIN = {
    "type": "ai",
    "content": [
        {"type": "reasoning", "reasoning": R, "id": "rs_1", "extras": {"signature": "x"}},
        {"type": "text", "text": A},
    ],
}
OPENROUTER = {
    "role": "assistant",
    "content": A,
    "reasoning": R,
    "reasoning_details": [
        {"type": "reasoning.text", "text": R, "signature": "sg", "index": 0, "format": "x-v1"},
        {"type": "reasoning.encrypted", "data": "gAAAAB", "id": "rs_2", "index": 1},
    ],
}

APART: dict[str, dict[str, Any]] = {
    "reasoning_content": {"role": "assistant", "content": A, "reasoning_content": R},
    "reasoning": {"role": "assistant", "content": A, "reasoning": R, "reasoning_content": None},
    "both names": {"role": "assistant", "content": A, "reasoning": R, "reasoning_content": R},
    "ollama": {"role": "assistant", "content": A, "thinking": R},
    "openrouter": OPENROUTER,
    "openrouter, details alone": {"content": A, "reasoning_details": [{"text": R}]},
    "openrouter, a summary": {"content": A, "reasoning_details": [{"summary": R}]},
    "anthropic": ANTHROPIC,
    "langchain blocks": LANGCHAIN,
    "langchain kwargs": {"type": "ai", "content": A, "additional_kwargs": {"reasoning_content": R}},
    "langchain summary": {
        "type": "ai",
        "content": A,
        "additional_kwargs": {
            "reasoning": {"type": "reasoning", "summary": [{"type": "summary_text", "text": R}]}
        },
    },
    "langchain old thinking": {"content": [{"type": "thinking", "thinking": R}, A]},
    "mistral, two parts": {
        "content": [
            {"type": "thinking", "thinking": [{"text": "2 + 2 "}, {"text": "is 4."}]},
            {"type": "text", "text": A},
        ]
    },
    "mistral, a string": {
        "content": [{"type": "thinking", "thinking": R}, {"text": A, "type": "text"}]
    },
    "responses item": {
        "content": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": R}]},
            {"type": "output_text", "text": A, "annotations": []},
        ]
    },
}


@pytest.mark.parametrize("message", APART.values(), ids=APART)
def test_every_shape_gives_thinking_and_answer(message: dict[str, Any]) -> None:
    transcript = parse_message(message)
    assert transcript.thinking == R
    assert transcript.output == A
    assert transcript.well_formed
    assert "".join(s.text for s in transcript.sections) == transcript.source
    for section in transcript.sections:
        assert transcript.source[section.start : section.end] == section.text


def test_plain_text_is_parsed_in_the_dialect() -> None:
    text = f"<thinking>{R}</thinking><output>{A}</output>"
    assert parse_message({"role": "assistant", "content": text}) == protocol.parse(text)
    blocks = {"content": [{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}]}
    assert parse_message(blocks) == protocol.parse(text)
    other = parse_message({"content": f"<think>{R}</think>{A}"}, dialect="think")
    assert (other.thinking, other.output, other.dialect) == (R, A, "think")
    inside = parse_message({"content": f"{R}</think>{A}"}, dialect="think", prefilled=True)
    assert (inside.thinking, inside.output) == (R, A)


def test_content_beside_reasoning_is_not_scanned() -> None:
    told = "Write <thinking>x</thinking> and <output>y</output>."
    transcript = parse_message({"content": told, "reasoning_content": "<output>no</output>"})
    assert transcript.output == told
    assert transcript.thinking == "<output>no</output>"
    assert transcript.well_formed


def test_marked_answers_beside_reasoning_are_read_on_demand() -> None:
    message = {"reasoning": R, "content": f"well <output>{A}</output>"}
    transcript = parse_message(message, scan=True)
    assert (transcript.thinking, transcript.output, transcript.outside) == (R, A, "well")
    assert [(i.kind, i.position) for i in transcript.issues] == [("text_outside", len(R))]
    nested = {"reasoning": R, "content": "<thinking>a<reflection>b</reflection></thinking>"}
    inner = parse_message(nested, scan=True)
    assert inner.reflections == ["b"]
    assert inner.sections[2].parent == 1
    assert inner.source[inner.sections[2].start :].startswith("<reflection>")


@pytest.mark.parametrize("nothing", [None, "", []])
@pytest.mark.parametrize(
    "name", ["reasoning_content", "reasoning", "thinking", "reasoning_details"]
)
def test_an_empty_field_is_no_reasoning(name: str, nothing: object) -> None:
    if name != "reasoning_details" and nothing == []:
        return
    text = f"<thinking>{R}</thinking><output>{A}</output>"
    transcript = parse_message({"content": text, name: nothing})
    assert (transcript.thinking, transcript.output) == (R, A)


def test_equal_texts_in_two_fields_are_told_once() -> None:
    spaced = {
        "content": A,
        "reasoning": "one\n\ntwo",
        "reasoning_details": [{"text": "one"}, {"text": "two"}],
    }
    assert parse_message(spaced).thinking == "one\n\ntwo"
    shorter = {"content": A, "reasoning_content": "one two", "reasoning": "one two three"}
    assert parse_message(shorter).thinking == "one two three"
    block = {**copy.deepcopy(LANGCHAIN), "additional_kwargs": {"reasoning_content": R}}
    assert parse_message(block).thinking == R


def test_different_texts_in_two_fields_are_both_kept() -> None:
    transcript = parse_message({"content": A, "reasoning_content": "one", "thinking": "two"})
    assert transcript.thinking == "one\n\ntwo"


def test_details_streamed_in_pieces_are_one_text() -> None:
    details = [
        {"type": "reasoning.text", "index": 0, "text": "2 + "},
        {"type": "reasoning.text", "index": 0, "text": "2"},
        {"type": "reasoning.text", "index": 1, "text": "is 4"},
    ]
    transcript = parse_message({"content": A, "reasoning_details": details})
    assert [s.text for s in transcript.of("thinking")] == ["2 + 2", "is 4"]


def test_the_order_of_blocks_is_the_order_of_sections() -> None:
    transcript = parse_message(ANTHROPIC_TOOLS)
    assert [(s.kind, s.text) for s in transcript.sections] == [
        ("thinking", "First,"),
        ("output", "Let me look."),
        ("thinking", "then."),
        ("output", "Done."),
    ]
    assert transcript.tool_calls == (ToolCall("t1", "add", '{"a": 2, "b": 2}'),)


def test_text_cut_into_blocks_is_one_answer() -> None:
    content = [
        {"type": "thinking", "thinking": R},
        {"type": "text", "text": "It "},
        {"type": "text", "text": "is 4."},
    ]
    assert parse_message({"content": content}).output == A


def test_redacted_reasoning_is_a_section_without_text() -> None:
    redacted = {
        "content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": A}]
    }
    transcript = parse_message(redacted)
    assert transcript.thinking == ""
    assert transcript.output == A
    encrypted = {"content": A, "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}
    assert parse_message(encrypted).thinking == ""


def test_reasoning_without_an_answer_is_an_issue_and_not_the_answer() -> None:
    transcript = parse_message({"content": None, "reasoning_content": R})
    assert transcript.output == ""
    assert [i.kind for i in transcript.issues] == ["missing_output"]
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    calling = parse_message({"content": "", "reasoning": R, "tool_calls": [call]})
    assert calling.well_formed


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"x": 1 }'}}]},
            ToolCall("c1", "f", '{"x": 1 }'),
        ),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": {"x": "ü"}}}]},
            ToolCall("", "f", '{"x": "ü"}'),
        ),
        (
            {"tool_calls": [{"id": "c1", "name": "f", "args": {"x": 1}, "type": "tool_call"}]},
            ToolCall("c1", "f", '{"x": 1}'),
        ),
        ({"function_call": {"name": "f", "arguments": "{}"}}, ToolCall("", "f", "{}")),
        (
            {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            ToolCall("t", "f", "{}"),
        ),
    ],
)
def test_tool_calls(message: dict[str, Any], call: ToolCall) -> None:
    assert parse_message({"content": "", **message}).tool_calls == (call,)


def test_a_call_in_blocks_and_in_its_field_is_one_call() -> None:
    message = {
        **copy.deepcopy(ANTHROPIC_TOOLS),
        "tool_calls": [{"id": "t1", "name": "add", "args": {"a": 2, "b": 2}}],
    }
    assert len(parse_message(message).tool_calls) == 1


def test_a_refusal_is_visible() -> None:
    assert parse_message({"content": None, "refusal": "I cannot."}).output == "I cannot."


class TestReplay:
    """What a provider sent goes back to it byte for byte, and nowhere else."""

    SIGNED = (ANTHROPIC, ANTHROPIC_TOOLS, MISTRAL, LANGCHAIN)

    @pytest.mark.parametrize("message", SIGNED, ids=["anthropic", "tools", "mistral", "langchain"])
    def test_blocks_go_back_byte_for_byte(self, message: dict[str, Any]) -> None:
        sent = json.dumps(message["content"])
        turn = as_message(parse_message(json.loads(json.dumps(message))), "them")
        wire = replay(turn, "them")
        assert json.dumps(wire["content"]) == sent
        assert wire["role"] == "assistant"

    def test_details_go_back_byte_for_byte(self) -> None:
        wire = replay(as_message(parse_message(OPENROUTER), "router"), "router")
        assert json.dumps(wire["reasoning_details"]) == json.dumps(OPENROUTER["reasoning_details"])
        assert wire["content"] == A

    def test_plain_thoughts_go_back_only_between_tool_calls(self) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        calling = {"role": "assistant", "content": "", "reasoning_content": R, "tool_calls": [call]}
        wire = replay(as_message(parse_message(calling), "deep"), "deep")
        assert wire == calling
        answer = parse_message({"content": A, "reasoning_content": R})
        assert replay(as_message(answer, "deep"), "deep") == {"role": "assistant", "content": A}

    @pytest.mark.parametrize("message", [*SIGNED, OPENROUTER])
    @pytest.mark.parametrize(("origin", "target"), [("them", "others"), ("", ""), ("them", "")])
    def test_another_provider_gets_the_answer_alone(
        self, message: dict[str, Any], origin: str, target: str
    ) -> None:
        wire = replay(as_message(parse_message(message), origin), target)
        text = json.dumps(wire)
        assert isinstance(wire["content"], str)
        assert "think" not in text
        assert "signature" not in text
        assert R not in text

    def test_another_provider_gets_the_tool_calls(self) -> None:
        wire = replay(as_message(parse_message(ANTHROPIC_TOOLS), "them"), "others")
        assert wire["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 2, "b": 2}'}
        assert "tool_calls" not in replay(
            as_message(parse_message(ANTHROPIC_TOOLS), "them"), "them"
        )

    def test_what_is_kept_cannot_be_changed_from_outside(self) -> None:
        message = copy.deepcopy(ANTHROPIC)
        turn = as_message(parse_message(message), "them")
        message["content"][0]["signature"] = "forged"  # type: ignore[index]  # wrong on purpose
        replay(turn, "them")["content"].clear()
        assert replay(turn, "them")["content"] == ANTHROPIC["content"]

    def test_a_message_without_payload(self) -> None:
        assert replay(Message("user", "hi"), "them") == {"role": "user", "content": "hi"}

    def test_the_payload_is_not_shown(self) -> None:
        assert "EqQB" not in repr(parse_message(ANTHROPIC))
        assert "EqQB" not in repr(as_message(parse_message(ANTHROPIC), "them"))


MALFORMED: dict[str, dict[str, Any]] = {
    "content is a number": {"content": 5},
    "content is an object": {"content": {"text": A}},
    "a block is a number": {"content": [5, {"type": "text", "text": A}]},
    "a block is null": {"content": [None]},
    "a block has no type": {"content": [{"text": A}]},
    "a text block has no text": {"content": [{"type": "text"}]},
    "a thinking block has no text": {
        "content": [{"type": "thinking"}, {"type": "text", "text": A}]
    },
    "reasoning is a number": {"content": A, "reasoning": 7},
    "reasoning is a list": {"content": A, "reasoning_content": [R]},
    "details are text": {"content": A, "reasoning_details": "x"},
    "a detail is text": {"content": A, "reasoning_details": ["x"]},
    "tool calls are an object": {"content": A, "tool_calls": {"id": 1}},
    "a tool call is text": {"content": A, "tool_calls": ["f"]},
    "a tool call has no name": {"content": A, "tool_calls": [{"id": "c", "function": {}}]},
    "arguments are no json": {"content": A, "tool_calls": [{"name": "f", "args": {1, 2}}]},
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_part_is_an_issue_and_the_rest_is_read(message: dict[str, Any]) -> None:
    transcript = parse_message(message)
    faults = [i for i in transcript.issues if i.kind == "malformed_part"]
    assert faults
    assert all(i.detail for i in faults)
    if message["content"] == A:
        assert transcript.output == A


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (None, "dict"),
        ("text", "dict"),
        ([], "dict"),
        ({"choices": [{"message": {"content": A}}]}, "choices"),
        ({"message": {"content": A}, "done": True}, "message"),
        ({"role": "user", "content": A}, "model wrote"),
        ({"role": ["assistant"], "content": A}, "model wrote"),
    ],
)
def test_what_is_no_assistant_message_is_a_clear_error(message: Any, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        parse_message(message)


def test_an_unknown_dialect_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="nope"):
        parse_message({"content": A, "reasoning": R}, dialect="nope")


def test_very_deep_and_circular_values_do_not_crash() -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    circle: dict[str, Any] = {"type": "tool_use", "name": "f"}
    circle["input"] = circle
    for content in (
        [{"type": "tool_use", "name": "f", "input": deep}],
        [circle],
        [{"type": "x", "y": deep}],
    ):
        transcript = parse_message({"content": content})
        assert transcript.payload


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = """
    type text thinking reasoning reasoning_content reasoning_details content summary data signature
    input name id tool_calls function index additional_kwargs refusal function_call arguments args
"""
names = st.sampled_from(NAMES.split())
kinds = st.sampled_from(["text", "thinking", "redacted_thinking", "reasoning", "tool_use", "image"])
blocks = st.dictionaries(names, kinds | json_values | st.lists(json_values, max_size=3), max_size=5)
messages = st.dictionaries(
    names, json_values | st.lists(blocks, max_size=4) | blocks | st.text(), max_size=6
)


@given(messages)
def test_every_message_gives_a_transcript(message: dict[str, Any]) -> None:
    message.setdefault("content", None)
    before = json.dumps(message)
    transcript = parse_message(message)
    assert isinstance(transcript, Transcript)
    assert json.dumps(message) == before
    wire = replay(as_message(transcript, "p"), "p")
    beside = message.get("additional_kwargs")
    for name, value in (transcript.payload or {}).items():
        holders = [h for h in (message, beside) if isinstance(h, dict)]
        found = [json.dumps(holder.get(name, value)) for holder in holders]
        assert json.dumps(wire[name]) in found
