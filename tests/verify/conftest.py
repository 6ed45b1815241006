"""Drafts to be judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reflectkit.messages import Message, Request
from reflectkit.protocol import parse
from reflectkit.reply import Draft

Drafted = Callable[..., Draft]


def made(text: str, question: str = "q", *, tags: bool = True) -> Draft:
    whole = f"<thinking>so</thinking>\n<output>\n{text}\n</output>" if tags else text
    request = Request(messages=(Message("user", question),))
    return Draft(request=request, transcript=parse(whole))


@pytest.fixture(scope="session")
def draft() -> Drafted:
    """A draft whose output is the text, or whose source it is with ``tags=False``."""
    return made
