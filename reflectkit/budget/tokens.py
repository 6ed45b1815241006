"""Usage, completed: counted where the backend said nothing, and thinking split off."""

from __future__ import annotations

from dataclasses import replace

from ..messages import Message, Request, Usage
from ..reply import Transcript

__all__ = ["accounted", "estimate", "estimate_prompt"]

#: Bytes of UTF-8 to a token, on average, in the vocabularies of today.
_BYTES = 4
#: What a chat template adds to each message.
_FRAME = 4


def estimate(text: str) -> int:
    """A rough count, never 0 for a text that is not empty."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES)


def estimate_prompt(request: Request) -> int:
    """A rough count of a request's prompt: its messages, their frames, and the prefix."""
    return sum(map(_size, request.messages)) + estimate(request.prefix)


def accounted(
    reported: Usage | None, request: Request, transcript: Transcript, thinking: int | None = None
) -> Usage:
    """``reported`` with its gaps filled; ``thinking``: its tokens, if the model counted them.

    Without a report everything is estimated. Thinking that nobody counted gets its share of the
    completion, by characters, its tags included. Both are marked as estimates.
    """
    usage = reported or _counted(request, transcript)
    if usage.thinking is not None or not transcript.thinking_source:
        return usage if usage.thinking is not None else replace(usage, thinking=0)
    if thinking is not None:
        return replace(usage, thinking=min(thinking, usage.completion))
    share = min(len(transcript.thinking_source) / len(transcript.source), 1.0)
    return replace(usage, thinking=round(usage.completion * share), exact=False)


def _counted(request: Request, transcript: Transcript) -> Usage:
    return Usage(
        prompt=estimate_prompt(request), completion=estimate(transcript.source), exact=False
    )


def _size(message: Message) -> int:
    calls = sum(estimate(c.name) + estimate(c.arguments) for c in message.tool_calls)
    return estimate(message.text) + calls + _FRAME


from typing import Protocol  # noqa: E402


class Counter(Protocol):
    exact: bool

    def count(self, text: str, /, *, special: bool = False) -> int: ...
    def prompt(self, request: Request, /) -> int: ...
    def prompt_upper(self, request: Request, /) -> int: ...
    def learn(self, text: str, tokens: int, /) -> None: ...
    def learn_prompt(self, request: Request, tokens: int, /) -> None: ...


class Rough:
    exact = False

    def count(self, text: str, /, *, special: bool = False) -> int:
        return estimate(text)

    def prompt(self, request: Request, /) -> int:
        return estimate_prompt(request)

    def prompt_upper(self, request: Request, /) -> int:
        return 2 * estimate_prompt(request)

    def learn(self, text: str, tokens: int, /) -> None: ...
    def learn_prompt(self, request: Request, tokens: int, /) -> None: ...
