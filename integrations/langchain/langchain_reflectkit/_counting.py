"""LangChain's token counts as ours, from messages and from the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reflectkit import Usage

__all__ = ["Counting", "finish_of", "is_cached", "usage_of"]

#: how providers name the reason to finish -> ours
_FINISH: Final = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}
_REASONS: Final = ("finish_reason", "stop_reason", "done_reason")


def finish_of(metadata: Mapping[str, Any]) -> str:
    """Our word for the reason that a message gives; "" where it gives none."""
    for name in _REASONS:
        reason = metadata.get(name)
        if isinstance(reason, str) and reason:
            return _FINISH.get(reason.lower(), "stop")
    return ""


def usage_of(said: Mapping[str, Any] | None) -> Usage | None:
    """The usage that ``usage_metadata`` tells; unknown keys are passed over."""
    if not said or not (said.get("input_tokens") or said.get("output_tokens")):
        return None
    thinking = _detail(said, "output_token_details", "reasoning")
    return Usage(
        prompt=int(said.get("input_tokens") or 0),
        completion=int(said.get("output_tokens") or 0),
        thinking=thinking or None,
        cached=_detail(said, "input_token_details", "cache_read"),
    )


def is_cached(said: Mapping[str, Any] | None) -> bool:
    """The message came from LangChain's cache, which marks its usage so: nobody was asked."""
    return bool(said) and said is not None and said.get("total_cost") == 0


def _detail(said: Mapping[str, Any], group: str, name: str) -> int:
    found = (said.get(group) or {}).get(name)
    return found if isinstance(found, int) else 0


class Counting:
    """The usage of one answer while its chunks come.

    LangChain adds up what chunks tell. A provider that tells running totals, or the same figures
    twice, tells the prompt again, by which it is known: of such figures the largest count.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None

    def add(self, said: Mapping[str, Any] | None) -> Usage | None:
        """Take in a chunk's figures; the total so far, None if the chunk has none."""
        new = usage_of(said)
        if new is None:
            return None
        old = self.usage
        if old is None:
            self.usage = new
        elif old.prompt and new.prompt >= old.prompt:
            self.usage = Usage(
                prompt=new.prompt,
                completion=max(old.completion, new.completion),
                thinking=max(old.thinking or 0, new.thinking or 0) or None,
                cached=max(old.cached, new.cached),
            )
        else:
            self.usage = old + new
        return self.usage
