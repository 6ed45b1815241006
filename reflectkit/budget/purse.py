"""What a call may still spend, and what that means for its next answer. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ..errors import BudgetExceeded
from .bounds import NO_BOUNDS, Bounds
from .meter import Caps

if TYPE_CHECKING:
    from ..messages import Usage

__all__ = ["NANO", "WRAP_UP", "Allowance", "Held", "Purse", "Rates"]

#: money is kept in whole billionths, so that nothing drifts
NANO: Final = 10**9
#: tokens that a request which sees to an answer adds to the prompt and the thinking: tags, and the
#: turn that asks
WRAP_UP: Final = 64
#: tokens that the tags between thinking and output may take
_TAGS: Final = 16
_LEAST_GRACE: Final = 8
#: a quarter of the room belongs to the output, at most this much, where nobody set a floor
_USUAL_FLOOR: Final = 256


class Rates(Protocol):
    """What tokens cost, in billionths of the currency: ``models.prices.Price`` is one."""

    @property
    def nano_prompt(self) -> int:
        """For one token of a prompt, at most."""
        ...

    @property
    def nano_completion(self) -> int:
        """For one token that is generated."""
        ...

    def nano(self, usage: Usage, /) -> int:
        """For a whole usage."""
        ...


class _Account(NamedTuple):
    """A limit of several requests together: what is left of it, and what a token of each kind
    takes from it. ``name``: as it is shown."""

    name: str
    left: int
    prompt: int
    completion: int

    def completions(self, prompt: int) -> int | None:
        """The tokens of completion that it pays behind a prompt; None: any number."""
        left = self.left - self.prompt * prompt
        return left // self.completion if self.completion else (None if left >= 0 else -1)

    def thinking(self, prompt: int, floor: int) -> int | None:
        """The tokens of thinking after which it still pays a second request for the answer: the
        prompt and the thinking again, and ``floor`` tokens of output."""
        left = self.left - self.prompt * (2 * prompt + WRAP_UP) - self.completion * floor
        each = self.prompt + self.completion
        return left // each if each else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What ledgers have granted to one attempt: ``completion`` tokens for its answer, and for all
    its requests together ``tokens``, and ``money`` in billionths.

    ``wraps``: a further request is among them. ``by``: whose limit it is.
    """

    completion: int
    tokens: int
    money: int = 0
    wraps: bool = True
    by: str = "reservation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What the next answer may take: its caps, and who set them (limit -> name).

    ``floor``: tokens that its output has at least. ``wraps``: a further request to see to an answer
    is paid for as well.
    """

    caps: Caps
    floor: int = 1
    wraps: bool = True
    by: tuple[tuple[str, str], ...] = ()

    @property
    def bound_by(self) -> str:
        """Whose limit the answer's length has: "max_tokens (request)", "total (client)"..."""
        return dict(self.by).get("completion", "")


@dataclass(slots=True)
class _Spent:
    tokens: int = 0
    money: int = 0
    calls: int = 0


class Purse:
    """The limits of one call, and what it has spent of them."""

    def __init__(self, bounds: Bounds = NO_BOUNDS, rates: Rates | None = None) -> None:
        self.bounds = bounds
        self.rates = rates
        self._spent, self._own = _Spent(), _Spent()
        #: what had been spent when it was made, and among how many what is left then is shared
        self._before, self._share = _Spent(), 1
        self._held: Held | None = None

    def at(self, rates: Rates | None, share: int = 1) -> Purse:
        """The same purse for one attempt, by a model with prices of its own; ``share``: so many
        attempts are made side by side."""
        twin = Purse(self.bounds, rates)
        twin._spent, twin._before, twin._share = self._spent, replace(self._spent), share
        return twin

    @property
    def tokens(self) -> int:
        """What the whole call has spent, in tokens."""
        return self._spent.tokens

    @property
    def money(self) -> int:
        """The same in billionths of the currency."""
        return self._spent.money

    @property
    def calls(self) -> int:
        """The same in requests."""
        return self._spent.calls

    def pay(self, usage: Usage, calls: int = 1) -> None:
        """A request was answered."""
        for spent in (self._spent, self._own):
            spent.tokens += usage.total
            spent.money += self.cost(usage)
            spent.calls += calls

    def cost(self, usage: Usage) -> int:
        """In billionths of the currency."""
        return self.rates.nano(usage) if self.rates else 0

    def completions(self, prompt: int) -> int | None:
        """Tokens of completion that a request with such a prompt may have now; None: any number.
        Fewer than one: it cannot be paid."""
        most = [n for a in self._accounts() if (n := a.completions(prompt)) is not None]
        calls = self.bounds.get("calls")
        if calls is not None and self.calls >= calls:
            return 0
        return min(most, default=None)

    def hold(self, held: Held | None) -> None:
        """Ledgers have granted this to the attempt that comes now; or it is over."""
        self._held = held

    def allow(self, prompt: int, *, max_tokens: int | None = None) -> Allowance:
        """What an answer may take behind a prompt of so many tokens (at most).

        ``max_tokens``: what the request says. Raises ``BudgetExceeded`` where not even a short
        answer can be paid.
        """
        self._check(prompt)
        room, whose = self._room(prompt, max_tokens)
        floor = self._floor(room)
        if room is not None and room < floor:
            raise self._exceeded(whose, room)
        thinking, thought_by, wraps = self._thinking(prompt, room, floor)
        get = self.bounds.get
        caps = Caps(
            thinking=thinking,
            thinking_floor=min(get("thinking_floor") or 0, _or(thinking, 1 << 60)),
            reflection=get("reflection"),
            reflections=get("reflections"),
            grace=self._grace(room),
            output=get("output"),
            completion=room,
        )
        by = {"completion": whose, "thinking": thought_by} | {
            name: f"{name} ({self.bounds.whose(name)})"
            for name in ("reflection", "reflections", "output")
            if get(name) is not None
        }
        return Allowance(
            caps=caps, floor=floor, wraps=wraps, by=tuple((k, v) for k, v in by.items() if v)
        )

    # --- parts

    def _accounts(self) -> Iterator[_Account]:
        total, money, held = self.bounds.get("total"), self.bounds.get("money"), self._held
        before, own, share = self._before, self._own, self._share
        if total is not None:
            yield _Account(
                self._named("total"), (total - before.tokens) // share - own.tokens, 1, 1
            )
        if held:
            yield _Account(held.by, held.tokens - own.tokens, 1, 1)
        if self.rates:
            each = self.rates.nano_prompt, self.rates.nano_completion
            if money is not None:
                left = (int(money * NANO) - before.money) // share - own.money
                yield _Account(self._named("money"), left, *each)
            if held:
                yield _Account(held.by, held.money - own.money, *each)

    def _check(self, prompt: int) -> None:
        most, calls = self.bounds.get("prompt"), self.bounds.get("calls")
        if most is not None and prompt > most:
            raise BudgetExceeded(
                f"The prompt has up to {prompt} tokens; {most} are allowed.",
                limit="prompt",
                spent=prompt,
                scope=self.bounds.whose("prompt"),
                hint="Shorten the messages, or raise prompt.",
            )
        if calls is not None and self.calls >= calls:
            raise self._exceeded("calls", 0)

    def _room(self, prompt: int, max_tokens: int | None) -> tuple[int | None, str]:
        """The most tokens of completion, and whose limit that is."""
        found = [(self._held.completion, self._held.by)] if self._held else []
        if max_tokens is not None:
            found.append((max_tokens, "max_tokens (request)"))
        for account in self._accounts():
            if (most := account.completions(prompt)) is not None:
                found.append((most, account.name))
        thinking, output = self.bounds.get("thinking"), self.bounds.get("output")
        if thinking is not None and output is not None:
            both = thinking + self._grace(None) + output + _TAGS
            found.append((both, self._named("output")))
        return min(found, key=lambda pair: pair[0], default=(None, ""))

    def _floor(self, room: int | None) -> int:
        wanted: int | None = self.bounds.get("output_floor")
        if wanted is None:
            wanted = 1 if room is None else max(1, min(_USUAL_FLOOR, room // 4))
        return min(wanted, _or(self.bounds.get("output"), wanted))

    def _grace(self, room: int | None) -> int:
        wanted: int | None = self.bounds.get("grace")
        if wanted is not None:
            return wanted
        base = self.bounds.get("thinking")
        grace = max(_LEAST_GRACE, (base or 0) // 10)
        return grace if room is None or base is not None else max(1, min(grace, room // 10))

    def _thinking(self, prompt: int, room: int | None, floor: int) -> tuple[int | None, str, bool]:
        """The cap on thinking, whose it is, and whether a second request can be paid."""
        calls = self.bounds.get("calls")
        wraps = calls is None or self.calls + 2 <= calls
        wraps = wraps and (not self._held or self._held.wraps)
        grace = self._grace(room)
        derived = [] if room is None else [(max(0, room - floor - grace), "output_floor")]
        for account in self._accounts():
            most = account.thinking(prompt, floor)
            if most is not None:
                derived.append((most - grace, account.name))
                wraps = wraps and most >= grace
        # thinking is cut for the output's sake only where a second request can ask for it
        found = derived if wraps else []
        if (wanted := self.bounds.get("thinking")) is not None:
            found = [(wanted, self._named("thinking")), *found]
        cap, whose = min(found, key=lambda pair: pair[0], default=(None, ""))
        return cap, whose, wraps

    def _named(self, limit: str) -> str:
        return f"{limit} ({self.bounds.whose(limit)})"

    def _exceeded(self, whose: str, room: int) -> BudgetExceeded:
        limit = whose.partition(" ")[0]
        spent = {
            "total": self.tokens,
            "calls": self.calls,
            "money": self.money / NANO,
        }
        return BudgetExceeded(
            f"There is no room for an answer within {limit}.",
            limit=limit,
            spent=spent.get(limit, 0),
            scope=self.bounds.whose(limit) or "request",
            hint=f"Raise {limit}, shorten the prompt, or lower output_floor.",
        )


def _or(value: int | None, other: int) -> int:
    return other if value is None else value
