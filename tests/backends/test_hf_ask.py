"""A request is refused before anything is queued, or means what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asking import ASK
from reflectkit.backends._hf.ask import Sampling, ask, sampling
from reflectkit.errors import ConfigurationError, MissingCapability, ReflectKitError
from reflectkit.messages import Message, ReasoningBudget, Request, ToolCall
from reflectkit.models.profile import KEEP_TAGS

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"messages": ()}, ConfigurationError, "empty"),
        ({"messages": (Message("user", " \n"),)}, ConfigurationError, "empty"),
        ({"messages": (Message("user", "a \ud800"),)}, ConfigurationError, "surrogate"),
        ({"prefix": "\udc00"}, ConfigurationError, "surrogate"),
        ({"stop": ("\ud800",)}, ConfigurationError, "surrogate"),
        ({"messages": (Message("user", (IMAGE,)),)}, MissingCapability, "text alone"),
        ({"max_tokens": 0}, ConfigurationError, "max_tokens"),
        ({"temperature": -0.1}, ConfigurationError, "temperature"),
        ({"temperature": float("nan")}, ConfigurationError, "temperature"),
        ({"top_p": 1.5}, ConfigurationError, "top_p"),
        ({"reasoning": ReasoningBudget(effort="high")}, MissingCapability, "effort"),
        ({"reasoning": ReasoningBudget(enabled=False)}, MissingCapability, "enabled"),
        ({"reasoning": ReasoningBudget(tokens=9), "max_tokens": 9}, ConfigurationError, "leave"),
    ],
)
def test_what_cannot_work(
    changes: dict[str, Any], error: type[ReflectKitError], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask(replace(ASK, **changes))


@pytest.mark.parametrize(
    ("extra", "error", "words"),
    [
        ({"top_k": -1}, ConfigurationError, "top_k in extra is -1; it has to be a whole number"),
        ({"top_k": True}, ConfigurationError, "top_k"),
        ({"top_k": 2.5}, ConfigurationError, "top_k"),
        ({"min_p": 2}, ConfigurationError, "min_p"),
        ({"repetition_penalty": 0}, ConfigurationError, "repetition_penalty"),
        ({"thinking_cap": "5"}, ConfigurationError, "thinking_cap"),
        ({"thinking_cap": 5, "thinking_min": 6}, ConfigurationError, "at least 6 and at most 5"),
        ({"stop_token_ids": [1, -2]}, ConfigurationError, "stop_token_ids"),
        ({"stop_token_ids": "12"}, ConfigurationError, "stop_token_ids"),
        ({"ignore_eos": 1}, ConfigurationError, "ignore_eos"),
        ({"chat_template_kwargs": []}, ConfigurationError, "chat_template_kwargs"),
        ({"skip_special_tokens": True}, ConfigurationError, "never stripped"),
        ({"tools": []}, MissingCapability, "no tools"),
        ({"response_format": {"type": "json_object"}}, MissingCapability, "response_format"),
        ({"grammar": "root ::= ."}, MissingCapability, "grammar"),
        ({"tempreature": 1}, ConfigurationError, "no field 'tempreature'.*It knows: top_k"),
    ],
)
def test_fields_that_cannot_work(
    extra: dict[str, Any], error: type[ReflectKitError], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask(replace(ASK, extra=extra))


def test_a_field_of_none_is_no_field() -> None:
    """As for servers: it takes the field out."""
    assert ask(replace(ASK, extra={"tools": None, "top_k": None})) == ask(ASK)


def test_what_profiles_send_is_understood() -> None:
    assert ask(replace(ASK, extra=KEEP_TAGS)) == ask(ASK)
    thinks = ask(replace(ASK, extra={"chat_template_kwargs": {"thinking": True}}))
    assert thinks.template == {"thinking": True}


def test_every_field_arrives() -> None:
    extra = {
        "top_k": 5,
        "min_p": 0.1,
        "repeat_penalty": 1.2,
        "thinking_cap": 9,
        "thinking_min": 3,
        "ignore_eos": True,
        "stop_token_ids": [7, 8],
    }
    asked = ask(
        replace(ASK, prefix="<", stop=("x",), seed=4, temperature=0.5, top_p=0.9, extra=extra)
    )
    assert asked.knobs == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
    }
    assert (asked.cap, asked.least, asked.seed, asked.ignore_eos) == (9, 3, 4, True)
    assert (asked.stop_ids, asked.stop, asked.prefix) == (frozenset({7, 8}), ("x",), "<")


def test_whose_cap_it_is() -> None:
    """The request's own, in either way of saying it, else the backend's."""
    assert ask(ASK).cap is None
    assert ask(ASK, cap=5).cap == 5
    assert ask(replace(ASK, extra={"thinking_cap": 7}), cap=5).cap == 7
    assert ask(replace(ASK, reasoning=ReasoningBudget(tokens=8)), cap=5).cap == 8
    both = replace(ASK, reasoning=ReasoningBudget(tokens=8), extra={"thinking_cap": 7})
    with pytest.raises(ConfigurationError, match="Leave one of them out"):
        ask(both)


def test_messages_as_templates_read_them() -> None:
    call = ToolCall("c1", "add", '{"a": 2}')
    asked = ask(
        Request(
            messages=(
                Message("user", ({"type": "text", "text": "2 + "}, {"type": "text", "text": "2"})),
                Message("assistant", tool_calls=(call,)),
                Message("tool", "4", tool_call_id="c1", name="add"),
            )
        )
    )
    assert asked.messages[0] == {"role": "user", "content": "2 + 2"}
    assert asked.messages[1]["tool_calls"][0]["function"] == {
        "name": "add",
        "arguments": '{"a": 2}',
    }
    assert asked.messages[2] == {
        "role": "tool",
        "content": "4",
        "name": "add",
        "tool_call_id": "c1",
    }


def test_a_temperature_means_what_it_says() -> None:
    """The model's own knobs hold only where the request leaves the temperature to it."""
    own = Sampling(temperature=0.6, top_p=0.9, top_k=20)
    assert sampling({}, own) == own
    assert sampling({"top_k": 5}, own) == replace(own, top_k=5)
    assert sampling({"temperature": 1.0}, own) == Sampling(temperature=1.0)
    assert sampling({"temperature": 0.0, "top_p": 0.5}, own).temperature == 0
