"""Records, by arm and paired by problem and repeat: what every meter works on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from ..records import Problem, Record
from ..stats.clustered import clustered_mean
from ..stats.intervals import Figure, wilson

__all__ = ["Table", "mean_rate", "rate"]

#: An error of this size is rounding: all clusters are alike.
_NOTHING: Final = 1e-12


class Table:
    """The records of a comparison, by arm."""

    def __init__(self, records: Iterable[Record], problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self._clusters = {p.id: p.cluster or p.id for p in problems}
        self._by: dict[str, dict[str, list[Record]]] = {}
        for record in sorted(records, key=lambda r: r.repeat):
            if record.problem in self._clusters:
                self._by.setdefault(record.arm, {}).setdefault(record.problem, []).append(record)

    @property
    def arms(self) -> list[str]:
        """Their names, in the order of their coming."""
        return list(self._by)

    def of_task(self, task: str) -> Table:
        """Only the problems of one task."""
        return Table(self.records(), [p for p in self.problems if p.task == task])

    def records(self, *arms: str) -> list[Record]:
        """The records of some arms, or of all, in the order of the problems."""
        found = (self._by[a] for a in arms or self._by if a in self._by)
        return [r for of in found for p in self.problems for r in of.get(p.id, ())]

    def of(self, arm: str, problem: str) -> list[Record]:
        """The records of an arm on one problem, by repeat."""
        return self._by.get(arm, {}).get(problem, [])

    def cluster(self, record: Record) -> Hashable:
        """What the record's problem hangs together with."""
        return self._clusters[record.problem]

    def common(self, *arms: str) -> list[str]:
        """The problems to which every one of these arms has an answer, in order."""
        of = [self._by.get(arm, {}) for arm in arms]
        return [p.id for p in self.problems if all(p.id in each for each in of)]

    def clusters(self, problems: Sequence[str]) -> list[Hashable]:
        """The cluster of each problem."""
        return [self._clusters[p] for p in problems]

    def column(
        self, arm: str, problems: Sequence[str], of: Callable[[Record], float]
    ) -> list[float]:
        """For each problem the mean over its repeats."""
        rows = (self._by[arm][p] for p in problems)
        return [sum(map(of, row)) / len(row) for row in rows]

    def rights(self, arm: str, problems: Sequence[str]) -> list[list[bool]]:
        """For each problem whether each of its repeats is right."""
        return [[r.right for r in self._by[arm][p]] for p in problems]

    def accuracy(self, arm: str, problems: Sequence[str]) -> Figure:
        """The share of right answers, each problem counting once however often it was asked."""
        means = self.column(arm, problems, lambda record: float(record.right))
        observations = sum(len(self._by[arm][p]) for p in problems)
        return mean_rate(means, self.clusters(problems), observations)

    def pairs(self, first: str, second: str) -> list[tuple[Record, Record]]:
        """Records of two arms with the same problem and repeat."""
        one, other = self._by.get(first, {}), self._by.get(second, {})
        found = []
        for problem in self.problems:
            known = {r.repeat: r for r in other.get(problem.id, ())}
            mine = one.get(problem.id, ())
            found += [(r, known[r.repeat]) for r in mine if r.repeat in known]
        return found


def rate(values: Sequence[bool], clusters: Sequence[Hashable]) -> Figure:
    """A share of observations that may hang together, with Wilson's interval at the number of
    independent ones that would be as much worth (p (1 - p) / SE²)."""
    return mean_rate([float(v) for v in values], clusters, len(values))


def mean_rate(means: Sequence[float], clusters: Sequence[Hashable], observations: int) -> Figure:
    """The same of shares, such as each problem's over its repeats; of ``observations`` in all."""
    n = len(means)
    if not n:
        return Figure(value=None, low=0.0, high=1.0, n=0)
    p, worth = min(1.0, sum(means) / n), float(observations)
    groups = len(set(clusters))
    if groups < observations:
        error = clustered_mean(means, clusters).error if groups > 1 else 0.0
        worth = min(worth, p * (1 - p) / error**2) if error > _NOTHING and 0 < p < 1 else groups
    low, high = wilson(p * worth, worth)
    return Figure(value=p, low=low, high=high, n=n)
