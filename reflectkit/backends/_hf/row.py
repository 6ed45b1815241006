"""One answer on its way, token by token. It knows nothing of batches or tensors."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import BackendStatus
from ...messages import Chunk, FinishReason, Usage
from .._filters import StopFilter
from .ask import Ask, Sampling, sampling
from .guide import Guide
from .text import Detokenizer, Text

if TYPE_CHECKING:
    from ...protocol import Dialect
    from .._relay import Relay

__all__ = ["Habits", "Row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a loaded model gives to every answer."""

    name: str
    text: Text
    context: int
    dialect: Dialect
    ends: frozenset[int] = frozenset()
    sampling: Sampling = field(default_factory=Sampling)


class Row:
    """An answer: what it must say next, and what it has said.

    Raises ``BackendStatus`` (400) for a prompt that its template refuses or that is too long.
    """

    def __init__(self, ask: Ask, habits: Habits, relay: Relay[Chunk]) -> None:
        self.relay = relay
        self._habits = habits
        rendered = habits.text.render(ask)
        self.prompt = habits.text.encode(rendered + ask.prefix)
        self._limit = _limit(len(self.prompt), ask.max_tokens, habits.context)
        self.sampling = sampling(ask.knobs, habits.sampling)
        self._random = random.Random(ask.seed)
        self.ends = ask.stop_ids if ask.ignore_eos else ask.stop_ids | habits.ends
        opening = _opened(rendered, habits.dialect) + ask.prefix
        self._guide = Guide(
            habits.dialect, habits.text, cap=ask.cap, least=ask.least, opening=opening
        )
        self._letters = Detokenizer(habits.text.decode, self.prompt)
        self._stop = StopFilter(ask.stop)
        self.completion = 0
        self.last = self.prompt[-1] if self.prompt else 0
        self.over = False
        #: which tokens occurred, kept by the batch for the penalty on repetition
        self.seen: Any = None

    @property
    def length(self) -> int:
        """Places in the cache once the last token has been read."""
        return len(self.prompt) + self.completion

    @property
    def forced(self) -> int | None:
        """The token that must come next, if there is one."""
        return self._guide.forced

    @property
    def banned(self) -> set[int]:
        """The tokens that must not come next."""
        ends = self.ends if self._guide.holds else ()
        return {*self._guide.banned, *ends}

    def uniform(self) -> float:
        """The next number from 0 up to 1 of this answer's own generator."""
        return self._random.random() if self.sampling.temperature else 0.0

    def take(self, token: int) -> bool:
        """The next token has come; whether the answer is over."""
        self.completion += 1
        self.last = token
        if token in self.ends:
            return self._end("stop", self._stop.feed(self._letters.finish()))
        text = self._letters.feed(token)
        self._guide.feed(text)
        passed = self._stop.feed(text)
        if self._stop.hit:
            self._put(passed, "stop")
            return True
        if self.completion >= self._limit:
            return self._end("length", passed + self._stop.feed(self._letters.finish()))
        if passed:
            self._put(passed)
        return False

    def _end(self, reason: FinishReason, text: str) -> bool:
        self._put(text + self._stop.flush(), "stop" if self._stop.hit else reason)
        return True

    def _put(self, text: str, finish: FinishReason | None = None) -> None:
        thinking = self._guide.thinking or None if finish else None
        self.over = finish is not None
        usage = Usage(prompt=len(self.prompt), completion=self.completion, thinking=thinking)
        self.relay.put(Chunk(text, usage=usage, finish=finish, model=self._habits.name))
        if self.over:
            self.relay.end()


def _limit(prompt: int, wanted: int | None, context: int) -> int:
    room = context - prompt
    if room < 1:
        raise BackendStatus(
            f"The prompt has {prompt} tokens, and the context has room for {context}.",
            status=400,
            retryable=False,
            hint="Shorten the messages, or make the backend with a larger context=.",
        )
    return min(wanted or room, room)


def _opened(rendered: str, dialect: Dialect) -> str:
    """The opening tag of thinking, if the chat template has put it at the prompt's end."""
    found = dialect.sections.get("thinking")
    names = found.open if found else ()
    openers = map("<{}>".format, names) if dialect.match == "xml" else names
    return next((o for o in openers if rendered.rstrip().endswith(o.rstrip())), "")
