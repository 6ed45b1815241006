"""What a user allows an answer, a call and a conversation to cost: checked when it is written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ConfigurationError

__all__ = ["Budget"]

_None = Annotated[int, Field(ge=0, strict=True)] | None
_Some = Annotated[int, Field(ge=1, strict=True)] | None


class Budget(BaseModel):
    """Limits; ``None`` sets none. Tokens, unless said otherwise.

    Of one answer: ``thinking`` (reflections included), ``reflection`` (each one), ``reflections``
    (how many), ``output``. ``grace``: how far thinking may go beyond its cap to end at a line or a
    sentence (default: a tenth of the cap, at least 8). ``output_floor``: what thinking must leave
    for the output wherever a limit binds both (default: a quarter of the room, at most 256).
    ``thinking_floor``: thinking that ends before it is gone on with, where the backend can.

    Of one request: ``prompt``. Of a whole call, its attempts and wrap-ups included: ``total``
    (prompts and completions), ``calls`` (requests), ``seconds``, ``money`` (in the currency of the
    prices). ``hint``: the model is told how much it may think, at the end of the last user turn.

    Raises ``ConfigurationError`` for limits that cannot be kept together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thinking: _None = None
    thinking_floor: _None = None
    reflection: _Some = None
    reflections: _None = None
    grace: _None = None
    output: _Some = None
    output_floor: _Some = None
    prompt: _Some = None
    total: _Some = None
    calls: _Some = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    money: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] | None = None
    hint: bool = False

    def __init__(self, **limits: Any) -> None:
        try:
            super().__init__(**limits)
        except ValidationError as error:
            raise ConfigurationError(_in_words(error)) from None

    @model_validator(mode="after")
    def _fits(self) -> Budget:
        for lower, upper in _ORDERED:
            low, high = getattr(self, lower), getattr(self, upper)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{lower}={low} is more than {upper}={high}")
        return self


#: (what may not be more, than what)
_ORDERED = (
    ("thinking_floor", "thinking"),
    ("reflection", "thinking"),
    ("output_floor", "output"),
    ("thinking", "total"),
    ("thinking_floor", "total"),
    ("output_floor", "total"),
    ("output", "total"),
    ("prompt", "total"),
)


def _in_words(error: ValidationError) -> str:
    found = (f"{_place(e)}{_reason(e)}" for e in error.errors(include_url=False))
    return f"This budget cannot be: {'; '.join(found)}."


def _place(fault: Mapping[str, Any]) -> str:
    return f"{fault['loc'][0]}: " if fault["loc"] else ""


def _reason(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return f"there is no such limit; there are {', '.join(Budget.model_fields)}"
    text: str = fault["msg"]
    return text.removeprefix("Value error, ").replace("Input should be", "it must be")
