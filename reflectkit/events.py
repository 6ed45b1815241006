"""The closed union of stream events: what a live reader sees, in order.

The concatenated ``source`` of the parser's events is the model's text, byte for byte. Events are
never taken back; ``Corrected`` says so when later text changes how earlier text is to be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .messages import FinishReason, Usage

if TYPE_CHECKING:
    from .reply import Status, Verdict

__all__ = [
    "Accepted",
    "AttemptEnded",
    "AttemptStarted",
    "Corrected",
    "Event",
    "Judged",
    "Kind",
    "Markup",
    "ProtocolEvent",
    "ReadAs",
    "Rejected",
    "Retracted",
    "SectionDelta",
    "SectionEnded",
    "SectionStarted",
]

#: ``outside`` is text outside all marked sections. In the reflection dialect it is the answer only
#: if no output section is ever opened; a dialect without an answer section calls it ``output``.
Kind = Literal["thinking", "reflection", "output", "outside"]


@dataclass(frozen=True, slots=True)
class SectionStarted:
    """A section begins. ``source`` is its opening markup ("" where nothing marks it)."""

    index: int
    kind: Kind
    source: str = ""
    parent: int | None = None


# Not frozen, for speed alone: there is one per piece of text, and a frozen one costs six times as
# much to make. Treat it as the value it is.
@dataclass(slots=True, unsafe_hash=True)
class SectionDelta:
    """More text of a section that has started. ``source`` equals ``text``."""

    index: int
    kind: Kind
    text: str

    @property
    def source(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SectionEnded:
    """A section ends; ``closed`` is False when no closing markup of its own was seen."""

    index: int
    kind: Kind
    source: str = ""
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Markup:
    """Recognised markup without effect, such as a closer with nothing to close."""

    source: str


#: What a stretch of the source is read as: text of a kind of section, or markup.
ReadAs = Kind | Literal["markup"]


@dataclass(frozen=True, slots=True)
class Corrected:
    """Late evidence: the source from ``start`` to ``end`` (positions) that was sent as ``was`` is
    to be read as ``now``. It consumes no input."""

    start: int
    end: int
    was: ReadAs
    now: ReadAs
    source: str = field(default="", init=False)


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The request of attempt ``number`` (from 1) has been sent."""

    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """Attempt ``number`` is over; ``finish`` is the backend's reason."""

    number: int
    finish: FinishReason
    usage: Usage


@dataclass(frozen=True, slots=True)
class Judged:
    """The verifiers have looked at attempt ``number``."""

    number: int
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A verifier said no to attempt ``number``. Its answer may still be the best in the end."""

    number: int


@dataclass(frozen=True, slots=True)
class Retracted:
    """What was shown of the answer of attempt ``number`` no longer counts."""

    number: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer of attempt ``number`` is the reply's; ``status`` says how that came."""

    number: int
    status: Status


ProtocolEvent = SectionStarted | SectionDelta | SectionEnded | Markup | Corrected
Event = ProtocolEvent | AttemptStarted | AttemptEnded | Judged | Rejected | Retracted | Accepted
