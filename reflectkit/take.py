"""One attempt while it comes in: read, metered, accounted. It awaits nobody but a counter."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from inspect import isawaitable
from operator import add
from time import monotonic
from typing import TYPE_CHECKING, Any

from .budget.accounting import Split, accounted, estimated
from .budget.gate import Gate
from .budget.grants import grants
from .budget.ladder import Ended, Ladder, Send, Step
from .budget.meter import Caps, Meter
from .correction.policy import ENDINGS
from .display import Display
from .errors import BackendStatus, BackendUnreachable, ReflectKitError
from .messages import Chunk, FinishReason, Request, Usage, Wrap
from .protocol.dialects import find_dialect
from .reading import Reader, Reading
from .reply import Attempt, Grant, Transcript
from .visibility import Screen, Show, visible

if TYPE_CHECKING:
    from .backends.base import Backend
    from .budget.purse import Allowance, Purse
    from .budget.tokens import Counter
    from .budget.trust import Trust
    from .events import ProtocolEvent

__all__ = ["Metering", "Take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """What a limited attempt is metered with.

    ``caps``: where it is cut on this side, if nobody else has cut it; ``sure``: the same once the
    server tells how many tokens there are. ``prompt``: tokens of its prompt, at most. ``told``: the
    request with the server's own budget in it, where it takes one.
    """

    allowance: Allowance
    caps: Caps
    sure: Caps
    purse: Purse
    trust: Trust
    prompt: int
    told: Request | None = None
    extends: bool = False


@dataclass(slots=True)
class _Leg:
    """One request of an attempt, and what has come of it."""

    request: Request
    usage: Usage | None = None
    #: what came since the server last said what it cost
    untold: list[str] = field(default_factory=list)
    begun: bool = False
    failed: bool = False

    def take(self, chunk: Chunk) -> None:
        self.begun = True
        if chunk.usage is not None:
            self.usage = chunk.usage
            self.untold.clear()
        elif chunk.text or chunk.reasoning:
            self.untold.append(chunk.reasoning + chunk.text)

    def cost(self, counter: Counter) -> Usage:
        if self.failed and not self.begun:  # it was not answered, so nobody is billed for it
            return self.usage or Usage()
        if self.usage is None:
            return estimated(self.request, "".join(self.untold), counter)
        more = counter.count("".join(self.untold), special=True) if self.untold else 0
        return self.usage + Usage(completion=more, exact=not more)


class Take:
    """Reads one attempt, which may take several requests."""

    def __init__(
        self,
        request: Request,
        number: int,
        *,
        backend: Backend,
        reading: Reading,
        show: Show,
        counter: Counter,
        metering: Metering | None = None,
        restore: bool = False,
    ) -> None:
        self.request = request
        self.number = number
        self.reader = Reader(reading)
        self._dialect = reading.dialect
        self._displays = [Display(reading.dialect) for _ in range(2)] if restore else []
        self.screen = Screen(show)
        self.finish: FinishReason = "stop"
        self.wrap: Wrap = ""
        self.ended = Ended()
        self._backend = backend
        self._show = show
        self._counter = counter
        self._metering = metering
        self._legs: list[_Leg] = []
        self._step: Send | None = None
        self._cut = ""
        #: a server has ended an answer at the length that it was told
        self._full = False
        self._logprobs: list[Mapping[str, Any]] = []
        self._model = ""
        self._started = monotonic()
        self.gate: Gate | None = None
        self.ladder: Ladder | None = None
        if metering:
            self._meter(metering, reading)
        self._opening = self._open(request.prefix) if request.prefix else []

    def _meter(self, metering: Metering, reading: Reading) -> None:
        dialect = find_dialect(reading.dialect)
        meter = Meter(
            metering.caps,
            self._tokens,
            sure=metering.sure,
            exact=lambda: self._counter.exact or getattr(self._backend, "count", None) is not None,
            prefilled=reading.prefilled,
        )
        self.gate = Gate(self.reader, meter, dialect, extends=metering.extends)
        self.ladder = Ladder(
            request=self.request,
            gate=self.gate,
            allowance=metering.allowance,
            purse=metering.purse,
            trust=metering.trust,
            dialect=dialect,
            count=self._tokens,
            prompt=metering.prompt,
            told=metering.told,
        )

    def _open(self, prefix: str) -> list[ProtocolEvent]:
        """The answer begins with what it goes on from."""
        return self.gate.open(prefix) if self.gate else self.reader.feed(Chunk(prefix))

    # --- what is sent

    def steps(self) -> Generator[Step, Any, Wrap]:
        """What is to be done for an answer, step by step."""
        return self.ladder.climb() if self.ladder else _once(self.request)

    def begin(self, step: Send) -> None:
        """A request is being sent."""
        self._step = step
        self.ended = Ended()
        self._legs.append(_Leg(step.request))

    def failed(self, error: ReflectKitError) -> bool:
        """The request failed; True if the attempt can go on without it."""
        leg = self._legs[-1]
        leg.failed = not leg.begun and isinstance(error, BackendStatus | BackendUnreachable)
        reported = getattr(error, "usage", None)
        leg.usage = leg.usage or reported
        forgiven = bool(self._step and self._step.may_fail) and not (leg.begun and self._delivers)
        self.ended = Ended(error=error if forgiven else None)
        return forgiven

    @property
    def _delivers(self) -> bool:
        """What came of the present request was passed on, so that it cannot be left out."""
        return self._step is not None and (self._step.through is None or self._answering)

    @property
    def _answering(self) -> bool:
        return self.gate is not None and self.gate.meter.answered

    def out_of_time(self, *, over: bool) -> None:
        """The time for thinking is over; or all of it is, and nothing more may be sent."""
        if self.gate:
            self.gate.stop("seconds")
        self.ended = Ended(over=over)

    @property
    def thinks(self) -> bool:
        """Thinking is under way."""
        by_itself = self._step is not None and self._step.through is None
        return by_itself and self.gate is not None and bool(self.gate.meter.open)

    # --- what comes

    def feed(self, chunk: Chunk) -> list[ProtocolEvent]:
        """Take the next chunk; the events that may be seen."""
        self._legs[-1].take(chunk)
        self.finish = chunk.finish or self.finish
        self._full = self._full or chunk.finish == "length"
        self._model = chunk.model or self._model
        if chunk.logprobs:
            self._logprobs += chunk.logprobs
        opening, self._opening = self._opening, []
        return self._screened([*opening, *self._read(chunk)])

    def say(self, text: str) -> list[ProtocolEvent]:
        """Text of our own."""
        assert self.gate is not None
        self._note(self.gate.cut)
        return self._screened(self.gate.say(text))

    def _note(self, cut: str | None) -> None:
        """The first limit that cut the answer is the one that counts."""
        if cut and cut != "blank":
            self._cut = self._cut or cut

    def leg_over(self) -> list[ProtocolEvent]:
        """The present request was answered, or cut: what was held back."""
        if self.gate is None or self.ladder is None:
            return []
        usage = self._legs[-1].cost(self._counter)
        self.ladder.purse.pay(usage)
        self.ladder.written += usage.completion
        if self.ended.error is None:
            self.ended = replace(self.ended, finish=self.finish)
        through = self._step.through if self._step else None
        return [] if through else self._screened(self.gate.finish())

    @property
    def stopped(self) -> bool:
        """Nothing more is wanted of the present request."""
        through = self._step.through if self._step else None
        return bool(self.gate and self.gate.cut) or bool(through and through.over)

    def end(self, wrap: Wrap) -> list[ProtocolEvent]:
        """The attempt is over; the last events."""
        self.wrap = wrap
        cut = self.gate.cut if self.gate else None
        self._note(cut)
        if wrap in ("salvaged", "unanswered"):
            self.finish = "stop"
        elif cut:
            self.finish = "length"
        progress = self.reader.progress
        return self.screen.feed(self.reader.finish(truncated=self.finish == "length"), progress)

    def rest(self) -> list[ProtocolEvent]:
        """What may be seen only now."""
        rest = self.screen.finish(self.visible(complete=self._complete))
        return self._displays[0].events(rest) if self._displays else rest

    def shown(self, events: list[ProtocolEvent]) -> tuple[list[ProtocolEvent], list[ProtocolEvent]]:
        """``events`` as they are shown, and those of the answer that became certain with them."""
        certain = self.screen.settled
        if not self._displays:
            return events, certain
        return self._displays[0].events(events), self._displays[1].events(certain)

    @property
    def _complete(self) -> bool:
        return ENDINGS[self.finish] == "complete"

    def visible(self, *, complete: bool) -> Transcript:
        """What may be seen of it."""
        return visible(self.reader.transcript, self._show, complete=complete)

    def _read(self, chunk: Chunk) -> list[ProtocolEvent]:
        if self.gate is None:
            return self.reader.feed(chunk)
        through = self._step.through if self._step else None
        if through is None:
            return self.gate.feed(chunk)
        return [e for passed in through.feed(chunk) for e in self.gate.feed(passed)]

    def _screened(self, events: list[ProtocolEvent]) -> list[ProtocolEvent]:
        return self.screen.feed(events, self.reader.progress)

    @property
    def leg(self) -> dict[str, Any]:
        """What the present request has come to, as it may be told of."""
        return {
            "usage": self._legs[-1].cost(self._counter),
            "finish": self.finish,
            "model": self._model,
            "seen": self.visible(complete=self._complete),
        }

    # --- what it cost

    @property
    def usage(self) -> Usage:
        """Of all its requests so far; its phases by their shares."""
        return accounted(self._spent, self.reader.transcript, self._metered_split())

    @property
    def _spent(self) -> Usage:
        return reduce(add, (leg.cost(self._counter) for leg in self._legs), Usage())

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self._legs)

    async def attempt(self) -> Attempt:
        """The attempt, when it is over."""
        spent = self._spent
        split = await self._split(spent)
        usage = accounted(spent, self.reader.transcript, split)
        self._learn()
        return Attempt(
            number=self.number,
            request=self.request,
            transcript=self.reader.transcript,
            usage=usage,
            finish=self.finish,
            model=self._model or self.request.model or getattr(self._backend, "model", ""),
            seconds=monotonic() - self._started,
            wrap=self.wrap,
            requests=len(self._legs),
            cut=self._cut,
            grants=self._grants(usage),
            dialect=self._dialect,
            logprobs=tuple(self._logprobs),
        )

    def _learn(self) -> None:
        """What a server said of an answer that was left alone tells how its model counts."""
        if self._metering is None or len(self._legs) != 1:
            return
        leg, learn = self._legs[0], self._counter
        if leg.usage is None or not leg.usage.exact or leg.untold:
            return
        if leg.usage.thinking and not self.reader.transcript.thinking_source:
            return  # its thinking is not seen
        learn.learn_prompt(leg.request, leg.usage.prompt)
        if not self._cut:
            learn.learn(self.reader.transcript.source, leg.usage.completion)

    async def _split(self, spent: Usage) -> Split | None:
        """The tokens of its phases, by the model's own counter where the backend has one."""
        transcript = self.reader.transcript
        count = getattr(self._backend, "count", None)
        if spent.thinking is not None or count is None or not transcript.thinking_source:
            return self._metered_split()
        with suppress(ReflectKitError):  # a figure is not worth losing the answer for
            thinking = await _awaited(count(transcript.thinking_source))
            reflections = [s.text for s in transcript.of("reflection") if s.text]
            return Split(thinking, sum([await _awaited(count(text)) for text in reflections]))
        return None

    def _metered_split(self) -> Split | None:
        """What the meter counted, where a server told it how many tokens there were."""
        meter = self.gate.meter if self.gate else None
        if meter is None or not meter.told:
            return None
        return Split(meter.thinking, meter.reflected)

    def _tokens(self, text: str) -> int:
        """A text's tokens as the model writes it, by the best counter at hand."""
        count: Callable[[str], Any] | None = getattr(self._backend, "count", None)
        counted = count(text) if count else None
        if isinstance(counted, int):
            return counted
        if isinstance(counted, Coroutine):
            counted.close()  # there is no time to wait for it
        return self._counter.count(text, special=True)

    def _grants(self, usage: Usage) -> tuple[Grant, ...]:
        if self._metering is None or self.gate is None:
            return ()
        return grants(
            self._metering.allowance,
            self._metering.purse.bounds,
            self.gate.meter,
            usage,
            cut=self._cut,
            full=self._full,
            told=self._metering.told is not None and bool(self.ladder and self.ladder.told),
        )


def _once(request: Request) -> Generator[Step, Any, Wrap]:
    yield Send(request)
    return ""


async def _awaited(value: Any) -> int:
    return int(await value if isawaitable(value) else value)
