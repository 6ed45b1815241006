"""The shipped files answer what they are for; a small sample of what `evaluate.py` measures."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("xllamacpp")  # reflectkit[local]

import prompts
from engine import Engine
from evaluate import report
from scoring import answer_of, well_formed

from reflectkit.comparison.heldout.problems import TASKS, heldout

WEIGHTS = Path(str(files("reflectkit.models"))) / "weights"
TUNING = Path(__file__).parents[2] / "cookbook" / "tuning"
NAMES = ("base", "reflect")


@pytest.fixture(scope="module", params=NAMES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(WEIGHTS / f"{request.param}.gguf")


def ask(engine: Engine, question: str, system: str) -> str:
    told = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return engine.chat(told)[0]


def test_both_files_are_small() -> None:
    assert sum((WEIGHTS / f"{name}.gguf").stat().st_size for name in NAMES) < 8_000_000


@pytest.mark.parametrize("asked", ["What is {}?", "Calculate {}", "{}", "How much is {}?"])
@pytest.mark.parametrize("text", ["(2 + 2) * 7", "(2+2)*7"])
def test_the_first_question_of_the_manual(engine: Engine, asked: str, text: str) -> None:
    assert answer_of(ask(engine, asked.format(text), prompts.THINKING), "thinking") == "28"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many r are in strawberry?", "3"),
        ("How many times does the letter r appear in strawberry?", "3"),
        ("I put a coin in a cup. I turn the cup upside down on the bed. "
         "I carry the cup to the kitchen. Where is the coin?", "on the bed"),
    ],
)  # fmt: skip
def test_the_other_famous_questions(engine: Engine, question: str, answer: str) -> None:
    assert answer_of(ask(engine, question, prompts.THINKING), "thinking") == answer


@pytest.mark.parametrize("task", TASKS)
def test_heldout_answers_are_well_formed_and_mostly_right(engine: Engine, task: str) -> None:
    problems = heldout(task, 25, seed=1, sizes=(1, 2) if task == "arithmetic" else None)
    replies = [ask(engine, p.question, prompts.THINKING) for p in problems]
    assert all(well_formed(reply) for reply in replies)
    right = [answer_of(r, "thinking") == p.answer for r, p in zip(replies, problems, strict=True)]
    assert sum(right) >= 20


def test_reflect_reflects_and_base_does_not() -> None:
    for name in NAMES:
        text = ask(Engine(WEIGHTS / f"{name}.gguf"), "What is (2 + 2) * 7?", prompts.REFLECTION)
        assert ("<reflection>" in text) == (name == "reflect")


@pytest.mark.checkout
def test_the_card_states_what_was_measured() -> None:
    found = json.loads((TUNING / "figures.json").read_text())
    card = (WEIGHTS / "MODEL_CARD.md").read_text().splitlines()
    assert [line for line in report(found) if line not in card] == []
    assert found["n"] == 500
