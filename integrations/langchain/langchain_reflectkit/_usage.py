"""What an answer cost and how it came about, as LangChain's messages carry it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

from ._messages import PROVIDER

if TYPE_CHECKING:
    from reflectkit import Attempt, Grant, Reply, Usage, Verdict

__all__ = ["calls_in_thinking", "metadata_of", "usage_of"]

#: how models that were not asked to write a call as text write one
_CALL: Final = re.compile(r"<tool_call>|<function=|<\|tool_call|\[TOOL_CALLS\]|<｜tool▁call")
_SHOWN: Final = 200


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
        PROVIDER: _record(reply),
    }
    if reply.attempts and reply.attempt.logprobs:
        found["logprobs"] = {"content": [dict(entry) for entry in reply.attempt.logprobs]}
    return found


def _record(reply: Reply) -> dict[str, Any]:
    record: dict[str, Any] = {
        "mode": reply.mode,
        "status": reply.status,
        "ending": reply.ending,
        "stopped_by": reply.stopped_by,
        "because": reply.because,
        "chosen": reply.chosen,
        "exact": reply.usage.exact,
        "attempts": [_attempt(a) for a in reply.attempts],
        "grants": [_grant(g) for g in reply.grants],
        "issues": [{"kind": i.kind, "position": i.position} for i in reply.issues],
    }
    if reply.usage.reflections is not None:
        record["reflections"] = reply.usage.reflections
    if outside := reply.transcript.outside:
        record["outside"] = outside
    if calls := calls_in_thinking(reply):
        record["calls_in_thinking"] = calls
    if reply.transcript.payload:
        # what the provider wants to see again, as it came
        record["replay"] = {"provider": reply.provider, "payload": reply.transcript.payload}
    return record


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "model": attempt.model,
        "finish": attempt.finish,
        "requests": attempt.requests,
        "seconds": round(attempt.seconds, 3),
        "bound_by": attempt.bound_by,
        "input_tokens": attempt.usage.prompt,
        "output_tokens": attempt.usage.completion,
        "reasoning_tokens": attempt.usage.thinking,
        "verdicts": [_verdict(v) for v in attempt.verdicts],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "ok": verdict.ok,
        "by": verdict.by,
        "feedback": verdict.feedback,
        "score": verdict.score,
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "limit": grant.limit,
        "requested": grant.requested,
        "granted": grant.granted,
        "spent": grant.spent,
        "enforced_by": grant.enforced_by,
        "by": grant.by,
    }


def calls_in_thinking(reply: Reply) -> list[dict[str, Any]]:
    """Calls that the model wrote down while it thought: told, and never made."""
    found: list[dict[str, Any]] = []
    for number, section in enumerate(reply.sections):
        if section.kind in ("thinking", "reflection") and (call := _CALL.search(section.text)):
            text = section.text[call.start() : call.start() + _SHOWN]
            found.append({"section": number, "kind": section.kind, "text": text})
    return found
