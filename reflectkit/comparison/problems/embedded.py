"""The embedded model's held-out problems: as many as are wanted, always the same."""

from __future__ import annotations

from typing import Final

from ...errors import ConfigurationError
from ..heldout.problems import heldout
from ..records import Problem

__all__ = ["TASKS", "embedded"]

#: Tasks, and of arithmetic the numbers of operations.
TASKS: Final[dict[str, tuple[int, ...] | None]] = {
    "arithmetic": None,
    "letters": None,
    "words": None,
    "objects": None,
    "arithmetic-1-2": (1, 2, 2, 2),
    "arithmetic-3-4": (3, 4),
}
_USUAL: Final = ("arithmetic", "letters", "words", "objects")


def embedded(*tasks: str, n: int = 100, seed: int = 0) -> list[Problem]:
    """``n`` problems of each task (default: of the four) that the embedded weights never saw.

    Arithmetic, counting letters, word problems, and where an object is. Another ``seed`` gives
    others. Raises ``ConfigurationError`` for an unknown task or a number below 1.
    """
    if n < 1:
        raise ConfigurationError(f"n is {n}.", hint="Give 1 or more.")
    return [problem for task in tasks or _USUAL for problem in _of_task(task, n, seed)]


def _of_task(task: str, n: int, seed: int) -> list[Problem]:
    if task not in TASKS:
        raise ConfigurationError(f"There is no task {task!r}.", hint=f"One of {', '.join(TASKS)}.")
    return [
        Problem(
            id=f"{task}-{seed}-{number}",
            prompt=item.question,
            gold=item.answer,
            grader="embedded",
            task=task,
        )
        for number, item in enumerate(heldout(task.partition("-")[0], n, seed, TASKS[task]))
    ]
