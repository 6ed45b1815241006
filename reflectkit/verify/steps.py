"""Recomputes the arithmetic of a response and points at the first statement that is wrong.

Nothing is ever run: the statements are read by a small grammar, computed with exact fractions, and
bounded in every direction. What might mean something else is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar, Final

from ..reply import Draft, Section, Transcript, Verdict
from ._lex import Token, tokens
from ._segment import Segment, dimensions, value_of
from ._sums import chains

__all__ = ["Statement", "Steps", "statements"]

#: A number that is called approximate may be off by this share.
ABOUT: Final = Fraction(2, 100)
#: Rounded numbers on both sides, and numbers as a processor prints them.
ROUNDED, PRINTED = Fraction(1, 100), Fraction(1, 10**9)

_DENIED: Final = re.compile(
    r"""[\s"'”’`).,;*—–-]*(?:(?:but|and|which|that|this|it|so|wait|no|hmm|oops|actually)\b[\s,.!]*){0,3}
    (?:\?|(?:is|was|would\ be|are|seems|looks|must\ be)?\s*
    (?:wrong|incorrect|false|not\ (?:right|correct|true)|isn't\ right|a\ mistake|an\ error))""",
    re.VERBOSE | re.IGNORECASE,
)
_SUPPOSED: Final = re.compile(
    r"""(?:\b(?:if|suppose|assume|assuming|not|instead\ of|rather\ than|whether|unless|said|says|
    wrote|claim(?:ed|s)?|stated|mistaken(?:ly)?|incorrect(?:ly)?|wrong(?:ly)?|isn't|never)\b|≠)
    \W*(?:(?:that|I|we|it|as|wrote|said)\W+){0,2}$""",
    re.VERBOSE | re.IGNORECASE,
)
_RETRACTS: Final = re.compile(
    r"\b(?:wrong|incorrect|mistaken?|error|should|not|actually|wait|oops|correct(?:ed|ion)?|fix"
    r"|instead|misread|slip|typo)\b",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_LOOK: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """``left = right`` as it stands from ``start`` to ``end``.

    ``right``: the value on the right hand. ``value``: what the left hand comes to. ``holds`` allows
    for rounding to the digits that are shown. ``about``: it calls itself approximate. ``left``: the
    left hand without blanks, the same for the same computation.
    """

    text: str
    start: int
    end: int
    left: str
    value: Fraction
    right: Fraction
    holds: bool
    about: bool = False


def statements(text: str) -> list[Statement]:
    """Every arithmetic statement of ``text`` that can be read without doubt, in order. Linear."""
    known: dict[Fraction, Fraction] = {}
    found: list[Statement] = []
    for chain in chains(tokens(text)):
        found += _of_chain(text, chain, known)
    return found


def _of_chain(
    text: str, chain: Sequence[Segment], known: dict[Fraction, Fraction]
) -> Iterator[Statement]:
    for left, right in pairwise(chain):
        if not (left.operates or right.operates):
            continue
        made = _statement(
            text, left, right, known, vague=_mixes(chain) or _names(left, right, chain)
        )
        if made is None or not (made.holds or _asserted(text, chain, made)):
            continue
        if made.holds and made.value != made.right:
            known[made.right] = made.value
        yield made


def _asserted(text: str, chain: Sequence[Segment], made: Statement) -> bool:
    """Whether the text stands by it: it is neither denied behind it nor only supposed before it."""
    before = text[max(0, chain[0].start - _LOOK) : chain[0].start].rpartition("\n")[2]
    after = text[made.end : made.end + _LOOK].partition("\n")[0]
    return not (_DENIED.match(after) or _SUPPOSED.search(before))


def _statement(
    text: str, left: Segment, right: Segment, known: dict[Fraction, Fraction], *, vague: bool
) -> Statement | None:
    readings = list(_readings(left, right, known))
    if not readings:
        return None
    value, stated = readings[0]
    holds = any(_agree(left, right, *reading) for reading in readings)
    if not holds and (left.doubtful or right.doubtful or vague):
        return None
    return Statement(
        text=text[left.start : right.end],
        start=left.start,
        end=right.end,
        left=_key(left),
        value=value,
        right=stated,
        holds=holds,
        about=right.about,
    )


def _key(segment: Segment) -> str:
    return "".join(str(t.value) if t.kind == "number" else t.text for t in segment.tokens)


def _readings(
    left: Segment, right: Segment, known: dict[Fraction, Fraction]
) -> Iterator[tuple[Fraction, Fraction]]:
    """Pairs of values that the two sides may have been meant to have; the plainest comes first."""
    percents = (100, 1) if left.percents or right.percents else (100,)
    sides = (right, right.head) if right.operates else (right,)
    memories = ({}, known) if known else ({},)
    for memory in memories:
        for percent in percents:
            value = value_of(left, percent=percent, known=memory)
            for side in sides:
                for other in percents:
                    stated = value_of(side, percent=other, known=memory if side.operates else {})
                    if value is not None and stated is not None:
                        yield value, stated


def _agree(left: Segment, right: Segment, value: Fraction, stated: Fraction) -> bool:
    gap = abs(value - stated)
    if gap <= PRINTED * abs(value):
        return True
    if right.about and gap <= ABOUT * abs(value):
        return True
    if (literal := right.literal) is not None:
        return _rounds(literal, right, value, stated)
    if (literal := left.literal) is not None:
        return _rounds(literal, left, stated, value)
    rounded = any(t.places for s in (left, right) for t in s.tokens)
    return rounded and gap <= ROUNDED * abs(value)


def _rounds(literal: Token, segment: Segment, value: Fraction, stated: Fraction) -> bool:
    """Whether ``value`` needs more digits than the number shows, and comes to it when they are cut
    off or rounded; to a whole number up as well, as people do with things that cannot be split."""
    unit = Fraction(1, 10**literal.places)
    units = [unit, unit / 100] if segment.percents else [unit]
    gap, cut = abs(value - stated), abs(stated) < abs(value) or not literal.places
    return any((value / u).denominator != 1 and gap < (u if cut else u / 2) for u in units)


def _mixes(chain: Sequence[Segment]) -> bool:
    """Whether one kind of thing is measured in two units, or percents are added to other numbers:
    then the numbers need not agree."""
    units: dict[str, set[str]] = {}
    for segment in chain:
        for kind, names in dimensions(segment).items():
            units.setdefault(kind, set()).update(names)
    if any(len(names) > 1 for names in units.values()):
        return True
    adds = any(t.kind == "op" and t.text in "+-" for s in chain for t in s.tokens)
    percents = [sum(t.kind == "percent" for t in s.tokens) for s in chain]
    return max(percents) > 1 or (adds and any(percents))


def _names(left: Segment, right: Segment, chain: Sequence[Segment]) -> bool:
    """``1/4 container = ...`` and ``drank 6 quarts = 4 * 1.5 = ...`` name a thing on the left."""
    fraction = left.is_fraction and bool(left.units - {"dollar"})
    return fraction or (not left.operates and right is not chain[-1])


class Steps:
    """Recomputes every arithmetic statement in thinking and output.

    The verdict is no at the first wrong one, with its place; yes if at least one was read and all
    hold; unknown if there was none. A wrong statement is forgiven when it is put right later: by
    the same computation with the right result, or by a reflection that takes it back and names the
    right value. ``strict`` forgives nothing. The verdict's value is the statement that was wrong.
    """

    inline: ClassVar = True
    name: ClassVar = "steps"

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def __repr__(self) -> str:
        return f"Steps(strict={self._strict})"

    def __call__(self, draft: Draft, /) -> Verdict:
        found = statements(draft.transcript.source)
        wrong = [s for s in found if not s.holds]
        if not self._strict:
            wrong = _unforgiven(wrong, found, draft.transcript)
        if not found:
            return Verdict(ok=None, name=self.name, feedback="There was no arithmetic to check.")
        if not wrong:
            return Verdict(ok=True, name=self.name)
        first = wrong[0]
        return Verdict(
            ok=False,
            name=self.name,
            feedback=_feedback(first, len(wrong) - 1, draft.transcript.source),
            start=first.start,
            end=first.end,
            value=first,
        )


def _unforgiven(
    wrong: list[Statement], found: list[Statement], transcript: Transcript
) -> list[Statement]:
    mended = {s.left: s.start for s in found if s.holds}  # the last place of each
    retractions = [_Retraction(s, transcript) for s in transcript.of("reflection")]
    retractions = [r for r in retractions if r.retracts]
    rest = []
    for statement in wrong:
        mends = mended.get(statement.left, -1) > statement.start
        if not mends and not any(r.covers(statement) for r in retractions):
            rest.append(statement)
    return rest


class _Retraction:
    """A reflection that takes something back, and the numbers that it names."""

    def __init__(self, section: Section, transcript: Transcript) -> None:
        self._start, self._end = section.start, section.end
        text = transcript.source[section.start : section.end]
        self.retracts = bool(_RETRACTS.search(text))
        self._names = {Fraction(n.replace(",", "")) for n in _NUMBER.findall(text)}

    def covers(self, statement: Statement) -> bool:
        behind = statement.start < self._start or (
            self._start <= statement.start and statement.end < self._end
        )
        return behind and abs(statement.value) in self._names


def _feedback(wrong: Statement, more: int, source: str) -> str:
    line = source.count("\n", 0, wrong.start) + 1
    computed = _shown(wrong.value)
    left, _, _ = wrong.text.rpartition("=")
    left = " ".join((left or wrong.text).replace("<<", "").split())
    said = f"{left} is {computed}, not {_shown(wrong.right)} (line {line}: {_short(wrong.text)})."
    others = f" {more} more of the statements are wrong." if more else ""
    return said + others


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _shown(value: Fraction) -> str:
    """The value in digits: exact if it has few, else rounded."""
    if value.denominator == 1:
        return str(value.numerator) if abs(value) < 10**20 else f"{float(value):.6g}"
    scaled = value * 10**6
    if scaled.denominator == 1:
        return f"{float(value):.6f}".rstrip("0")
    try:
        return f"about {float(value):.6g}"
    except OverflowError:
        return "a very large number"
