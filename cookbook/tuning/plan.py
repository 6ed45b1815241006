"""The stages of training as data: what follows what, on how many tokens, with which mix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from render import Habits
from samples import Mix


@dataclass(frozen=True)
class Stage:
    """A stretch of training. `mixes` are (from this token on, mix)."""

    name: str
    parent: str
    tokens: int
    mixes: tuple[tuple[int, Mix], ...]
    peak: float = 1.0
    decay: float = 0.0
    warm: bool = False
    seed: int = 7
    shape: dict[str, int] = field(default_factory=dict)

    def mix_at(self, tokens: int) -> Mix:
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

M = 1_000_000
TABLE = (
    Stage("trunk", "", 3_868_000, ((0, EASY), (M, MIDDLE), (3 * M, FULL)), warm=True),
    Stage("base", "trunk", 24 * M, ((0, BASE),), decay=0.4),
    Stage("reflect", "trunk", 24 * M, ((0, CHECK), (3 * M, REFLECT)), decay=0.4),
)
STAGES = {stage.name: stage for stage in TABLE}
