"""The published three-arm table, from its numbers alone."""

from __future__ import annotations

import pytest

from reflectkit.comparison.published import PUBLISHED, Published, as_table, reading

# benchmark: prompt - base, trained - base, recovery in %, z of each
EXPECTED = {
    "MMLU": (-0.24, 6.24, -4, -0.6, 16.0),
    "GPQA diamond": (2.23, 14.53, 15, 0.4, 2.9),
    "HumanEval": (-15.25, 6.70, None, -3.2, 1.7),
    "MATH": (9.12, 15.1, 60, 9.3, 15.7),
    "GSM8K": (-0.56, 0.65, None, -0.6, 0.8),
    "IFEval": (-5.43, -1.76, None, -2.6, -0.9),
}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.benchmark)
def test_the_arithmetic(row: Published) -> None:
    found = reading(row)
    prompt, training, recovery, z_prompt, z_training = EXPECTED[found.benchmark]
    assert 100 * found.prompt.value == pytest.approx(prompt, abs=0.006)
    assert 100 * found.training.value == pytest.approx(training, abs=0.006)
    assert round(found.prompt.z, 1) == z_prompt
    assert round(found.training.z, 1) == z_training
    if recovery is None:
        assert found.recovery is None
    else:
        assert round(100 * (found.recovery or 0)) == recovery


def test_what_is_real_and_what_is_noise() -> None:
    found = {r.benchmark: reading(r) for r in PUBLISHED}
    assert found["GSM8K"].training.p > 0.05
    assert found["IFEval"].training.p > 0.05
    assert found["HumanEval"].training.p > 0.05
    assert found["HumanEval"].prompt.p < 0.01
    assert found["IFEval"].prompt.p < 0.01
    assert round(100 * (found["GSM8K"].smallest or 0), 1) == 2.4


def test_the_table_has_every_benchmark() -> None:
    table = as_table()
    assert all(row.benchmark in table for row in PUBLISHED)
    assert "| -15.25 | -3.2 |" in table
