"""The vocabulary and the chat template."""

from __future__ import annotations

from pathlib import Path

from tokenizer import CONTROL, LETTERS, Tokenizer

OPEN, CLOSE = "<tool_call>", "</tool_call>"


def tokenizer() -> Tokenizer:
    """Bytes, chat tokens and the two marks of a call: a word is copied alike in any place."""
    return Tokenizer([*LETTERS, *CONTROL, OPEN, CLOSE], (OPEN, CLOSE))


def template() -> str:
    """The chat template, in Jinja."""
    return Path(__file__).with_name("template.jinja").read_text("utf-8")
