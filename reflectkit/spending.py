"""Keeps the books of one call: what its next attempt may take, who was asked, what it has cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from . import _log
from .backends.base import Capabilities, capabilities_of, found_out
from .budget.bounds import NO_BOUNDS, Bounds, merged
from .budget.meter import Caps
from .budget.purse import WRAP_UP, Allowance, Held, Purse
from .budget.tokens import LearnedCounter
from .budget.trust import FAULTS, Trust
from .budget.wrapup import HINT
from .conversation import at_the_end
from .correction.policies import bound_of
from .errors import BudgetExceeded, ConfigurationError, ReflectKitError
from .messages import ReasoningBudget, Request
from .take import Metering

if TYPE_CHECKING:
    from .backends.base import Backend
    from .budget.budget import Budget
    from .budget.ledger import Demand, Unit
    from .budget.tokens import Counter
    from .correction.policy import Policy
    from .ledgers.hold import Lease
    from .ledgers.scope import Scope
    from .messages import Usage
    from .models.prices import Price
    from .options import Settings

__all__ = ["Books", "Clock", "OutOfTime", "Spending", "hold_all", "price_of", "spending", "warn_of"]

#: tokens of completion that are reserved for a request without any limit on its answer
_USUAL: Final = 4096
#: the share of the time after which thinking has to end, so that an answer can follow
_SOON: Final = 0.75
#: estimates may be off by this factor before an answer is cut that its server has not cut
_DOUBT: Final = 1.25
_FRAME: Final = 32
_FEEDBACK: Final = 1024
_ESTIMATE: Final = LearnedCounter()

T = TypeVar("T")


class OutOfTime(Exception):
    """The time of the call, or of its thinking, is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a call may cost. ``trust``: what is known of its server's way with budgets."""

    counter: Counter
    bounds: Bounds = NO_BOUNDS
    rates: Price | None = None
    scopes: tuple[Scope, ...] = ()
    trust: Trust = field(default_factory=Trust)


def spending(
    settings: Settings,
    model: str,
    *,
    budgets: Iterable[tuple[str, Budget | None]],
    trust: Trust,
) -> Spending:
    """What a call may cost: its budgets and scopes, and those that it stands in.

    Raises ``ConfigurationError`` where money is limited and no price is known.
    """
    scopes = _scopes(settings.scopes)
    bounds = merged([*budgets, *((scope.key, scope.budget) for scope in scopes)])
    limited = bool(bounds or scopes)
    return Spending(
        counter=settings.counter or _counter(model, limited),
        bounds=bounds,
        rates=_price(settings, model, bounds, scopes) if limited else None,
        scopes=scopes,
        trust=trust,
    )


def _scopes(given: Sequence[Scope]) -> tuple[Scope, ...]:
    """Those around the call, and those it was handed; each once."""
    from .ledgers.scope import current_scopes

    return tuple(dict.fromkeys((*current_scopes(), *given)))


def _counter(model: str, limited: bool) -> Counter:
    """The best one where a limit depends on it; else an estimate, which needs no vocabulary."""
    if not limited:
        return _ESTIMATE
    from .counters import counter_for

    return counter_for(model)


def _price(settings: Settings, model: str, bounds: Bounds, scopes: Sequence[Scope]) -> Price | None:
    found = price_of(settings, model)
    counts = bounds.get("money") is not None or any(
        limit.unit == "money" for scope in scopes for limit in scope.limits
    )
    if counts and found is None:
        raise ConfigurationError(
            f"Money is limited, and no price of {model or 'the model'!r} is known.",
            hint="Pass prices=Price(prompt=..., completion=...), for a million tokens each.",
        )
    return found


def price_of(settings: Settings, model: str) -> Price | None:
    """What the model's tokens cost, as far as anybody knows."""
    from .models.prices import Price, price_for

    prices = settings.prices
    return prices if isinstance(prices, Price) else price_for(model, prices)


class Clock:
    """The time of one call: when it must be over, and when its thinking must."""

    def __init__(self, bounds: Bounds) -> None:
        self._started = monotonic()
        self._seconds: float | None = bounds.get("seconds")
        self._whose = bounds.whose("seconds")

    @property
    def over(self) -> bool:
        """The time of the call is over."""
        return self._seconds is not None and self._left(self._seconds) <= 0

    def in_time(self, stream: AsyncIterator[T], thinks: Callable[[], bool]) -> AsyncIterator[T]:
        """``stream``, raising ``OutOfTime`` when the time of the call is over, or, while it
        ``thinks``, that of its thinking."""
        seconds = self._seconds
        if seconds is None:
            return stream
        return _Clocked(stream, lambda: self._left(seconds * (_SOON if thinks() else 1)))

    @asynccontextmanager
    async def within(self) -> AsyncIterator[None]:
        """Raises ``BudgetExceeded`` when the time is over."""
        self._check()
        left = None if self._seconds is None else self._left(self._seconds)
        try:
            async with asyncio.timeout(left) as clock:
                yield
        except TimeoutError:
            if clock.expired():
                raise self._exceeded() from None
            raise

    def _left(self, seconds: float) -> float:
        return self._started + seconds - monotonic()

    def _check(self) -> None:
        if self.over:
            raise self._exceeded()

    def _exceeded(self) -> BudgetExceeded:
        return BudgetExceeded(
            "The time of the call is over.",
            limit="seconds",
            spent=round(monotonic() - self._started, 3),
            scope=self._whose,
            hint="Raise seconds.",
        )


async def hold_all(
    spending: Spending, policy: Policy, request: Request, clock: Clock
) -> tuple[Lease, Spending]:
    """Reserve all that ``policy`` may cost, and the spending that stays within that.

    Each retry's prompt counts as the first one, the last answer and 1,024 tokens of feedback at
    most; longer ones take from what later attempts would have had.

    Raises ``BudgetExceeded`` where scopes have no room for all of it, and ``ConfigurationError``
    for a policy or an answer without a bound; nothing is held then.
    """
    from .budget.budget import Budget
    from .ledgers.hold import hold

    demand = _whole_demand(spending, policy, request)
    async with clock.within():
        lease = await hold(spending.scopes, demand)
    _log.reserved(spending.scopes, lease, demand)
    own = Budget(total=demand.prompt + lease.completion, calls=demand.calls)
    budgets = [(lease.bound_by or "reservation", own)]
    return lease, replace(spending, bounds=spending.bounds.and_these(budgets), scopes=())


def _whole_demand(spending: Spending, policy: Policy, request: Request) -> Demand:
    """What all attempts of ``policy`` may take together."""
    from .budget.ledger import Demand

    bound, usual = bound_of(policy, request), (request.max_tokens or 0) + _FEEDBACK
    bound = replace(bound, added=min(bound.added, usual))
    prompt = spending.counter.prompt_upper(request)
    tokens = bound.tokens(prompt, request.max_tokens) if request.max_tokens else None
    if tokens is None or bound.attempts is None:
        what = "The length of an answer" if bound.attempts else "The policy's number of attempts"
        raise ConfigurationError(
            f"{what} has no bound, so that nobody knows what to reserve.",
            hint='Set max_tokens, and use a policy with bound(request); or reserve="attempt".',
        )
    # a cut answer takes a second request, which sees to its end
    answers = bound.attempts * (request.max_tokens or 0)
    tokens = 2 * tokens + bound.attempts * WRAP_UP
    rates = spending.rates
    return Demand(
        prompt=tokens - answers,
        completion=answers,
        least=request.max_tokens or 1,
        price_prompt=rates.nano_prompt if rates else 0,
        price_completion=rates.nano_completion if rates else 0,
        calls=2 * bound.attempts,
    )


class Books:
    """The account of one attempt. ``purse`` is that of the whole call; ``share``: so many attempts
    are made side by side."""

    def __init__(
        self, spending: Spending, backend: Backend, purse: Purse, clock: Clock, share: int = 1
    ) -> None:
        self._spending = spending
        self._backend = backend
        self._clock = clock
        self._lease: Lease | None = None
        self.purse = purse.at(spending.rates, share)

    async def prepare(self, request: Request) -> tuple[Request, Metering | None]:
        """The request as its limits allow it, and what it is metered with; tokens are reserved.

        Raises ``BudgetExceeded`` where not even a short answer is allowed; nothing is held then.
        """
        if not (self._spending.bounds or self._spending.scopes):
            return request, None
        try:
            async with self._clock.within():
                hinted = self._spending.bounds.get("hint")
                prompt = await self._prompt(_hinted(request, _USUAL) if hinted else request)
                allowance = self.purse.allow(prompt, max_tokens=request.max_tokens)
                if self._spending.scopes:
                    allowance = await self._reserve(request, prompt, allowance)
                return await self._ready(request, prompt, allowance)
        except BaseException:
            await self.settle(None, 0)
            raise

    async def settle(self, usage: Usage | None, requests: int) -> None:
        """The attempt is over, one way or another: pay for it and give back the rest."""
        lease, self._lease = self._lease, None
        self.purse.hold(None)
        if lease is None:
            return
        if usage is None:
            await lease.release()
            return
        await lease.settle(tokens=usage.total, money=self.purse.cost(usage), calls=requests)

    # --- tokens

    async def _prompt(self, request: Request) -> int:
        """Tokens of the prompt, at most: the server's own count where it may decide."""
        upper = self._spending.counter.prompt_upper(request)
        count = getattr(self._backend, "count_tokens", None)
        room = self.purse.completions(upper)
        most = self._spending.bounds.get("prompt")
        decides = (room is not None and room < upper) or (most is not None and upper > most)
        if decides and count is not None and (await self._capabilities()).counts_tokens:
            with suppress(ReflectKitError):  # the bound will do
                return int(await count(request))
        return upper

    async def _reserve(self, request: Request, prompt: int, allowance: Allowance) -> Allowance:
        """What ledgers leave of the allowance; they hold it until the attempt is settled."""
        full, bare = self._demands(prompt, allowance)
        demand = full if allowance.wraps else bare
        began = monotonic()
        try:
            lease = await self._hold(demand)
        except BudgetExceeded:
            if demand is bare or monotonic() - began >= self._patience:
                raise
            demand = bare
            lease = await self._hold(demand)
        granted = replace(demand, completion=lease.completion)
        self.purse.hold(
            Held(
                completion=lease.completion,
                tokens=_needs(granted, "tokens"),
                money=_needs(granted, "money"),
                wraps=demand is full,
                by=lease.bound_by or allowance.bound_by or "reservation",
            )
        )
        return self.purse.allow(prompt, max_tokens=request.max_tokens)

    def _demands(self, prompt: int, allowance: Allowance) -> tuple[Demand, Demand]:
        """What an attempt needs with the request that sees to its answer, and without."""
        from .budget.ledger import Demand

        caps, rates = allowance.caps, self.purse.rates
        want = caps.completion or _USUAL + (caps.thinking or 0)
        thinking = want // 2 if caps.thinking is None else caps.thinking
        bare = Demand(
            prompt=prompt,
            completion=want,
            least=min(want, allowance.floor),
            price_prompt=rates.nano_prompt if rates else 0,
            price_completion=rates.nano_completion if rates else 0,
        )
        again = prompt + thinking + caps.grace + WRAP_UP
        return replace(bare, prompt=prompt + again, calls=2), bare

    @property
    def _patience(self) -> float:
        """Seconds after which waiting for scopes has failed."""
        waiting = [s.patience for s in self._spending.scopes if s.claim.shortage == "wait"]
        return min(waiting, default=inf)

    async def _hold(self, demand: Demand) -> Lease:
        from .ledgers.hold import hold

        scopes = self._spending.scopes
        self._lease = lease = await hold(scopes, demand)
        _log.reserved(scopes, lease, demand)
        return lease

    async def _ready(
        self, request: Request, prompt: int, allowance: Allowance
    ) -> tuple[Request, Metering]:
        caps, bounds, trust = allowance.caps, self._spending.bounds, self._spending.trust
        request = replace(request, max_tokens=self._max_tokens(allowance))
        if bounds.get("hint") and caps.thinking:
            request = _hinted(request, caps.thinking)
        told = await self._told(request, caps.thinking)
        extends = bool(caps.thinking_floor) and "drops_prefix" not in trust
        extends = extends and (await self._capabilities()).continues_prefix
        sure = replace(caps, eager=told is None)
        return request, Metering(
            allowance=allowance,
            caps=sure if self._exact else _doubtful(sure),
            sure=sure,
            purse=self.purse,
            trust=trust,
            prompt=prompt,
            told=told,
            extends=extends,
        )

    @property
    def _exact(self) -> bool:
        own = getattr(self._backend, "count", None)
        return self._spending.counter.exact or own is not None

    def _max_tokens(self, allowance: Allowance) -> int | None:
        """What the server is told; of thinking that is not seen, the answer's share is kept."""
        most = allowance.caps.completion
        if most is None or "hides_thinking" not in self._spending.trust:
            return most
        return max(1, most - allowance.floor) if allowance.wraps else most

    async def _told(self, request: Request, thinking: int | None) -> Request | None:
        """The request with the cap in the server's own field, where it has one and keeps to it."""
        trust = self._spending.trust
        if self._spending.bounds.get("thinking") is None or thinking is None:
            return None
        if "ignores_thinking" in trust or "refuses_thinking" in trust:
            return None
        given = request.reasoning
        if given is not None:
            more = given.tokens is not None and given.tokens > thinking
            return replace(request, reasoning=replace(given, tokens=thinking)) if more else None
        if not (await self._capabilities()).caps_thinking:
            return None
        return replace(request, reasoning=ReasoningBudget(tokens=thinking))

    async def _capabilities(self) -> Capabilities:
        known = capabilities_of(self._backend)
        return known if known.reasoning else await found_out(self._backend)


def _needs(demand: Demand, unit: Unit) -> int:
    """What a demand takes of a limit."""
    fixed, each = demand.parts(unit)
    return fixed + each * demand.completion


def _doubtful(caps: Caps) -> Caps:
    """What a server keeps to itself is cut by an estimate only where there is no doubt."""
    most, thinking = caps.completion, caps.thinking
    if most is not None:
        caps = replace(caps, completion=round(most * _DOUBT) + _FRAME)
    if thinking is not None and not caps.eager:
        caps = replace(caps, thinking=round(thinking * _DOUBT))
    return caps


def warn_of(faults: Iterable[str]) -> None:
    """Log faults of a server that were seen for the first time."""
    for fault in faults:
        _log.warn("budget_fault", fault=fault, meaning=FAULTS[fault])


class _Clocked(AsyncIterator[T]):
    """A stream whose next item has to come within some seconds, asked for anew each time."""

    def __init__(self, stream: AsyncIterator[T], seconds: Callable[[], float]) -> None:
        self._stream = stream
        self._seconds = seconds

    async def __anext__(self) -> T:
        try:
            async with asyncio.timeout(max(0.0, self._seconds())) as clock:
                return await anext(self._stream)
        except TimeoutError:
            if clock.expired():
                raise OutOfTime from None
            raise


def _hinted(request: Request, tokens: int) -> Request:
    """The request whose last user turn says how much may be thought."""
    said = HINT.format(tokens=tokens)
    return replace(request, messages=at_the_end(request.messages, said))
