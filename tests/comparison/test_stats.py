"""The statistics: equal to SciPy's and statsmodels', and as right as they say they are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import inf, sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

from reflectkit import ConfigurationError
from reflectkit.comparison.meters.table import rate
from reflectkit.comparison.stats import (
    Draws,
    clustered_mean,
    holm,
    items_needed,
    mcnemar,
    paired,
    paired_difference,
    smallest_difference,
    two_shares,
    wilson,
)

CLOSE = 1e-9
COUNTS = st.integers(0, 400)
PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


# --- the same as others


@given(COUNTS, COUNTS)
def test_mcnemar_is_statsmodels(gained: int, lost: int) -> None:
    exact = mcnemar(gained, lost, mid=False)
    if gained + lost:
        table = [[5, gained], [lost, 5]]
        assert exact == pytest.approx(float(reference_mcnemar(table, exact=True).pvalue), abs=CLOSE)
        n, least = gained + lost, min(gained, lost)
        binomial = scipy_stats.binom(n, 0.5)
        mid = min(1.0, 2 * binomial.cdf(least) - binomial.pmf(least))
        assert mcnemar(gained, lost) == pytest.approx(mid, abs=CLOSE)
    else:
        assert exact == mcnemar(0, 0) == 1.0


@given(COUNTS, COUNTS)
def test_mcnemar_is_symmetric_and_a_probability(gained: int, lost: int) -> None:
    for mid in (True, False):
        assert mcnemar(gained, lost, mid=mid) == mcnemar(lost, gained, mid=mid)
        assert 0 < mcnemar(gained, lost, mid=mid) <= 1
    assert mcnemar(gained, lost) <= mcnemar(gained, lost, mid=False)


def test_mcnemar_of_very_many() -> None:
    assert mcnemar(10_000, 10_300) == pytest.approx(
        2 * scipy_stats.binom(20_300, 0.5).cdf(10_000) - scipy_stats.binom(20_300, 0.5).pmf(10_000),
        rel=1e-7,
    )


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_is_statsmodels(part: int, whole: int) -> None:
    part = min(part, whole)
    reference = proportion_confint(part, whole, method="wilson")
    assert wilson(part, whole) == pytest.approx(reference, abs=CLOSE)


@settings(max_examples=25, deadline=None)  # statsmodels takes its time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_statsmodels(ps: list[float]) -> None:
    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]), abs=CLOSE)


@given(st.data())
def test_clustered_errors_are_statsmodels(data: st.DataObject) -> None:
    n = data.draw(st.integers(3, 60))
    rng = random.Random(data.draw(st.integers(0, 10**6)))
    values = [rng.gauss(0, 1) for _ in range(n)]
    clusters = [rng.randrange(max(2, n // 3)) for _ in range(n)]
    if len(set(clusters)) < 2:
        return
    fit = sm.OLS(values, np.ones(n)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    groups = len(set(clusters))
    expected = float(fit.bse[0]) * sqrt(groups / (groups - 1))
    assert clustered_mean(values, clusters).error == pytest.approx(expected, abs=CLOSE)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=60))
def test_without_clusters_it_is_the_usual_error(values: list[float]) -> None:
    found = clustered_mean(values)
    assert found.error == pytest.approx(float(scipy_stats.sem(values)), abs=CLOSE)
    low, high = scipy_stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=scipy_stats.sem(values)
    ) if found.error > 1e-12 else (found.value, found.value)  # fmt: skip
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-8)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 500), st.integers(0, 500))
def test_two_shares_is_statsmodels(n: int, m: int, a: int, b: int) -> None:
    a, b = min(a, n), min(b, m)
    if not 0 < a + b < n + m:
        return
    found = two_shares(a / n, b / m, n, m)
    z, p = proportions_ztest([b, a], [m, n])
    assert (found.z, found.p) == pytest.approx((float(z), float(p)), abs=CLOSE)


# --- what can be found out


@pytest.mark.parametrize(
    ("n", "discordant", "points"),
    [(541, 0.1, 3.8), (1209, 0.1, 2.5), (1319, 0.1, 2.4), (541, 0.05, 2.7), (1209, 0.05, 1.8),
     (1319, 0.05, 1.7)],
)  # fmt: skip
def test_smallest_differences(n: int, discordant: float, points: float) -> None:
    found = smallest_difference(n, discordant)
    assert found is not None
    assert round(100 * found, 1) == points
    assert items_needed(found, discordant) <= n < items_needed(found * 0.999, discordant) + 1


def test_one_point_needs_thousands() -> None:
    assert items_needed(0.01, 0.1) == 7_847
    assert smallest_difference(10, 0.02) is None
    with pytest.raises(ConfigurationError):
        items_needed(0.2, 0.1)


def test_the_power_is_what_it_says() -> None:
    """Simulated: with the smallest difference McNemar finds it in four of five tries."""
    rng = np.random.default_rng(3)
    n, discordant = 600, 0.1
    difference = smallest_difference(n, discordant)
    assert difference is not None
    gained, lost = (discordant + difference) / 2, (discordant - difference) / 2
    draws = rng.multinomial(n, [gained, lost, 1 - discordant], size=2_000)
    found = np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b, _ in draws])
    assert 0.77 < found < 0.85


# --- pairs


def test_pairing_finds_what_the_unpaired_test_does_not() -> None:
    """Of 1,000 problems both arms solve 740; one alone solves 40, the other 16."""
    first = [[True]] * 740 + [[False]] * 40 + [[True]] * 16 + [[False]] * 204
    second = [[True]] * 740 + [[True]] * 40 + [[False]] * 16 + [[False]] * 204
    found = paired(first, second)
    assert found.p < 0.01
    assert two_shares(found.first, found.second, 1000).p > 0.1
    assert (found.gained, found.lost) == (40, 16)


@given(PAIRS, st.integers(1, 3))
def test_swapped_arms_swap_the_sign(pairs: list[tuple[bool, bool]], repeats: int) -> None:
    first = [[a] * repeats for a, _ in pairs]
    second = [[b] * repeats for _, b in pairs]
    one, other = paired(first, second), paired(second, first)
    assert one.value == -other.value
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert one.p == pytest.approx(other.p)
    assert (one.gained, one.lost) == (other.lost, other.gained)
    assert one.low <= one.value <= one.high
    assert 0 < one.p <= 1


def test_few_clusters_are_flipped_exactly() -> None:
    """Three clusters, all for the second arm: of eight sign patterns two are as extreme."""
    first = [[False]] * 6
    second = [[True]] * 6
    found = paired(first, second, ["a", "a", "b", "b", "c", "c"])
    assert found.p == 2 / 8
    assert found.clusters == 3


@pytest.mark.parametrize(("first", "second"), [([], []), ([[True]], []), ([[]], [[True]])])
def test_what_cannot_be_paired(
    first: Sequence[Sequence[bool]], second: Sequence[Sequence[bool]]
) -> None:
    with pytest.raises(ConfigurationError):
        paired(first, second)


def test_nothing_and_one() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert paired_difference(0, 0, 0) == (0.0, -1.0, 1.0)
    assert clustered_mean([]).error == inf
    assert clustered_mean([1.0, 2.0], ["a", "a"]).error == inf
    one = paired([[True]], [[False]])
    assert (one.value, one.p) == (-1.0, 0.5)
    assert rate([], []).value is None


# --- simulations: 10,000 of each


def discordant(
    rng: np.random.Generator, n: int, size: int, share: float, shift: float
) -> np.ndarray:
    """Counts gained and lost of ``size`` comparisons of ``n`` problems."""
    return rng.multinomial(n, [(share + shift) / 2, (share - shift) / 2, 1 - share], size=size)


@pytest.mark.parametrize(("n", "share"), [(200, 0.2), (500, 0.1), (1319, 0.06), (300, 0.4)])
def test_false_positives_of_mid_p(n: int, share: float) -> None:
    rng = np.random.default_rng(n)
    counts = discordant(rng, n, 10_000, share, 0.0)
    unique, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    mid = sum(t for (a, b), t in zip(unique, times, strict=True) if mcnemar(int(a), int(b)) < 0.05)
    exact = sum(
        t
        for (a, b), t in zip(unique, times, strict=True)
        if mcnemar(int(a), int(b), mid=False) < 0.05
    )
    assert 0.03 <= mid / 10_000 <= 0.055
    assert exact / 10_000 <= 0.05


@pytest.mark.parametrize(
    ("n", "share", "shift"),
    [(100, 0.3, 0.1), (500, 0.1, 0.0), (541, 0.1, 0.04), (1319, 0.06, 0.02)],
)
def test_coverage_of_paired_differences(n: int, share: float, shift: float) -> None:
    rng = np.random.default_rng(7)
    counts = discordant(rng, n, 10_000, share, shift)
    found = [paired_difference(int(a), int(b), n) for a, b, _ in counts]
    inside = np.mean([low <= shift <= high for _, low, high in found])
    assert 0.935 <= inside <= 0.965


def test_coverage_of_wilson() -> None:
    """Averaged over shares: at single ones it swings, since counts are whole numbers."""
    rng = np.random.default_rng(11)
    shares = rng.uniform(0.02, 0.98, 10_000)
    parts = rng.binomial(150, shares)
    inside = [low <= p <= high for p, k in zip(shares, parts, strict=True)
              for low, high in [wilson(int(k), 150)]]  # fmt: skip
    assert 0.935 <= np.mean(inside) <= 0.965


def clusters_of(rng: np.random.Generator, size: int, groups: int, each: int) -> np.ndarray:
    """Differences of problems in clusters that share an effect of their own, around 0.05."""
    effects = rng.normal(0, 0.2, (size, groups, 1))
    noise = rng.normal(0, 0.3, (size, groups, each))
    return 0.05 + effects + noise


def test_coverage_of_clustered_means() -> None:
    rng = np.random.default_rng(13)
    keys = [g for g in range(60) for _ in range(5)]
    inside = naive = 0
    for values in clusters_of(rng, 2_000, 60, 5):
        flat = [float(v) for v in values.ravel()]
        found = clustered_mean(flat, keys)
        inside += found.low <= 0.05 <= found.high
        alone = clustered_mean(flat)
        naive += alone.low <= 0.05 <= alone.high
    assert 0.935 <= inside / 2_000 <= 0.965
    assert naive / 2_000 < 0.9  # as if nothing hung together


def test_coverage_of_rates_of_repeats() -> None:
    """Four answers to each of 120 problems, some problems easier than others."""
    rng = np.random.default_rng(17)
    keys = [p for p in range(120) for _ in range(4)]
    inside = 0
    for _ in range(2_000):
        easy = rng.beta(2, 2, 120)
        values = [bool(v) for v in (rng.random((120, 4)) < easy[:, None]).ravel()]
        found = rate(values, keys)
        inside += (found.low or 0) <= 0.5 <= (found.high or 0)
    assert 0.93 <= inside / 2_000 <= 0.97


def test_false_positives_and_coverage_with_repeats() -> None:
    """Four answers of each arm to each of 80 problems: sign flips, and clustered intervals."""
    rng = np.random.default_rng(19)
    tries, rejected, inside = 400, 0, 0
    for _ in range(tries):
        easy = rng.beta(2, 2, 80)[:, None]
        first, second = ((rng.random((80, 4)) < easy).tolist() for _ in range(2))
        found = paired(first, second)
        rejected += found.p < 0.05
        inside += found.low <= 0 <= found.high
    assert 0.02 <= rejected / tries <= 0.085
    assert 0.925 <= inside / tries <= 0.975


def test_coverage_of_the_bootstrap() -> None:
    """Of a ratio of means, as overheads are."""
    rng = np.random.default_rng(23)
    tries, inside = 400, 0
    for _ in range(tries):
        below = rng.gamma(4, 10, 200)
        above = below * 1.5 + rng.gamma(2, 10, 200)
        draws = Draws(range(200), draws=600, seed=int(rng.integers(10**6)))
        sums = draws.means(list(above), list(below))
        found = draws.interval(sums[:, 0] / sums[:, 1])
        assert found is not None
        inside += found[0] <= 2.0 <= found[1]
    assert 0.92 <= inside / tries <= 0.975


def test_the_bootstrap_draws_whole_clusters() -> None:
    draws = Draws(["a", "a", "b"], draws=500, seed=1)
    sums = draws.means([1.0, 1.0, 0.0])
    assert {tuple(map(int, row)) for row in sums} == {(0, 2), (2, 3), (4, 4)}
    assert (Draws(["a", "a", "b"], draws=500, seed=1).means([1.0, 1.0, 0.0]) == sums).all()
