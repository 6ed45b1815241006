"""Spans for applications that use OpenTelemetry: one for a call, one below it for each request.

Names are those of the semantic conventions for generative AI. Nothing is imported here: where the
application has not imported ``opentelemetry.trace``, nobody watches and nothing is built. Texts are
recorded only with OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true, and thinking among them
only as far as the consumer may see it. No span is current while a consumer's code runs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .messages import Chunk, Request, Usage
    from .reply import Attempt, Reply, Transcript

__all__ = ["Asked", "Watch", "watch"]

_TEXTS: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_LABELS: Final = {True: "pass", False: "fail", None: "unknown"}


def watch(*, model: str, mode: str) -> Watch:
    """A span for a call that begins now, below the current one."""
    return Watch(sys.modules.get("opentelemetry.trace"), model=model, mode=mode)


class Watch:
    """The span of one call; without ``api`` (``opentelemetry.trace``) it does nothing."""

    def __init__(self, api: Any, *, model: str, mode: str) -> None:
        self._api = api
        if api is None:
            return
        from . import __version__

        self._tracer = api.get_tracer("reflectkit", __version__)
        about = {"gen_ai.request.model": model, "reflectkit.mode": mode}
        self._span = self._tracer.start_span("reflectkit.call", attributes=_said(about))
        self._context = api.set_span_in_context(self._span)

    def request(self, sent: Request, *, shown: Request, number: int, backend: object) -> Asked:
        """A span for a request that is sent now; ``shown`` is what may be seen of it."""
        if self._api is None:
            return Asked(None, None, None)
        model = sent.model or getattr(backend, "model", "")
        about = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": getattr(backend, "provider", "") or type(backend).__name__,
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": sent.max_tokens,
            "gen_ai.request.temperature": sent.temperature,
            "gen_ai.request.top_p": sent.top_p,
            "gen_ai.request.seed": sent.seed,
            "gen_ai.request.stop_sequences": sent.stop,
            "reflectkit.attempt": number,
        }
        if _with_texts():
            turns = [_turn(m.role, ("text", m.text)) for m in shown.messages]
            about["gen_ai.input.messages"] = json.dumps(turns)
        span = self._tracer.start_span(
            f"chat {model}".strip(),
            self._context,
            kind=self._api.SpanKind.CLIENT,
            attributes=_said(about),
        )
        return Asked(self._api, span, self._api.set_span_in_context(span))

    @contextmanager
    def within(self) -> Iterator[None]:
        """What is called here belongs to the call. For awaits alone, not around a ``yield``."""
        with _current(self._api and self._context):
            yield

    def judged(self, attempt: Attempt) -> None:
        """The verdicts on an attempt, as the consumer may see them."""
        if self._api is None:
            return
        for verdict in attempt.verdicts:
            about = {
                "gen_ai.evaluation.name": verdict.name or verdict.by,
                "gen_ai.evaluation.score.label": _LABELS[verdict.ok],
                "gen_ai.evaluation.score.value": verdict.score,
                "gen_ai.evaluation.explanation": verdict.feedback if _with_texts() else "",
                "reflectkit.attempt": attempt.number,
                "reflectkit.verdict.by": verdict.by,
            }
            self._span.add_event("gen_ai.evaluation.result", _said(about))

    def ended(self, reply: Reply) -> None:
        """The call has its reply."""
        if self._api is None:
            return
        about = {
            "gen_ai.response.model": reply.model,
            "reflectkit.status": reply.status,
            "reflectkit.ending": reply.ending,
            "reflectkit.stopped_by": reply.stopped_by,
            "reflectkit.chosen": reply.chosen,
            "reflectkit.attempts": len(reply.attempts),
            "reflectkit.usage.input_tokens": reply.usage.prompt,
            "reflectkit.usage.output_tokens": reply.usage.completion,
        }
        self._span.set_attributes(_said(about))
        self._span.end()

    def failed(self, error: BaseException) -> None:
        """The call ended without a reply: a fault, or a caller who left."""
        if self._api is not None:
            _mark(self._api, self._span, error)
            self._span.end()


class Asked:
    """The span of one request."""

    def __init__(self, api: Any, span: Any, context: Any) -> None:
        self._api = api
        self._span = span
        self._context = context

    @property
    def wanted(self) -> bool:
        """Somebody records it."""
        return self._api is not None and self._span.is_recording()

    def around(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        """The chunks; what is done for each of them belongs to the request."""
        return chunks if self._api is None else _Around(chunks, self._context)

    def failed(self, error: BaseException) -> None:
        """The request failed, or nobody waits for it any more."""
        if self._api is not None:
            _mark(self._api, self._span, error)

    def answered(self, usage: Usage, *, finish: str, model: str, seen: Transcript) -> None:
        """What came; ``seen`` is what the consumer may see of it."""
        about = {
            "gen_ai.response.model": model,
            "gen_ai.response.finish_reasons": (finish,),
            "gen_ai.usage.input_tokens": usage.prompt,
            "gen_ai.usage.output_tokens": usage.completion,
            "reflectkit.usage.thinking_tokens": usage.thinking,
            "reflectkit.usage.exact": usage.exact,
        }
        if _with_texts():
            parts = [("reasoning", seen.thinking or ""), ("text", seen.output)]
            turn = {**_turn("assistant", *parts), "finish_reason": finish}
            about["gen_ai.output.messages"] = json.dumps([turn])
        self._span.set_attributes(_said(about))

    def end(self) -> None:
        """It is over."""
        if self._api is not None:
            self._span.end()


class _Around(AsyncIterator["Chunk"]):
    def __init__(self, chunks: AsyncIterator[Chunk], context: Any) -> None:
        self._chunks = chunks
        self._context = context

    async def __anext__(self) -> Chunk:
        with _current(self._context):
            return await anext(self._chunks)


@contextmanager
def _current(context: Any) -> Iterator[None]:
    if context is None:
        yield
        return
    api = sys.modules["opentelemetry.context"]
    token = api.attach(context)
    try:
        yield
    finally:
        api.detach(token)


def _mark(api: Any, span: Any, error: BaseException) -> None:
    """Its kind alone: a message may quote what nobody is to read."""
    if not isinstance(error, Exception):
        span.set_attributes({"reflectkit.ending": "cancelled"})
        return
    span.set_attributes({"error.type": str(getattr(error, "status", "") or type(error).__name__)})
    span.set_status(api.StatusCode.ERROR)


def _said(about: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if value not in (None, "", ())}


def _turn(role: str, *parts: tuple[str, str]) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": t, "content": text} for t, text in parts if text]}


def _with_texts() -> bool:
    return os.environ.get(_TEXTS, "").lower() == "true"
