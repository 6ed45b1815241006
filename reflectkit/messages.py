"""What goes to a backend and what comes back: values, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Chunk",
    "ContentPart",
    "FinishReason",
    "Message",
    "Request",
    "Role",
    "ToolCall",
    "Usage",
]

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled", "error"]

#: One part of a message that is not plain text, in the backend's own JSON shape; passed through.
ContentPart = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; ``arguments`` is the JSON text exactly as it came."""

    id: str
    name: str
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``content`` is text or a tuple of content parts.

    ``payload`` is what a provider sent beside the text (signatures, encrypted or redacted
    reasoning, their order). It goes back to the same ``provider`` byte for byte and nowhere else.
    """

    role: Role
    content: str | tuple[ContentPart, ...] = ""
    name: str = field(default="", kw_only=True)
    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)
    tool_call_id: str = field(default="", kw_only=True)
    payload: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    provider: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """The textual content: parts that are not text are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(p.get("text", "")) for p in self.content if p.get("type") == "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to a backend. ``None`` leaves a choice to the backend.

    ``prefix`` is assistant text that the answer must continue (a backend that cannot says so).
    ``stop`` strings end the answer and are not part of it. ``extra`` goes into the wire body as is.
    """

    messages: tuple[Message, ...]
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prefix: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens. ``completion`` covers everything generated: thinking, reflections and output.

    ``thinking`` (reflections and tags included) is ``None`` where nobody counted it.
    ``exact`` is False as soon as one addend is an estimate.
    """

    prompt: int = 0
    completion: int = 0
    thinking: int | None = None
    cached: int = 0
    exact: bool = True

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: Usage) -> Usage:
        known = self.thinking is not None or other.thinking is not None
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            thinking=(self.thinking or 0) + (other.thinking or 0) if known else None,
            cached=self.cached + other.cached,
            exact=self.exact and other.exact,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of an answer, in the order of arrival.

    ``text`` is ordinary content, still to be parsed. ``reasoning`` was already separated by the
    server and is never scanned again. ``usage`` replaces earlier figures of the same answer (it is
    a running total). ``payload`` carries provider blocks for replay.
    """

    text: str = ""
    reasoning: str = field(default="", kw_only=True)
    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)
    usage: Usage | None = field(default=None, kw_only=True)
    finish: FinishReason | None = field(default=None, kw_only=True)
    model: str = field(default="", kw_only=True)
    payload: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
