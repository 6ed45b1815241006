"""Drafts and objects while they come, and what may be seen of attempts and verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from reflectkit import (
    Accepted,
    AttemptStarted,
    BackendWireError,
    Client,
    ConfigurationError,
    Judged,
    Rejected,
    Retracted,
    SyncClient,
    Verdict,
    verify,
)
from reflectkit.correction import BestOf, GuardedReflection, Revise, stop
from reflectkit.reply import Draft
from reflectkit.testing import ScriptedBackend, chunkings
from reflectkit.visibility import Show

WRONG = "<thinking>3 * 4 = 13</thinking>\n<output>It is 13.</output>"
RIGHT = "<thinking>3 * 4 = 12</thinking>\n<output>It\n\nis 12.</output>"


def client(*scripts: Any, **settings: Any) -> Client:
    return Client(ScriptedBackend(*scripts), mode="trained", dialect="reflection", **settings)


async def never() -> None:
    await asyncio.Event().wait()


def standing(parts: list[str | Retracted]) -> str:
    """What a reader who obeys retractions has on the screen in the end."""
    text = ""
    for part in parts:
        text = text + part if isinstance(part, str) else ""
    return text


async def listed(view: AsyncIterator[Any]) -> list[Any]:
    return [part async for part in view]


@pytest.mark.parametrize("show", ["full", "summary", "hidden"])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_drafts_come_live_and_are_withdrawn(show: Show, size: int) -> None:
    cut = [[text[i : i + size] for i in range(0, len(text), size)] for text in (WRONG, RIGHT)]
    asker = client(*cut, verify=verify.Steps(), show=show)
    async with asker.stream("q") as stream:
        parts = await listed(stream.drafts)
        reply = await stream.reply()
    at = parts.index(Retracted(1))
    assert "".join(parts[:at]) == "It is 13."
    assert "".join(parts[at + 1 :]) == reply.output == "It\n\nis 12."


@pytest.mark.parametrize("pieces", list(chunkings(RIGHT)), ids=len)
async def test_the_last_draft_is_the_answer_in_any_chunking(pieces: list[str]) -> None:
    async with client(WRONG, pieces, verify=verify.Steps()).stream("q") as stream:
        assert standing(await listed(stream.drafts)) == "It\n\nis 12."


async def test_a_draft_is_seen_while_the_model_writes_and_the_answer_waits() -> None:
    gate = asyncio.Event()
    asker = client(["<output>It is ", gate.wait, "13.</output>"], WRONG, verify=lambda _: True)
    async with asker.stream("q") as stream:
        assert await anext(stream.drafts) == "It is"
        gate.set()
        assert await anext(stream.output) == "It is 13."
        assert "".join(await listed(stream.drafts)) == " 13."


async def test_the_best_of_the_rejected_comes_back() -> None:
    def shortest(draft: Draft) -> Verdict:
        return Verdict(ok=False, feedback="too long", score=1 / len(draft.output))

    drafts = [f"<thinking>a</thinking><output>{word}</output>" for word in ("bb", "a", "cccc")]
    async with client(*drafts, verify=shortest).stream("q") as stream:
        parts = await listed(stream.drafts)
        reply = await stream.reply()
    gone = [Retracted(number) for number in (1, 2, 3)]
    assert parts == ["bb", gone[0], "a", gone[1], "cccc", gone[2], "a"]
    assert (reply.chosen, reply.status) == (2, "exhausted")


def test_a_guard_needs_somebody_to_compare_with() -> None:
    with pytest.raises(ConfigurationError, match="agree is 0"):
        GuardedReflection(agree=0)


async def test_answers_beside_the_one_that_stands_are_not_shown() -> None:
    drafts = [f"<thinking>a</thinking><output>{n}</output>" for n in (1, 2, 2)]
    async with client(*drafts, policy=GuardedReflection()).stream("q") as stream:
        parts = await listed(stream.drafts)
    assert parts == ["1", Retracted(1), "2"]


async def test_a_step_of_several_leaves_none_standing_that_is_rejected() -> None:
    drafts = [f"<thinking>a</thinking><output>{n}</output>" for n in (1, 2, 3, 4)]
    policy = BestOf(n=4, at_once=2)
    asker = client(*drafts, policy=policy, verify=lambda d: d.output == "3")
    async with asker.stream("q") as stream:
        events = await listed(stream)
        parts = await listed(stream.drafts)
        reply = await stream.reply()
    assert standing(parts) == reply.output == "3"
    assert parts.count("3") == 1
    assert events.index(Retracted(1)) < events.index(AttemptStarted(3))


async def test_views_go_on_where_the_stream_stands() -> None:
    async with client(WRONG, [*RIGHT], verify=verify.Steps()).stream("q") as stream:
        seen: list[object] = []
        async for event in stream:
            seen.append(event)
            if isinstance(event, Rejected):
                break
        assert await anext(stream.drafts) == "It is 13."
        assert [a.number for a in stream.attempts] == [1]
        reply = await stream.reply()
        assert standing(await listed(stream.drafts)) == reply.output
        assert "".join(await listed(stream.output)) == reply.output
        assert [a.number for a in stream.attempts] == [1, 2]
        assert stream.attempts == reply.attempts


async def test_events_tell_of_verdicts_in_order() -> None:
    async with client(WRONG, RIGHT, verify=verify.Steps()).stream("q") as stream:
        events = await listed(stream)
    told = [e for e in events if isinstance(e, Judged | Rejected | Retracted | Accepted)]
    kinds = [(type(e).__name__, e.number) for e in told]
    assert kinds == [
        ("Judged", 1),
        ("Rejected", 1),
        ("Retracted", 1),
        ("Judged", 2),
        ("Accepted", 2),
    ]


async def test_the_end_is_told_of_in_full() -> None:
    """The reply is known before the last events are read."""
    async with client(WRONG, WRONG, verify=verify.Steps(), attempts=2).stream("q") as stream:
        events = await listed(stream)
    assert events[-2:] == [Retracted(2), Accepted(1, "exhausted")]
    assert await listed(stream) == []


async def test_leaving_drafts_early_closes_the_backend() -> None:
    backend = ScriptedBackend(["<output>a", never])
    async with Client(backend, verify=verify.Steps()).stream("q") as stream:
        async for _ in stream.drafts:
            break
    assert (backend.opened, backend.closed) == (1, 1)
    assert stream.attempts == ()


async def test_what_was_drafted_before_a_fault_is_kept() -> None:
    asker = client(WRONG, ["<output>It is", BackendWireError("bad")], verify=verify.Steps())
    parts: list[str | Retracted] = []

    async def read() -> None:
        async with asker.stream("q") as stream:
            async for part in stream.drafts:
                parts.append(part)

    with pytest.raises(BackendWireError):
        await read()
    assert standing(parts) == "It is"


# --- objects


class Line(BaseModel):
    name: str
    count: int


class Order(BaseModel):
    lines: list[Line]
    note: str | None = None


def answer(text: str) -> str:
    return f"<thinking>hm</thinking><output>{text}</output>"


GOOD = '{"lines": [' + ", ".join(f'{{"name": "pen{i}", "count": {i}}}' for i in range(9)) + "]}"
BAD = GOOD.replace('"count": 8', '"count": "eight"')


@pytest.mark.parametrize("size", [1, 5, 50, 1000])
async def test_objects_fill_up_and_the_last_is_the_value(size: int) -> None:
    text = answer(GOOD)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    async with client(pieces, output_type=Order).stream("q") as stream:
        objects: list[Order] = await listed(stream.objects)
        reply = await stream.reply()
    assert all(isinstance(o, Order) for o in objects)
    counts = [len(o.lines or ()) for o in objects]
    assert counts == sorted(counts)
    assert objects[-1] == reply.value
    assert len(reply.value.lines) == 9
    assert objects.count(reply.value) == 1
    if size == 1:
        assert len(objects) > 4


async def test_objects_begin_anew_at_a_retraction() -> None:
    asker = client([*answer(BAD)], [*answer(GOOD)], output_type=Order)
    async with asker.stream("q") as stream:
        counts = [len(o.lines or ()) for o in await listed(stream.objects)]
        reply = await stream.reply()
    fall = next(i for i in range(1, len(counts)) if counts[i] < counts[i - 1])
    assert counts[:fall] == sorted(counts[:fall])
    assert counts[fall:] == sorted(counts[fall:])
    assert (counts[-1], reply.chosen) == (9, 2)


async def test_an_object_that_never_fits_leaves_no_value() -> None:
    asker = client(answer(BAD), answer(BAD), output_type=Order, attempts=2, verify=verify.Steps())
    async with asker.stream("q") as stream:
        objects = await listed(stream.objects)
        reply = await stream.reply()
    assert (reply.value, reply.status) == (None, "exhausted")
    assert reply.value not in objects


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (int, "28", 28),
        (list[int], "so [1, 2, 3] it is", [1, 2, 3]),
        (Line, "{'name': 'pen', 'count': 2,}", Line(name="pen", count=2)),
        ({"type": "object", "required": ["a"]}, '{"a": {"b": [1]}}', {"a": {"b": [1]}}),
    ],
    ids=["number", "list", "mended", "schema"],
)
async def test_objects_of_other_types(type_: Any, text: str, value: object) -> None:
    async with client([*answer(text)], output_type=type_).stream("q") as stream:
        objects = await listed(stream.objects)
        assert objects[-1] == (await stream.reply()).value == value
        assert await listed(stream.objects) == []


async def test_a_type_that_is_known_where_it_is_used_alone() -> None:
    """Its annotations are texts here, and name what only this function sees."""

    class Part(BaseModel):
        name: str

    class Whole(BaseModel):
        parts: list[Part]

    asker = client(answer('{"parts": [{"name": "a"}]}'), output_type=Whole)
    async with asker.stream("q") as stream:
        *_, last = await listed(stream.objects)
    assert last == Whole(parts=[Part(name="a")])


async def test_a_type_without_a_schema_is_named() -> None:
    with pytest.raises(ConfigurationError, match="JSON schema"):
        await client(answer("1"), output_type=Callable[[], int]).ask("q")


async def test_objects_and_the_other_views_do_not_take_from_each_other() -> None:
    async with client([*answer(BAD)], answer(GOOD), output_type=Order).stream("q") as stream:
        first = await anext(stream.objects)
        drafts = await listed(stream.drafts)
        rest = await listed(stream.objects)
        answer_text = "".join(await listed(stream.output))
        value = (await stream.reply()).value
    assert first == Order.model_construct(lines=first.lines)
    assert standing(drafts) == answer_text == GOOD
    assert rest[-1] == value


async def test_objects_need_a_type() -> None:
    async with client(answer(GOOD)).stream("q") as stream:
        with pytest.raises(ConfigurationError, match="output_type"):
            _ = stream.objects


async def test_a_verdict_of_no_is_not_the_value() -> None:
    reply = await client(WRONG, verify=verify.Steps(), attempts=1).ask("q")
    assert reply.verdicts[0].value is not None
    assert reply.value is None


def test_the_same_without_async() -> None:
    backend = ScriptedBackend([*answer(BAD)], answer(GOOD))
    with SyncClient(backend, mode="trained", output_type=Order) as asker:
        with asker.stream("q") as stream:
            first = next(iter(stream.objects))
            parts = list(stream.drafts)
            *_, last = stream.objects
            assert [a.number for a in stream.attempts] == [1, 2]
            assert last == stream.reply().value != first
        assert standing(parts) == GOOD


# --- what verdicts may say


QUOTING = "3 * 4 = 13"


@pytest.mark.parametrize("show", ["summary", "hidden"])
async def test_verdicts_do_not_quote_thinking_that_is_not_shown(show: Show) -> None:
    def crashes(draft: Draft) -> bool:
        raise ValueError(draft.thinking)

    twice = Revise(stop=stop.attempts(2))
    asker = client(WRONG, WRONG, verify=[verify.Steps(), crashes], policy=twice, show=show)
    async with asker.stream("q") as stream:
        events = await listed(stream)
        reply = await stream.reply()
    assert [v.ok for v in reply.verdicts] == [False, None]
    whole = repr([*events, reply, *stream.attempts])
    whole += repr([a.request for a in (*stream.attempts, *reply.attempts)])
    assert QUOTING not in whole
    assert "is 12" not in whole


async def test_verdicts_on_the_answer_keep_their_words_and_their_place() -> None:
    text = "<thinking>a</thinking>\n<output>So 3 * 4 = 13, yes.</output>"
    for show in ("full", "summary", "hidden"):
        reply = await client(text, verify=verify.Steps(), attempts=1).ask("q", show=show)
        (verdict,) = reply.verdicts
        assert "3 * 4 is 12" in verdict.feedback
        assert reply.transcript.source[verdict.start : verdict.end] == "3 * 4 = 13"


async def test_tags_in_the_prompt_are_no_trouble_for_the_answer_text() -> None:
    def echo(request: Any) -> list[str]:
        return [*answer(f"You said {request.messages[-1].text}, and more.")]

    said = "You said see <output>this</output>, and more."
    for show in ("full", "hidden"):
        async with client(echo).stream("see <output>this</output>", show=show) as stream:
            assert "".join(await listed(stream.output)) == said
            assert "".join(await listed(stream.drafts)) == said
            assert stream.attempts[0].transcript.output == (await stream.reply()).output == said


async def test_what_is_ready_is_taken_once_and_nobody_waits() -> None:
    gate = asyncio.Event()
    async with client(["<output>It is ", gate.wait, "13.</output>"]).stream("q") as stream:
        assert stream.ready() == []
        pieces: list[str] = []
        async for _ in stream:
            gate.set()
            pieces += stream.ready()
            assert stream.ready() == []
        assert "".join(pieces) == (await stream.reply()).output == "It is 13."
        assert await listed(stream.output) == []


def test_what_is_ready_without_async() -> None:
    backend = ScriptedBackend(RIGHT)
    with SyncClient(backend, mode="trained") as client, client.stream("q") as stream:
        answer = stream.reply().output
        assert ("".join(stream.ready()), stream.ready()) == (answer, [])
