"""What goes to a backend and what comes back: values, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .errors import ConfigurationError

__all__ = [
    "Chunk",
    "ContentPart",
    "Effort",
    "FinishReason",
    "Message",
    "ReasoningBudget",
    "Request",
    "Role",
    "ToolCall",
    "Usage",
    "Wrap",
]

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled", "error"]
#: how hard a model is to think, from not at all to as hard as it can
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

#: How an answer was come by whose thinking did not end by itself. It was gone on with beyond its
#: own end; or it was cut, and then closed and gone on from, asked for the answer with a turn of its
#: own, or the last result that it stated is the answer; or there is none. "": it was left alone.
Wrap = Literal["", "extended", "closed", "asked", "salvaged", "unanswered"]

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
class ReasoningBudget:
    """How much a model may think, in the words that servers have for it. ``None`` says nothing.

    ``tokens``: the most tokens of thinking. ``effort``: how hard. ``enabled``: whether at all.
    Each backend puts them into its server's fields, or refuses what the server has no field for:
    servers that ignore a field in silence are why this is no hint.

    Raises ``ConfigurationError`` for values that contradict themselves.
    """

    tokens: int | None = None
    effort: Effort | None = None
    enabled: bool | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.tokens, int) and not isinstance(self.tokens, bool)
        off = self.enabled is False or self.effort == "none"
        faults = {
            "tokens must be a whole number from 0 up": self.tokens is not None
            and not (whole and self.tokens >= 0),
            f"effort must be one of {', '.join(get_args(Effort))}": self.effort is not None
            and self.effort not in get_args(Effort),
            "thinking is off, and still has tokens": off and bool(self.tokens),
            "thinking is off, and still has an effort": self.enabled is False
            and self.effort not in (None, "none"),
            "thinking is on, and may have none": self.enabled is True
            and (self.effort == "none" or self.tokens == 0),
        }
        if found := [fault for fault, true in faults.items() if true]:
            raise ConfigurationError(f"This reasoning budget cannot be: {'; '.join(found)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to a backend. ``None`` leaves a choice to the backend.

    ``prefix`` is assistant text that the answer must continue (a backend that cannot says so).
    ``stop`` strings end the answer and are not part of it. ``reasoning`` is how much the model may
    think. ``extra`` goes into the wire body as is.
    """

    messages: tuple[Message, ...]
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prefix: str = ""
    reasoning: ReasoningBudget | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens. ``completion`` covers everything generated: thinking, reflections and output.

    ``thinking`` (reflections and tags included) and ``reflections`` (a part of it) are ``None``
    where nobody counted them. ``exact`` is False as soon as one addend is an estimate.
    """

    prompt: int = 0
    completion: int = 0
    thinking: int | None = None
    cached: int = 0
    exact: bool = True
    reflections: int | None = None

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    @property
    def output(self) -> int:
        """What was generated beside the thinking."""
        return self.completion - (self.thinking or 0)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            thinking=_sum(self.thinking, other.thinking),
            cached=self.cached + other.cached,
            exact=self.exact and other.exact,
            reflections=_sum(self.reflections, other.reflections),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of an answer, in the order of arrival.

    ``text`` is ordinary content, still to be parsed. ``reasoning`` was already separated by the
    server and is never scanned again. ``usage`` replaces earlier figures of the same answer (it is
    a running total). ``logprobs`` are the log-probabilities of its tokens, in the server's shape.
    ``payload`` carries provider blocks for replay.
    """

    text: str = ""
    reasoning: str = field(default="", kw_only=True)
    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)
    usage: Usage | None = field(default=None, kw_only=True)
    finish: FinishReason | None = field(default=None, kw_only=True)
    model: str = field(default="", kw_only=True)
    logprobs: tuple[Mapping[str, Any], ...] = field(default=(), kw_only=True, repr=False)
    payload: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
