"""Probes of an arm that reflects: its answers cut before they reflect, and with a planted error.

Two of the four tests for staged errors need answers that no ordinary arm gives. Both go on from
what the arm itself has written, so they need a backend that continues a prefix.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from ..protocol.closing import closing
from ..protocol.dialects import DIALECTS
from .arms import Arm, Continued

if TYPE_CHECKING:
    from .records import Part, Problem, Record

__all__ = ["CUT", "FORGED", "Cut", "Forged", "Probe", "probes_of"]

CUT: Final = "cut before reflecting"
FORGED: Final = "forged error"
_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]|\.\d)")
_LETTER: Final = re.compile(r"[A-J]")


class Probe(Protocol):
    """How a probe asks, given the answer that it probes."""

    def policy(self, problem: Problem, record: Record, /) -> Continued | None:
        """How to ask; None where this answer cannot be probed."""


def probes_of(arm: Arm) -> tuple[Arm, Arm]:
    """The two probes of an arm."""
    made = [
        replace(arm, name=f"{arm.name}, {name}", kind="probe", like=arm.name, probe=probe)
        for name, probe in ((CUT, Cut()), (FORGED, Forged()))
    ]
    return made[0], made[1]


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer that the draft alone would have been: the thinking ends where reflection begins.

    Where a model checks step by step it is cut before its last check, since before the first one
    there is no answer yet.
    """

    def policy(self, problem: Problem, record: Record, /) -> Continued | None:
        """See ``Probe``."""
        found = _reflections(record)
        marks = _closing(record)
        if not found or marks is None:
            return None
        stepwise = any(p.before is not None for p in record.reflections)
        place = found[-1 if stepwise else 0].start
        return Continued(record.source[:place].rstrip() + "\n" + marks)


@dataclass(frozen=True, slots=True)
class Forged:
    """The model's own draft with a wrong value in the place of the right one that it stated last:
    what it makes of an error that it did not make."""

    def policy(self, problem: Problem, record: Record, /) -> Continued | None:
        """See ``Probe``."""
        found = _reflections(record)
        draft = record.draft
        if not found or draft is None or not draft.right:
            return None
        text = record.source[: found[0].start].rstrip()
        forged = _forged(text, draft.value, random.Random(f"forged {problem.id} {record.repeat}"))
        return Continued(forged + "\n") if forged else None


def _reflections(record: Record) -> Sequence[Part]:
    return [p for p in record.parts if p.kind == "reflection"]


def _closing(record: Record) -> str | None:
    """The markup from thinking to output, in the record's dialect; None where it has none."""
    dialect = DIALECTS.get(record.dialect)
    if dialect is None or "thinking" not in dialect.sections:
        return None
    return closing(dialect, ["thinking"])


def _forged(text: str, value: str, rng: random.Random) -> str:
    """``text`` with another value where ``value`` stands last; "" if it does not stand there."""
    if _LETTER.fullmatch(value):
        place = text.rfind(value)
        others = [c for c in "ABCD" if c != value]
        return f"{text[:place]}{rng.choice(others)}{text[place + 1 :]}" if place >= 0 else ""
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return ""
    last = numbers[-1]
    wrong = _wrong_number(last[0], rng)
    return f"{text[: last.start()]}{wrong}{text[last.end() :]}"


def _wrong_number(text: str, rng: random.Random) -> str:
    by = rng.choice((-10, -2, -1, 1, 2, 10))
    by = abs(by) if 0 <= float(text) < -by else by  # a count does not fall below nothing
    if "." in text:
        digits = len(text.partition(".")[2])
        return f"{float(text) + by * 10**-digits:.{digits}f}"
    return str(int(text) + by)
