"""How many tokens a text or a prompt has. Pure.

A ``Counter`` counts for one model. Where its vocabulary is not at hand, ``LearnedCounter`` learns
from every call whose count a server reported.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, runtime_checkable

from ..messages import Message, Request
from .learning import Line, Prior
from .pieces import FEATURES, GROUPS, cut_marks, features, group_of

__all__ = [
    "Counter",
    "LearnedCounter",
    "PromptCounter",
    "estimate",
    "estimate_prompt",
]

#: Bytes of UTF-8 to a token, on average, in the vocabularies of today.
_BYTES = 4
#: What a chat template adds to each message.
_FRAME = 4

#: What a prompt has beside its texts -> tokens of each beforehand, and how unsure that is.
_FRAMES: Final[Mapping[str, tuple[float, float]]] = {
    "prompt": (4.0, 6.0),
    "message": (float(_FRAME), 3.0),
    "system message": (0.0, 3.0),
    "tool call": (8.0, 8.0),
    "tool": (10.0, 10.0),
    "part that is no text": (800.0, 800.0),
}
#: How far a report may be from what a byte-level vocabulary can make, in tokens and times.
_SLACK, _MOST, _PART_MOST = 200, 2, 20_000


@runtime_checkable
class Counter(Protocol):
    """Counts tokens for one model. No text makes it raise.

    ``special``: the text is what the model emits, where the tags of its protocol may be a token
    each. Otherwise it is somebody's text, in which no special token is seen.
    """

    @property
    def exact(self) -> bool:
        """A text's count is what the model's own tokenizer gives."""
        ...

    def count(self, text: str, /, *, special: bool = False) -> int:
        """The tokens of ``text``, on its own."""
        ...

    def upper(self, text: str, /, *, special: bool = False) -> int:
        """A bound that at least 99 of 100 texts keep; the count itself where that is exact."""
        ...

    def prompt(self, request: Request, /) -> int:
        """The tokens of a request's prompt: its texts and what the chat template adds."""
        ...

    def prompt_upper(self, request: Request, /) -> int:
        """A bound that at least 99 of 100 prompts keep."""
        ...

    def learn(self, text: str, tokens: int, /) -> None:
        """Take in that the model emitted ``text``, all of it, in ``tokens``."""
        ...

    def learn_prompt(self, request: Request, tokens: int, /) -> None:
        """Take in that the server counted ``tokens`` in this prompt."""
        ...


class PromptCounter(ABC):
    """Counts prompts from the texts in them, and learns what the template adds.

    A subclass measures a text in amounts of its own; ``prior`` is for these. What was learnt is
    one value, put in place in one step, so that threads never see half of it.
    """

    def __init__(self, prior: Prior, state: Mapping[str, Any] | None = None) -> None:
        means, deviations = zip(*_FRAMES.values(), strict=True)
        self._prior = replace(
            prior, mean=prior.mean + means, deviation=prior.deviation + deviations
        )
        self._line = Line.from_json(state, self._prior) if state else Line.from_prior(self._prior)

    @abstractmethod
    def _measure(self, text: str, special: bool) -> Sequence[float]:
        """The amounts that the weights belong to."""

    def _group(self, amounts: Sequence[float]) -> int:
        return 0

    def state(self) -> dict[str, Any]:
        """What was learnt, for JSON; ``state=`` of a new counter goes on from there."""
        return self._line.as_json()

    def prompt(self, request: Request, /) -> int:
        """The tokens of a request's prompt: its texts and what the chat template adds."""
        return round(self._line.estimate(self._measured(request)))

    def prompt_upper(self, request: Request, /) -> int:
        """A bound that at least 99 of 100 prompts keep."""
        amounts = self._measured(request)
        return math.ceil(self._line.upper(amounts, self._group(amounts)))

    def learn_prompt(self, request: Request, tokens: int, /) -> None:
        """Take in that the server counted ``tokens`` in this prompt (cached ones included).

        A count that cannot be of this prompt is passed over.
        """
        amounts = self._measured(request)
        if _can_be(_texts(request), tokens, parts=int(_frames(request)[-1])):
            self._line = self._line.observed(amounts, tokens, self._group(amounts))

    def _measured(self, request: Request) -> list[float]:
        measured = [self._measure(text, False) for text in _texts(request)]
        sums = [math.fsum(column) for column in zip(*measured, strict=True)]
        return [*sums, *_frames(request)]

    def _framed(self, amounts: Sequence[float]) -> list[float]:
        """The amounts of a text that stands in no prompt."""
        return [*amounts, *([0.0] * len(_FRAMES))]


class LearnedCounter(PromptCounter):
    """Counts without the model's vocabulary, and learns from every count that a server reports.

    ``base``: counts by another vocabulary, which tells far more than a text's features alone.
    ``state``: what an earlier counter had learnt, from ``state()``. Raises ``ConfigurationError``
    for a state that another version saved.
    """

    exact = False

    def __init__(
        self, base: Callable[[str], int] | None = None, *, state: Mapping[str, Any] | None = None
    ) -> None:
        self._base = base
        super().__init__(_prior(base is not None), state)

    def __repr__(self) -> str:
        return f"LearnedCounter(calls={self.calls})"

    @property
    def calls(self) -> int:
        """How many calls it has learnt from, up to the number that it remembers."""
        return round(sum(self._line.calls))

    def count(self, text: str, /, *, special: bool = False) -> int:
        """The tokens of ``text``: at least one where there is text, at most its bytes."""
        amounts = self._framed(self._measure(text, special))
        return _bounded(text, self._line.estimate(amounts))

    def upper(self, text: str, /, *, special: bool = False) -> int:
        """A bound that at least 99 of 100 texts keep."""
        amounts = self._framed(self._measure(text, special))
        return _bounded(text, math.ceil(self._line.upper(amounts, self._group(amounts))))

    def learn(self, text: str, tokens: int, /) -> None:
        """Take in that the model emitted ``text``, all of it, in ``tokens``.

        A count that cannot be of this text is passed over: one of hidden thinking, for instance.
        """
        if text and _can_be((text,), tokens):
            amounts = self._framed(self._measure(text, True))
            self._line = self._line.observed(amounts, tokens, self._group(amounts))

    def _measure(self, text: str, special: bool) -> list[float]:
        plain, marks = cut_marks(text) if special else (text, 0)
        amounts = features(plain, marks)
        return [float(self._base(plain)), *amounts] if self._base else amounts

    def _group(self, amounts: Sequence[float]) -> int:
        first = 1 if self._base else 0
        return group_of(amounts[first : first + len(FEATURES)])


def _prior(based: bool) -> Prior:
    """With a base the features say how far the model's vocabulary departs from it."""
    means, deviations = zip(*FEATURES.values(), strict=True)
    if not based:
        return Prior(mean=means, deviation=deviations, spread=0.04, groups=len(GROUPS))
    marks = list(FEATURES).index("marks")
    departs = tuple(mean if i == marks else 0.0 for i, mean in enumerate(means))
    return Prior(
        mean=(1.0, *departs), deviation=(0.1, *deviations), spread=0.015, groups=len(GROUPS)
    )


def _bounded(text: str, tokens: float) -> int:
    return min(max(round(tokens), 1), _size_of(text)) if text else 0


def _can_be(texts: Sequence[str], tokens: int, parts: int = 0) -> bool:
    size = sum(map(_size_of, texts))
    return (
        max(size // (_BYTES * 16) - _SLACK, 1)
        <= tokens
        <= size * _MOST + _SLACK + parts * _PART_MOST
    )


def _size_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _texts(request: Request) -> list[str]:
    """Every text that ends up in the prompt; one at least."""
    tools = request.extra.get("tools")
    return [
        *(text for message in request.messages for text in _texts_of(message)),
        *([json.dumps(tools, ensure_ascii=False, default=str)] if tools else ()),
        request.prefix,
    ]


def _texts_of(message: Message) -> Iterator[str]:
    yield message.text
    for call in message.tool_calls:
        yield from (call.name, call.arguments)


def _frames(request: Request) -> list[float]:
    """The amounts of ``_FRAMES``, in their order."""
    tools = request.extra.get("tools")
    messages = request.messages
    parts = [p for m in messages if not isinstance(m.content, str) for p in m.content]
    return [
        1.0,
        float(len(messages)),
        float(sum(m.role == "system" for m in messages)),
        float(sum(len(m.tool_calls) for m in messages)),
        float(len(tools)) if isinstance(tools, Sequence) else 0.0,
        float(sum(p.get("type") != "text" for p in parts)),
    ]


# --- where no counter is ------------------------------------------------------------------------


def estimate(text: str) -> int:
    """A rough count, never 0 for a text that is not empty."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES)


def estimate_prompt(request: Request) -> int:
    """A rough count of a request's prompt: its messages, their frames, and the prefix."""
    return sum(map(_size, request.messages)) + estimate(request.prefix)


def _size(message: Message) -> int:
    calls = sum(estimate(c.name) + estimate(c.arguments) for c in message.tool_calls)
    return estimate(message.text) + calls + _FRAME
