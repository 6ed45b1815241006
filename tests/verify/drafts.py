"""Drafts to judge, made the way the engine makes them: by parsing what a model wrote."""

from __future__ import annotations

from reflectkit.messages import Message, Request
from reflectkit.protocol import parse
from reflectkit.reply import Draft


def draft_of(text: str, question: str = "What is asked?") -> Draft:
    """``text`` is the whole response, tags included."""
    return Draft(request=Request(messages=(Message("user", question),)), transcript=parse(text))
