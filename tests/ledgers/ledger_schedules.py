"""Random schedules for the books of a ledger, and a second opinion on every step of them.

``Mirror`` keeps the same accounts in the plainest way, from what was asked and what came back, and
checks: reserved is the sum of what is held; no grant passes a cap; nobody overtakes; who is first
in line is really short of something; and when all holders have ended, everybody is served or
refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from reflectkit.budget import ledger
from reflectkit.budget.ledger import (
    MOST,
    Books,
    Cap,
    Claim,
    Demand,
    Granted,
    Order,
    Shelf,
    Shortage,
    Use,
    window,
)
from reflectkit.ledgers.memory import MemoryShelf

TTL = 10_000
SHORTAGES: tuple[Shortage, ...] = ("wait", "reject", "shrink")
OFTEN: tuple[Shortage, ...] = ("wait", "wait", "wait", "reject", "shrink")
START = 1_772_236_700_000
#: scope -> its limits; small, so that calls meet
CAPS = {
    "tenant:a": {"tenant:a/tokens/minute": 100, "tenant:a/calls/ever": 30},
    "tenant:b": {"tenant:b/tokens/hour": 150},
    "global:g": {"global:g/tokens/minute": 220, "global:g/money/day": 2_000},
}
CLAIMS = {
    (scope, how): Claim(
        scope=scope, caps=tuple(Cap(key, most) for key, most in caps.items()), shortage=how
    )
    for scope, caps in CAPS.items()
    for how in SHORTAGES
}
parts_of = cache(ledger.parts_of)
STORED = ("tenant:a/tokens/minute", "global:g/calls/minute")


@dataclass(slots=True)
class Call:
    order: Order
    state: str
    deadline: int
    amounts: dict[str, int]


class Mirror:
    """What the books should hold."""

    def __init__(self, ttl: int | None) -> None:
        self.ttl = ttl
        self.calls: dict[str, Call] = {}
        self.line: list[str] = []
        self.spent: dict[str, int] = {}
        self.extra: dict[str, int] = {}
        self.reserved: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.stored: dict[str, int] = {}

    def pass_time(self, now: int) -> None:
        for id, call in list(self.calls.items()):
            if call.deadline <= now and call.state in ("waiting", "held"):
                if call.state == "held":
                    self._give_back(call)
                    call.state = "expired"
                else:
                    del self.calls[id]
                    self.line.remove(id)
        for key in list(self.ends):
            if now >= self.ends[key]:
                self.spent[key] = self.extra[key] = 0
                self.ends[key] = window(parts_of(key)[2], now)[1]

    def _give_back(self, call: Call) -> None:
        for key, amount in call.amounts.items():
            self.reserved[key] -= amount

    def know(self, key: str, now: int) -> None:
        if key not in self.ends:
            self.ends[key] = window(parts_of(key)[2], now)[1]
            self.spent[key] = self.extra[key] = self.reserved[key] = 0

    def lines(self, order: Order, now: int) -> dict[str, tuple[int, str]]:
        """Account -> cap and policy."""
        found: dict[str, tuple[int, str]] = {}
        for claim in order.claims:
            caps = dict(CAPS[claim.scope])
            for key, most in self.stored.items():
                if parts_of(key)[0] == claim.scope:
                    caps[key] = min(most, caps.get(key, MOST))
            for key, cap in caps.items():
                self.know(key, now)
                found[key] = cap, claim.shortage
        return found

    def room(self, key: str, cap: int) -> int:
        return cap + self.extra[key] - self.spent[key] - self.reserved[key]

    @staticmethod
    def need(demand: Demand, key: str, completion: int) -> int:
        unit = parts_of(key)[1]
        if unit == "calls":
            return demand.calls
        if unit == "tokens":
            return demand.prompt + completion
        return demand.prompt * demand.price_prompt + completion * demand.price_completion

    def wanted(self, order: Order, lines: dict[str, tuple[int, str]]) -> int:
        """The tokens for the answer that shrinking scopes leave of what is asked."""
        demand, tokens = order.demand, order.demand.completion
        for key, (cap, how) in lines.items():
            if how != "shrink":
                continue
            room = self.room(key, cap)
            while tokens >= demand.floor and self.need(demand, key, tokens) > room:
                tokens -= 1
        return tokens if tokens >= demand.floor else demand.completion

    def granted(self, order: Order, completion: int, now: int) -> None:
        lines = self.lines(order, now)
        amounts = {key: self.need(order.demand, key, completion) for key in lines}
        for key, (cap, _) in lines.items():
            assert amounts[key] <= self.room(key, cap), f"overspent: {key}"
        assert order.demand.floor <= completion <= order.demand.completion, "less than the least"
        self._nobody_overtaken(order, lines, now)
        if order.id in self.line:
            self.line.remove(order.id)
        for key, amount in amounts.items():
            self.reserved[key] += amount
        self.calls[order.id] = Call(order, "held", self._after(now, 1), amounts)

    def _nobody_overtaken(self, order: Order, lines: dict[str, Any], now: int) -> None:
        for id in self.line:
            if id == order.id:
                return
            earlier = self.calls[id].order
            theirs = self.lines(earlier, now)
            tokens = self.wanted(earlier, theirs)
            for key, (cap, _) in theirs.items():
                short = self.need(earlier.demand, key, tokens) > self.room(key, cap)
                assert not (short and key in lines), f"{order.id} overtakes {id} at {key}"

    def queued(self, order: Order, now: int) -> None:
        if order.id not in self.line:
            self.line.append(order.id)
        self.calls[order.id] = Call(order, "waiting", self._after(now, 4), {})

    def refused(self, order: Order, now: int) -> None:
        if all(claim.shortage == "wait" for claim in order.claims):
            lines = self.lines(order, now)
            assert any(
                self.need(order.demand, key, order.demand.completion)
                > max(cap + self.extra[key] - self.spent[key], cap if self.ends[key] < MOST else 0)
                for key, (cap, _) in lines.items()
            ), "refused although it could wait"
        if order.id in self.line:
            self.line.remove(order.id)
        self.calls.pop(order.id, None)

    def committed(self, id: str, use: Use, now: int) -> str:
        call = self.calls.pop(id, None)
        if call is None:
            return "unknown"
        if call.state == "waiting":
            self.line.remove(id)
        else:
            for key in call.amounts:
                self.spent[key] += getattr(use, parts_of(key)[1])
            if call.state == "held":
                self._give_back(call)
        return "late" if call.state == "expired" else "in time"

    def renewed(self, id: str, now: int) -> None:
        call = self.calls.get(id)
        if call and call.state != "expired":
            call.deadline = self._after(now, 4 if call.state == "waiting" else 1)

    def _after(self, now: int, share: int) -> int:
        return MOST if self.ttl is None else now + self.ttl // share

    def head_is_short(self, now: int) -> None:
        if self.line:
            order = self.calls[self.line[0]].order
            lines = self.lines(order, now)
            tokens = self.wanted(order, lines)
            assert any(
                self.need(order.demand, key, tokens) > self.room(key, cap)
                for key, (cap, _) in lines.items()
            ), "there is room for the first in line, and nobody gave it"


class Schedule:
    """One random schedule: ``run`` raises ``AssertionError`` where books and mirror part."""

    def __init__(
        self,
        seed: int,
        books: type[Books] = Books,
        shelf: Callable[[], Shelf] = MemoryShelf,
        ttls: Sequence[int | None] = (None, TTL),
    ) -> None:
        self.rng = random.Random(seed)
        ttl = self.rng.choice(ttls)
        self.books = books(shelf(), ttl)
        self.mirror = Mirror(ttl)
        self.now = START + self.rng.randrange(0, 120_000)
        self.orders: dict[str, Order] = {}
        self.steps = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        self.end()

    def step(self) -> None:
        rng = self.rng
        self.steps += 1
        self.now += rng.choice((0, 0, 0, 40, 900, 3_000, 11_000, 61_000))
        names = ("new", "again", "commit", "renew", "top_up", "limit")
        name = rng.choices(names, (9, 2, 7, 2, 1, 1))[0]
        self.mirror.pass_time(self.now)
        self.books.moved.clear()
        getattr(self, name)()
        if self.steps % 3 == 0:
            self.compare()

    def new(self) -> None:
        rng = self.rng
        scopes = rng.sample(tuple(CAPS), rng.choice((1, 1, 2, 3)))
        claims = tuple(CLAIMS[scope, rng.choice(OFTEN)] for scope in scopes)
        completion = rng.choice((0, 10, 40, 60, 90, 120))
        demand = Demand(
            prompt=rng.choice((0, 5, 20)),
            completion=completion,
            least=min(completion, 8),
            price_prompt=1,
            price_completion=rng.choice((0, 3, 7)),
        )
        order = Order(id=str(len(self.orders)), claims=claims, demand=demand)
        self.orders[order.id] = order
        self.ask(order)

    def ask(self, order: Order) -> None:
        known = self.mirror.calls.get(order.id)
        if known and known.state == "expired":
            del self.mirror.calls[order.id]
        held = known is not None and known.state == "held"
        answer = self.books.reserve(order, self.now)
        if held:
            assert isinstance(answer, Granted)
            return
        if isinstance(answer, Granted):
            self.follow()
            if order.id not in self.mirror.calls or order.id in self.mirror.line:
                self.mirror.granted(order, answer.completion, self.now)
        elif answer.waiting:
            self.follow()
            self.mirror.queued(order, self.now)
        else:  # who stood in line behind it may be served since it left
            moved = self.books.moved
            before = [id for id in moved if self._position(id) < self._position(order.id)]
            self.follow(before)
            self.mirror.refused(order, self.now)
            self.follow([id for id in moved if id not in before])

    def _position(self, id: str) -> int:
        line = self.mirror.line
        return line.index(id) if id in line else len(line)

    def again(self) -> None:
        if self.orders:
            self.ask(self.orders[self.rng.choice(list(self.orders)[-6:])])

    def commit(self) -> None:
        if not self.orders:
            return
        id = self.rng.choice(list(self.orders)[-6:])
        call = self.mirror.calls.get(id)
        amounts = call.amounts if call else {}
        figures = {parts_of(key)[1]: amount for key, amount in amounts.items()}
        share = self.rng.choice((0, 0.5, 1, 1, 1, 1.4))
        self.settle(id, Use(**{unit: int(n * share) for unit, n in figures.items()}))

    def settle(self, id: str, use: Use) -> None:
        self.books.moved.clear()
        outcome = self.books.commit(id, use, self.now)
        assert outcome == self.mirror.committed(id, use, self.now)
        self.follow()

    def renew(self) -> None:
        ids = self.rng.sample(list(self.orders), min(3, len(self.orders)))
        for id in ids:
            self.mirror.renewed(id, self.now)
        states = self.books.renew(ids, self.now)
        self.follow()
        expected = [call.state if (call := self.mirror.calls.get(id)) else None for id in ids]
        assert states == expected
        self.mirror.head_is_short(self.now)

    def top_up(self) -> None:
        key = self.rng.choice([key for caps in CAPS.values() for key in caps])
        self.mirror.know(key, self.now)
        self.mirror.extra[key] += 30
        self.books.top_up(key, 30, self.now)
        self.follow()
        self.mirror.head_is_short(self.now)

    def limit(self) -> None:
        key, most = self.rng.choice(STORED), self.rng.choice((None, 3, 60, 500))
        self.mirror.stored.pop(key, None)
        if most is not None:
            self.mirror.stored[key] = most
        self.books.limit(key, most, self.now)
        self.follow()
        self.mirror.head_is_short(self.now)

    def follow(self, moved: list[str] | None = None) -> None:
        """Tell the mirror who was served while others were busy, in order."""
        for id in list(self.books.moved) if moved is None else moved:
            if id not in self.mirror.line:
                continue  # expired, which the mirror knows by itself
            holding = self.books.shelf.holding(id)
            if holding and holding.state == "held":
                self.mirror.granted(self.orders[id], holding.completion, self.now)
            else:
                self.mirror.refused(self.orders[id], self.now)

    def compare(self) -> None:
        mirror = self.mirror
        for account in self.books.shelf.accounts(""):
            key = account.key
            assert account.reserved == mirror.reserved.get(key, 0), f"reserved of {key}"
            if self.now < account.ends:
                assert account.spent == mirror.spent.get(key, 0), f"spent of {key}"
                assert account.extra == mirror.extra.get(key, 0), f"extra of {key}"
        waiting = [holding.id for holding in self.books.shelf.waiting()]
        assert waiting == mirror.line, "another line"

    def end(self) -> None:
        """All holders end; windows pass; nobody may be left."""
        self.mirror.pass_time(self.now)
        unserved = list(self.mirror.line)
        for _ in range(3 * len(self.orders) + 5):
            self.look()
            for id, call in list(self.mirror.calls.items()):
                if call.state != "waiting":
                    use = {parts_of(key)[1]: n for key, n in call.amounts.items()}
                    self.settle(id, Use(**use))
                    unserved = [i for i in unserved if i != id]
            for id in unserved:
                self.books.moved.clear()
                self.ask(self.orders[id])
            self.compare()
            unserved = [id for id in unserved if id in self.mirror.calls]
            if not self.mirror.calls:
                break
            if all(call.state == "waiting" for call in self.mirror.calls.values()):
                ends = [e for e in self.mirror.ends.values() if self.now < e < MOST]
                self.now = max(ends, default=self.now)  # every window begins anew
        assert not self.mirror.calls, "somebody waits for ever"
        assert all(a.reserved == 0 for a in self.books.shelf.accounts("")), "a reservation leaked"
        assert not self.books.shelf.waited_for()

    def look(self) -> None:
        self.mirror.pass_time(self.now)
        self.books.moved.clear()
        self.books.renew([], self.now)
        self.follow()


def survey(first: int, step: int, count: int, length: int) -> str:
    """Run the schedules ``first``, ``first + step`` ... below ``count``; says what went wrong."""
    for seed in range(first, count, step):
        try:
            Schedule(seed).run(length)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return ""
