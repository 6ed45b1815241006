"""The books of a ledger: what a call may take of every limit that it falls under. Pure.

A call reserves on all its accounts at once, and commits what it really used. ``Books`` decides; a
``Shelf`` keeps. A store hands over a shelf that nobody else touches meanwhile: a dictionary, or the
rows of one transaction. ``ledgers/books.lua`` says the same to Redis. Time is handed in by whoever
has a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from .accounts import (
    MOST,
    NANO,
    PERIODS,
    UNITS,
    Account,
    Balance,
    Cap,
    Claim,
    Committed,
    Demand,
    Granted,
    Holding,
    Order,
    Period,
    Shelf,
    Short,
    Shortage,
    State,
    Unit,
    Use,
    account_key,
    parts_of,
    window,
)

__all__ = [
    "MOST",
    "NANO",
    "PERIODS",
    "UNITS",
    "Account",
    "Balance",
    "Books",
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

#: how long an expired lease is remembered, so that a late commit finds what it belongs to
_REMEMBERED: Final = 7 * 86_400_000
#: a waiter that is silent for this share of a lease's time has lost its place
_TICKET: Final = 4


class _Line:
    """A call at one of its accounts."""

    __slots__ = ("account", "cap", "fixed", "rate", "shortage")

    def __init__(self, account: Account, cap: int, parts: tuple[int, int], how: Shortage) -> None:
        self.account = account
        self.cap = cap
        self.fixed, self.rate = parts
        self.shortage = how

    @property
    def free(self) -> int:
        account = self.account
        return self.cap + account.extra - account.spent - account.reserved

    def most(self, wanted: int) -> int:
        """The most tokens for an answer that there is room for, up to ``wanted``; -1: none."""
        rest = self.free - self.fixed
        if rest < 0:
            return -1
        return min(wanted, rest // self.rate) if self.rate else wanted

    def needs(self, completion: int) -> int:
        return self.fixed + self.rate * completion

    def hopeless(self, completion: int) -> bool:
        """Not even when all that is reserved comes back, or a new window begins."""
        account = self.account
        ever = self.cap + account.extra - account.spent
        if account.ends < MOST:
            ever = max(ever, self.cap)
        return self.needs(completion) > ever


class _Weighed:
    """An order against its accounts: the tokens it would get, and where it is short."""

    __slots__ = ("bound_by", "completion", "lines", "queued", "short")

    def __init__(self, lines: list[_Line], demand: Demand, blocked: Collection[str]) -> None:
        self.lines = lines
        self.completion = demand.completion
        self.bound_by = ""
        #: no room there
        self.short: list[_Line] = []
        #: room, but others stand in line for it
        self.queued: list[_Line] = []
        for line in lines:
            if line.shortage == "shrink":
                self._shrink(line, demand)
        for line in lines:
            account = line.account
            free = line.cap + account.extra - account.spent - account.reserved
            if line.shortage != "shrink" and line.fixed + line.rate * self.completion > free:
                self.short.append(line)
            elif blocked and account.key in blocked:
                self.queued.append(line)

    def _shrink(self, line: _Line, demand: Demand) -> None:
        most = line.most(self.completion)
        if most < demand.floor:
            self.short.append(line)
        elif most < self.completion:
            self.completion, self.bound_by = most, line.account.key

    @property
    def fits(self) -> bool:
        return not self.short and not self.queued

    @property
    def refused_by(self) -> _Line | None:
        """What it cannot or may not wait for."""
        for line in self.short:
            if line.shortage != "wait" or line.hopeless(self.completion):
                return line
        for line in self.queued:
            if line.shortage != "wait":
                return line
        return None

    def verdict(self, now: int) -> Short:
        """Why it does not fit: what refuses the order comes before what it can wait for."""
        lines = self.short + self.queued
        final = self.refused_by
        line = final or lines[0]
        account = line.account
        return Short(
            key=account.key,
            cap=line.cap + account.extra,
            spent=account.spent,
            reserved=account.reserved,
            needed=line.needs(self.completion),
            at=now,
            ends=account.ends if final else min(ln.account.ends for ln in lines),
            waiting=final is None,
            queued=line not in self.short,
            hopeless=line in self.short and line.hopeless(self.completion),
        )


class Books:
    """Reserves, commits and expires over a shelf, one operation at a time.

    Invariants: an account's ``reserved`` is the sum over its held leases; a grant never takes
    ``spent + reserved`` beyond cap and extra; a later call takes nothing from an account at which
    an earlier one stands in line, which is wherever that one is short. ``ttl``: milliseconds that
    a lease lives without being renewed (None: for ever).
    """

    def __init__(self, shelf: Shelf, ttl: int | None = None) -> None:
        self.shelf = shelf
        self.ttl = ttl
        #: calls in line that were served, or have lost their place, in the latest operation
        self.moved: list[str] = []
        #: what those in line stand for, while accounts and limits stay as they are
        self._standing: dict[str, list[_Line]] = {}

    def reserve(self, order: Order, now: int) -> Granted | Short:
        """Take what the order needs from all its accounts, or nothing; line up where it may."""
        if self.ttl is not None:
            self._expire(now)
        holding = self.shelf.holding(order.id)
        if holding and holding.state == "held":
            return Granted(holding.completion, holding.bound_by)
        if holding and holding.state == "expired":
            self._drop(holding)
            holding = None
        blocked = self._serve(now, before=order.id) if self.shelf.waited_for() else ()
        weighed = _Weighed(self._lines(order, now), order.demand, blocked)
        for claim in order.claims:
            for cap in claim.caps:
                self._account(cap.key, now).cap = cap.most
        if weighed.fits:
            return self._grant(order, weighed, now, holding)
        short = weighed.verdict(now)
        if not short.waiting:
            if holding:
                self._drop(holding)
                self._serve(now)
            return short
        self._line_up(order, weighed, now, holding)
        return short

    def commit(self, id: str, use: Use, now: int) -> Committed:
        """Record what was used and give back the rest. A second time it does nothing."""
        if self.ttl is not None:
            self._expire(now)
        holding = self.shelf.holding(id)
        if holding is None:
            return "unknown"
        self._drop(holding)
        held = holding.state == "held"
        for key, amount in holding.amounts:
            account = self._account(key, now)
            account.spent += getattr(use, account.unit)
            if held:
                account.reserved -= amount
        if waited := self.shelf.waited_for():
            touched = holding.state == "waiting" or any(k in waited for k, _ in holding.amounts)
            if touched:
                self._serve(now)
        return "late" if holding.state == "expired" else "in time"

    def renew(self, ids: Iterable[str], now: int) -> list[State | None]:
        """Hold on to leases and places in line, serve who waits, and say how each stands."""
        self._expire(now)
        for id in ids:
            holding = self.shelf.holding(id)
            if holding and holding.state != "expired":
                holding.deadline = self._deadline(now, holding.state)
                self.shelf.put(holding)
        self._serve(now)
        found = [self.shelf.holding(id) for id in ids]
        return [holding.state if holding else None for holding in found]

    def top_up(self, key: str, amount: int, now: int) -> None:
        """Add to the room of the present window; of an account without windows, for ever."""
        self._expire(now)
        self._account(key, now).extra += amount
        self._serve(now)

    def limit(self, key: str, most: int | None, now: int) -> None:
        """Set a limit of the ledger's own, or (None) take it away."""
        self._expire(now)
        self.shelf.limit(key, most)
        self._standing.clear()
        for holding in list(self.shelf.waiting()):
            if holding.order and any(c.scope == parts_of(key)[0] for c in holding.order.claims):
                keys = [line.account.key for line in self._lines(holding.order, now)]
                self.shelf.put(holding, keys)
        self._serve(now)

    def reset(self, scope: str, now: int) -> None:
        """Forget what a scope spent and was given; what is reserved stays reserved."""
        self._expire(now)
        self._standing.clear()
        for account in self.shelf.accounts(scope):
            account.spent = account.extra = 0
            if not account.reserved:
                self.shelf.close(account.key)
        self._serve(now)

    def balances(self, scope: str, now: int) -> list[Balance]:
        """How the accounts of a scope ("": of all) stand, those with a stored limit among them."""
        self._expire(now)
        self._serve(now)
        stored = self.shelf.limits(scope)
        known = {account.key: account for account in self.shelf.accounts(scope)}
        fresh = {key: Account(key, *window(parts_of(key)[2], now)) for key in stored}
        return [self._balance(a, stored, now) for _, a in sorted((fresh | known).items())]

    def _balance(self, account: Account, stored: dict[str, int], now: int) -> Balance:
        _roll(account, now)
        caps = [c for c in (account.cap, stored.get(account.key)) if c is not None]
        return Balance(
            key=account.key,
            cap=min(caps, default=0),
            stored=account.key in stored,
            spent=account.spent,
            reserved=account.reserved,
            extra=account.extra,
            ends=account.ends,
        )

    def _deadline(self, now: int, state: State) -> int:
        if self.ttl is None:
            return MOST
        return now + (self.ttl // _TICKET if state == "waiting" else self.ttl)

    def _drop(self, holding: Holding) -> None:
        self.shelf.drop(holding)
        if holding.state == "waiting":
            self._standing.pop(holding.id, None)

    def _account(self, key: str, now: int) -> Account:
        account = self.shelf.account(key)
        if account is None:
            account = Account(key, *window(parts_of(key)[2], now))
            self.shelf.open(account)
        elif now >= account.ends:
            _roll(account, now)
        return account

    def _lines(self, order: Order, now: int) -> list[_Line]:
        """Every account of an order once, with the smallest cap that anybody gave it."""
        lines: dict[str, _Line] = {}
        for claim in order.claims:
            for cap in claim.caps:
                self._join(lines, cap.key, cap.most, claim, order, now)
            if stored := self.shelf.limits(claim.scope):
                for key, most in sorted(stored.items()):
                    self._join(lines, key, most, claim, order, now)
        return list(lines.values())

    def _join(
        self, lines: dict[str, _Line], key: str, most: int, claim: Claim, order: Order, now: int
    ) -> _Line:
        line = lines.get(key)
        if line is None:
            account = self._account(key, now)
            parts = order.demand.parts(account.unit)
            line = lines[key] = _Line(account, most, parts, claim.shortage)
        elif most < line.cap:
            line.cap = most
        return line

    def _grant(
        self, order: Order, weighed: _Weighed, now: int, holding: Holding | None = None
    ) -> Granted:
        if holding:
            self._drop(holding)
        completion = weighed.completion
        amounts = []
        for line in weighed.lines:
            amount = line.fixed + line.rate * completion
            line.account.reserved += amount
            amounts.append((line.account.key, amount))
        held = Holding(order.id, "held", self._deadline(now, "held"), None, amounts)
        held.completion, held.bound_by = completion, weighed.bound_by
        self.shelf.put(held)
        return Granted(completion, weighed.bound_by)

    def _line_up(self, order: Order, weighed: _Weighed, now: int, holding: Holding | None) -> None:
        deadline = self._deadline(now, "waiting")
        if holding:
            holding.deadline = deadline
            self.shelf.put(holding)
            return
        keys = [line.account.key for line in weighed.lines]
        ticket = Holding(id=order.id, state="waiting", deadline=deadline, order=order)
        self.shelf.put(ticket, keys)

    def _serve(self, now: int, before: str = "") -> set[str]:
        """Give those in line what there is room for, first come first, up to ``before``.

        Returns the accounts at which somebody still waits. Who can never be served loses the
        place, and learns why by asking again. A grant past somebody who waits elsewhere may leave
        that one short here too, so the line is gone through again.
        """
        for key in list(self.shelf.waited_for()):
            self._account(key, now)
        while True:
            blocked, again = self._pass(now, before)
            if not again:
                return blocked

    def _pass(self, now: int, before: str) -> tuple[set[str], bool]:
        blocked: set[str] = set()
        waited = self.shelf.waited_for()
        for holding in list(self.shelf.waiting()) if waited else ():
            if holding.id == before or blocked.issuperset(waited):
                break
            assert holding.order is not None
            lines = self._standing.get(holding.id)
            if lines is None:
                lines = self._standing[holding.id] = self._lines(holding.order, now)
            weighed = _Weighed(lines, holding.order.demand, blocked)
            if weighed.fits:
                self._grant(holding.order, weighed, now, holding)
                self.moved.append(holding.id)
                if blocked:
                    return blocked, True
            elif weighed.refused_by is None:
                for line in weighed.short:
                    blocked.add(line.account.key)
            else:
                self._drop(holding)
                self.moved.append(holding.id)
        return blocked, False

    def _expire(self, now: int) -> None:
        """Take back what belongs to holders who have not been heard of."""
        for holding in self.shelf.overdue(now):
            self._drop(holding)
            if holding.state == "waiting":
                self.moved.append(holding.id)
            elif holding.state == "held":
                for key, amount in holding.amounts:
                    self._account(key, now).reserved -= amount
                holding.state, holding.deadline = "expired", now + _REMEMBERED
                self.shelf.put(holding)


def _roll(account: Account, now: int) -> None:
    """Begin the window that ``now`` lies in. A clock that steps back opens no old window."""
    if now >= account.ends:
        account.window, account.ends = window(parts_of(account.key)[2], now)
        account.spent = account.extra = 0
