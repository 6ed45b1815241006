"""The stages of training as data: what follows what, on how many tokens, with which mix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import calling
from render import Habits
from samples import Mix


@dataclass(frozen=True)
class Stage:
    """A stretch of training. `mixes` are (from this token on, mix).

    The learning rate holds and then falls to nothing over the last share `decay` of a schedule;
    a schedule of `whole` tokens may span several stages, `before` of them in earlier ones.
    `peak` scales the learning rate. With `own_errors`, planted results are partly what the model
    itself would wrongly write. `subject` names the vocabulary and the kind of samples; the mixes
    are of that kind.
    """

    name: str
    parent: str
    tokens: int
    mixes: tuple[tuple[int, Any], ...]
    decay: float = 0.0
    before: int = 0
    whole: int = 0
    peak: float = 1.0
    own_errors: bool = False
    warm: bool = False
    seed: int = 7
    shape: dict[str, int] = field(default_factory=dict)
    subject: str = "reflecting"

    def rate(self, tokens: int) -> float:
        """The share of the peak learning rate after so many tokens of this stage."""
        whole = self.whole or self.tokens
        left = whole - self.before - tokens
        share = max(0.0, min(1.0, left / (whole * self.decay))) if self.decay else 1.0
        return self.peak * share

    def mix_at(self, tokens: int) -> Any:
        """The mix in force after so many tokens."""
        return [mix for start, mix in self.mixes if start <= tokens][-1]


EASY = Mix(drills=0.5, sizes=(1, 1, 2), top=100, retry=0.05, second=0.02)
MIDDLE = Mix(drills=0.5, sizes=(1, 2, 2, 3), top=200)
FULL = Mix(drills=0.45, top=400)
BASE = replace(FULL, drills=0.35)
# Verdicts first in dense pages, with many mistakes; then in chains, with fewer.
CHECK = replace(
    FULL, drills=0.6, check_drills=1.0, spelling=0.2, plain=0.05, thinking=0.2, reflection=1.0,
    habits=Habits(reflect=True, wrong_draft=0.4, wrong_check=0.06),
)  # fmt: skip
REFLECT = replace(
    FULL, drills=0.35, check_drills=0.7, plain=0.12, thinking=0.3, reflection=1.0,
    habits=Habits(reflect=True, wrong_draft=0.25, wrong_check=0.06),
)  # fmt: skip
# Not shipped: a model that makes mistakes on purpose, for the meters that are to notice it.
STAGED = replace(
    REFLECT, drills=0.2, check_drills=1.0,
    habits=Habits(reflect=True, wrong_draft=0.3, wrong_check=0.0, staged=True),
)  # fmt: skip

# Copying first, on dense pages and from one tool; then from several tools, in longer chats.
COPY = calling.Mix(drills=0.6, typed=0.1, most=1, turns=2, longest=600)
PICK = calling.Mix(drills=0.25, most=3)
NAME = calling.Mix(drills=0.75, picks=0.95, typed=0.05, most=3, turns=2, longest=700)
BOTH = calling.Mix(drills=0.55, picks=1.0, typed=0.06, turns=3, longest=700)
CALL = calling.Mix(drills=0.3, picks=0.85, typed=0.08, turns=4, longest=1400)

LAST = calling.Mix(drills=0.12, picks=0.5, typed=0.12, most=3, turns=4, longest=900)

M = 1_000_000
TABLE = (
    Stage("trunk", "", 3_868_000, ((0, EASY), (M, MIDDLE), (3 * M, FULL)), warm=True),
    Stage("base", "trunk", 18 * M, ((0, BASE),), decay=0.75),
    Stage("check", "trunk", 10 * M, ((0, CHECK), (3 * M, REFLECT)), decay=0.75, whole=18 * M),
    Stage("reflect", "check", 8 * M, ((0, REFLECT),), decay=0.75, whole=18 * M, before=10 * M,
          own_errors=True),
    Stage("tools", "", 25 * M + M // 2, ((0, COPY), (2 * M, PICK), (6 * M, CALL), (10 * M, NAME),
           (12 * M, CALL), (14 * M, BOTH), (18 * M, LAST)), decay=0.24, warm=True,
          shape={"context": 2048}, subject="tools"),
    Stage("staged", "reflect", 2 * M, ((0, STAGED),), decay=1.0, peak=0.3),
)  # fmt: skip
STAGES = {stage.name: stage for stage in TABLE}
