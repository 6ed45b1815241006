"""Spans, seen through the real SDK: names, parents, faults, cancelled calls, and no text."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.trace")  # the test group

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reflectkit import BackendStatus, Client, Draft, SyncClient, Usage, Verdict
from reflectkit.correction import Vote
from reflectkit.testing import ScriptedBackend

GOOD = "<thinking>SECRET</thinking><output>28</output>"
BAD = "<thinking>SECRET</thinking><output>27</output>"
EXPORTER = InMemorySpanExporter()
TEXTS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    found: Any = trace.get_tracer_provider()
    found.add_span_processor(SimpleSpanProcessor(EXPORTER))


@pytest.fixture(autouse=True)
def spans() -> None:
    EXPORTER.clear()


def finished() -> tuple[list[ReadableSpan], list[ReadableSpan]]:
    """Those of calls and those of requests."""
    found = EXPORTER.get_finished_spans()
    calls = [s for s in found if s.name == "reflectkit.call"]
    return calls, [s for s in found if s.name.startswith("chat")]


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def number(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def is_28(draft: Draft) -> Verdict:
    return Verdict(ok=draft.output == "28", feedback="SECRET advice")


async def test_a_call_and_its_requests() -> None:
    usage = Usage(prompt=12, completion=7)
    backend = ScriptedBackend(BAD, GOOD, usage=usage, model="served")
    reply = await Client(backend, model="m", verify=is_28, temperature=0.5, max_tokens=99).ask("q")
    (call,), requests = finished()
    assert [s.name for s in requests] == ["chat m", "chat m"]
    assert all(parent(s) == number(call) for s in requests)
    first = dict(requests[0].attributes or {})
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.model": "served",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 7,
        "reflectkit.attempt": 1,
    }
    assert {name: first.get(name) for name in wanted} == wanted
    said = dict(call.attributes or {})
    assert (said["reflectkit.status"], said["reflectkit.chosen"]) == ("accepted", 2)
    assert said["reflectkit.usage.input_tokens"] == reply.usage.prompt == 24
    labels = [dict(e.attributes or {})["gen_ai.evaluation.score.label"] for e in call.events]
    assert labels == ["fail", "pass"]
    assert requests[0].kind is trace.SpanKind.CLIENT


async def test_no_text_is_recorded_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(ScriptedBackend(BAD, GOOD, BAD, GOOD, BAD, GOOD), verify=is_28)
    await client.ask("PRIVATE")
    assert "PRIVATE" not in (told := told_of())
    assert "SECRET" not in told
    monkeypatch.setenv(TEXTS, "true")
    await client.ask("PRIVATE", show="hidden")
    assert "PRIVATE" in (told := told_of())
    assert '"content": "28"' in told
    assert "SECRET" not in told
    await client.ask("PRIVATE")
    assert "SECRET" in told_of()


def told_of() -> str:
    spans = EXPORTER.get_finished_spans()
    events = [e for s in spans for e in s.events]
    return repr([(s.name, s.status.description, dict(s.attributes or {})) for s in spans]) + repr(
        [(e.name, dict(e.attributes or {})) for e in events]
    )


async def test_what_a_backend_and_a_verifier_do_belongs_to_the_call() -> None:
    tracer = trace.get_tracer("test")

    async def work() -> None:
        with tracer.start_as_current_span("http"):
            await asyncio.sleep(0)

    async def verifier(draft: Draft) -> bool:
        with tracer.start_as_current_span("judging"):
            await asyncio.sleep(0)
        return True

    backend = ScriptedBackend([work, GOOD])
    async with Client(backend, verify=verifier).stream("q") as stream:
        async for _ in stream:
            assert not trace.get_current_span().get_span_context().is_valid
    (call,), (request,) = finished()
    by_name = {s.name: s for s in EXPORTER.get_finished_spans()}
    assert parent(by_name["http"]) == number(request)
    assert parent(by_name["judging"]) == number(call)


async def test_concurrent_calls_keep_their_own_parents() -> None:
    tracer = trace.get_tracer("test")

    async def one(client: Client, name: str) -> int:
        with tracer.start_as_current_span(name) as span:
            await client.ask("q")
            return span.get_span_context().span_id

    backend = ScriptedBackend([lambda: asyncio.sleep(0), GOOD], repeat=True)
    async with Client(backend, policy=Vote(4, 2)) as client:
        outer = await asyncio.gather(*[one(client, f"task {i}") for i in range(20)])
    calls, requests = finished()
    assert sorted(parent(c) or 0 for c in calls) == sorted(outer)
    for call in calls:
        own = [r for r in requests if parent(r) == number(call)]
        assert len(own) == 4


def test_the_blocking_client_is_below_the_caller_s_span() -> None:
    with (
        SyncClient(ScriptedBackend(GOOD)) as client,
        trace.get_tracer("test").start_as_current_span("caller") as outer,
    ):
        client.ask("q")
    (call,), _ = finished()
    assert parent(call) == outer.get_span_context().span_id


async def test_a_fault_is_marked_by_its_kind_alone() -> None:
    backend = ScriptedBackend(BAD, [BackendStatus("PRIVATE words", status=503)])
    with pytest.raises(BackendStatus) as caught:
        await Client(backend, verify=is_28).ask("q")
    (call,), requests = finished()
    for span in (call, requests[1]):
        assert dict(span.attributes or {})["error.type"] == "503"
        assert span.status.status_code is trace.StatusCode.ERROR
    assert "PRIVATE" not in told_of()
    assert [a.transcript.output for a in caught.value.attempts] == ["27"]


async def test_a_cancelled_call_ends_its_spans() -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(Client(ScriptedBackend(["<thinking>", hang])).ask("q"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (call,), (request,) = finished()
    for span in (call, request):
        assert dict(span.attributes or {})["reflectkit.ending"] == "cancelled"
        assert span.status.status_code is trace.StatusCode.UNSET


async def test_a_stream_that_is_left_ends_its_spans() -> None:
    async with Client(ScriptedBackend(GOOD)).stream("q") as stream:
        await anext(stream)
        await anext(stream)
    calls, requests = finished()
    assert len(calls) == len(requests) == 1


PROBE = """
import asyncio, sys
from reflectkit import Client
from reflectkit.testing import ScriptedBackend
asyncio.run(Client(ScriptedBackend("x"), mode="plain").ask("q"))
print([m for m in sys.modules if m.startswith("opentelemetry")])
"""


def test_nothing_is_imported_for_an_application_that_does_not_use_it() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True, text=True)
    assert run.stdout == "[]\n"
