"""When to send again and after how long: values and arithmetic, no waiting."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, NoReturn

from ..errors import ConfigurationError

__all__ = ["SAFE_STATUS", "Retries", "Timeouts", "is_safe_status", "parse_retry_after"]

#: besides 5xx: statuses that say "not now", so nothing has been generated
SAFE_STATUS: Final = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; None means for ever.

    ``connect``: until there is a connection. ``first``: from sending until the first byte of the
    answer's body (a long prompt is read by the model before it). ``between``: from one piece of the
    answer to the next. ``total``: the whole call, retries included.
    """

    connect: float | None = 10.0
    first: float | None = 300.0
    between: float | None = 60.0
    total: float | None = None

    def __post_init__(self) -> None:
        for name in ("connect", "first", "between", "total"):
            value = getattr(self, name)
            if value is not None and not _is_number(value, above=0):
                _refuse(name, value, "a number of seconds above 0, or None")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Exponential backoff with full jitter: a random share of ``base * 2**n``, at most ``cap``.

    A server's Retry-After takes the place of the computed delay; one above ``longest`` seconds is
    not waited for. ``draw`` (a number from 0 to 1) and ``sleep`` are there to be replaced in tests.
    The method is that of M. Brooker, "Exponential Backoff and Jitter", 2015.
    """

    times: int = 2
    base: float = 0.5
    cap: float = 8.0
    longest: float = 60.0
    draw: Callable[[], float] = field(default=random.random, repr=False)
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or isinstance(self.times, bool) or self.times < 0:
            _refuse("times", self.times, "a whole number from 0 up: how often to try again")
        for name in ("base", "cap", "longest"):
            value = getattr(self, name)
            if value != 0 and not _is_number(value, above=0):
                _refuse(name, value, "a number of seconds from 0 up")

    def delay(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait after failed attempt ``attempt`` (from 0); None: do not try again."""
        if attempt >= self.times:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.longest else None
        longest: float = min(self.cap, self.base * 2.0**attempt)
        return self.draw() * longest


def _is_number(value: object, *, above: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and above < value < float("inf")
    )


def _refuse(name: str, value: object, words: str) -> NoReturn:
    raise ConfigurationError(f"{name} is {value!r:.60}.", hint=f"It must be {words}.")


def is_safe_status(status: int) -> bool:
    """The server refused or broke before it had an answer: sending again repeats no answer."""
    return status in SAFE_STATUS or status >= 500


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds from a Retry-After header: a number, or an HTTP date compared with ``now`` (epoch).

    None when there is no header or it makes no sense; a date in the past is 0.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(date: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, OverflowError):
        return None
