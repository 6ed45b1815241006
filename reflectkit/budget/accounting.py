"""Usage, completed: counted where the backend said nothing, and split into its phases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..messages import Request, Usage
from ..reply import Transcript

if TYPE_CHECKING:
    from .tokens import Counter

__all__ = ["Split", "accounted", "estimated"]


@dataclass(frozen=True, slots=True)
class Split:
    """Tokens of thinking, and of the reflections in it, as somebody counted them."""

    thinking: int
    reflections: int = 0


def estimated(request: Request, text: str, counter: Counter) -> Usage:
    """What a request and its answer cost, where nobody reported it."""
    completion = counter.count(text, special=True) if text else 0
    return Usage(prompt=counter.prompt(request), completion=completion, exact=False)


def accounted(usage: Usage, transcript: Transcript, split: Split | None = None) -> Usage:
    """``usage`` with its phases: as they were reported, else as ``split`` says, else their shares
    of the completion by characters, tags included, which makes it an estimate."""
    text = transcript.thinking_source
    if not text:
        return replace(usage, thinking=usage.thinking or 0, reflections=usage.reflections or 0)
    if usage.thinking is None:
        usage = _with_thinking(usage, transcript, split)
    if usage.reflections is None:
        usage = _with_reflections(usage, transcript, split)
    return usage


def _with_thinking(usage: Usage, transcript: Transcript, split: Split | None) -> Usage:
    if split is not None:
        return replace(usage, thinking=min(split.thinking, usage.completion))
    share = len(transcript.thinking_source) / len(transcript.source)
    return replace(usage, thinking=round(usage.completion * min(share, 1.0)), exact=False)


def _with_reflections(usage: Usage, transcript: Transcript, split: Split | None) -> Usage:
    thinking = usage.thinking or 0
    if split is not None and split.thinking:
        share = split.reflections / split.thinking
    else:
        share = sum(map(len, transcript.reflections)) / len(transcript.thinking_source)
    return replace(usage, reflections=round(thinking * min(share, 1.0)))
