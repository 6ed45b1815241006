"""LangChain's messages to reflectkit's and back: pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage, ToolMessage, AIMessage
    from reflectkit import Message

__all__ = ["PROVIDER", "History", "from_langchain", "to_langchain"]

#: ``response_metadata["model_provider"]`` of every message that is made here.
PROVIDER = "reflectkit"
#: What becomes of earlier turns' thinking: left out, written back, or told in a sentence.
History = Literal["drop", "keep", "summary"]


def from_langchain(
    messages: Sequence[BaseMessage], *, history: History = "drop"
) -> tuple[Message, ...]:
    """The turns as reflectkit's own. Raises ``ConfigurationError`` for what cannot be sent."""
    raise NotImplementedError


def to_langchain(messages: Sequence[Message]) -> list[BaseMessage]:
    """The turns as LangChain's own: for a LangChain model that is asked as a backend."""
    raise NotImplementedError
