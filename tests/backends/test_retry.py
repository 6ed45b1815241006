"""What is sent again, and after how long."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from reflectkit.backends._retry import Retries, is_safe_status, parse_retry_after

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("2", 2.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        ("Tue, 99 Nov 2099 99:99:99 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_safe(status: int) -> None:
    assert is_safe_status(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 413, 422])
def test_not_safe(status: int) -> None:
    assert not is_safe_status(status)


def test_backoff_doubles_to_its_cap_and_is_drawn() -> None:
    full = Retries(times=9, base=1, cap=10, draw=lambda: 1.0)
    assert [full.delay(n) for n in range(6)] == [1, 2, 4, 8, 10, 10]
    half = Retries(times=9, base=1, cap=10, draw=lambda: 0.5)
    assert [half.delay(n) for n in range(3)] == [0.5, 1, 2]


def test_it_ends_and_obeys_the_server() -> None:
    retries = Retries(times=2, longest=60, draw=lambda: 1.0)
    assert retries.delay(2) is None
    assert retries.delay(0, retry_after=12) == 12
    assert retries.delay(0, retry_after=61) is None
    assert retries.delay(2, retry_after=1) is None
