"""Where thinking is not shown, verdicts, attempts, events and errors quote none of it either."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import BaseModel

from reflectkit import Attempt, BackendStatus, Client, Draft, Request, Verdict
from reflectkit.correction import GuardedReflection, Redraw, Restart, Revise, Vote, trace
from reflectkit.protocol import parse
from reflectkit.testing import ScriptedBackend
from reflectkit.verify import Matches, Numeric, Steps, WellFormed
from reflectkit.visibility import Show, shown_attempt

SECRET = "SECRET"
TEXT = f"<thinking>{SECRET} 1 + 1 = 3 <reflection>{SECRET}</reflection></thinking>"
WRONG = f"{TEXT}<output>It is 2 + 2 = 5 apples.</output>"
BARE = f"{SECRET} prefilled</think>It is 27."
HIDING: list[Show] = ["summary", "hidden"]


def chatty(draft: Draft) -> list[Verdict]:
    """Quotes thinking in every field that a verdict has for text, and points everywhere."""
    source = draft.transcript.source
    at, answer = source.find(SECRET), source.find("apples")
    said = f"You thought {draft.thinking}"
    return [
        Verdict(ok=False, feedback=said, value=draft.thinking),
        Verdict(ok=False, feedback=said, start=at, end=at + 6, value=[draft.thinking]),
        Verdict(ok=False, feedback=said, start=at, end=len(source)),
        Verdict(ok=False, feedback=said, by="judge", score=0.5, value=0.25),
        Verdict(ok=False, feedback="apples?", start=answer, end=answer + 6, value="apples"),
    ]


POLICIES: list[Any] = [Revise(), Restart(), Redraw(), Vote(3, at_once=2), GuardedReflection()]


@pytest.mark.parametrize("show", HIDING)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
async def test_no_way_leads_to_the_thinking(show: Show, policy: Any) -> None:
    verify: list[Any] = [chatty, Steps(), WellFormed(), Matches(SECRET, section="thinking")]
    client = Client(ScriptedBackend(WRONG, repeat=True), policy=policy, verify=verify, show=show)
    async with client.stream("q") as stream:
        events = [e async for e in stream]
        reply = await stream.reply()
    assert reply.output == "It is 2 + 2 = 5 apples."
    told = [repr(events), repr(reply), *trace.lines(reply), str(stream.partial)]
    told += [repr((a.request, a.verdicts, a.logprobs, a.transcript)) for a in reply.attempts]
    told += [repr(v.value) for a in reply.attempts for v in a.verdicts]
    assert SECRET not in "".join(told)
    assert reply.record is None


async def test_what_is_said_of_the_answer_stays_at_its_place() -> None:
    reply = await Client(ScriptedBackend(WRONG), verify=chatty, attempts=1, show="hidden").ask("q")
    *others, apples = reply.verdicts
    assert [(v.feedback, v.start, v.end) for v in others] == [("", None, None)] * 4
    assert (apples.feedback, apples.value) == ("apples?", "apples")
    assert apples.start is not None
    assert reply.transcript.source[apples.start : apples.end] == "apples"
    assert [v.value for v in others] == [None, None, None, 0.25]
    assert others[3].score == 0.5


class Sum(BaseModel):
    total: int


async def test_structured_answers_keep_their_value_and_their_feedback() -> None:
    backend = ScriptedBackend(f'{TEXT}<output>{{"total": "x"}}</output>', f"{TEXT}<output>5")
    reply = await Client(backend, output_type=Sum, attempts=1, show="hidden").ask("q")
    assert "total" in reply.verdicts[0].feedback
    backend = ScriptedBackend(f'{TEXT}<output>{{"total": 5}}</output>')
    assert (await Client(backend, output_type=Sum, show="hidden").ask("q")).value == Sum(total=5)
    backend = ScriptedBackend(f"{TEXT}<output>five</output>")
    assert (await Client(backend, output_type=str, show="hidden").ask("q")).value == "five"


async def test_an_answer_in_doubt_is_not_quoted() -> None:
    """A response cut before it is known whether it was thinking shows nothing, nor do verdicts."""
    client = Client(ScriptedBackend([SECRET, _cut()]), mode="plain", model="", show="hidden")
    reply = await client.ask(
        "q", verify=[Numeric(7, by="rule"), chatty], attempts=1, output_type=Sum
    )
    assert SECRET not in repr((reply, reply.verdicts, [v.value for v in reply.verdicts]))


def _cut() -> Any:
    from reflectkit import Chunk

    return Chunk(finish="length")


@pytest.mark.parametrize("show", HIDING)
async def test_a_fault_in_a_later_attempt_keeps_what_came_and_hides_the_rest(show: Show) -> None:
    backend = ScriptedBackend(WRONG, [f"<thinking>{SECRET}", BackendStatus("no", status=500)])
    with pytest.raises(BackendStatus) as caught:
        await Client(backend, verify=chatty, policy=Revise(), show=show).ask("q")
    error = caught.value
    assert [a.transcript.output for a in error.attempts] == ["It is 2 + 2 = 5 apples."]
    assert error.attempts[0].verdicts[-1].feedback == "apples?"
    assert error.usage is not None
    assert error.usage.total > error.attempts[0].usage.total
    told = repr((error.attempts, [a.request for a in error.attempts], error.partial))
    assert SECRET not in told


def test_places_are_those_of_what_is_shown() -> None:
    """For random sources and places: what a shown place holds is what the verdict pointed at."""
    rng = random.Random(7)
    pieces = ["<thinking>", "</thinking>", "<reflection>", "</reflection>", "<output>", "</output>"]
    request = Request(messages=())
    kept = 0
    for _ in range(3_000):
        source = "".join(rng.choice([*pieces, "abc ", "def "]) for _ in range(rng.randint(1, 12)))
        start = rng.randint(0, len(source))
        end = rng.randint(start, len(source))
        verdict = Verdict(ok=False, feedback="x", start=start, end=end)
        whole = Attempt(number=1, request=request, transcript=parse(source), verdicts=(verdict,))
        for show in HIDING:
            shown = shown_attempt(whole, show, request)
            (seen,) = shown.verdicts
            if seen.start is None:
                assert seen.feedback == ""
                continue
            kept += 1
            assert shown.transcript.source[seen.start : seen.end] == source[start:end]
    assert kept > 300
