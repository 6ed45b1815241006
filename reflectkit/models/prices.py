"""What tokens cost: a value, a dated table of list prices, and the search for the right one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Final

from ..errors import ConfigurationError
from ..messages import Usage
from .embedded import embedded_models
from .profile import spellings

__all__ = ["AS_OF", "FREE", "PRICES", "Listed", "Price", "price_for"]

Amount = Decimal | int | float | str

_MILLION: Final = Decimal(1_000_000)
_NANO: Final = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of a million tokens, in ``currency``.

    ``completion`` is the price of everything generated: thinking is part of it and costs nothing
    more. ``cached``: of prompt tokens that the server had in its cache (None: as ``prompt``).
    Numbers may be given in any form, and are kept as decimals. What a server asks for writing to
    its cache is not in a usage, and not in here.

    Raises ``ConfigurationError`` for an amount that is no number from 0 up.
    """

    prompt: Amount
    completion: Amount
    cached: Amount | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        cached = self.prompt if self.cached is None else self.cached
        given = {"prompt": self.prompt, "completion": self.completion, "cached": cached}
        for name, amount in given.items():
            object.__setattr__(self, name, _decimal(name, amount))

    def cost(self, usage: Usage) -> Decimal:
        """What ``usage`` costs, exactly."""
        cached = min(max(usage.cached, 0), usage.prompt)
        prompt, completion, again = self._amounts
        sums = (usage.prompt - cached) * prompt + usage.completion * completion + cached * again
        return sums / _MILLION

    def nano(self, usage: Usage) -> int:
        """What ``usage`` costs in billionths of the currency, rounded up once."""
        return _up(self.cost(usage) * _NANO)

    @property
    def nano_prompt(self) -> int:
        """Billionths for one token of a prompt, rounded up: cached or not, whichever is dearer."""
        return _up(max(self._amounts[0], self._amounts[2]) * _NANO / _MILLION)

    @property
    def nano_completion(self) -> int:
        """Billionths for one token that is generated, rounded up."""
        return _up(self._amounts[1] * _NANO / _MILLION)

    @property
    def _amounts(self) -> tuple[Decimal, Decimal, Decimal]:
        return Decimal(self.prompt), Decimal(self.completion), Decimal(self.cached or 0)


def _decimal(name: str, amount: Amount) -> Decimal:
    try:
        found = Decimal(str(amount))
    except InvalidOperation:
        found = Decimal("nan")
    if isinstance(amount, bool) or not found.is_finite() or found < 0:
        raise ConfigurationError(
            f"The price {name}={amount!r} is no number from 0 up.",
            hint="Give the price of a million tokens.",
        )
    return found


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_CEILING))


#: What models cost that run in this process, or on machines of your own.
FREE: Final = Price(prompt=0, completion=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Models of one vendor, with the page that lists their prices. ``rows``: name -> dollars for a
    million tokens of prompt, cached prompt, and completion."""

    source: str
    vendors: tuple[str, ...]
    rows: Mapping[str, tuple[str, str, str]]


#: When the table was last compared with LiteLLM's (1.110.2), which cites the same pages.
AS_OF: Final = "2026-11-26"

#: Standard processing, of models with one price whatever the length of the prompt. Where a vendor
#: has peak hours, the price is theirs.
PRICES: Final = (
    Listed(
        source="https://developers.openai.com/api/docs/pricing",
        vendors=("openai",),
        rows={
            "gpt-4o": ("2.5", "1.25", "10"),
            "gpt-4o-mini": ("0.15", "0.075", "0.6"),
            "gpt-4.1": ("2", "0.5", "8"),
            "gpt-4.1-mini": ("0.4", "0.1", "1.6"),
            "o3": ("2", "0.5", "8"),
            "gpt-5": ("1.25", "0.125", "10"),
            "gpt-5-mini": ("0.25", "0.025", "2"),
            "gpt-5-nano": ("0.05", "0.005", "0.4"),
            "gpt-5.1": ("1.25", "0.125", "10"),
            "gpt-5.2": ("1.75", "0.175", "14"),
            "gpt-5.4-mini": ("0.75", "0.075", "4.5"),
            "gpt-5.4-nano": ("0.2", "0.02", "1.25"),
        },
    ),
    Listed(
        source="https://platform.claude.com/docs/en/about-claude/pricing",
        vendors=("anthropic",),
        rows={
            "claude-haiku-4-5": ("1", "0.1", "5"),
            "claude-sonnet-4-5": ("3", "0.3", "15"),
            "claude-sonnet-4-6": ("3", "0.3", "15"),
            "claude-sonnet-5": ("2", "0.2", "10"),
            "claude-sonnet-5-5": ("2", "0.1", "10"),
            "claude-opus-4-5": ("5", "0.5", "25"),
            "claude-opus-4-6": ("5", "0.5", "25"),
            "claude-opus-4-7": ("5", "0.5", "25"),
            "claude-opus-4-8": ("5", "0.5", "25"),
            "claude-opus-5": ("5", "0.5", "25"),
            "claude-opus-5-5": ("4", "0.2", "20"),
            "claude-fable-5": ("10", "1", "50"),
            "claude-fable-5-1": ("10", "0.25", "50"),
        },
    ),
    Listed(
        source="https://ai.google.dev/gemini-api/docs/pricing",
        vendors=("google", "gemini", "models"),
        rows={
            "gemini-2.5-flash": ("0.3", "0.03", "2.5"),
            "gemini-2.5-flash-lite": ("0.1", "0.01", "0.4"),
            "gemini-3.1-flash-lite": ("0.25", "0.025", "1.5"),
            "gemini-3.5-flash-lite": ("0.3", "0.03", "2.5"),
            "gemini-3.8-flash": ("0.75", "0.075", "3.75"),
        },
    ),
    Listed(
        source="https://api-docs.deepseek.com/quick_start/pricing",
        vendors=("deepseek", "deepseek-ai"),
        rows={
            "deepseek-v4-flash": ("0.3", "0.006", "1.2"),
            "deepseek-v4-pro": ("1.32", "0.044", "3.96"),
        },
    ),
    Listed(
        source="https://docs.mistral.ai/models",
        vendors=("mistral", "mistralai"),
        rows={
            "mistral-large-2512": ("0.5", "0.05", "1.5"),
            "mistral-medium-2604": ("1.5", "0.15", "7.5"),
            "mistral-small-2603": ("0.15", "0.015", "0.6"),
        },
    ),
)

#: A name of the table may carry the date of a snapshot.
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d\d-\d\d|\d{8}|latest)\Z")
_WILD: Final = re.compile(r"[*?\[]")
#: What may follow a name of your own that is meant as a beginning.
_BOUNDARY: Final = ("-", ":", "@", "/")


def price_for(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """The price of ``model``: from ``prices``, else from the table; None where nobody knows.

    A name in ``prices`` fits a model of that name, then, the longest first, as a shell pattern
    (``"qwen*"``) or as the beginning of a name (``"gpt-5"`` for ``"gpt-5-2025-08-07"``). The table
    knows exact names, their dated snapshots, and both behind their vendor (``openai/gpt-5``).
    Embedded models cost nothing; for servers of your own give ``{"*": FREE}``.
    """
    own = prices or {}
    if model in own:
        return own[model]
    for name in sorted(own, key=len, reverse=True):
        if _fits(name, model):
            return own[name]
    if model in embedded_models():
        return FREE
    return _listed(next(iter(spellings(model)), ""))


def _fits(name: str, model: str) -> bool:
    if _WILD.search(name):
        return fnmatchcase(model, name)
    return bool(name) and model.startswith(tuple(name + sign for sign in _BOUNDARY))


def _listed(model: str) -> Price | None:
    vendor, _, name = model.rpartition("/")
    for listed in PRICES:
        row = listed.rows.get(name) or listed.rows.get(_SNAPSHOT.sub("", name))
        if row and (not vendor or vendor in listed.vendors):
            prompt, cached, completion = row
            return Price(prompt=prompt, cached=cached, completion=completion)
    return None
