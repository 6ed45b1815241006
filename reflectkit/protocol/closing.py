"""The text that ends thinking and goes on to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .render import marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..events import Kind
    from .dialect import Dialect

__all__ = ["closing"]

#: between the closer of thinking and the opener of the answer; channels begin a new message
_BETWEEN: Final = {"xml": "\n", "literal": "\n", "channels": "<|start|>assistant"}


def closing(dialect: Dialect, open_sections: Sequence[Kind]) -> str:
    """The closers of ``open_sections`` (outermost first), and the answer's opener if it has one.

    It stands where thinking has to end: a text goes on from there with the answer.
    """
    ends = "".join(marks(kind, dialect)[1] for kind in reversed(open_sections))
    opener = marks("output", dialect)[0]
    return f"{ends}{_BETWEEN[dialect.match]}{opener}" if opener else ends
