"""What `nano-tools` is taught: to pick a tool, copy its arguments, and answer with its result."""

from __future__ import annotations

from .course import Mix, chat, drill
from .format import template, tokenizer

__all__ = ["Mix", "chat", "drill", "template", "tokenizer"]
