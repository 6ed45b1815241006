"""Mathematical equality in a process of its own: right, in time, and with nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import pytest

from drafts import draft_of
from reflectkit.errors import ConfigurationError, MissingCapability
from reflectkit.reply import Verdict
from reflectkit.verify import math as room
from reflectkit.verify.math import MathEqual, close_workers

needs_library = pytest.mark.skipif(
    find_spec("math_verify") is None, reason="reflectkit[math] is not installed"
)
SLOW = "$10^{10^{10^{10}}}$"


async def judged(gold: str | float, answer: str, **options: Any) -> Verdict:
    return await MathEqual(gold, **options)(draft_of(f"<output>{answer}</output>"))


def pids() -> set[int]:
    """The workers that are alive."""
    workers = [worker for worker in room._idle if worker._process is not None]
    return {w._process.pid for w in workers if w._process and w._process.poll() is None}


@pytest.fixture(scope="module", autouse=True)
def closed_at_the_end() -> Iterator[None]:
    yield
    close_workers()
    assert room._idle == []


EQUAL = [
    ("42", "The answer is 42."),
    (42, "\\boxed{42}"),
    (0.5, "one half: $\\frac{1}{2}$"),
    ("1/2", "0.5"),
    ("\\frac{1}{2}", "So it is $0.5$."),
    ("1,000", "That makes 1000 dollars."),
    ("50%", "$\\frac12$"),
    ("3", "$\\sqrt{9}$"),
    ("x^2+2x+1", "$(x+1)^2$"),
    ("$\\{1,2\\}$", "$\\{2,1\\}$"),
    ("[0,1)", "$[0,1)$"),
    ("$x=5$", "$x=5$"),
    ("-7", "It is -7"),
]
UNEQUAL = [
    ("42", "The answer is 43."),
    ("42", "First 42, but in the end \\boxed{41}"),
    ("1/2", "$\\frac{1}{3}$"),
    ("x^2", "$x^3$"),
    ("$\\{1,2\\}$", "$\\{1,3\\}$"),
    ("42", "I do not know."),
    ("42", "-42"),
]


@needs_library
@pytest.mark.parametrize(("gold", "answer"), EQUAL)
async def test_what_is_equal_passes(gold: str | float, answer: str) -> None:
    verdict = await judged(gold, answer)
    assert (verdict.ok, verdict.by, verdict.name) == (True, "oracle", "math")
    assert verdict.value


@needs_library
@pytest.mark.parametrize(("gold", "answer"), UNEQUAL)
async def test_what_is_not_fails_and_the_gold_is_not_told(gold: str, answer: str) -> None:
    verdict = await judged(gold, answer)
    assert verdict.ok is False
    assert verdict.feedback
    assert gold not in verdict.feedback.replace("-42", "")


@needs_library
async def test_an_empty_answer_fails() -> None:
    assert (await MathEqual("1")(draft_of("<thinking>1</thinking>"))).ok is False


@needs_library
async def test_digits_say_how_exact() -> None:
    assert (await judged("3.14159", "3.14160", digits=3)).ok is True
    assert (await judged("3.14159", "3.14260", digits=5)).ok is False


@needs_library
async def test_one_worker_serves_many() -> None:
    await judged("1", "1")
    first = pids()
    for _ in range(5):
        await judged("1", "1")
    assert pids() == first


@needs_library
async def test_a_hang_is_ended_in_time_and_the_next_is_served() -> None:
    await judged("1", "1")
    begun = perf_counter()
    verdict = await judged(SLOW, SLOW.replace("{10}}}", "{11}}}"), timeout=1)
    assert perf_counter() - begun < 3
    assert verdict.ok is None
    assert "longer than 1 s" in verdict.feedback
    assert (await judged("2", "2")).ok is True


@needs_library
async def test_a_worker_that_died_meanwhile_is_replaced() -> None:
    close_workers()
    await judged("1", "1")
    (worker,) = room._idle
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert (await judged("1", "1")).ok is True


@needs_library
async def test_one_that_dies_at_work_is_unknown() -> None:
    close_workers()
    await judged("1", "1")
    (worker,) = room._idle
    assert worker._process is not None
    task = asyncio.ensure_future(judged(SLOW, SLOW.replace("{10}}}", "{11}}}"), timeout=60))
    await asyncio.sleep(0.2)
    worker._process.kill()
    verdict = await task
    assert (verdict.ok, "ended its process" in verdict.feedback) == (None, True)


@needs_library
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("warm", [False, True])
async def test_cancelled_it_leaves_nothing(delay: float, warm: bool) -> None:
    close_workers()
    if warm:
        await judged("1", "1")
    made: list[room._Worker] = []
    start = room._Worker.__init__

    def kept(self: room._Worker) -> None:
        start(self)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room._Worker, "__init__", kept)
        made += room._idle
        task = asyncio.ensure_future(judged(SLOW, SLOW.replace("{10}}}", "{11}}}"), timeout=60))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.05)
    running = [w for w in made if w._process is not None and w._process.poll() is None]
    assert [w for w in running if w not in room._idle] == []
    assert (await judged("2", "2")).ok is True


@needs_library
async def test_several_at_once_share_two_workers() -> None:
    verdicts = await asyncio.gather(*(judged(n, f"It is {n % 3}.") for n in range(12)))
    assert [v.ok for v in verdicts] == [n < 3 for n in range(12)]
    assert len(pids()) <= room.MOST_WORKERS


@needs_library
def test_it_works_in_threads_with_event_loops_of_their_own() -> None:
    def one(number: int) -> bool | None:
        return asyncio.run(judged(number, f"It is {number}.")).ok

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(8))) == [True] * 8


@needs_library
async def test_plain_numbers_agree_with_plain_comparison() -> None:
    golds = [0, 7, 18, 100, 1234, 70000, 1_000_000, -5, 2.5, 0.25]
    texts = ["The answer is {}.", "#### {}", "\\boxed{{{}}}", "So she has {} left.", "**{}**"]
    for gold in golds:
        for text in texts:
            for said in (gold, gold + 1):
                for shown in (f"{said}", f"{said:,}"):
                    verdict = await judged(gold, text.format(shown))
                    assert verdict.ok is (said == gold), (gold, text.format(shown), verdict)


@needs_library
async def test_an_unreadable_gold_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gold"):
        await judged("see above", "3")


@needs_library
@pytest.mark.parametrize(
    "answer", ["\ud800", "\x00", "$" * 3000, "{" * 3000, "\\frac" * 2000, "9" * 20000]
)
async def test_odd_text_gets_a_verdict(answer: str) -> None:
    verdict = await judged("3", answer, timeout=20)
    assert verdict.ok is not True


@needs_library
def test_nothing_runs_after_python_has_ended() -> None:
    code = (
        "import asyncio\nfrom reflectkit.verify import math as room\n"
        "from reflectkit.protocol import parse\nfrom reflectkit.reply import Draft\n"
        "from reflectkit.messages import Request\n"
        "draft = Draft(request=Request(messages=()), transcript=parse('It is 4.'))\n"
        "print(asyncio.run(room.MathEqual(4)(draft)).ok, room._idle[0]._process.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    ok, pid = done.stdout.split()
    assert (ok, done.stderr) == ("True", "")
    alive = subprocess.run(["ps", "-p", pid], capture_output=True, check=False).returncode
    assert alive == 1


@pytest.mark.parametrize(("gold", "timeout"), [("", 5), ("  ", 5), ("1", 0), ("1", float("inf"))])
def test_settings_that_cannot_be_are_refused(gold: str, timeout: float) -> None:
    with pytest.raises(ConfigurationError):
        MathEqual(gold, timeout=timeout)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", lambda _: None)
    with pytest.raises(MissingCapability, match=r'pip install "reflectkit\[math\]"'):
        MathEqual("1")
