"""Running a comparison: every answer once, kept, resumed, and the same report in the end."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from models import Sums, plain, reflecting, sums
from reflectkit import BackendError, BackendStatus, Client, ConfigurationError, compare
from reflectkit.budget.limits import Limit
from reflectkit.comparison import Arm, Grade, Problem, Progress, Report, plan, read_records
from reflectkit.comparison.options import Options, Terms
from reflectkit.correction import Redraw
from reflectkit.ledgers import MemoryLedger, Scope
from reflectkit.messages import Chunk, Request
from reflectkit.options import Options as CallOptions

HERE = Path(__file__).parent


def arms() -> dict[str, Client]:
    return {"plain": plain(), "trained": reflecting()}


def timeless(report: Report) -> Any:
    """The report without what a clock measured."""
    value = json.loads(report.to_json())
    for arm in value["arms"]:
        arm["cost"]["seconds"] = arm["cost"]["first_output"] = None
    return value


async def test_every_arm_answers_every_problem(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    report = await compare(sums(20), arms(), repeats=3, store=store, draws=200)
    keys = Counter(r.key for r in read_records(store))
    names = ("plain", "trained", "plain, vote at equal tokens")
    assert keys == {(f"sum-{k}", a, r): 1 for k in range(1, 21) for a in names for r in range(3)}
    assert [arm.name for arm in report.arms] == list(names)
    assert all(sum(arm.outcomes.values()) == 60 for arm in report.arms)


async def test_arms_share_their_seeds(tmp_path: Path) -> None:
    """So that a plain arm and a vote of it begin with the same draft."""
    store = tmp_path / "answers.jsonl"
    await compare(sums(5), arms(), repeats=2, store=store, draws=100)
    seeds: dict[tuple[str, int], set[int | None]] = {}
    for record in read_records(store):
        seeds.setdefault((record.problem, record.repeat), set()).add(record.seed)
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 10


async def test_the_vote_costs_what_the_other_arm_costs() -> None:
    report = await compare(sums(60), arms(), repeats=2, draws=100)
    cost = {arm.name: arm.cost.completion.value or 0 for arm in report.arms}
    assert cost["plain, vote at equal tokens"] == pytest.approx(cost["trained"], rel=0.05)
    assert cost["plain"] < cost["trained"] / 5


async def test_only_the_output_is_graded(tmp_path: Path) -> None:
    """A right number in the thinking counts for nothing; no output is an outcome of its own."""

    class Thinks:
        model = "thinks"
        answers = iter(["<thinking>3</thinking><output>4</output>", "<thinking>3</thinking>"])

        async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
            yield Chunk(next(self.answers), finish="stop")

    store = tmp_path / "answers.jsonl"
    await compare(
        sums(1), {"a": Client(Thinks(), mode="trained"), "b": plain(1.0)}, repeats=2, store=store
    )
    found = sorted(r.outcome for r in read_records(store) if r.arm == "a")
    assert found == ["incomplete", "wrong"]


# --- stopped and started again


async def test_what_is_there_is_not_asked_again(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    first = Sums(0.6, name="sums")
    whole = await compare(sums(12), {"a": Client(first, mode="plain"), "b": reflecting()},
                          store=store, draws=100)  # fmt: skip
    second = Sums(0.6, name="sums")
    again = await compare(sums(12), {"a": Client(second, mode="plain"), "b": reflecting()},
                          store=store, draws=100)  # fmt: skip
    assert first.asked > 12
    assert second.asked == 0
    assert again == whole


async def test_more_problems_repeats_and_arms_are_added_to_it(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    await compare(sums(5), arms(), store=store, draws=100)
    backend = Sums(0.6, name="sums")
    more = {"plain": Client(backend, mode="plain"), "trained": reflecting(), "new": plain(0.9)}
    report = await compare(sums(8), more, repeats=2, store=store, equal_tokens=False, draws=100)
    assert backend.asked == 8 * 2 - 5
    assert report == await compare(
        sums(8), {**arms(), "new": plain(0.9)}, repeats=2, equal_tokens=False, draws=100,
        store=store,
    )  # fmt: skip


async def test_a_changed_arm_or_problem_is_noticed(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    await compare(sums(3), arms(), store=store, draws=100)
    changed = {**arms(), "plain": Client(Sums(0.6), mode="plain", temperature=0.3)}
    with pytest.raises(ConfigurationError, match="arm 'plain' to problem 'sum-"):
        await compare(sums(3), changed, store=store, draws=100)
    other = [Problem(id="sum-1", prompt="What is 5 + 5 ?", gold=10, grader="numeric")]
    with pytest.raises(ConfigurationError, match="has changed since"):
        await compare(other, arms(), store=store, draws=100)


@pytest.mark.parametrize("at", [1, 7, 20, 38])
async def test_a_cancelled_run_goes_on(tmp_path: Path, at: int) -> None:
    """Cancelled at any moment: nothing that was answered is lost or asked again."""
    store = tmp_path / "answers.jsonl"
    running: list[asyncio.Task[Report]] = []

    def stop(progress: Progress) -> None:
        if progress.done == at:
            running[0].cancel()

    running.append(
        asyncio.create_task(
            compare(sums(15), arms(), store=store, draws=100, on_progress=stop, concurrency=3)
        )
    )
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    assert len(read_records(store)) >= at
    whole = timeless(await compare(sums(15), arms(), draws=100))
    assert timeless(await compare(sums(15), arms(), store=store, draws=100)) == whole


RUN = """
import asyncio, sys
sys.path.insert(0, {here!r})
from models import Sums, plain, reflecting, sums
from reflectkit import Client, compare

class Slow(Sums):
    async def stream(self, request):
        async for chunk in super().stream(request):
            await asyncio.sleep(0.002)
            yield chunk

async def main():
    arms = {{"plain": Client(Slow(0.6), mode="plain"), "trained": reflecting()}}
    report = await compare(sums(40), arms, repeats=2, store={store!r}, draws=100)
    print(report.to_json())

asyncio.run(main())
"""


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL")
def test_killed_at_any_moment_it_comes_to_the_same_report(tmp_path: Path) -> None:
    """Twenty times killed by SIGKILL, with nothing lost but what was under way."""
    store = tmp_path / "answers.jsonl"
    script = tmp_path / "run.py"
    script.write_text(RUN.format(here=str(HERE), store=str(store)))
    rng = random.Random(20)
    sizes = []
    for _ in range(20):
        process = subprocess.Popen([sys.executable, script], stdout=subprocess.DEVNULL)
        before = store.stat().st_size if store.exists() else 0
        deadline = time.monotonic() + 60
        while (store.stat().st_size if store.exists() else 0) <= before:
            assert process.poll() is None or not before
            if process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        sizes.append(len(read_records(store)))
    assert sizes == sorted(sizes)
    assert sizes[0] < 240
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    records = read_records(store)
    assert len(records) == len({r.key for r in records}) == 240
    fresh = tmp_path / "fresh.jsonl"
    script.write_text(RUN.format(here=str(HERE), store=str(fresh)))
    whole = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert timeless(Report.from_json(done.stdout)) == timeless(Report.from_json(whole.stdout))


async def test_a_line_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    whole = await compare(sums(6), arms(), store=store, draws=100)
    text = store.read_bytes()
    store.write_bytes(text[: text.rfind(b"\n", 0, -1) + 30])
    again = await compare(sums(6), arms(), store=store, draws=100)
    assert timeless(again) == timeless(whole)
    assert len(read_records(store)) == 18


async def test_two_at_once_in_one_store(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"

    def other(_: Progress) -> None:
        from reflectkit.comparison import Store

        with pytest.raises(ConfigurationError, match="another comparison"), Store(store):
            pass

    await compare(sums(1), arms(), store=store, draws=100, on_progress=other)


@pytest.mark.parametrize(
    "text", ["hello", "hello\n", '{"reflectkit": "comparison"}\n', "[1]\n{}\n"]
)
async def test_a_store_that_is_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    store = tmp_path / "notes.txt"
    store.write_text(text)
    with pytest.raises(ConfigurationError):
        await compare(sums(1), arms(), store=store)
    assert store.read_text() == text


# --- what goes wrong


class Broken:
    """Refuses so many requests, then answers."""

    model = "broken"

    def __init__(self, times: int) -> None:
        self.times = times
        self.inner = Sums(1.0)

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        if self.times:
            self.times -= 1
            raise BackendStatus("It is overloaded.", status=503)
        async for chunk in self.inner.stream(request):
            yield chunk


async def test_failures_are_told_apart_and_asked_again(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    broken = Broken(5)
    given = {"plain": Client(broken, mode="plain"), "trained": reflecting()}
    report = await compare(
        sums(10), given, store=store, draws=100, concurrency=1, equal_tokens=False
    )
    assert report.arms[0].outcomes["failed"] == 5
    assert any("5 of 10 answers got no answer" in w for w in report.warnings)
    again = await compare(sums(10), given, store=store, draws=100, equal_tokens=False)
    assert again.arms[0].outcomes == {
        "right": 10, "wrong": 0, "incomplete": 0, "ungraded": 0, "failed": 0
    }  # fmt: skip


async def test_a_broken_server_is_not_asked_for_ever(tmp_path: Path) -> None:
    broken = Broken(10_000)
    given = {"plain": Client(broken, mode="plain"), "trained": reflecting()}
    with pytest.raises(BackendError, match="failed 20 times in a row: BackendStatus"):
        await compare(sums(200), given, concurrency=4)
    assert 10_000 - broken.times < 50


async def test_an_arm_ends_with_its_budget(tmp_path: Path) -> None:
    scope = Scope("run", "arm", Limit(tokens=1_000), ledger=MemoryLedger())
    arm = Arm(name="trained", client=reflecting(), scope=scope, options={"max_tokens": 60})
    report = await compare(sums(60), [Arm(name="plain", client=plain()), arm], draws=100)
    assert 0 < sum(report.arms[1].outcomes.values()) < 60
    assert report.arms[1].outcomes["failed"] == 0
    spent = [b for b in await scope.balances() if "/tokens/" in b.key]
    assert spent[0].spent <= 1_000
    assert spent[0].reserved == 0
    assert any("of 60 problems have an answer of every arm" in w for w in report.warnings)


async def test_a_grader_that_fails_grades_nothing_as_right() -> None:
    def grade(problem: Problem, text: str) -> Grade:
        raise ValueError("no such thing")

    report = await compare(sums(4), arms(), grade, equal_tokens=False, draws=100)
    assert [arm.outcomes["ungraded"] for arm in report.arms] == [4, 4]
    assert report.arms[0].cost.accuracy.value == 0


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("There are no problems", {"problems": []}),
    ("is no problem", {"problems": ["What is 1 + 1?"]}),
    ("Two problems have the id", {"problems": [*sums(1), *sums(1)]}),
    ("nothing to compare", {"arms": {"a": plain()}}),
    ("is no arm", {"arms": {"a": plain(), "b": "reflect"}}),
    ("Two arms have the name", {"arms": [Arm(name="a", client=plain())] * 2}),
    ("no such arm", {"arms": [Arm(name="a", client=plain()),
                              Arm(name="b", client=plain(), like="c", kind="vote")]}),
    ("repeats is 0", {"repeats": 0}),
    ("concurrency is 0", {"concurrency": 0}),
    ("no grader 'nemeric'", {"grade": "nemeric"}),
    ("grades nothing", {"grade": 7}),
    ("has no gold answer", {"problems": [Problem(id="a", prompt="?", grader="numeric")]}),
    ("no grader 'x'", {"problems": [Problem(id="a", prompt="?", gold=1, grader="x")]}),
]  # fmt: skip


@pytest.mark.parametrize("way", [compare, plan], ids=["compare", "plan"])
@pytest.mark.parametrize(("words", "changed"), WRONG)
async def test_what_cannot_be_compared(
    way: Callable[..., Any], words: str, changed: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"problems": sums(2), "arms": arms(), "grade": None, **changed}
    with pytest.raises(ConfigurationError, match=words):
        await way(**asked)


@pytest.mark.parametrize("way", [compare, plan], ids=["compare", "plan"])
async def test_an_unknown_option_is_refused(way: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="'repeat'"):
        await way(sums(2), arms(), repeat=2)


def test_every_option_is_declared_and_explained() -> None:
    names = [f.name for f in fields(Terms)]
    assert names == list(Options.__annotations__)
    assert [name for name in names if f"``{name}``" not in (compare.__doc__ or "")] == []


async def test_policies_are_arms() -> None:
    no: CallOptions = {"policy": Redraw(), "verify": [lambda draft: False], "attempts": 3}
    given = [Arm(name="plain", client=plain()), Arm(name="redraw", client=plain(), options=no)]
    report = await compare(sums(10), given, equal_tokens=False, draws=100)
    assert report.arms[1].policy == "Redraw"
    assert report.arms[1].cost.calls == 3
    assert "redraw" in report.flips


# --- plans and progress


async def test_a_plan_asks_nothing(tmp_path: Path) -> None:
    backend = Sums(0.6)
    given = {"plain": Client(backend, mode="plain", max_tokens=50), "trained": reflecting()}
    found = await plan(sums(541), given, repeats=2, store=tmp_path / "none.jsonl")
    assert backend.asked == 0
    assert os.listdir(tmp_path) == []
    assert [a.answers for a in found.arms] == [1082] * 3
    assert (found.arms[0].tokens, found.arms[1].tokens) == (50, None)
    assert found.seconds is None
    assert found.smallest[0.1] == pytest.approx(0.038, abs=0.0005)
    assert "3.8 points if the arms differ on 10 %" in str(found)
    assert "set max_tokens" in str(found)


async def test_a_plan_goes_by_what_is_there(tmp_path: Path) -> None:
    store = tmp_path / "answers.jsonl"
    await compare(sums(5), arms(), store=store, draws=100)
    found = await plan(sums(50), arms(), store=store)
    assert [a.there for a in found.arms] == [5, 5, 5]
    assert found.arms[0].tokens == 2
    assert found.arms[0].measured
    assert found.seconds is not None
    assert "5 of them there" in str(found)


async def test_progress_says_how_it_stands() -> None:
    seen: list[str] = []
    await compare(sums(30), arms(), on_progress=lambda p: seen.append(str(p)), draws=100)
    assert len(seen) == 90
    assert seen[-1].startswith("90/90 · ")
    assert "vote at equal tokens - plain +" in seen[-1]
