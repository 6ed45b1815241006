"""Limits as users write them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ConfigurationError
from .ledger import MOST, NANO, UNITS, Period, Unit

__all__ = ["Limit"]

_HINT = 'Write it like Limit(tokens=100_000, per="day"), Limit(calls=60, per="minute") or '
_HINT += 'Limit(money=50, per="month"); without per= it holds for ever.'


class Limit(BaseModel):
    """At most so many tokens, calls, or units of money: one of them, in each window of time.

    ``per``: minute, hour, day or month of UTC's calendar, so that a day's limit starts anew at
    midnight; None: for ever. Money is of whatever currency your prices are in, and exact to a
    billionth. Raises ``ConfigurationError``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tokens: int | None = Field(default=None, ge=0, le=MOST, strict=True)
    calls: int | None = Field(default=None, ge=0, le=MOST, strict=True)
    money: Decimal | None = Field(default=None, ge=0, le=MOST // NANO, decimal_places=9)
    per: Period | None = None

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            message = f"{where}: {first['msg']}." if where else f"{first['msg']}."
            raise ConfigurationError(f"That is no limit. {message}", hint=_HINT) from None

    @model_validator(mode="after")
    def _one(self) -> Limit:
        if len([u for u in UNITS if getattr(self, u) is not None]) != 1:
            raise ValueError("exactly one of tokens, calls and money is needed")
        return self

    def __repr__(self) -> str:
        return f"Limit({self.unit}={getattr(self, self.unit)}, per={self.per!r})"

    __str__ = __repr__

    @property
    def unit(self) -> Unit:
        """What is limited."""
        return next(u for u in UNITS if getattr(self, u) is not None)

    @property
    def most(self) -> int:
        """The limit in whole tokens or calls, or in billionths of the currency."""
        value = getattr(self, self.unit)
        return int(value * NANO) if self.unit == "money" else int(value)
