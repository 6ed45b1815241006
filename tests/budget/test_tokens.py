"""Counting without a vocabulary: bounds, odd texts, prompts, and what is passed over."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflectkit.budget import Counter, LearnedCounter, estimate_prompt
from reflectkit.budget.pieces import FEATURES, cut_marks, features
from reflectkit.errors import ConfigurationError
from reflectkit.messages import Message, Request, ToolCall

ANY = st.text(st.characters(codec=None), max_size=200)
REQUEST = Request(messages=(Message("system", "Be brief."), Message("user", "What is 6 * 7?")))


def amount(text: str, name: str) -> float:
    return features(text)[list(FEATURES).index(name)]


def test_it_is_a_counter() -> None:
    assert isinstance(LearnedCounter(), Counter)
    assert not LearnedCounter().exact


@settings(max_examples=300)
@given(ANY, st.booleans())
def test_no_text_makes_it_raise(text: str, special: bool) -> None:
    counter = LearnedCounter()
    size = len(text.encode("utf-8", "surrogatepass"))
    low, high = counter.count(text, special=special), counter.upper(text, special=special)
    assert bool(text) <= low <= high <= size
    counter.learn(text, low)


@pytest.mark.parametrize("unit", ["a", " ", "\n", "^", "7", "汉", "\ud800", "\0", "a ", "aB", "é"])
def test_huge_texts(unit: str) -> None:
    counter, text = LearnedCounter(), (unit * 1_000_000)[:1_000_000]
    began = time.perf_counter()
    assert 0 < counter.count(text) <= counter.upper(text)
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("one two", "words behind a blank", 1),
        ("one two", "words", 1),
        ("internationalisation", "letters from 11", 10),
        ("fooBarBaz", "humps", 2),
        ("HTTP", "capitals", 3),
        ("12345", "digits by threes", 2),
        ("12345", "digits", 5),
        ("a  ==>!", "more punctuation", 2),
        ("----", "repeated punctuation", 3),
        ("a\n\n\n    b", "more line breaks", 2),
        ("a\n\n\n    b", "blanks of indents", 3),
        ("中文と한국어", "Han", 2),
        ("龘", "rare Han", 1),
        ("中", "rare Han", 0),
        ("中文と한국어", "kana", 1),
        ("中文と한국어", "Hangul", 3),
        ("é", "Latin with marks", 1),
        ("мир", "other letters", 3),
        ("😀", "bytes of symbols", 4),
        ("😀", "bytes", 4),
        ("\0\x07", "control characters", 2),
        ("“", "wide punctuation", 1),
    ],
)
def test_features(text: str, name: str, expected: float) -> None:
    assert amount(text, name) == expected


def test_tags_are_marks_where_the_model_speaks() -> None:
    assert cut_marks("<thinking>a</thinking>")[1] == 2
    assert cut_marks("a < b and <div>") == ("a < b and <div>", 0)


def test_tags_that_are_tokens_are_learnt() -> None:
    counter = LearnedCounter()
    text = "<thinking>\nOne.\n</thinking>\n<output>\nTwo.\n</output>" * 20
    before = counter.count(text, special=True)
    for _ in range(30):
        counter.learn(text, before - 120)
    assert abs(counter.count(text, special=True) - (before - 120)) <= before * 0.02


def test_prompts_learn_what_the_template_adds() -> None:
    counter = LearnedCounter(len)  # its base counts the letters: the texts are known

    def real(request: Request) -> int:
        return 7 + sum(len(m.text) + 11 for m in request.messages)

    turns = [replace(REQUEST, messages=REQUEST.messages * (1 + n % 5)) for n in range(40)]
    for request in turns:
        counter.learn_prompt(request, real(request))
    for request in turns[:5]:
        assert abs(counter.prompt(request) - real(request)) <= 1
        assert real(request) <= counter.prompt_upper(request) <= real(request) * 1.2 + 20


def test_before_any_evidence_a_prompt_is_near_the_plain_estimate() -> None:
    prompt = LearnedCounter().prompt(REQUEST)
    assert estimate_prompt(REQUEST) / 2 < prompt < estimate_prompt(REQUEST) * 2
    assert LearnedCounter().prompt_upper(REQUEST) > prompt


def test_everything_in_a_prompt_counts() -> None:
    counter = LearnedCounter()
    plain = counter.prompt(REQUEST)
    call = Message("assistant", tool_calls=(ToolCall("1", "add", '{"a": 1, "b": 2}'),))
    image = Message("user", ({"type": "image_url"}, {"type": "text", "text": "What is it?"}))
    tools = {"tools": [{"type": "function", "function": {"name": "add"}}]}
    for request in (
        replace(REQUEST, prefix="The answer is"),
        replace(REQUEST, messages=(*REQUEST.messages, call)),
        replace(REQUEST, extra=tools),
    ):
        assert counter.prompt(request) > plain
    with_image = counter.prompt(replace(REQUEST, messages=(*REQUEST.messages, image)))
    assert with_image > plain + 500
    assert counter.prompt(Request(messages=())) >= 0


@pytest.mark.parametrize("tokens", [-1, 10**9])
def test_counts_that_cannot_be_are_passed_over(tokens: int) -> None:
    counter = LearnedCounter()
    counter.learn("A short text.", tokens)
    counter.learn("", 5)
    counter.learn_prompt(REQUEST, tokens if tokens > 0 else -100)
    assert counter.calls == 0


def test_a_state_goes_through_json() -> None:
    counter = LearnedCounter()
    texts = [f"{'The answer is' * n} {n}." for n in range(1, 12)]
    for text in texts:
        counter.learn(text, len(text) // 2)
    again = LearnedCounter(state=json.loads(json.dumps(counter.state())))
    assert [again.upper(t) for t in texts] == [counter.upper(t) for t in texts]
    assert again.calls == counter.calls == 11


def test_a_state_that_does_not_fit() -> None:
    state = LearnedCounter().state()
    with pytest.raises(ConfigurationError, match="does not fit"):
        LearnedCounter(len, state=state)
    broken: dict[str, Any]
    for broken in ({"weights": []}, {"weights": [float("nan")] * len(state["weights"])}, {}):
        with pytest.raises(ConfigurationError, match="does not fit"):
            LearnedCounter(state={**state, **broken} if broken else {"x": 1})
