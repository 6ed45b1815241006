"""The protocol: parse what a model wrote into sections, live or whole, and write it back."""

from __future__ import annotations

from .dialect import Delimiters, Dialect
from .dialects import DIALECTS
from .parser import MAX_HELD, Parser, parse
from .render import render

__all__ = ["DIALECTS", "MAX_HELD", "Delimiters", "Dialect", "Parser", "parse", "render"]
