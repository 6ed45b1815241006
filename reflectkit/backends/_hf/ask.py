"""What is asked of a transformers model: a request, checked before anything is queued. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...errors import ConfigurationError, MissingCapability
from ...messages import Message, Request
from .._kinds import Knobs
from .._local import check_text

__all__ = ["Ask", "Sampling", "ask", "sampling"]

_KNOBS: Final = Knobs(tokens=("thinking_cap",))
#: fields of servers that do what this backend cannot
_CANNOT: Final = {
    "tools": "tools",
    "tool_choice": "tools",
    "functions": "tools",
    "response_format": "structured output",
    "structured_outputs": "structured output",
    "grammar": "structured output",
    "json_schema": "structured output",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "logit_bias": "logit_bias",
}


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return f"a whole number from {least}", fits


def _number(words: str, least: float, most: float) -> tuple[str, Callable[[Any], bool]]:
    def fits(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and least <= value <= most

    return words, fits


_FLAG: Final = ("True or False", lambda v: isinstance(v, bool))
_PENALTY: Final = _number("a number above 0", 1e-6, 1e6)
#: the fields of ``Request.extra`` that mean something here, and what each may hold
_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "top_k": _whole(0),
    "min_p": _number("a number from 0 to 1", 0, 1),
    "repetition_penalty": _PENALTY,
    "repeat_penalty": _PENALTY,
    "thinking_cap": _whole(0),
    "thinking_min": _whole(0),
    "ignore_eos": _FLAG,
    "stop_token_ids": (
        "a list of token ids",
        lambda v: isinstance(v, Sequence) and not isinstance(v, str) and all(map(_is_id, v)),
    ),
    "chat_template_kwargs": ("an object", lambda v: isinstance(v, Mapping)),
    # tags are always kept, and no blank is ever put around them
    "skip_special_tokens": ("False: tags are never stripped here", lambda v: v is False),
    "spaces_between_special_tokens": ("False: no blanks are added", lambda v: v is False),
}


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a token is drawn. A temperature of 0 takes the likeliest; a ``top_k`` of 0 takes all."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request in the words of this backend."""

    messages: tuple[Mapping[str, Any], ...]
    prefix: str = ""
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    ignore_eos: bool = False
    seed: int | None = None
    #: the sampler's knobs that were given
    knobs: Mapping[str, float] = field(default_factory=dict)
    cap: int | None = None
    least: int = 0
    template: Mapping[str, Any] = field(default_factory=dict)


def ask(request: Request, *, cap: int | None = None, least: int = 0) -> Ask:
    """``request``, checked; ``cap`` and ``least`` are the backend's own limits of thinking.

    Raises ``ConfigurationError`` and ``MissingCapability`` for what cannot work.
    """
    extra = {name: value for name, value in request.extra.items() if value is not None}
    _check_fields(extra)
    check_text(request, "The transformers backend")
    found = {**extra, **_KNOBS.fields(request, "The transformers backend")}
    asked = Ask(
        messages=tuple(map(_message, request.messages)),
        prefix=request.prefix,
        max_tokens=request.max_tokens,
        stop=request.stop,
        stop_ids=frozenset(found.get("stop_token_ids", ())),
        ignore_eos=found.get("ignore_eos", False),
        seed=request.seed,
        knobs=_knobs(request, found),
        cap=found.get("thinking_cap", cap),
        least=found.get("thinking_min", least),
        template=dict(found.get("chat_template_kwargs", {})),
    )
    if asked.cap is not None and asked.least > asked.cap:
        raise ConfigurationError(
            f"thinking is to have at least {asked.least} and at most {asked.cap} tokens."
        )
    return asked


def sampling(knobs: Mapping[str, float], defaults: Sampling) -> Sampling:
    """``knobs`` over the model's own ``defaults``.

    A temperature that was given means what it says: the knobs beside it are then neutral, not the
    model's.
    """
    start = Sampling() if "temperature" in knobs else defaults
    values = {name: getattr(start, name) for name in Sampling.__slots__}
    return Sampling(**{**values, **knobs})


def _knobs(request: Request, extra: Mapping[str, Any]) -> dict[str, float]:
    given = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": extra.get("top_k"),
        "min_p": extra.get("min_p"),
        "repetition_penalty": extra.get("repetition_penalty", extra.get("repeat_penalty")),
    }
    limits = {
        "temperature": _number("a number from 0", 0, 1e6),
        "top_p": _number("a number from 0 to 1", 0, 1),
    }
    for name, (words, fits) in limits.items():
        if given[name] is not None and not fits(given[name]):
            raise ConfigurationError(f"{name} is {given[name]!r}; it has to be {words}.")
    return {name: value for name, value in given.items() if value is not None}


def _check_fields(extra: Mapping[str, Any]) -> None:
    for name, value in extra.items():
        if name in _CANNOT:
            raise MissingCapability(
                f"The transformers backend has no {name}.",
                capability=_CANNOT[name],
                hint="Leave it out, or serve the model with a server that has it.",
            )
        if name not in _FIELDS:
            known = ", ".join(_FIELDS)
            raise ConfigurationError(
                f"The transformers backend knows no field {name!r} in extra.",
                hint=f"It knows: {known}.",
            )
        words, fits = _FIELDS[name]
        if not fits(value):
            raise ConfigurationError(f"{name} in extra is {value!r}; it has to be {words}.")


def _message(message: Message) -> dict[str, Any]:
    """As chat templates read it."""
    found: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.name:
        found["name"] = message.name
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    return found
