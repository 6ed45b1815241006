"""The protocol: parse what a model wrote into sections, live or whole, and write it back."""

from __future__ import annotations

from .dialect import Delimiters, Dialect
from .dialects import DIALECTS
from .fields import as_message, parse_message, replay
from .guard import neutralise, restore
from .parser import MAX_HELD, Parser, parse
from .prompts import CARD, HARNESS, PROMPTED, SUFFIX, Prompt
from .recover import recover
from .render import render

__all__ = [
    "CARD",
    "DIALECTS",
    "HARNESS",
    "MAX_HELD",
    "PROMPTED",
    "SUFFIX",
    "Delimiters",
    "Dialect",
    "Parser",
    "Prompt",
    "as_message",
    "neutralise",
    "parse",
    "parse_message",
    "recover",
    "render",
    "replay",
    "restore",
]
