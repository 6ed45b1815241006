"""Usage, completed: counted where the backend said nothing, and thinking split off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..messages import Message, Request, Usage
from ..reply import Transcript

__all__ = ["Counter", "accounted", "estimate"]

#: Counts the tokens of a text.
Counter = Callable[[str], int]

#: Bytes of UTF-8 to a token, on average, in the vocabularies of today.
_BYTES = 4
#: What a chat template adds to each message.
_FRAME = 4


def estimate(text: str) -> int:
    """A rough count, never 0 for a text that is not empty."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES)


def accounted(
    reported: Usage | None,
    request: Request,
    transcript: Transcript,
    *,
    count: Counter | None = None,
) -> Usage:
    """``reported`` with its gaps filled; ``count`` is the model's own counter, if it has one.

    Without a report everything is counted and marked as an estimate: the chat template is not
    known here. Thinking is counted exactly with ``count``, else by its share of the text.
    """
    counter = count or estimate
    usage = reported or _counted(request, transcript, counter)
    return usage if usage.thinking is not None else _split(usage, transcript, count)


def _counted(request: Request, transcript: Transcript, counter: Counter) -> Usage:
    prompt = sum(_size(m, counter) for m in request.messages) + counter(request.prefix)
    return Usage(prompt=prompt, completion=counter(transcript.source), exact=False)


def _size(message: Message, counter: Counter) -> int:
    calls = sum(counter(c.name) + counter(c.arguments) for c in message.tool_calls)
    return counter(message.text) + calls + _FRAME


def _split(usage: Usage, transcript: Transcript, count: Counter | None) -> Usage:
    thinking = transcript.thinking or ""
    if not thinking:
        return replace(usage, thinking=0)
    if count is not None:
        return replace(usage, thinking=min(count(thinking), usage.completion))
    share = min(len(thinking) / max(len(transcript.source), 1), 1.0)
    return replace(usage, thinking=round(usage.completion * share), exact=False)
