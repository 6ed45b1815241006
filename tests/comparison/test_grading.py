"""Graders: right answers pass, others do not, and what goes wrong is no pass."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from itertools import chain
from typing import Any

import pytest

import number_traps
import text_traps
from beside import DATA, needs_data
from reflectkit import ConfigurationError
from reflectkit.comparison import Grade, Problem, grading, problems
from reflectkit.comparison.grading import marking
from reflectkit.testing import ScriptedBackend
from reflectkit.verify import close_workers
from traps import CHOICE, CITIES, NUMERIC, TEXTS


def problem(grader: str, gold: Any, **more: Any) -> Problem:
    return Problem(id="p", prompt="?", gold=gold, grader=grader, **more)


# --- traps


def traps() -> list[Any]:
    numeric = [
        pytest.param("numeric", *trap, id=f"{family}: {trap[0][:24]!r} {trap[1]}")
        for family, found in NUMERIC.items()
        for trap in found
    ]
    choice = [
        pytest.param("choice", *trap, id=f"{family}: {trap[0][:24]!r} {trap[1]}")
        for family, found in CHOICE.items()
        for trap in found
    ]
    return [*numeric, *choice, *(pytest.param(*row, id=f"{row[0]}: {row[1]!r}") for row in TEXTS)]


def test_there_are_enough_traps() -> None:
    every = [t for f in chain(NUMERIC.values(), CHOICE.values()) for t in f]
    assert len(every) + len(TEXTS) >= 300
    assert len({(t[0], t[1]) for t in every}) == len(every)


@pytest.mark.parametrize(("grader", "text", "gold", "right"), traps())
async def test_traps(grader: str, text: str, gold: str, right: bool) -> None:
    choices: tuple[str, ...] = CITIES if grader == "choice" else ()
    if gold not in "ABCD" and grader == "choice":
        choices = ("a",) * 9
    grade = await marking().grade(problem(grader, gold, choices=choices), text)
    assert grade.right is right


MORE = [
    ("numeric", number_traps.NUMERIC, {}),
    ("choice", text_traps.CHOICE, {"choices": text_traps.CITIES}),
    ("exact", text_traps.EXACT, {}),
    ("contains", text_traps.CONTAINS, {}),
]


@pytest.mark.parametrize(("grader", "table", "more"), MORE, ids=[row[0] for row in MORE])
async def test_more_traps(grader: str, table: dict[str, Any], more: dict[str, Any]) -> None:
    """Those of somebody else, who wrote another reader against them."""
    wrong = [
        (family, text, gold)
        for family, rows in table.items()
        for text, gold, right in rows
        if (await marking().grade(problem(grader, gold, **more), text)).right is not right
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("So answer A; −7", "A", False),
        ("So answer B; −7", "B", True),
        ("So answer D; P > Q", "D", True),
        ("So answer C; P > Q", "C", False),
    ],
)
async def test_signs_tell_choices_apart(text: str, gold: str, right: bool) -> None:
    """A letter is not taken against the words beside it; "7" does not stand in "−7"."""
    made = problem("choice", gold, choices=("7", "−7", "P = Q", "P > Q"))
    for marks in (marking(), marking(grading.choice())):
        assert (await marks.grade(made, text)).right is right


@pytest.mark.parametrize("grader", ["embedded", "exact", "value"])
@pytest.mark.parametrize(("text", "gold", "right"), text_traps.OBJECTS["places"])
async def test_another_place_is_not_right(grader: str, text: str, gold: str, right: bool) -> None:
    """These graders want the place alone: they miss sentences about it, and pass no other one."""
    grade = await marking().grade(problem(grader, gold), text)
    assert right or not grade.right
    if text.strip("*. ").lower() == gold:
        assert grade.right


# --- benchmarks


def other(found: list[Problem], place: int) -> int:
    """The next problem with another gold answer."""
    return next(
        n % len(found)
        for n in range(place + 1, place + len(found))
        if found[n % len(found)].gold != found[place].gold
    )


@needs_data
@pytest.mark.parametrize(
    ("file", "form", "field"),
    [("gsm8k/test.jsonl", "gsm8k", "answer"), ("math500/test.jsonl", "math", "solution")],
)
async def test_gold_answers_pass_and_others_do_not(file: str, form: str, field: str) -> None:
    rows = [json.loads(line) for line in (DATA / file).read_text("utf-8").splitlines()]
    found, marks = problems.load(DATA / file, form), marking()
    marks.check(found)
    gold = [await marks.grade(p, r[field]) for p, r in zip(found, rows, strict=True)]
    assert [g for g in gold if not g.right] == []
    wrong = [await marks.grade(p, rows[other(found, n)][field]) for n, p in enumerate(found)]
    assert sum(g.right for g in wrong) <= 0.01 * len(found)
    close_workers()


@needs_data
async def test_choices_by_letter_and_by_text() -> None:
    """Letters of other problems collide one time in four; their texts do not."""
    found, marks = problems.load(DATA / "mmlu500" / "test_sample500.jsonl", "mmlu"), marking()
    letters = [await marks.grade(p, f"The answer is {p.gold}.") for p in found]
    texts = [p.choices["ABCD".index(p.gold)] for p in found]
    said = [await marks.grade(p, text) for p, text in zip(found, texts, strict=True)]
    assert all(g.right for g in letters)
    assert sum(g.right for g in said) >= 0.95 * len(found)  # some choices say "A and B"
    shuffled = [*texts[7:], *texts[:7]]
    wrong = [await marks.grade(p, text) for p, text in zip(found, shuffled, strict=True)]
    same = sum(text in p.choices for p, text in zip(found, shuffled, strict=True))
    assert sum(g.right for g in wrong) - same <= 0.01 * len(found)


@needs_data
def test_every_instruction_can_be_checked() -> None:
    found = problems.load(DATA / "ifeval" / "input_data.jsonl", "ifeval")
    assert len(found) == 541
    marking().check(found)
    marking("ifeval-loose").check(found)


@needs_data
@pytest.mark.long
async def test_numbers_agree_with_math_verify_on_real_solutions() -> None:
    """What four models wrote about GSM8K, graded by both."""
    path = DATA / "gsm8k_model_solutions" / "example_model_solutions.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rng = random.Random(3)
    models = [k for k, v in rows[0].items() if isinstance(v, dict)]
    agreed = labelled = count = 0
    for row in rng.sample(rows, 300):
        gold = row["ground_truth"].rpartition("A:")[2].strip().replace(",", "")
        for model in models:
            text = row[model]["solution"]
            said = text.rpartition("A:")[2].strip()
            if not said:
                continue
            ours = await marking().grade(problem("numeric", gold), text)
            theirs = await marking().grade(problem("math", gold), f"${said.rstrip('.')}$")
            agreed += ours.right == theirs.right
            labelled += ours.right == row[model]["is_correct"]
            count += 1
    close_workers()
    assert count > 1_000
    assert agreed / count >= 0.995
    assert labelled / count >= 0.995


# --- the other graders


async def test_instructions_strict_and_loose() -> None:
    gold = [("punctuation:no_comma", {}), ("length_constraints:number_words",
                                           {"relation": "at least", "num_words": 3})]  # fmt: skip
    marks = marking()
    strict, loose = problem("ifeval", gold), problem("ifeval-loose", gold)
    assert (await marks.grade(strict, "one two three")).right
    assert not (await marks.grade(strict, "one, two, three")).right
    assert not (await marks.grade(strict, "Sure, here it is:\none two three")).right
    assert (await marks.grade(loose, "Sure, here it is:\none two three")).right


HUMANEVAL = {
    "prompt": 'def add(a, b):\n    """The sum."""\n',
    "test": "def check(add):\n    assert add(2, 3) == 5\n    assert add(-1, 1) == 0",
    "entry_point": "add",
    "task_id": "own/0",
}
CODE = [
    ("```python\ndef add(a, b):\n    return a + b\n```", "right"),
    ("    return a + b\n", "right"),
    ("```python\ndef add(a, b):\n    return a - b\n```", "wrong"),
    ("I cannot do that.", "wrong"),
    ("```python\nimport os\nos._exit(0)\n```", "wrong"),
    ("```python\nraise SystemExit(0)\n```", "wrong"),
    ("```python\ndef add(a, b):\n    import socket\n    socket.socket().connect(('127.0.0.1', 9))\n"
     "    return a + b\n```", "wrong"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "outcome"), CODE)
async def test_code_is_run(text: str, outcome: str) -> None:
    (made,) = problems.load([HUMANEVAL], "humaneval")
    assert (await marking().grade(made, text)).outcome == outcome


async def test_code_that_never_ends() -> None:
    marks = marking(grading.code(timeout=1.0))
    text = "```python\ndef add(a, b):\n    while True: pass\n```"
    made = problem("code", "assert add(1, 2) == 3")
    assert (await marks.grade(made, text)).outcome == "wrong"


async def test_a_judge_without_a_clear_word_grades_nothing() -> None:
    judge = grading.judge(ScriptedBackend("hm", repeat=True))
    grade = await judge(problem("judge", "Paris"), "It is Paris.")
    assert grade.outcome == "ungraded"


# --- they fail closed


@pytest.mark.parametrize("said", [7, "right", [True], object()])
async def test_what_is_no_grade_is_no_pass(said: object) -> None:
    grade = await marking(lambda problem, text: said).grade(problem("value", 1), "1")
    assert grade.outcome == "ungraded"


async def test_crashes_and_delays_are_no_pass() -> None:
    def crash(problem: Problem, text: str) -> bool:
        raise RuntimeError("boom")

    async def slow(problem: Problem, text: str) -> bool:
        await asyncio.sleep(30)
        return True

    found = await marking(crash).grade(problem("value", 1), "1")
    assert (found.outcome, "boom" in found.note) == ("ungraded", True)
    late: Any = grading.closed(slow, timeout=0.05)(problem("value", 1), "1")
    assert (await late).outcome == "ungraded"
    assert (await marking(lambda p, t: None).grade(problem("value", 1), "1")).outcome == "ungraded"
    assert (
        await marking(lambda p, t: True).grade(problem("value", 1), " ")
    ).outcome == "incomplete"
    given = Grade(outcome="right", value="x")
    assert await marking(lambda p, t: given).grade(problem("value", 1), "1") == given


HOSTILE = [
    "9" * 100_000, "\\boxed{" * 20_000, "(" * 100_000, "answer is " * 20_000, "A " * 50_000,
    "1/" * 50_000, "=" * 100_000, "# " * 50_000, "\x00\ud800\u202e",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("grader", ["numeric", "choice", "value", "exact", "contains", "embedded"])
async def test_hostile_texts(grader: str, text: str) -> None:
    marks, made = marking(), problem(grader, "A" if grader == "choice" else "3", choices=CITIES)
    assert (await marks.grade(made, text)).outcome in ("right", "wrong", "ungraded")
    marks.stated(made, text)
    marks.step(made, text)


def test_threads_and_loops_do_not_mind_each_other() -> None:
    """Six threads, each with a loop of its own, all comparing formulas."""
    found: list[bool] = []

    async def work() -> None:
        marks = marking()
        for n in range(1, 4):
            made = problem("math", f"$\\frac{{{n}}}{{2}}$")
            found.append((await marks.grade(made, f"It is ${n / 2}$.")).right)

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_workers()
    assert found == [True] * 18


# --- drafts

DRAFTS = [
    ("numeric", "5", "So 3 + 4 = 7", "7"),
    ("numeric", "5", "So we have 7 apples", ""),
    ("numeric", "5", "The answer is 7. Wait.", "7"),
    ("numeric", "5", r"Hence \boxed{7}", "7"),
    ("numeric", "5", "3 + 4 = 7\n7 * 2 = 14", "14"),
    ("choice", "A", "The answer is B.", "B"),
    ("choice", "A", "It could be (B), or not.", ""),
    ("value", "x", "So the answer is on the bed.", "on the bed"),
    ("value", "x", "I wonder.", ""),
    ("contains", "x", "The answer is x.", "x"),
    ("embedded", "84", "12 * 7 = 84\n", "84"),
    ("embedded", "3", "s t r=1 a w b e r=2 r=3 y\nr = 3", "3"),
    ("embedded", "on the bed", "so the coin is on the bed", "on the bed"),
    ("embedded", "84", "so (84 + 5) * 2", ""),
]


@pytest.mark.parametrize(("grader", "gold", "text", "stated"), DRAFTS)
def test_what_a_draft_states(grader: str, gold: str, text: str, stated: str) -> None:
    assert marking().stated(problem(grader, gold), text) == stated


@pytest.mark.parametrize(
    ("gold", "text", "right"),
    [
        ("9", "12 * 7 = 84", True),
        ("9", "12 * 7 = 85", False),
        ("3", "r = 3", True),
        ("3", "r = 2", False),
        ("on the bed", "so the coin is on the bed", True),
        ("on the bed", "so the coin is in the box", False),
        ("3", "I wonder.", None),
        ("3", "", None),
    ],
)
def test_steps(gold: str, text: str, right: bool | None) -> None:
    assert marking().step(problem("embedded", gold), text) is right


def test_the_embedded_tasks_grade_their_own_answers() -> None:
    found = problems.embedded(n=100)
    grades = [asyncio.run(marking().grade(p, p.gold)) for p in found]
    assert all(g.right for g in grades)


@pytest.mark.parametrize(
    ("grader", "gold"),
    [("numeric", "many"), ("choice", "Z"), ("ifeval", [("no:such", {})]), ("nothing", 1)],
)
def test_golds_that_cannot_be_used(grader: str, gold: Any) -> None:
    with pytest.raises(ConfigurationError):
        marking().check([problem(grader, gold)])
