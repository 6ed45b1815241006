"""The settings of a client and of one call: complete, checked, changed by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from sys import float_info
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from .errors import ConfigurationError
from .messages import ReasoningBudget
from .modes import ModeChoice
from .protocol.prompts import PROMPTED
from .visibility import Show

if TYPE_CHECKING:
    from .budget.budget import Budget
    from .budget.tokens import Counter
    from .correction.policy import Policy
    from .ledgers.scope import Scope
    from .models.prices import Price
    from .protocol import Dialect
    from .verify import Verifier

__all__ = ["Connecting", "Options", "Reserve", "Settings", "changed", "checked"]


#: What scopes hold before anything is sent: what one attempt may take, or the whole call.
Reserve = Literal["attempt", "call"]


class Options(TypedDict, total=False):
    """What a call may change of a client's settings; ``Client`` says what each means."""

    model: str
    mode: ModeChoice
    show: Show
    dialect: str | Dialect | None
    system: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    stop: str | Sequence[str]
    reasoning: ReasoningBudget | None
    extra: Mapping[str, object] | None
    policy: Policy | None
    variant: str
    prefilled: bool | None
    budget: Budget | None
    scopes: Sequence[Scope]
    prices: Mapping[str, Price] | Price | None
    counter: Counter | None
    verify: Verifier | Sequence[Verifier]
    attempts: int | None
    output_type: Any
    patience: float
    reserve: Reserve


class Connecting(Options, total=False):
    """Those, and what only a new client may be told: the connection's own."""

    api_key: str | None
    timeout: float | None
    retries: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All ``Options`` with their defaults."""

    model: str = ""
    mode: ModeChoice = "auto"
    show: Show = "full"
    dialect: str | Dialect | None = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | Sequence[str] = ()
    reasoning: ReasoningBudget | None = None
    extra: Mapping[str, object] | None = None
    policy: Policy | None = None
    variant: str = "v1"
    prefilled: bool | None = None
    budget: Budget | None = None
    scopes: Sequence[Scope] = ()
    prices: Mapping[str, Price] | Price | None = None
    counter: Counter | None = None
    verify: Verifier | Sequence[Verifier] = ()
    attempts: int | None = None
    output_type: Any = None
    patience: float = 10.0
    reserve: Reserve = "attempt"


_MOST = float_info.max


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    # Beyond the largest float there are whole numbers that no wire carries.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST


def _are_texts(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(v, str) and v for v in value)


def _are_scopes(value: object) -> bool:
    return isinstance(value, Sequence) and all(hasattr(scope, "claim") for scope in value)


#: Setting -> what it must be, as a test and in words. None passes where it is the default.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (lambda v: isinstance(v, str), "a model's name"),
    "mode": (lambda v: v in get_args(ModeChoice), "one of " + ", ".join(get_args(ModeChoice))),
    "show": (lambda v: v in get_args(Show), "one of " + ", ".join(get_args(Show))),
    "system": (lambda v: isinstance(v, str), "a text"),
    "temperature": (lambda v: _is_number(v) and v >= 0, "a number from 0 up"),
    "top_p": (lambda v: _is_number(v) and 0 < v <= 1, "a number above 0 and up to 1"),
    "max_tokens": (lambda v: _is_int(v) and v > 0, "a whole number above 0"),
    "seed": (_is_int, "a whole number"),
    "stop": (_are_texts, "a text or several, none of them empty"),
    "reasoning": (lambda v: isinstance(v, ReasoningBudget), "a ReasoningBudget"),
    "extra": (lambda v: isinstance(v, Mapping), "a mapping of fields for the wire"),
    "policy": (lambda v: callable(getattr(v, "flow", None)), "an object with flow(request)"),
    "variant": (lambda v: isinstance(v, str) and v in PROMPTED, "one of " + ", ".join(PROMPTED)),
    "prefilled": (lambda v: isinstance(v, bool), "True or False"),
    "budget": (lambda v: callable(getattr(v, "model_dump", None)), "a Budget"),
    "scopes": (_are_scopes, "a list of Scope objects"),
    "prices": (lambda v: v is not None, "a Price, or a mapping from models' names to Price"),
    "counter": (lambda v: callable(getattr(v, "count", None)), "an object with count(text)"),
    "verify": (lambda v: callable(v) or _are_callables(v), "a verifier or a list of them"),
    "attempts": (lambda v: _is_int(v) and v > 0, "a whole number above 0"),
    "output_type": (lambda v: v is not None, "a type, or a JSON schema"),
    "reserve": (lambda v: v in get_args(Reserve), "one of " + ", ".join(get_args(Reserve))),
    "patience": (lambda v: _is_number(v) and v > 0, "a number of seconds above 0"),
    "dialect": (lambda v: _known_dialect(v), "a known dialect's name or a Dialect"),
}
_DEFAULTS = Settings()


def _are_callables(value: object) -> bool:
    return isinstance(value, Sequence) and all(
        callable(v) or hasattr(v, "invoke") or hasattr(v, "ainvoke") for v in value
    )


def checked(settings: Settings) -> Settings:
    """``settings`` themselves, stop strings as a tuple. Raises ``ConfigurationError``."""
    if isinstance(settings.stop, str):
        settings = replace(settings, stop=(settings.stop,) if settings.stop else ())
    for name, (holds, words) in _RULES.items():
        value = getattr(settings, name)
        if value != getattr(_DEFAULTS, name) and not holds(value):
            raise ConfigurationError(f"{name} is {_short(value)}.", hint=f"It must be {words}.")
    return settings


def changed(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """``settings`` with ``options`` in their place; scopes are added, since no option takes a call
    out of an account. Raises ``ConfigurationError``."""
    if not options:
        return settings
    names = [f.name for f in fields(Settings)]
    for name in options:
        if name not in names:
            raise ConfigurationError(f"There is no option {name!r}.", hint=_nearest(name, names))
    found = checked(replace(settings, **options))
    return replace(found, scopes=(*settings.scopes, *options.get("scopes", ())))


def _nearest(name: str, names: list[str]) -> str:
    if name in ("api_key", "timeout", "retries"):
        return "It belongs to the connection: make a new Client with it."
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Options are {', '.join(names)}."


def _known_dialect(value: object) -> bool:
    from .protocol import DIALECTS, Dialect

    return isinstance(value, Dialect) or (isinstance(value, str) and value in DIALECTS)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
