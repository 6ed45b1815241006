"""Server-sent events: every cut of the bytes gives the same events."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.backends._sse import SSE, EventTooLarge
from reflectkit.testing import chunkings


def events(pieces: list[bytes]) -> list[str]:
    sse = SSE()
    found = [e for piece in pieces for e in sse.feed(piece)]
    return found + sse.finish()


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\n\r\ndata: b\r\n\n", ["a", "b"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
        (b": ping\n\nevent: x\nid: 3\nretry: 1\ndata: a\n\n", ["a"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data\n\n", [""]),
        (b"data: open end", ["open end"]),
        (b'error: {"code":500}\n\n', ['{"code":500}']),
        ("data: é漢🙂\u2028x\n\n".encode(), ["é漢🙂\u2028x"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"data: a\n\n\ndata: b\n\n\n\n", ["a", "b"]),
        (b"data: a\n\nid: 3\ndata: b\n\ndata: \n\n", ["a", "b", ""]),
        (b"", []),
        (b"\n\n\r\n", []),
    ],
)
def test_table_in_every_chunking(raw: bytes, want: list[str]) -> None:
    for pieces in chunkings(raw):
        assert events(pieces) == want, pieces


@given(st.binary(max_size=60), st.integers(0, 9))
def test_any_bytes_do_not_depend_on_chunks(raw: bytes, seed: int) -> None:
    whole = events([raw])
    assert all(events(p) == whole for p in chunkings(raw, seed=seed))


LINES = [b"data: a", b"data:b", b"data", b"id: 3", b": ping", b""]
ENDS = [b"\n", b"\n\n", b"\r\n", b"\n\n\n"]


@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)), min_size=2, max_size=5))
def test_whole_lines_are_read_as_one_piece_is(lines: list[tuple[bytes, bytes]]) -> None:
    """Servers send whole events, which are read at once; the first piece goes line by line."""
    pieces = [line + end for line, end in lines]
    first = b"data: x\n\n"
    want = events([first + b"".join(pieces)])
    assert events([first, *pieces]) == want
    assert events([first, b"".join(pieces)]) == want


@given(st.lists(st.text(max_size=20), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_json_comes_back_whole(texts: list[str], newline: str) -> None:
    raw = "".join(f"data: {json.dumps(t)}{newline}{newline}" for t in texts).encode()
    for pieces in chunkings(raw, sizes=1, random_cuts=3):
        assert [json.loads(e) for e in events(pieces)] == texts


def test_a_line_or_an_event_without_end_is_refused() -> None:
    with pytest.raises(EventTooLarge, match="100 bytes"):
        SSE(largest=100).feed(b"data: " + b"x" * 200)
    sse = SSE(largest=100)
    for _ in range(10):
        sse.feed(b"data: xxx\n")
    with pytest.raises(EventTooLarge):
        sse.feed(b"data: xxxxxx\n")


def test_comments_may_go_on_for_ever() -> None:
    sse = SSE(largest=100)
    for _ in range(100):
        assert sse.feed(b": keep alive\n") == []
    assert sse.feed(b"data: a\n\n") == ["a"]
