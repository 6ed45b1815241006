"""A call as lines of JSON, and the same decisions again from them. Pure: text in and out.

One line for each attempt (what was asked, what came, what it cost, what was said of it) and one for
the reply. Only a reply whose thinking is shown can be decided again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import BudgetExceeded, ConfigurationError
from ..messages import Message, ReasoningBudget, Request, ToolCall, Usage
from ..protocol.dialect import Dialect
from ..reply import Attempt, Grant, Issue, Refusal, Reply, Section, Transcript, Verdict
from .policy import Elsewhere, Policy, Step, advance, out_of_budget

if TYPE_CHECKING:
    from .policy import Flow

__all__ = ["Trace", "lines", "load", "replay"]

#: What a reply's line says beside its attempts.
_FACTS: Final = (
    "status", "chosen", "because", "stopped_by", "ending", "mode", "model", "provider", "usage",
)  # fmt: skip
#: Fields that hold values of ours: one, or several.
_INNER: Final[dict[type[Any], dict[str, type[Any]]]] = {
    Attempt: {
        "request": Request,
        "transcript": Transcript,
        "usage": Usage,
        "verdicts": Verdict,
        "grants": Grant,
    },
    Request: {"messages": Message, "reasoning": ReasoningBudget},
    Message: {"tool_calls": ToolCall},
    Transcript: {"sections": Section, "issues": Issue, "tool_calls": ToolCall},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What was recorded of one call.

    ``reply``: its status, chosen attempt, reason and so on. ``request``: what the policy began
    with; None where thinking was not to be seen. ``asked`` and ``refused``: see ``Record``.
    """

    attempts: tuple[Attempt, ...]
    reply: Mapping[str, Any]
    request: Request | None = None
    asked: Mapping[int, Request]
    refused: tuple[Refusal, ...] = ()


def lines(reply: Reply) -> list[str]:
    """The trace of a call, one JSON object a line, without line breaks.

    What a verifier read (``Verdict.value``) is kept where it is JSON. Thinking that is not shown is
    not in it either; ``replay`` needs it.
    """
    record = reply.record
    attempts = record.attempts if record else reply.attempts
    asked = record.asked if record else {}
    found = [
        {"kind": "attempt", "asked": _plain(asked.get(a.number)), **_plain(a)} for a in attempts
    ]
    facts = {name: _plain(getattr(reply, name)) for name in _FACTS}
    more = {
        "request": _plain(record.request) if record else None,
        "refused": _plain(record.refused) if record else [],
    }
    return [json.dumps(line) for line in [*found, {"kind": "reply", **facts, **more}]]


def load(text: str | Iterable[str]) -> Trace:
    """The trace that ``lines`` has written: a text, or its lines; empty ones are left out.

    Raises ``ConfigurationError`` for what is no trace of one call.
    """
    rows = text.splitlines() if isinstance(text, str) else text
    try:
        found = [json.loads(row) for row in rows if row.strip()]
        *attempts, reply = found
        if reply.pop("kind") != "reply" or any(a.pop("kind") != "attempt" for a in attempts):
            raise ValueError("its lines are in another order")
        asked = {a["number"]: a.pop("asked") for a in attempts}
        return Trace(
            attempts=tuple(_made(Attempt, a) for a in attempts),
            request=reply["request"] and _made(Request, reply["request"]),
            refused=tuple(Refusal(**r) for r in reply["refused"]),
            asked={number: _made(Request, data) for number, data in asked.items() if data},
            reply={**{name: reply[name] for name in _FACTS}, "usage": Usage(**reply["usage"])},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"This is no trace of one call: {error}.",
            hint="Pass what trace.lines(reply) gave, every line of it.",
        ) from error


def replay(policy: Policy, trace: Trace | str | Iterable[str]) -> Reply:
    """The reply that ``policy`` comes to, given the attempts of the trace; nothing is sent.

    Raises ``ConfigurationError`` where it asks for something else than was recorded, so that no
    answer to it is known, or where the thinking was left out of the trace.
    """
    found = trace if isinstance(trace, Trace) else load(trace)
    if found.request is None:
        raise ConfigurationError(
            "This trace has no thinking in it, so nothing can be decided again.",
            hint='Record with show="full".',
        )
    player = _Player(found)
    with closing(policy.flow(found.request)) as flow:
        step = advance(flow, None)
        while not isinstance(step, Reply):
            step = player.answered(flow, step)
    facts = {name: found.reply[name] for name in ("usage", "mode", "provider")}
    return replace(step, attempts=found.attempts, **facts)


class _Player:
    """Answers a policy's steps from what was recorded."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._attempts = {a.number: a for a in trace.attempts}
        self._refused = {r.number: r for r in trace.refused}
        self._number = 0

    def answered(self, flow: Flow, step: Step) -> Step | Reply:
        several = isinstance(step, tuple)
        found = [self._one(s) for s in (step if isinstance(step, tuple) else (step,))]
        came = tuple(a for a in found if isinstance(a, Attempt))
        if came:
            return advance(flow, came if several else came[0])
        refused = next(r for r in found if isinstance(r, Refusal))
        error = BudgetExceeded("It was refused.", limit=refused.limit, scope=refused.scope)
        done = [a for number, a in self._attempts.items() if number <= self._number]
        return out_of_budget(flow, done, error)

    def _one(self, step: Request | Elsewhere) -> Attempt | Refusal:
        self._number += 1
        number = self._number
        if number in self._refused:
            return self._refused[number]
        asked = None if isinstance(step, Elsewhere) else _plain(step)
        if number not in self._attempts or asked != _plain(self._trace.asked.get(number)):
            raise ConfigurationError(
                f"The policy asks something at attempt {number} that was not recorded.",
                hint="Replay with the policy that the trace was recorded with.",
            )
        return self._attempts[number]


def _plain(value: Any) -> Any:
    """As JSON has it. What JSON has not is left out."""
    if isinstance(value, Dialect):
        sections = {kind: sides._asdict() for kind, sides in value.sections.items()}
        return {
            "name": value.name,
            "sections": _plain(sections),
            "match": value.match,
            "required": sorted(value.required),
        }
    if is_dataclass(value) and not isinstance(value, type):
        found = {f.name: getattr(value, f.name) for f in fields(value) if not _usual(value, f)}
        return {name: _plain(inner) for name, inner in found.items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | None) else None


def _usual(value: Any, field: Any) -> bool:
    return field.default is not MISSING and bool(getattr(value, field.name) == field.default)


def _made(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """The value of one of our classes."""
    inner = _INNER.get(cls, {})
    values = {name: _field(inner.get(name), value) for name, value in data.items()}
    if isinstance(values.get("dialect"), dict):
        values["dialect"] = Dialect(**values["dialect"])
    return cls(**values)


def _field(cls: type[Any] | None, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_made(cls, item) if cls else item for item in value)
    return _made(cls, value) if cls and isinstance(value, dict) else value
