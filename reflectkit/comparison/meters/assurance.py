"""Whether a model's word on its own answer can be relied on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from ..records import Claim, Record
from ..stats.intervals import Figure
from .flips import judged
from .table import Table, rate

__all__ = ["Assurance", "Bin", "assurance"]

#: How sure a claim is taken to be where the model states no number.
_SURE: dict[Claim | None, float] = {"ok": 1.0, "unclear": 0.5, None: 0.5, "flagged": 0.0}
_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of about one confidence: its mean, and how often they are right."""

    confidence: float
    right: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """The reflections of an arm as a detector of its own mistakes.

    ``false_assurance``: says ok of what is wrong. ``false_alarm``: finds fault with what is right.
    ``hits``: finds fault with what is wrong. ``missed_and_final``: of all answers with a
    reflection, those whose last one said ok and that are wrong. ``balanced``: the mean of hits and
    of right things left alone. ``stated``: how many answers state a confidence; without one, ok
    counts as 1, a fault that was found and left as 0, and all else as 0.5. ``brier``,
    ``calibration``: the mean squared error of confidence, and the mean distance from the share of
    right ones (ECE, ten bins).
    ``auroc``: the chance that a right answer has more confidence than a wrong one. ``coverage``:
    points (share of answers kept, share of wrong ones among them), the surest first.
    """

    reflections: int
    false_assurance: Figure
    false_alarm: Figure
    hits: Figure
    missed_and_final: Figure
    balanced: float | None
    stated: int
    brier: float | None
    calibration: float | None
    auroc: float | None
    bins: tuple[Bin, ...] = ()
    coverage: tuple[tuple[float, float], ...] = field(default=(), repr=False)


def assurance(table: Table, arm: str) -> Assurance:
    """Measure one arm; figures that nothing is known of have no value."""
    records = table.records(arm)
    said = [
        (before, phase.says, table.cluster(r))
        for r in records
        for phase, before in judged(r)
        if before is not None
    ]
    wrong = [(says, c) for before, says, c in said if not before]
    right = [(says, c) for before, says, c in said if before]
    last = [(r, r.reflections[-1]) for r in records if r.reflections]
    hits, alarms = _share(wrong, "flagged"), _share(right, "flagged")
    sure = [(_sure(r), r.right, table.cluster(r)) for r in records if r.phases]
    return Assurance(
        reflections=sum(len(r.reflections) for r in records),
        false_assurance=_share(wrong, "ok"),
        false_alarm=alarms,
        hits=hits,
        missed_and_final=rate(
            [p.says == "ok" and not r.right for r, p in last], [table.cluster(r) for r, _ in last]
        ),
        balanced=_balanced(hits, alarms),
        stated=sum(any(p.confidence is not None for p in r.phases) for r in records),
        brier=_mean([(c - right) ** 2 for c, right, _ in sure]),
        calibration=_calibration(sure),
        auroc=_auroc([(c, right) for c, right, _ in sure]),
        bins=_bins(sure),
        coverage=_coverage([(c, right) for c, right, _ in sure]),
    )


def _share(said: Sequence[tuple[Claim | None, Hashable]], what: Claim) -> Figure:
    return rate([says == what for says, _ in said], [c for _, c in said])


def _balanced(hits: Figure, alarms: Figure) -> float | None:
    if hits.value is None or alarms.value is None:
        return None
    return (hits.value + 1 - alarms.value) / 2


def _sure(record: Record) -> float:
    """The confidence that was stated last, else that of the last claim."""
    stated = [p.confidence for p in record.phases if p.confidence is not None]
    if stated:
        return stated[-1]
    if not record.reflections:
        return _SURE[None]
    before, last = record.phases[-3], record.phases[-2]
    if last.says == "flagged" and before.value != last.value:
        return _SURE[None]  # the fault that it found was with another answer than its last
    return _SURE[last.says]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


Sure = Sequence[tuple[float, bool, Hashable]]


def _grouped(sure: Sure) -> list[list[tuple[float, bool, Hashable]]]:
    found: dict[int, list[tuple[float, bool, Hashable]]] = {}
    for row in sure:
        found.setdefault(min(_BINS - 1, int(row[0] * _BINS)), []).append(row)
    return [found[place] for place in sorted(found)]


def _bins(sure: Sure) -> tuple[Bin, ...]:
    return tuple(
        Bin(
            confidence=sum(c for c, *_ in rows) / len(rows),
            right=rate([right for _, right, _ in rows], [k for *_, k in rows]),
        )
        for rows in _grouped(sure)
    )


def _calibration(sure: Sure) -> float | None:
    if not sure:
        return None
    off = (
        abs(sum(c for c, *_ in rows) - sum(right for _, right, _ in rows))
        for rows in _grouped(sure)
    )
    return sum(off) / len(sure)


def _auroc(sure: Sequence[tuple[float, bool]]) -> float | None:
    """By ranks (Mann and Whitney), ties by half."""
    right = sum(r for _, r in sure)
    wrong = len(sure) - right
    if not right or not wrong:
        return None
    ordered = sorted(sure)
    ranks, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end][0] == ordered[place][0]:
            end += 1
        ranks += sum(r for _, r in ordered[place:end]) * (place + 1 + end) / 2
        place = end
    return (ranks - right * (right + 1) / 2) / (right * wrong)


def _coverage(sure: Sequence[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """After each level of confidence, the surest first."""
    ordered = sorted(sure, key=lambda row: -row[0])
    points, wrong = [], 0
    for n, (confidence, right) in enumerate(ordered, 1):
        wrong += not right
        if n == len(ordered) or ordered[n][0] != confidence:
            points.append((n / len(ordered), wrong / n))
    return tuple(points)
