"""What ``compare`` and ``plan`` are both told, beside problems, arms and grader."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypedDict

from ..errors import ConfigurationError

__all__ = ["Options", "Terms"]


class Options(TypedDict, total=False):
    """How a comparison is made; ``compare`` says what each means."""

    repeats: int
    seed: int
    store: str | os.PathLike[str] | None
    concurrency: int
    equal_tokens: bool
    probe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All ``Options`` with their defaults. Raises ``ConfigurationError`` for impossible ones."""

    repeats: int = 1
    seed: int = 0
    store: str | os.PathLike[str] | None = None
    concurrency: int = 8
    equal_tokens: bool = True
    probe: bool = False

    def __post_init__(self) -> None:
        for name in ("repeats", "concurrency"):
            if (value := getattr(self, name)) < 1:
                raise ConfigurationError(f"{name} is {value}.", hint="Give 1 or more.")
