"""Marks that made a prompt's tags inert, taken out again where the model repeated them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .events import ProtocolEvent, SectionDelta
from .protocol import restore

if TYPE_CHECKING:
    from .protocol import Dialect
    from .reply import Transcript

__all__ = ["Display"]


class Display:
    """Restores the text of events and transcripts for people; sources and positions stay raw."""

    def __init__(self, dialect: str | Dialect) -> None:
        self._dialect = dialect
        self._last: dict[int, str] = {}

    def events(self, events: Iterable[ProtocolEvent]) -> list[ProtocolEvent]:
        """The next events of a response, in order."""
        return [self._delta(e) if isinstance(e, SectionDelta) else e for e in events]

    def transcript(self, transcript: Transcript) -> Transcript:
        """``transcript`` with the text of its sections restored."""
        sections = (replace(s, text=restore(s.text, self._dialect)) for s in transcript.sections)
        return replace(transcript, sections=tuple(sections))

    def _delta(self, event: SectionDelta) -> ProtocolEvent:
        # A mark is known by the character before it, which may have come with the last event.
        last = self._last.get(event.index, "")
        text = restore(last + event.text, self._dialect)[len(last) :]
        self._last[event.index] = event.text[-1:] or last
        return replace(event, text=text)
