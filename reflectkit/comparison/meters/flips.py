"""Flips: what became of right and wrong drafts, and what each reflection did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ..records import Phase, Record
from ..stats.clustered import clustered_mean
from ..stats.intervals import Figure
from .table import Table, rate

__all__ = ["KINDS", "Flips", "ReflectionKind", "flips", "kind_of", "reflection_kinds", "turns"]

#: ``correct``: what was wrong is right after it. ``harmful``: what was right is wrong after it.
#: ``confirm``: it says that all is well, and nothing changes. ``empty``: anything else: it finds
#: fault and nothing comes of it, or says nothing.
ReflectionKind = Literal["confirm", "correct", "harmful", "empty"]
KINDS: Final = get_args(ReflectionKind)
#: Reflections of one answer that are followed one by one.
_MOST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """From one phase to another. Counts: ``kept`` (right and right), ``broken``, ``fixed``,
    ``missed`` (wrong and wrong). ``fix``: of wrong ones; ``break_``: of right ones; ``net``: how
    much more often right."""

    name: str
    kept: int
    broken: int
    fixed: int
    missed: int
    fix: Figure
    break_: Figure
    net: Figure


def flips(table: Table, arm: str) -> list[Flips]:
    """From the draft to the final answer, and to what stood after each of the first reflections, as
    far as both could be read. The draft of a correction loop is its first attempt."""
    records = table.records(arm)
    ways: dict[str, list[tuple[bool, bool, Hashable]]] = {}
    for record in records:
        for name, before, after in turns(record):
            ways.setdefault(name, []).append((before, after, table.cluster(record)))
    return [_counted(name, found) for name, found in ways.items()]


def turns(record: Record) -> Iterable[tuple[str, bool, bool]]:
    """The draft against the final answer first, then against what stood on the way."""
    draft = record.draft
    if draft is None or draft.right is None:
        return
    final = record.phases[-1]
    if final.right is not None:
        yield "draft to final", draft.right, final.right
    if any(p.before is not None for p in record.phases):
        return  # what stands after such a reflection is a step, and no answer
    for number, phase in enumerate(record.reflections[:_MOST], 1):
        if phase.right is not None:
            yield f"draft to reflection {number}", draft.right, phase.right


def _counted(name: str, found: Sequence[tuple[bool, bool, Hashable]]) -> Flips:
    counts = Counter((before, after) for before, after, _ in found)
    clusters = [c for *_, c in found]
    right = [(not after, c) for before, after, c in found if before]
    wrong = [(after, c) for before, after, c in found if not before]
    mean = clustered_mean([float(after) - float(before) for before, after, _ in found], clusters)
    return Flips(
        name=name,
        kept=counts[True, True],
        broken=counts[True, False],
        fixed=counts[False, True],
        missed=counts[False, False],
        fix=rate([v for v, _ in wrong], [c for _, c in wrong]),
        break_=rate([v for v, _ in right], [c for _, c in right]),
        net=Figure(value=mean.value, low=max(-1, mean.low), high=min(1, mean.high), n=len(found)),
    )


def kind_of(phase: Phase, before: bool | None) -> ReflectionKind:
    """What a reflection did to what stood before it."""
    if before is False and phase.right:
        return "correct"
    if before is True and phase.right is False:
        return "harmful"
    return "confirm" if phase.says == "ok" else "empty"


def reflection_kinds(table: Table, arm: str) -> dict[ReflectionKind, int]:
    """How many reflections of each kind an arm wrote."""
    counts = Counter(kind_of(p, before) for r in table.records(arm) for p, before in judged(r))
    return {kind: counts[kind] for kind in KINDS}


def judged(record: Record) -> list[tuple[Phase, bool | None]]:
    """Each reflection, and whether what it is about was right."""
    found, last = [], record.draft.right if record.draft else None
    for phase in record.reflections:
        found.append((phase, last if phase.before is None else phase.before))
        last = phase.right if phase.right is not None else last
    return found
