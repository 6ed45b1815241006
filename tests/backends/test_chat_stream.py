"""A whole answer from bytes: complete, broken, or not an answer at all; in every chunking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.backends._chat import ChatStream
from reflectkit.errors import BackendError, BackendTimeout, BackendWireError
from reflectkit.messages import Usage
from reflectkit.testing import Served, chat, chunkings, page

Outcome = tuple[str, str, Any, str]


def raw(served: Served) -> bytes:
    return b"".join(s for s in served.steps if isinstance(s, bytes))


def run(pieces: list[bytes], **options: Any) -> tuple[str, str, Any, BackendError | None]:
    """Text, reasoning, the last chunk, and the error."""
    stream = ChatStream(**options)
    text, reasoning, last = "", "", None
    try:
        for piece in pieces:
            if stream.over:
                break
            for chunk in stream.feed(piece):
                text, reasoning, last = text + chunk.text, reasoning + chunk.reasoning, chunk
        for chunk in stream.finish():
            text, reasoning, last = text + chunk.text, reasoning + chunk.reasoning, chunk
    except BackendError as error:
        return text, reasoning, last, error
    return text, reasoning, last, None


SHAPES = {
    "llama.cpp and vLLM": chat("é漢", " 🙂", reasoning=["hm"], usage="chunk"),
    "transformers serve": chat("é漢", " 🙂", reasoning=["hm"], usage="finish", done=False),
    "reasoning, renamed": chat("é漢", " 🙂", reasoning=["hm"], field="reasoning"),
    "no reason, but [DONE]": chat("é漢", " 🙂", reasoning=["hm"], finish=None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_servers_disagree_and_the_answer_does_not(shape: str) -> None:
    for pieces in chunkings(raw(SHAPES[shape]), random_cuts=20):
        text, reasoning, last, error = run(pieces)
        assert (text, reasoning, error) == ("é漢 🙂", "hm", None)
        assert last.finish == "stop"
        assert last.usage == Usage(prompt=7, completion=3)


def test_a_whole_json_answer() -> None:
    message = {"role": "assistant", "content": "yes"}
    body = json.dumps({"choices": [{"message": message}]}, indent=1).encode()
    for pieces in chunkings(b" \n" + body, sizes=1):
        text, _, last, error = run(pieces)
        assert (text, last.finish, error) == ("yes", "stop", None)


def test_a_stop_string_left_in_the_text_ends_the_reading() -> None:
    events = [s for s in chat(*"abcdefghij", done=True).steps if isinstance(s, bytes)]
    stream = ChatStream(stop=("c",))
    read = 0
    while not stream.over:
        for _ in stream.feed(events[read]):
            pass
        read += 1
    assert read < len(events) - 3, "it read on to the end"
    assert [c.finish for c in stream.finish()] == ["stop"]


def test_usage_that_follows_a_stop_string_is_taken() -> None:
    served = chat("one", "END two", usage="finish", done=False)
    text, _, last, _ = run([raw(served)], stop=("END",))
    assert (text, last.finish, last.usage) == ("one", "stop", Usage(prompt=7, completion=2))


BAD = b'data: {"choices": [{"de\n\n'
FAULTS: dict[str, tuple[bytes, str]] = {
    "a chunk that is no JSON": (raw(chat("so", finish=None, done=False)) + BAD, "no JSON"),
    "a chunk that is a number": (
        raw(chat("so", finish=None, done=False)) + b"data: 5\n\n",
        "no JSON object",
    ),
    "an error in mid-stream": (
        raw(chat("so", finish=None, done=False))
        + b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
        "out of memory",
    ),
    "an old llama.cpp error": (
        raw(chat("so", finish=None, done=False)) + b'error: {"message": "x", "code": 500}\n\n',
        "fault in its answer: x",
    ),
    "an early end": (raw(chat("so", finish=None, done=False)), "ended before"),
    "an end inside an event": (raw(chat("so", finish=None, done=False)) + BAD[:12], "no JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_text_before_a_fault_is_delivered_first(fault: str) -> None:
    body, words = FAULTS[fault]
    for pieces in chunkings(body, random_cuts=20):
        text, _, _, error = run(pieces, stop=("o!",))
        assert text == "so", "the held-back o was lost"
        assert isinstance(error, BackendWireError)
        assert words in str(error)


def test_a_status_in_a_stream_says_if_it_is_worth_a_retry() -> None:
    body = b'data: {"error": {"message": "x", "code": %d}}\n\n'
    for code, again in ((503, True), (400, False)):
        error = run([body % code])[3]
        assert error is not None
        assert (error.status, error.retryable) == (code, again)


@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream", ""])
def test_a_web_page(content_type: str) -> None:
    for pieces in chunkings(b"\n " + raw(page()), sizes=1):
        error = run(pieces, content_type=content_type)[3]
        assert isinstance(error, BackendWireError)
        assert "/v1" in error.hint


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"data: [DONE]\n\n", b"hello", b"{", b"[]", b"{}", b"data: {}\n\n"]
)
def test_what_is_no_answer(body: bytes) -> None:
    text, _, _, error = run([body])
    assert text == ""
    assert isinstance(error, BackendWireError)


def test_a_fault_after_the_end_takes_nothing_away() -> None:
    stream = ChatStream()
    for _ in stream.feed(raw(chat("so", usage="none", done=False))):
        pass
    for broken in (b"data: {\n\n", BackendTimeout("late")):
        assert list(stream.feed(broken)) == []
    assert [c.finish for c in stream.finish()] == ["stop"]


def test_usage_so_far_is_on_the_error() -> None:
    chunk = {"choices": [{"delta": {"content": "x"}}], "usage": {"completion_tokens": 1}}
    body = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    error = run([body])[3]
    assert error is not None
    assert error.usage == Usage(completion=1)


@given(st.binary(max_size=40), st.integers(0, 99))
def test_any_bytes_give_one_outcome(noise: bytes, seed: int) -> None:
    start = raw(chat("so", finish=None, done=False))
    outcomes = set()
    for pieces in chunkings(start + noise, seed=seed, sizes=1, random_cuts=4):
        text, reasoning, _, error = run(pieces)
        outcomes.add((text, reasoning, str(error)))
    assert len(outcomes) == 1
    assert outcomes.pop()[0].startswith("so")
