"""JSON in answers: found, mended where that is safe, validated, and its errors located."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from json_shapes import FIELDS, SAFE, SHAPES, UNSAFE, Invoice, Pets, pretty
from reflectkit.errors import ConfigurationError
from reflectkit.reply import Draft
from reflectkit.testing import chunkings
from reflectkit.verify import Partial, PartialJSON, Schema
from verify_drafts import made

Drafted = Callable[..., Draft]

JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip
CONTAINERS = JSON.filter(lambda v: isinstance(v, (dict, list)))


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) >= 100
    assert len(SAFE) + len(UNSAFE) == 12
    assert len(FIELDS) == 40


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_every_shape_survives_every_damage(number: int, draft: Drafted) -> None:
    type_, value = SHAPES[number]
    schema, right = Schema(type_), TypeAdapter(type_).validate_json(json.dumps(value))
    for kind, damage in SAFE.items():
        verdict = schema(draft(damage(value)))
        assert verdict.ok is True, (kind, verdict.feedback)
        assert verdict.value == right, kind
    for kind, damage in UNSAFE.items():
        judged = draft(damage(value))
        verdict = schema(judged)
        if kind == "another type" and verdict.ok:
            continue  # Any takes everything
        assert verdict.ok is False, kind
        assert verdict.value is None
        assert re.search(r"line \d+, column \d+", verdict.feedback), kind
        assert verdict.start is not None
        assert verdict.end is not None
        assert 0 <= verdict.start < verdict.end <= len(judged.transcript.source)


def test_errors_say_where_and_what(draft: Drafted) -> None:
    answer = pretty(
        {
            "number": 5,
            "date": "tomorrow",
            "lines": [
                {"name": "pen", "quantity": 0, "price": "1"},
                {"quantity": 1, "price": "cheap"},
            ],
        }
    )
    judged = draft(f"Here you are:\n{answer}")
    verdict = Schema(Invoice)(judged)
    lines = verdict.feedback.splitlines()
    assert lines[0] == "The JSON does not fit Invoice:"
    assert lines[1] == "- $.number (line 3, column 13): input should be a valid string; found 5"
    assert lines[2].startswith("- $.date (line 4, column 11): input should be a valid date")
    assert lines[3] == (
        "- $.lines[0].quantity (line 8, column 19): input should be greater than 0; found 0"
    )
    assert lines[4] == "- $.lines[1] (line 11, column 5): the key 'name' is missing"
    assert lines[5].startswith("- $.lines[1].price (line 13, column 16): ")
    assert judged.transcript.source[verdict.start : verdict.end] == "5"


def test_a_union_is_one_error(draft: Drafted) -> None:
    class Either(BaseModel):
        value: int | bool | None

    feedback = Schema(Either)(draft('{"value": "x"}')).feedback
    assert feedback.count("\n- ") == 1
    assert "; or " in feedback


def test_a_wrong_discriminator_is_located(draft: Drafted) -> None:
    feedback = Schema(Pets)(draft('[{"kind": "cow"}]')).feedback
    assert "- $[0] (line 1, column 2):" in feedback
    assert "'cat', 'dog'" in feedback


def test_at_most_ten_errors_are_told(draft: Drafted) -> None:
    feedback = Schema(list[int])(draft(json.dumps(["x"] * 30))).feedback
    assert len(feedback.splitlines()) == 12
    assert feedback.endswith("- and 20 more")


def test_what_was_mended_is_said(draft: Drafted) -> None:
    verdict = Schema(dict[str, Any])(draft("{'a': True, b: [1, 2,], /* c */ 'd': NaN}"))
    assert verdict.ok is True
    assert verdict.feedback.startswith("The JSON was mended: a comma too many, a comment, a key")


def test_what_was_cut_off_is_not_completed(draft: Drafted) -> None:
    verdict = Schema(dict[str, int])(draft('{"a": 1, "b": 2'))
    assert verdict.ok is False
    assert verdict.value is None
    assert "It is cut off." in verdict.feedback


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('For example {"a": 1}. The answer: {"a": 2}', {"a": 2}),
        ('```json\n{"a": 1}\n```\nnot {"a": 2}', {"a": 1}),
        ('{"b": 1} {"a": 1} {"c": 1}', {"a": 1}),
        ('~~~\n{"a": 1}\n~~~', {"a": 1}),
        ('```\n{"a": 1}', {"a": 1}),
    ],
)
def test_which_value_counts(answer: str, value: Any, draft: Drafted) -> None:
    class A(BaseModel):
        a: int

    verdict = Schema(A)(draft(answer))
    assert verdict.value == A(**value)


def test_no_part_of_what_broke_is_taken_for_the_whole(draft: Drafted) -> None:
    for answer in (
        '{"a": 1,, "b": {"x": 1}}',
        '[{"k": 1 2}, {"x": 1}]',
        '{"s": "}" "{", "t": {"x": 1}}',
    ):
        verdict = Schema(dict[str, int])(draft(answer))
        assert verdict.ok is False, answer
        reader = PartialJSON()
        for character in answer:
            reader.feed(character)
        assert reader.value is None
    assert Schema(dict[str, int])(draft('{"a": ,} sorry: {"x": 1}')).value == {"x": 1}


def test_single_values_and_none(draft: Drafted) -> None:
    assert Schema(int)(draft("42")).value == 42
    assert Schema(str)(draft("plain words")).value == "plain words"
    assert Schema(bool)(draft("true")).value is True
    nothing = Schema(Invoice)(draft("I would rather not."))
    assert nothing.ok is False
    assert nothing.feedback.startswith("There is no JSON in the output.")
    assert Schema(Invoice)(draft("")).ok is False


def test_the_thinking_may_hold_it(draft: Drafted) -> None:
    judged = draft('<thinking>{"a": 1}</thinking><output>no</output>', tags=False)
    assert Schema(dict[str, int], section="thinking")(judged).value == {"a": 1}


def test_types_of_a_function_are_known(draft: Drafted) -> None:
    class Inner(BaseModel):
        a: int

    class Outer(BaseModel):
        inner: list[Inner]

    assert Schema(Outer)(draft('{"inner": [{"a": 1}]}')).value.inner[0] == Inner(a=1)


def test_types_that_are_nowhere_are_refused() -> None:
    class Lost(BaseModel):
        a: Nowhere  # type: ignore[name-defined]  # noqa: F821  # wrong on purpose

    with pytest.raises(ConfigurationError, match="cannot be validated"):
        Schema(Lost)


def test_a_validator_that_crashes_is_a_failure(draft: Drafted) -> None:
    class Crashes(BaseModel):
        a: int

        def model_post_init(self, context: Any) -> None:
            raise RuntimeError("boom")

    verdict = Schema(Crashes)(draft('{"a": 1}'))
    assert verdict.ok is False
    assert "RuntimeError: boom" in verdict.feedback


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"$ref": "#/$defs/names"}},
    "required": ["a"],
    "$defs": {"names": {"type": "array", "items": {"type": "string"}}},
}


def test_json_schemas(draft: Drafted) -> None:
    schema = Schema(SCHEMA)
    assert schema(draft('{"a": 1, "b": ["x"]}')).value == {"a": 1, "b": ["x"]}
    feedback = schema(draft('{"a": 0, "b": ["x", 2]}')).feedback
    assert "- $.a (line 1, column 7): 0 is less than the minimum of 1" in feedback
    assert "- $.b[1] (line 1, column 21): 2 is not of type 'string'" in feedback


def test_json_schemas_follow_no_reference_elsewhere(draft: Drafted) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        verdict = Schema({"$ref": address})(draft("{}"))
        with pytest.raises(BlockingIOError):  # nobody is at the door
            server.accept()
    assert verdict.ok is False
    assert "the check failed" in verdict.feedback


@pytest.mark.parametrize("type_", [{"type": "nonsense"}, 5, object()])
def test_what_is_no_type(type_: Any) -> None:
    with pytest.raises(ConfigurationError):
        Schema(type_)


@given(JSON)
def test_json_is_read_as_json_is(value: Any) -> None:
    reader = PartialJSON()
    text = json.dumps([value])
    reader.feed(text)
    assert reader.complete
    assert reader.repairs == ()
    assert repr(reader.value) == repr(json.loads(text))


MESSY = st.text(alphabet="{}[]\"'\\:,/*#\n 019.-eEtrufalsnNoT{[u", max_size=80)


@given(CONTAINERS.map(json.dumps) | MESSY, st.data())
def test_any_chunking_is_one_shot(text: str, data: st.DataObject) -> None:
    whole, pieces = PartialJSON(), PartialJSON()
    whole.feed(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces.feed(text[start:end])
    assert repr(pieces.value) == repr(whole.value)
    assert pieces.complete is whole.complete
    assert pieces.repairs == whole.repairs


def test_every_chunking_of_one_text() -> None:
    text = (
        'so {x}: ```json\n{"a": ["\\u00e9\\ud83d\\ude00", 1.5, true, {"b": null}], '
        "c: 'd',}\n``` end"
    )
    value = {"a": ["é😀", 1.5, True, {"b": None}], "c": "d"}
    count = 0
    for pieces in chunkings(text):
        reader = PartialJSON()
        for piece in pieces:
            reader.feed(piece)
        assert reader.value == value
        count += 1
    assert count > 10


@given(MESSY)
def test_no_text_breaks_the_verifier(text: str) -> None:
    verdict = Schema(dict[str, int])(made(text))
    assert verdict.ok in (True, False)


def test_a_partial_object_only_grows() -> None:
    reader = PartialJSON()
    seen = [json.dumps(reader.feed(c)) for c in '{"a": "xyz", "b": [12, 34], "c": true}']
    assert seen[0] == "{}"
    assert '{"a": "xy"}' in seen
    assert '{"a": "xyz", "b": [12]}' in seen
    assert not any("[1]" in s or "3]" in s for s in seen)  # half a number is no number
    assert seen[-1] == '{"a": "xyz", "b": [12, 34], "c": true}'


class Slide(BaseModel):
    title: str
    points: list[str] = Field(default_factory=list)
    seconds: int


class Talk(BaseModel):
    name: str
    slides: list[Slide]
    hidden: Slide | None = None


def test_typed_objects_fill_up() -> None:
    value = {
        "name": "On reflection " * 4,
        "slides": [
            {"title": f"Slide {i}", "points": ["first point", "second point"], "seconds": i}
            for i in range(6)
        ],
    }
    talk: Partial[Talk] = Partial(Talk)
    seen = [made for c in f"```json\n{json.dumps(value)}\n```" if (made := talk.feed(c))]
    assert all(isinstance(t, Talk) for t in seen)
    assert len(seen) > 5
    first, middle = seen[0], seen[len(seen) // 2]
    assert vars(first)["slides"] is None  # a field that is not there yet
    assert all(isinstance(s, Slide) for s in middle.slides)
    assert middle.slides[0].seconds == 0
    assert seen[-1] == Talk.model_validate(value) == talk.object
    assert talk.json.complete


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_every_shape_streams(number: int) -> None:
    type_, value = SHAPES[number]
    partial: Partial[Any] = Partial(type_)
    for character in pretty(value):
        partial.feed(character)
    assert partial.object == TypeAdapter(type_).validate_json(json.dumps(value))


@pytest.mark.parametrize(
    "piece",
    ["{", "[", '{"a":', '{"a": 1, ', "{a, b} ", '"', "\\", "/*", "1", "'", "```\n", "[1,", "a"],
)
def test_the_cost_is_linear(piece: str, draft: Drafted) -> None:
    schema = Schema(dict[str, int])

    def cost(size: int) -> float:
        text = (piece * size)[:size]
        judged = draft(text)
        begun = time.process_time()
        schema(judged)
        reader = PartialJSON()
        for i in range(0, size, 4):
            reader.feed(text[i : i + 4])
        return time.process_time() - begun

    cost(100)
    small, large = min(cost(2000), cost(2000)), min(cost(16_000), cost(16_000))
    assert large < max(small, 0.004) * 8 * 2.5


def test_a_long_string_in_small_pieces_is_linear() -> None:
    def cost(size: int) -> float:
        reader, begun = PartialJSON(), time.process_time()
        reader.feed('{"a": "')
        for _ in range(size):
            reader.feed("word ")
            assert reader.value is not None
        return time.process_time() - begun

    small, large = min(cost(4000), cost(4000)), min(cost(64_000), cost(64_000))
    assert large < small * 16 * 3


def test_typed_objects_of_a_long_list_are_few() -> None:
    """Each is validated anew, so their number may only grow with the logarithm of the text."""

    def made(size: int) -> int:
        partial: Partial[list[Slide]] = Partial(list[Slide])
        text = json.dumps([{"title": "a", "seconds": i} for i in range(size)])
        return sum(partial.feed(text[i : i + 8]) is not None for i in range(0, len(text), 8))

    small, large = made(100), made(1600)
    assert small > 20
    assert large - small < 40


@pytest.mark.parametrize("limit", [1_000, 20_000])
def test_deep_nesting_is_a_fault(draft: Drafted, limit: int) -> None:
    """Whatever the interpreter's own limit is: other libraries change it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, before))
    try:
        verdict = Schema(list[Any])(draft("[" * 5000 + "]" * 5000))
    finally:
        sys.setrecursionlimit(before)
    assert verdict.ok is False
    assert "128 levels" in verdict.feedback
