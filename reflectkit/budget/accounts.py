"""What the books of a ledger are about: accounts, demands, and how they are answered. Pure values.

An account is one limit of one scope: ``tenant:acme/tokens/day``. All figures are whole: tokens,
calls, and billionths of the currency. Times are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias, get_args

__all__ = [
    "MOST",
    "NANO",
    "PERIODS",
    "UNITS",
    "Account",
    "Balance",
    "Cap",
    "Claim",
    "Committed",
    "Demand",
    "Granted",
    "Holding",
    "Order",
    "Period",
    "Shelf",
    "Short",
    "Shortage",
    "State",
    "Unit",
    "Use",
    "account_key",
    "parts_of",
    "window",
]

Unit: TypeAlias = Literal["tokens", "calls", "money"]
Period: TypeAlias = Literal["minute", "hour", "day", "month"]
Shortage: TypeAlias = Literal["reject", "wait", "shrink"]
State: TypeAlias = Literal["waiting", "held", "expired"]
#: ``late``: the lease had expired, and others may have had its room; the use is recorded anyway
Committed: TypeAlias = Literal["in time", "late", "unknown"]

UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
#: money is counted in billionths
NANO: Final = 1_000_000_000
#: the largest figure; beyond it a double, which is what Redis reckons with, has gaps
MOST: Final = 2**53 - 1
_EVER: Final = "ever"
_UNIT_OF: Final[dict[str, Unit]] = {unit: unit for unit in UNITS}
_PERIOD_OF: Final[dict[str, Period | None]] = {_EVER: None, **{per: per for per in PERIODS}}
_LENGTHS: Final[dict[str, int]] = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


def window(per: Period | None, now: int) -> tuple[int, int]:
    """Begin and end of the window of UTC's calendar that ``now`` lies in."""
    if per is None:
        return 0, MOST
    if per == "month":
        at = datetime.fromtimestamp(now // 1000, UTC)
        first = datetime(at.year, at.month, 1, tzinfo=UTC)
        after = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
        return int(first.timestamp()) * 1000, int(after.timestamp()) * 1000
    begin = now - now % _LENGTHS[per]
    return begin, begin + _LENGTHS[per]


def account_key(scope: str, unit: Unit, per: Period | None) -> str:
    """The name of a limit's account."""
    return f"{scope}/{unit}/{per or _EVER}"


def parts_of(key: str) -> tuple[str, Unit, Period | None]:
    """Scope, unit and period of an account."""
    scope, unit, per = key.rsplit("/", 2)
    return scope, _UNIT_OF[unit], _PERIOD_OF[per]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a call needs at most: tokens of prompt and answer, calls, and prices.

    ``completion`` tokens are wanted for the answer; ``least`` are the fewest that make sense
    (None: no fewer than wanted). Prices are billionths of the currency for one token.
    """

    prompt: int
    completion: int
    least: int | None = None
    price_prompt: int = 0
    price_completion: int = 0
    calls: int = 1

    @property
    def floor(self) -> int:
        """The fewest tokens for the answer that make sense."""
        return self.completion if self.least is None else min(self.least, self.completion)

    def parts(self, unit: Unit) -> tuple[int, int]:
        """Of one unit: what is needed in any case, and for each token of the answer."""
        if unit == "tokens":
            return self.prompt, 1
        if unit == "money":
            return self.prompt * self.price_prompt, self.price_completion
        return self.calls, 0


@dataclass(slots=True, kw_only=True)
class Use:
    """What a call really used. A value, not frozen since one is made for each call."""

    tokens: int = 0
    money: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit as the books see it: so many at most in each window of an account."""

    key: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One scope of a call: its limits, and what to do when one of them is short."""

    scope: str
    caps: tuple[Cap, ...]
    shortage: Shortage


@dataclass(slots=True, kw_only=True)
class Order:
    """A call's demand on all scopes of one ledger. Asking again with the same ``id`` is safe.

    A value, not frozen since one is made for each call; so is the next.
    """

    id: str
    claims: tuple[Claim, ...]
    demand: Demand


@dataclass(slots=True)
class Granted:
    """Reserved: so many tokens for the answer; ``bound_by``: the account that allowed no more."""

    completion: int
    bound_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """Not reserved: the account that lacks room, its state, and what the call needs of it.

    ``waiting``: the call stands in line and is served in its turn. ``queued``: there would be
    room, but others wait for it. ``hopeless``: no window of this account is large enough.
    ``at``: when this was found, by the ledger's clock; ``ends``: when something may change by time
    alone (``MOST``: never).
    """

    key: str
    cap: int
    spent: int
    reserved: int
    needed: int
    at: int
    ends: int
    waiting: bool
    queued: bool
    hopeless: bool


@dataclass(slots=True)
class Account:
    """The present window of an account. ``cap``: as an application last gave it, if any did."""

    key: str
    window: int
    ends: int
    spent: int = 0
    reserved: int = 0
    extra: int = 0
    cap: int | None = None
    unit: Unit = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.unit = parts_of(self.key)[1]


@dataclass(slots=True)
class Holding:
    """One call in the books: in line, or with its reservation, or with one that has expired."""

    id: str
    state: State
    deadline: int
    order: Order | None = None
    amounts: Sequence[tuple[str, int]] = ()
    completion: int = 0
    bound_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An account as it stands. ``cap``: the smaller of code's and the ledger's own (``stored``)."""

    key: str
    cap: int
    stored: bool
    spent: int
    reserved: int
    extra: int
    ends: int

    @property
    def left(self) -> int:
        """What may still be reserved."""
        return max(0, self.cap + self.extra - self.spent - self.reserved)


class Shelf(Protocol):
    """Keeps accounts, holdings and limits. Accounts are changed in place."""

    def account(self, key: str) -> Account | None:
        """The account, if there is one."""

    def open(self, account: Account) -> None:
        """Keep a new account."""

    def close(self, key: str) -> None:
        """Forget an account."""

    def accounts(self, scope: str) -> list[Account]:
        """Those of one scope, or ("") all."""

    def holding(self, id: str) -> Holding | None:
        """The call with this id."""

    def put(self, holding: Holding, keys: Collection[str] = ()) -> None:
        """Keep a holding as it is now; a new one in line stands last, for these accounts."""

    def drop(self, holding: Holding) -> None:
        """Forget a holding."""

    def waiting(self) -> Iterable[Holding]:
        """Those in line, first come first."""

    def waited_for(self) -> Collection[str]:
        """The accounts of those in line."""

    def overdue(self, now: int) -> Iterable[Holding]:
        """Those whose deadline has passed."""

    def limits(self, scope: str) -> dict[str, int]:
        """The ledger's own limits of a scope, by account."""

    def limit(self, key: str, most: int | None) -> None:
        """Set one of them, or (None) take it away."""
