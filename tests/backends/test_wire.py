"""The wire, both ways, in the shapes that servers really send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asking import ASK
from reflectkit.backends._wire import ChunkReader, body, read_error, read_finish, read_usage
from reflectkit.messages import Chunk, Message, Request, ToolCall, Usage


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def read(*chunks: Any, **options: Any) -> tuple[str, str, Chunk]:
    reader = ChunkReader(**options)
    got = [c for chunk in chunks for c in reader.read(chunk)] + [reader.finish()]
    return "".join(c.text for c in got), "".join(c.reasoning for c in got), got[-1]


# --- out


def test_the_smallest_body_says_only_what_was_asked() -> None:
    assert body(ASK, model="m") == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_every_choice_reaches_the_wire() -> None:
    request = Request(
        messages=ASK.messages,
        model="other",
        max_tokens=5,
        temperature=0.0,
        top_p=0.9,
        seed=0,
        stop=("END",),
        prefix="<thinking>",
        extra={"top_k": 3},
    )
    got = body(request, model="m", stream=False, extra={"top_k": 1, "min_p": 0.1})
    assert got == {
        "model": "other",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "<thinking>"},
        ],
        "stream": False,
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 0,
        "stop": ["END"],
        "top_k": 3,
        "min_p": 0.1,
    }


def test_none_takes_a_field_out() -> None:
    request = Request(messages=ASK.messages, extra={"stream_options": None})
    assert "stream_options" not in body(request, model="m")


def test_messages_with_parts_tools_and_names() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:,"}}
    call = ToolCall("c1", "add", '{"a": 1}')
    messages = (
        Message("user", ({"type": "text", "text": "see"}, part), name="ann"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "2", tool_call_id="c1"),
    )
    assert body(Request(messages=messages), model="m")["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "see"}, part], "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 1}'},
                }
            ],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]


def test_a_payload_goes_back_only_where_it_came_from() -> None:
    message = Message("assistant", "x", payload={"reasoning_details": [1]}, provider="here")
    request = Request(messages=(message,))
    assert body(request, model="m", provider="here")["messages"][0]["reasoning_details"] == [1]
    assert "reasoning_details" not in body(request, model="m", provider="there")["messages"][0]
    nobody = Request(messages=(Message("assistant", "x", payload={"a": 1}),))
    assert "a" not in body(nobody, model="m")["messages"][0]


# --- in


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_under_every_name(name: str) -> None:
    text, reasoning, _ = read(delta(**{name: "why "}), delta(**{name: "so"}), delta(content="yes"))
    assert (text, reasoning) == ("yes", "why so")


def test_the_same_reasoning_in_two_fields_counts_once() -> None:
    doubled = delta(reasoning_content="a", reasoning="a", thinking="a")
    assert read(doubled)[1] == "a"
    assert read(delta(reasoning_content="a", reasoning="b"))[1] == "ab"


@pytest.mark.parametrize("content", [None, "", [], 5, {}])
def test_content_without_text(content: Any) -> None:
    assert read(delta(role="assistant", content=content))[0] == ""


def test_typed_parts_of_content() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "yes"},
        "!",
    ]
    assert read(delta(content=parts))[:2] == ("yes!", "hm")


def test_a_whole_message_reads_like_a_stream() -> None:
    message = {"role": "assistant", "content": "yes", "reasoning": "hm"}
    whole = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    text, reasoning, last = read(whole)
    assert (text, reasoning, last.finish, last.model) == ("yes", "hm", "stop", "m")


def test_usage_after_finish_is_on_the_last_chunk() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    end = {"choices": [{"delta": {}, "finish_reason": "length"}]}
    for chunks in ([end, {"choices": [], "usage": usage, "timings": {}}], [end | {"usage": usage}]):
        last = read(delta(content="x"), *chunks)[2]
        assert last.usage == Usage(prompt=9, completion=4, thinking=3, cached=2)
        assert last.finish == "length"


def test_no_reason_to_finish_is_visible() -> None:
    assert read(delta(content="x"))[2].finish is None


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": "3"}, Usage(prompt=3)),
        ({"completion_tokens": 2, "completion_tokens_details": None}, Usage(completion=2)),
        ({"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 0}},
         Usage(completion=2)),
        ({"completion_tokens": -2}, None),
        ({"completion_tokens": True}, None),
    ],
)  # fmt: skip
def test_usage_table(data: Any, want: Usage | None) -> None:
    assert read_usage(data) == want


@pytest.mark.parametrize(
    ("reason", "want"),
    [
        (None, None), ("", None), (3, None), ("stop", "stop"), ("LENGTH", "length"),
        ("eos", "stop"), ("function_call", "tool_calls"), ("abort", "cancelled"),
        ("content_filter", "content_filter"), ("something_new", "stop"),
    ],
)  # fmt: skip
def test_finish_table(reason: Any, want: Any) -> None:
    assert read_finish(reason) == want


def test_tool_calls_are_put_together() -> None:
    pieces = [
        [{"index": 0, "id": "a", "function": {"name": "add", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"x"'}}],
        [{"index": 1, "id": "b", "function": {"name": "sub", "arguments": "{}"}}],
        [{"index": 0, "function": {"arguments": ": 1}"}}],
    ]
    calls = read(*(delta(tool_calls=p) for p in pieces))[2].tool_calls
    assert calls == (ToolCall("a", "add", '{"x": 1}'), ToolCall("b", "sub", "{}"))


def test_tool_calls_of_sloppy_servers() -> None:
    all_zero = [{"index": 0, "id": i, "function": {"name": i, "arguments": {"n": 1}}} for i in "ab"]
    assert len(read(delta(tool_calls=all_zero))[2].tool_calls) == 2
    no_index = [{"id": "a", "function": {"name": "f", "arguments": "{"}}]
    more = [{"function": {"arguments": "}"}}]
    calls = read(delta(tool_calls=no_index), delta(tool_calls=more))[2].tool_calls
    assert calls == (ToolCall("a", "f", "{}"),)


def test_thoughts_go_back_only_between_tool_calls() -> None:
    call = [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]
    thought = delta(reasoning="hm")
    assert read(thought, delta(tool_calls=call))[2].payload == {"reasoning": "hm"}
    assert read(thought, delta(content="x"))[2].payload is None


def test_details_are_joined_for_replay_and_read_once() -> None:
    pieces: list[dict[str, Any]] = [
        {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "b", "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "zz"}]},
    ]
    _, reasoning, last = read(*(delta(**p) for p in pieces))
    assert reasoning == "ab"
    assert last.payload == {
        "reasoning_details": [
            {"type": "reasoning.text", "text": "ab", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "zz"},
        ]
    }


def test_only_the_first_choice_counts() -> None:
    both = {"choices": [{"index": 1, "delta": {"content": "no"}},
                        {"index": 0, "delta": {"content": "yes"}}]}  # fmt: skip
    other = {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}
    text, _, last = read(both, other)
    assert (text, last.finish) == ("yes", None)


def test_a_stop_string_that_the_server_left_in() -> None:
    chunks = [delta(content="one E"), delta(content="ND two"), delta(content=" three")]
    text, _, last = read(*chunks, stop=("END",))
    assert (text, last.finish) == ("one ", "stop")


def test_held_text_is_not_lost_and_keeps_its_place() -> None:
    got = ChunkReader(stop=("END",))
    first = got.read(delta(content="x E"))
    later = got.read(delta(reasoning="hm"))
    assert [c.text or c.reasoning for c in first + later] == ["x ", "E", "hm"]
    assert read(delta(content="x EN"), stop=("END",))[0] == "x EN"


def test_a_repeated_prefix_is_taken_out() -> None:
    chunks = [delta(reasoning="r"), delta(content="<thi"), delta(content="nking>\nso")]
    assert read(*chunks, prefix="<thinking>\n")[0] == "so"
    assert read(delta(content="no repeat"), prefix="<thinking>")[0] == "no repeat"
    assert read(delta(content="<thin"), prefix="<thinking>", stop=("in",))[0] == "<th"


@pytest.mark.parametrize(
    ("data", "message", "code"),
    [
        ({"error": {"message": "bad", "code": 400}}, "bad", 400),
        ({"error": {"message": "bad", "code": "invalid_api_key"}}, "bad", None),
        ({"error": "bad", "status": 503}, "bad", 503),
        ({"object": "error", "message": "bad", "code": 404}, "bad", 404),
        ({"detail": "Not Found"}, "Not Found", None),
        ({"detail": [{"loc": ["body", "x"]}]}, '[{"loc": ["body", "x"]}]', None),
        ({"error": {"odd": 1}}, '{"odd": 1}', None),
    ],
)
def test_errors_in_all_shapes(data: Any, message: str, code: int | None) -> None:
    fault = read_error(data)
    assert fault is not None
    assert (fault.message, fault.code) == (message, code)


@pytest.mark.parametrize("data", [None, [], "x", {}, {"error": None}, delta(content="x")])
def test_no_error(data: Any) -> None:
    assert read_error(data) is None


NAMES = (
    *("choices", "delta", "message", "content", "reasoning", "tool_calls", "function", "index"),
    *("id", "usage", "finish_reason", "error", "type", "thinking", "text", "reasoning_details"),
    *("arguments", "name", "prompt_tokens", "model"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_json_makes_it_raise(chunks: list[Any]) -> None:
    reader = ChunkReader(stop=("a",), prefix="b")
    for chunk in chunks:
        read_error(chunk)
        for got in reader.read(chunk):
            assert isinstance(got.text, str)
    assert isinstance(reader.finish(), Chunk)


@given(JSON)
def test_near_json_does_not_make_it_raise(part: Any) -> None:
    reader = ChunkReader()
    for name in ("content", "reasoning", "tool_calls", "reasoning_details", "thinking"):
        reader.read(delta(**{name: part}))
        reader.read(delta(tool_calls=[{"index": part, "id": part, "function": part}]))
        reader.read(delta(reasoning_details=[{"type": part, "text": part, "index": part}] * 2))
    reader.read({"choices": part, "usage": part, "model": part})
    json.dumps(reader.finish().payload)
