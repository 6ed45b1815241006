"""From a place in the answer to its place in the transcript's source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..reply import Draft

__all__ = ["Span", "in_source"]

#: First position, and the one behind the last.
Span = tuple[int, int]


def in_source(draft: Draft, span: Span | None) -> Span | tuple[None, None]:
    """Where ``draft.output[span]`` stands in ``draft.transcript.source``.

    (None, None) for no span, one over several sections, or text that is not in the source as it
    is (the server sent it in a field of its own).
    """
    if span is None:
        return None, None
    for begins, text, position in _pieces(draft):
        if begins <= span[0] <= span[1] <= begins + len(text) and position >= 0:
            return span[0] - begins + position, span[1] - begins + position
    return None, None


def _pieces(draft: Draft) -> Iterator[tuple[int, str, int]]:
    """The parts that the output is joined of: position in it, text, position in the source."""
    transcript, begins = draft.transcript, 0
    for section in transcript.of("output") or transcript.of("outside"):
        if text := section.text.strip():
            yield begins, text, transcript.source.find(text, section.start, section.end)
            begins += len(text) + 2
