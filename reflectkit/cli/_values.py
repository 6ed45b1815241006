"""Replies, transcripts and events as JSON values."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from ..correction.judged import is_accepted
from ..events import Judged

if TYPE_CHECKING:
    from ..errors import ReflectKitError
    from ..events import Event
    from ..messages import Usage
    from ..reply import Attempt, Grant, Reply, Transcript, Verdict

__all__ = [
    "attempt_values",
    "error_value",
    "event_value",
    "place",
    "reply_value",
    "transcript_value",
    "write",
]

SNAKE = re.compile(r"(?<=[a-z])(?=[A-Z])")


#: what an error says of a limit that would have been passed
_OF_LIMITS = ("limit", "spent", "scope", "retry_after")


def write(value: Mapping[str, Any], stream: TextIO) -> None:
    """One JSON object on one line, at once."""
    stream.write(json.dumps(value, ensure_ascii=False) + "\n")
    stream.flush()


def place(source: str, position: int) -> tuple[int, int]:
    """Line and column (both from 1) of a position in the source."""
    before = source[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def event_value(event: Event) -> dict[str, Any]:
    """``{"event": "section_delta", ...}`` with the event's own fields."""
    name = SNAKE.sub("_", type(event).__name__).lower()
    if isinstance(event, Judged):
        verdicts = [_verdict(verdict) for verdict in event.verdicts]
        return {"event": name, "number": event.number, "verdicts": verdicts}
    source = {"source": event.source} if hasattr(event, "source") else {}
    return {"event": name, **dataclasses.asdict(event), **source}


def transcript_value(transcript: Transcript) -> dict[str, Any]:
    """The views, the sections with their places, and the issues with line and column."""
    return {
        "output": transcript.output,
        "thinking": transcript.thinking,
        "reflections": transcript.reflections,
        "outside": transcript.outside,
        "well_formed": transcript.well_formed,
        "dialect": transcript.dialect,
        "confidence": transcript.confidence,
        "sections": [dataclasses.asdict(section) for section in transcript.sections],
        "issues": [_issue(transcript.source, issue) for issue in transcript.issues],
    }


def _issue(source: str, issue: Any) -> dict[str, Any]:
    line, column = place(source, issue.position)
    return {**dataclasses.asdict(issue), "line": line, "column": column}


def reply_value(reply: Reply) -> dict[str, Any]:
    """The whole reply but for the requests that were sent."""
    return {
        **transcript_value(reply.transcript),
        "mode": reply.mode,
        "model": reply.model,
        "ending": reply.ending,
        "status": reply.status,
        "stopped_by": reply.stopped_by,
        "bound_by": reply.bound_by,
        "grants": _grants(reply.grants),
        "chosen": reply.chosen,
        "because": reply.because,
        "value": _plain(reply.value),
        "usage": _usage(reply.usage),
        "summary": dataclasses.asdict(reply.summary) if reply.summary else None,
        "attempts": attempt_values(reply.attempts),
    }


def attempt_values(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """What came of each attempt, with the verdicts on it."""
    return [_attempt(attempt) for attempt in attempts]


def _usage(usage: Usage) -> dict[str, Any]:
    return {**dataclasses.asdict(usage), "total": usage.total}


def _grants(grants: tuple[Grant, ...]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(grant) for grant in grants]


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "output": attempt.transcript.output,
        "finish": attempt.finish,
        "requests": attempt.requests,
        "cut": attempt.cut,
        "wrap": attempt.wrap,
        "bound_by": attempt.bound_by,
        "grants": _grants(attempt.grants),
        "seconds": round(attempt.seconds, 4),
        "usage": _usage(attempt.usage),
        "accepted": is_accepted(attempt),
        "verdicts": [_verdict(v, attempt.transcript.source) for v in attempt.verdicts],
    }


def _verdict(verdict: Verdict, source: str | None = None) -> dict[str, Any]:
    """Its fields; with line and column of its place where the source is known."""
    names = [f.name for f in dataclasses.fields(verdict)]
    value = {name: getattr(verdict, name) for name in names}
    if source is not None:
        at = (None, None) if verdict.start is None else place(source, verdict.start)
        value |= {"line": at[0], "column": at[1]}
    return {**value, "value": _plain(verdict.value)}


def _plain(value: Any) -> Any:
    """What a verifier read, as JSON has it: its own objects, or in words."""
    try:
        return json.loads(json.dumps(value, default=_unfolded))
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _unfolded(value: Any) -> Any:
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json")
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return str(value)


def error_value(error: ReflectKitError) -> dict[str, Any]:
    """The error, and what had arrived before it."""
    partial: Transcript | None = getattr(error, "partial", None)
    return {
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "hint": error.hint,
            "status": getattr(error, "status", None),
            "retryable": getattr(error, "retryable", False),
            **{name: getattr(error, name) for name in _OF_LIMITS if hasattr(error, name)},
        },
        "partial": transcript_value(partial) if partial else None,
    }
