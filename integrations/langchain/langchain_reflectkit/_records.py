"""How an answer came about, for ``response_metadata["reflectkit"]``: whoever gave it, one shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reflectkit import Attempt, Grant, Reply, Verdict

__all__ = ["attempt_of", "before_a_call", "calls_in_thinking", "record_of"]

#: how models that were not asked to write a call as text write one
_CALL: Final = re.compile(r"<tool_call>|<function=|<\|tool_call|\[TOOL_CALLS\]|<｜tool▁call")
_SHOWN: Final = 200


def record_of(reply: Reply) -> dict[str, Any]:
    """What came of a call, in plain values that a checkpoint keeps."""
    record: dict[str, Any] = {
        "mode": reply.mode,
        "status": reply.status,
        "ending": reply.ending,
        "stopped_by": reply.stopped_by,
        "because": reply.because,
        "chosen": reply.chosen,
        "exact": reply.usage.exact,
        "attempts": [attempt_of(a) for a in reply.attempts],
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


def attempt_of(attempt: Attempt) -> dict[str, Any]:
    """One answer, with what it cost and what was said of it."""
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


def before_a_call(text: str) -> str:
    """A text up to where the model wrote down a call in it."""
    call = _CALL.search(text)
    return text[: call.start()] if call else text


def calls_in_thinking(reply: Reply) -> list[dict[str, Any]]:
    """Calls that the model wrote down while it thought: told, and never made."""
    found: list[dict[str, Any]] = []
    for number, section in enumerate(reply.sections):
        if section.kind in ("thinking", "reflection") and (call := _CALL.search(section.text)):
            text = section.text[call.start() : call.start() + _SHOWN]
            found.append({"section": number, "kind": section.kind, "text": text})
    return found
