"""Drafts to be judged, made from text."""

from __future__ import annotations

from reflectkit.messages import Message, Request
from reflectkit.protocol import parse
from reflectkit.reply import Draft


def made(text: str, question: str = "q", *, tags: bool = True) -> Draft:
    whole = f"<thinking>so</thinking>\n<output>\n{text}\n</output>" if tags else text
    request = Request(messages=(Message("user", question),))
    return Draft(request=request, transcript=parse(whole))
