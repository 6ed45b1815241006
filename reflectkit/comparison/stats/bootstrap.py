"""The paired bootstrap: problems are drawn with everything that all arms made of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from ._needs import needed

__all__ = ["Draws"]

_DRAWS: Final = 10_000
#: Rows of weights that are in memory at once.
_ROWS: Final = 500


class Draws:
    """The same draws of clusters for everything that is computed of one comparison.

    ``clusters``: the cluster of each problem, in order; those of one cluster are drawn together.
    A draw is a weight for each problem: how often its cluster was drawn.
    """

    def __init__(self, clusters: Sequence[Hashable], *, draws: int = _DRAWS, seed: int = 0) -> None:
        numpy = needed("numpy")
        places: dict[Hashable, int] = {}
        self._of = numpy.array([places.setdefault(c, len(places)) for c in clusters], dtype=int)
        self.clusters = len(places)
        self.draws = draws
        self._seed = seed
        self._numpy = numpy

    def means(self, *columns: Sequence[float]) -> Any:
        """The weighted sums of ``columns`` in each draw, an array of draws by columns, with a last
        column for the number of problems drawn. Ratios of these are ratios of means."""
        numpy = self._numpy
        table = numpy.zeros((self.clusters, len(columns) + 1))
        for place, column in enumerate([*columns, [1.0] * len(self._of)]):
            numpy.add.at(table[:, place], self._of, numpy.asarray(column, dtype=float))
        rng = numpy.random.default_rng(self._seed)
        found = [self._some(rng, n) @ table for n in _parts(self.draws)]
        return numpy.concatenate(found) if found else numpy.zeros((0, len(columns) + 1))

    def _some(self, rng: Any, rows: int) -> Any:
        """Weights of some draws: multinomial, as drawing with replacement is."""
        numpy, n = self._numpy, self.clusters
        drawn = rng.integers(0, n, size=(rows, n)) + n * numpy.arange(rows)[:, None]
        counts = numpy.bincount(drawn.ravel(), minlength=rows * n)
        return counts.reshape(rows, n).astype(float)

    def quiet(self) -> Any:
        """A context in which dividing by nothing gives what is not defined, without a warning."""
        return self._numpy.errstate(divide="ignore", invalid="ignore")

    def interval(self, values: Any, level: float = 0.95) -> tuple[float, float] | None:
        """The percentile interval of a figure's draws; those that are not defined are left out, and
        where they are more than a twentieth there is none."""
        numpy = self._numpy
        defined = values[numpy.isfinite(values)]
        if not len(defined) or len(defined) < 0.95 * len(values):
            return None
        tail = 100 * (1 - level) / 2
        low, high = numpy.percentile(defined, [tail, 100 - tail])
        return float(low), float(high)


def _parts(draws: int) -> list[int]:
    return [min(_ROWS, draws - start) for start in range(0, draws, _ROWS)]
