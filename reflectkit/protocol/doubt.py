"""Places in a text that may have to be read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .ledger import Save

__all__ = ["Doubt", "Hidden"]


class Doubt(NamedTuple):
    """A place to read again from: the state there, and the part of the text that it is in."""

    save: Save
    state: str
    reflections: int
    reflection_level: int
    part: int


class Hidden(NamedTuple):
    """A code span that holds a closer of the answer that it stands in, and other text."""

    doubt: Doubt
    letter: str
