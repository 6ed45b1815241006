"""Scopes: what limits are attached to, and which of them are around a call."""

from __future__ import annotations

import re
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, get_args

from ..budget.ledger import Cap, Claim, Shortage, account_key
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..budget.ledger import Balance
    from ..budget.limits import Limit
    from .base import Ledger

__all__ = ["Scope", "current_scopes", "default_ledger", "scope_key"]

_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LONGEST: Final = 200
#: characters that would garble a report, or cannot be stored
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_AROUND: ContextVar[tuple[Scope, ...]] = ContextVar("reflectkit_scopes", default=())
_default: Ledger | None = None
_making = threading.Lock()


def default_ledger() -> Ledger:
    """The one in this process's memory that scopes use when they are given no other."""
    global _default
    with _making:
        if _default is None:
            from .memory import MemoryLedger

            _default = MemoryLedger()
        return _default


def current_scopes() -> tuple[Scope, ...]:
    """The scopes around this code, outermost first, each once. Tasks inherit those around them."""
    return tuple(dict.fromkeys(_AROUND.get()))


def scope_key(kind: str, name: str) -> str:
    """``tenant:acme``. Raises ``ConfigurationError`` for names that cannot be kept."""
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ConfigurationError(
            f"{_short(kind)} is no kind of scope.",
            hint="A word such as run, conversation, tenant or global; small letters, at most 32.",
        )
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or _UNFIT.search(name):
        raise ConfigurationError(
            f"{_short(name)} is no name of a scope.",
            hint=f"It needs 1 to {_LONGEST} characters, none of them a line break or control.",
        )
    return f"{kind}:{name}"


class Scope:
    """Something with limits: a run, a conversation, a tenant, the whole of an application.

    Every call inside ``with scope:`` (or ``async with``) is charged to it, as are those that are
    handed it; where scopes are nested, to all of them. ``kind`` is any word, ``name`` tells apart
    the scopes of a kind. ``ledger``: where the accounts are kept (default: this process's memory).

    ``shortage``: what happens to a call that a limit has no room for: ``reject`` it with
    ``BudgetExceeded``; let it ``wait`` in its turn, for ``patience`` seconds at most; or
    ``shrink`` its answer to what is free. ``budget``: limits of each call inside.

    Raises ``ConfigurationError``.
    """

    __slots__ = ("_ledger", "budget", "claim", "limits", "patience")

    def __init__(
        self,
        kind: str,
        name: str,
        *limits: Limit,
        ledger: Ledger | None = None,
        shortage: Shortage = "reject",
        patience: float = 60.0,
        budget: Any = None,
    ) -> None:
        key = scope_key(kind, name)
        if shortage not in get_args(Shortage):
            raise ConfigurationError(
                f"shortage is {_short(shortage)}.",
                hint=f"It must be one of {', '.join(get_args(Shortage))}.",
            )
        if not isinstance(patience, int | float) or not patience >= 0:
            raise ConfigurationError(
                f"patience is {_short(patience)}.", hint="It is seconds, from 0 up."
            )
        #: what it brings into an order
        self.claim = Claim(scope=key, caps=_caps(key, limits), shortage=shortage)
        self._ledger = ledger
        self.limits = limits
        self.patience = patience
        self.budget = budget

    def __repr__(self) -> str:
        return f"Scope({', '.join([repr(self.key), *map(repr, self.limits)])})"

    @property
    def key(self) -> str:
        """Kind and name: ``tenant:acme``."""
        return self.claim.scope

    @property
    def ledger(self) -> Ledger:
        """Where its accounts are kept."""
        if self._ledger is None:
            self._ledger = default_ledger()
        return self._ledger

    async def balances(self) -> list[Balance]:
        """How its accounts stand: those of its limits, once used, and of stored ones."""
        return await self.ledger.balances(self.key)

    async def top_up(self, more: Limit) -> None:
        """Add to a limit's room: ``Limit(tokens=5_000, per="day")`` gives 5,000 more today."""
        await self.ledger.top_up(account_key(self.key, more.unit, more.per), more.most)

    async def store(self, limit: Limit) -> None:
        """Keep a limit in the ledger: it binds every process that uses this scope with it."""
        await self.ledger.limit(account_key(self.key, limit.unit, limit.per), limit.most)

    async def unstore(self, limit: Limit) -> None:
        """Take a stored limit of this unit and window away, whatever its figure."""
        await self.ledger.limit(account_key(self.key, limit.unit, limit.per), None)

    async def reset(self) -> None:
        """Forget what it spent and was topped up with; what is reserved stays reserved."""
        await self.ledger.reset(self.key)

    def __enter__(self) -> Scope:
        _AROUND.set((*_AROUND.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        around = list(_AROUND.get())
        if self in around:  # it is not where a generator is closed in another context
            del around[len(around) - 1 - around[::-1].index(self)]
            _AROUND.set(tuple(around))

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)


def _caps(key: str, limits: tuple[Limit, ...]) -> tuple[Cap, ...]:
    from ..budget.limits import Limit

    for limit in limits:
        if not isinstance(limit, Limit):
            raise ConfigurationError(
                f"A {type(limit).__name__} is no limit.",
                hint='Write Scope("tenant", "acme", Limit(tokens=100_000, per="day")).',
            )
    caps = tuple(Cap(account_key(key, m.unit, m.per), m.most) for m in limits)
    if len({cap.key for cap in caps}) < len(caps):
        raise ConfigurationError(
            f"{key} has two limits of the same kind.", hint="Keep the smaller one."
        )
    return caps


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
