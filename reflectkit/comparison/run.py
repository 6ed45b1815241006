"""Runs a design: every answer that is not in the store yet, several at a time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from ..errors import BackendError
from .answers import Asking, Grading, answer, graded
from .arms import Arm, EqualTokens
from .design import Design, seed_of
from .records import Problem, Record
from .stats.clustered import clustered_mean
from .store import Store

__all__ = ["Progress", "clock", "run"]

#: Failures in a row after which an arm's server counts as broken.
_GIVE_UP: Final = 20
#: Arms of which a line of progress speaks.
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a comparison is. ``asked``: answers that this run has asked for; the others were in
    the store. ``records``: all so far, in the order of their coming. ``left``: seconds, None while
    nobody can tell."""

    done: int
    total: int
    asked: int
    seconds: float
    records: Sequence[Record]

    @property
    def left(self) -> float | None:
        """Seconds until the end, going by this run's own speed."""
        return self.seconds / self.asked * (self.total - self.done) if self.asked else None

    def __str__(self) -> str:
        """How many, how right each arm is so far, what the last arm differs from the first by, and
        how long it will take."""
        return " · ".join(part for part in self._parts() if part)

    def _parts(self) -> list[str]:
        counts: dict[str, list[int]] = {}
        for record in self.records:
            found = counts.setdefault(record.arm, [0, 0])
            found[0] += record.right
            found[1] += 1
        shares = [f"{arm} {100 * right / n:.0f} %" for arm, (right, n) in counts.items()]
        left = "" if self.left is None else f"{clock(self.left)} left"
        return [f"{self.done}/{self.total}", *shares[:_SHOWN], self._difference(list(counts)), left]

    def _difference(self, arms: Sequence[str]) -> str:
        """Of the arms that are shown, the last against the first, on what both have answered."""
        if len(arms) < 2:
            return ""
        first, last = arms[0], arms[min(len(arms), _SHOWN) - 1]
        rows: dict[str, dict[str, list[bool]]] = {}
        for record in self.records:
            rows.setdefault(record.problem, {}).setdefault(record.arm, []).append(record.right)
        both = [row for row in rows.values() if first in row and last in row]
        if len(both) < 2:
            return ""
        each = [sum(r[last]) / len(r[last]) - sum(r[first]) / len(r[first]) for r in both]
        found = clustered_mean(each)
        low, high = 100 * found.low, 100 * found.high
        return f"{last} - {first} {100 * found.value:+.1f} [{low:+.1f}, {high:+.1f}]"


def clock(seconds: float) -> str:
    """Seconds, in words that are short."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _Run:
    def __init__(
        self,
        design: Design,
        store: Store,
        grading: Grading,
        on_progress: Callable[[Progress], None] | None,
        *,
        regrade: bool,
    ) -> None:
        self._design = design
        self._store = store
        self._grading = grading
        self._tell = on_progress
        self._regrade = regrade
        self._began = monotonic()
        self._asked = self._left_out = 0
        self._failures: Counter[str] = Counter()
        self._stopped: set[str] = set()
        self.records: list[Record] = []

    async def unit(self, problem: Problem, repeat: int) -> None:
        """One problem through every arm, so that pairs are whole early."""
        of_unit: dict[str, Record] = {}
        for arm in self._design.arms:
            record = await self._record(problem, repeat, arm, of_unit)
            if record is not None:
                of_unit[arm.name] = record
                self.records.append(record)
            else:
                self._left_out += 1
            self._report()

    async def _record(
        self, problem: Problem, repeat: int, arm: Arm, others: dict[str, Record]
    ) -> Record | None:
        of = self._design.of_answer(problem, arm)
        found = self._store.get((problem.id, arm.name, repeat), of)
        if found is not None and found.outcome != "failed":
            if self._regrade:
                found = await graded(found, problem, self._grading)
                self._store.add(found, of)
            return found
        asking = self._asking(problem, repeat, arm, others)
        if asking is None or arm.name in self._stopped:
            return None
        record = await answer(asking, self._grading)
        if arm.scope is not None and record.error.startswith("BudgetExceeded"):
            self._stopped.add(arm.name)
            return None
        self._asked += 1
        self._store.add(record, of)
        self._count_failures(record)
        return record

    def _asking(
        self, problem: Problem, repeat: int, arm: Arm, others: dict[str, Record]
    ) -> Asking | None:
        options: dict[str, Any] = dict(arm.options)
        if arm.scope is not None:
            options["scopes"] = (*options.get("scopes", ()), arm.scope)
        if arm.like:
            policy = self._policy_like(problem, arm, others.get(arm.like))
            if policy is None:
                return None
            options["policy"] = policy
        return Asking(
            problem=problem,
            arm=arm.name,
            repeat=repeat,
            seed=seed_of(problem, repeat, self._design.seed),
            client=arm.client,
            options=options,
            price=self._design.previews[arm.name].price,
        )

    def _policy_like(self, problem: Problem, arm: Arm, other: Record | None) -> Any:
        """How an arm answers that depends on another's answer; None: it has nothing to do here."""
        if other is None or other.outcome == "failed":
            return None
        if self._design.kinds[arm.name] == "vote":
            return EqualTokens(other.tokens.completion)
        return arm.probe.policy(problem, other) if arm.probe else None

    def _count_failures(self, record: Record) -> None:
        """A broken server is asked no further."""
        failed = record.outcome == "failed"
        self._failures[record.arm] = self._failures[record.arm] + 1 if failed else 0
        if self._failures[record.arm] >= _GIVE_UP:
            raise BackendError(
                f"Arm {record.arm!r} failed {_GIVE_UP} times in a row: {record.error}",
                hint="Mend it and start again: what is in the store is not asked again.",
            )

    def _report(self) -> None:
        if self._tell is not None:
            self._tell(
                Progress(
                    done=len(self.records),
                    total=self._design.answers - self._left_out,
                    asked=self._asked,
                    seconds=monotonic() - self._began,
                    records=self.records,
                )
            )


async def run(
    design: Design,
    store: Store,
    grading: Grading,
    *,
    concurrency: int = 8,
    on_progress: Callable[[Progress], None] | None = None,
    regrade: bool = False,
) -> list[Record]:
    """All records, in the order of problems, arms and repeats.

    What is in the store is not asked again, but for answers that failed. Raises ``BackendError``
    when an arm fails again and again; when it is cancelled, nothing that was answered is lost.
    """
    work = _Run(design, store, grading, on_progress, regrade=regrade)
    units = deque(design.units())

    async def worker() -> None:
        while units:
            await work.unit(*units.popleft())

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(concurrency, len(units))):
                tasks.create_task(worker())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return _ordered(work.records, design)


def _ordered(records: Sequence[Record], design: Design) -> list[Record]:
    problems = {p.id: n for n, p in enumerate(design.problems)}
    arms = {a.name: n for n, a in enumerate(design.arms)}
    return sorted(records, key=lambda r: (problems[r.problem], arms[r.arm], r.repeat))
