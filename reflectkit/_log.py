"""Structured events about requests, attempts and endings, for whoever runs the application.

Switched by the standard library: ``logging.getLogger("reflectkit").setLevel("INFO")``; below that
level nothing is built and structlog is not imported. Events go through structlog as the
application has configured it, or, if it has not, as ``event key=value`` to the ``reflectkit``
logger. Nothing is configured globally. Message texts and secrets are not among the fields; the
texts come with ``logging.getLogger("reflectkit.texts").setLevel("DEBUG")``, the thinking among
them only as far as the consumer may see it.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .budget.ledger import Demand
    from .ledgers.hold import Lease
    from .ledgers.scope import Scope
    from .messages import Request, Usage
    from .reply import Attempt, Reply

__all__ = ["attempt", "ending", "failure", "request", "reserved", "verdicts", "warn"]

_LOGGER = logging.getLogger("reflectkit")
_TEXTS = logging.getLogger("reflectkit.texts")
_RESULTS = {True: "passed", False: "failed", None: "unknown"}


def request(sent: Request, *, mode: str, show: str, number: int, shown: Request) -> None:
    """A request is about to be sent; ``shown`` is as much of it as the consumer may see."""
    if _LOGGER.isEnabledFor(logging.INFO):
        texts = {"texts": [m.text for m in shown.messages]} if _with_texts() else {}
        _structured().info(
            "request",
            number=number,
            model=sent.model,
            mode=mode,
            show=show,
            messages=len(sent.messages),
            characters=sum(len(m.text) for m in sent.messages),
            max_tokens=sent.max_tokens,
            temperature=sent.temperature,
            **texts,
        )


def reserved(scopes: Sequence[Scope], lease: Lease, demand: Demand) -> None:
    """Ledgers have granted tokens to a call."""
    if _LOGGER.isEnabledFor(logging.INFO):
        _structured().info(
            "reservation",
            scopes=[scope.key for scope in scopes],
            prompt_tokens=demand.prompt,
            completion_tokens=lease.completion,
            wanted=demand.completion,
            bound_by=lease.bound_by,
        )


def attempt(done: Attempt, *, mode: str) -> None:
    """An attempt is over; ``done`` as the consumer may see it."""
    if _LOGGER.isEnabledFor(logging.INFO):
        texts = {"text": done.transcript.source} if _with_texts() else {}
        _structured().info(
            "attempt",
            number=done.number,
            model=done.model,
            mode=mode,
            finish=done.finish,
            wrap=done.wrap,
            requests=done.requests,
            cut=done.cut,
            seconds=round(done.seconds, 3),
            output_characters=len(done.transcript.output),
            issues=[i.kind for i in done.transcript.issues],
            **_usage(done.usage),
            **texts,
        )


def verdicts(judged: Attempt) -> None:
    """An attempt was judged; as the consumer may see it. What is said of it is a text."""
    if _LOGGER.isEnabledFor(logging.INFO):
        said = [v.feedback for v in judged.verdicts]
        _structured().info(
            "verdicts",
            number=judged.number,
            **{_RESULTS[ok]: [v.name for v in judged.verdicts if v.ok is ok] for ok in _RESULTS},
            scores=[v.score for v in judged.verdicts if v.score is not None],
            **({"texts": said} if _with_texts() else {}),
        )


def ending(reply: Reply) -> None:
    """A call has its reply."""
    if _LOGGER.isEnabledFor(logging.INFO):
        _structured().info(
            "ending",
            model=reply.model,
            mode=reply.mode,
            ending=reply.ending,
            status=reply.status,
            chosen=reply.chosen,
            stopped_by=reply.stopped_by,
            attempts=len(reply.attempts),
            seconds=round(sum(a.seconds for a in reply.attempts), 3),
            **_usage(reply.usage),
        )


def failure(error: BaseException, usage: Callable[[], Usage], mode: str, attempts: int) -> None:
    """A call ended without a reply: a fault, or a caller who left."""
    if _LOGGER.isEnabledFor(logging.INFO):
        _structured().info(
            "ending",
            mode=mode,
            ending="error" if isinstance(error, Exception) else "cancelled",
            error=type(error).__name__,
            status_code=getattr(error, "status", None),
            attempts=attempts,
            **_usage(usage()),
        )


def warn(event: str, **fields: Any) -> None:
    """Something the application's author should know."""
    if _LOGGER.isEnabledFor(logging.WARNING):
        _structured().warning(event, **fields)


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "thinking_tokens": usage.thinking,
        "exact": usage.exact,
    }


def _with_texts() -> bool:
    return _TEXTS.level == logging.DEBUG


def _structured() -> Any:
    import structlog

    return structlog.get_logger("reflectkit") if structlog.is_configured() else _own()


@cache
def _own() -> Any:
    """A logger of our own, so that structlog's global settings stay the application's."""
    import structlog

    return structlog.wrap_logger(
        _LOGGER,
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
