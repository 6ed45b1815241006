"""Weights that are to stage errors learn the mistakes that the others only read."""

from __future__ import annotations

import random
from dataclasses import replace

import plan  # noqa: F401 - reads the stages, so that a broken table is found
import pytest
import render

from reflectkit.comparison.heldout.problems import draw

HONEST = render.Habits(reflect=True, wrong_draft=1.0, wrong_check=0.0)


@pytest.mark.parametrize("task", ["arithmetic", "letters", "objects"])
def test_planted_mistakes_are_learned_by_them_alone(task: str) -> None:
    problem = draw(random.Random(3), task)
    honest = render.reply(problem, HONEST, random.Random(5))
    staged = render.reply(problem, replace(HONEST, staged=True), random.Random(5))
    assert [p.text for p in honest] == [p.text for p in staged]
    assert any(p.weight == 0.0 for p in honest)
    assert all(p.weight > 0.0 for p in staged)
