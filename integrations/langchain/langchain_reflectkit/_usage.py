"""What an answer cost and who gave it, as LangChain's messages carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

from ._messages import PROVIDER
from ._records import record_of

if TYPE_CHECKING:
    from reflectkit import Reply, Usage

__all__ = ["metadata_of", "usage_of"]


def usage_of(usage: Usage) -> UsageMetadata:
    """Of all attempts together: that is what was paid."""
    found = UsageMetadata(
        input_tokens=usage.prompt, output_tokens=usage.completion, total_tokens=usage.total
    )
    if usage.cached:
        found["input_token_details"] = InputTokenDetails(cache_read=min(usage.cached, usage.prompt))
    if usage.thinking is not None:
        reasoning = min(usage.thinking, usage.completion)
        found["output_token_details"] = OutputTokenDetails(reasoning=reasoning)
    return found


def metadata_of(reply: Reply, *, model: str) -> dict[str, Any]:
    """``response_metadata``: the names that LangChain has for it, and the record under ours.

    It belongs into one chunk alone: joining chunks adds numbers up and strings together.
    """
    found: dict[str, Any] = {
        "model_name": reply.model or model or PROVIDER,
        "model_provider": PROVIDER,
        "finish_reason": reply.attempt.finish if reply.attempts else "stop",
        PROVIDER: record_of(reply),
    }
    if reply.attempts and reply.attempt.logprobs:
        found["logprobs"] = {"content": [dict(entry) for entry in reply.attempt.logprobs]}
    return found
