"""What a set of weights is taught: its vocabulary, its chat format, and its samples."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import calling
import samples
from tokenizer import Tokenizer

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{ message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Subject:
    """`chat` and `drill` draw a sample from a mix; a drill fills a length."""

    tokenizer: Tokenizer
    template: str
    chat: Callable[[Tokenizer, random.Random, Any], samples.Sample]
    drill: Callable[[Tokenizer, random.Random, Any, int], samples.Sample]


def reflecting() -> Subject:
    """Thinking and reflection, in whole words: `base` and `reflect`."""
    return Subject(Tokenizer(), TEMPLATE, samples.chat, samples.drill)


def tools() -> Subject:
    """Calling tools, in bytes: `tools`."""
    return Subject(calling.tokenizer(), calling.template(), calling.chat, calling.drill)


SUBJECTS: dict[str, Callable[[], Subject]] = {"reflecting": reflecting, "tools": tools}
