"""The generator: gold answers are right, and training never meets a held-out problem."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from reflectkit.comparison.heldout import problems


def train_keys(n: int) -> set[str]:
    return {p.key for p in itertools.islice(problems.train(1), n)}


def heldout_keys(n: int) -> set[str]:
    return {p.key for task in problems.TASKS for p in problems.heldout(task, n)}


def test_training_and_heldout_are_disjoint() -> None:
    assert not train_keys(8000) & heldout_keys(300)


def test_the_check_of_disjointness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    held = heldout_keys(300)
    monkeypatch.setattr(problems, "draw", lambda rng, task, held=False: problems.MAKERS[task](rng))
    assert train_keys(8000) & held


def test_phrasings_of_one_problem_share_a_key() -> None:
    rng = random.Random(0)
    tree = problems.draw(rng, "arithmetic").tree
    assert tree is not None
    assert len({problems.ask_arithmetic(rng, tree) for _ in range(50)}) > 5


def test_heldout_is_the_same_each_time_and_differs_by_seed() -> None:
    first = problems.heldout("words", 20, seed=3)
    assert first == problems.heldout("words", 20, seed=3)
    assert first != problems.heldout("words", 20, seed=4)


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 2, 2), (3, 4)])
def test_arithmetic_is_right_and_in_range(sizes: tuple[int, ...]) -> None:
    for problem in problems.heldout("arithmetic", 150, sizes=sizes):
        assert problem.tree is not None
        assert str(eval(str(problem.tree))) == problem.answer
        assert problem.tree.size in sizes
        assert all(int(n) <= 20 for n in re.findall(r"\d+", str(problem.tree)))
        assert 0 <= int(problem.answer) <= 400


def test_letters_are_counted() -> None:
    for problem in problems.heldout("letters", 200):
        word, letter = problem.steps
        assert problem.answer == str(sum(c == letter for c in word))
        assert word in problem.question


def test_word_problems_follow_from_their_steps() -> None:
    for problem in problems.heldout("words", 200):
        for line in problem.steps:
            left, right = line.split(" = ")
            assert eval(left) == int(right)
        assert problem.steps[-1].endswith(f"= {problem.answer}")
        stated = set(re.findall(r"\d+", problem.question))
        assert set(re.findall(r"\d+", problem.steps[0].split(" = ")[0])) <= stated


def replay(question: str, thing: str) -> str:
    """Where the object is, read from the question's sentences alone."""
    at, inside = "", True
    for sentence in re.split(r"\. | and (?=put the|place the|turn|tip|set|leave the|carry|take|move"
                             r"|empty)", question)[1:-1]:  # fmt: skip
        places = [p for p in re.findall(r"the (\w+)", sentence) if p in problems_places()]
        taken = thing in sentence
        at = places[-1] if places and (inside or taken) else at
        inside = inside and not taken and not re.search(r"upside down|over|empty", sentence)
    return at


def problems_places() -> list[str]:
    from reflectkit.comparison.heldout.words import PLACES

    return [place for group in PLACES.values() for place in group]


def test_objects_are_where_the_sentences_say() -> None:
    for problem in problems.heldout("objects", 200):
        thing = problem.steps[0].split(" ")[1]
        assert problem.answer.split()[-1] == replay(problem.question, thing), problem.question
