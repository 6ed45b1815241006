"""What every room's tests share: Hypothesis may take as long as a busy machine needs.

The same examples are tried in every run, so that a failure belongs to its change; with EXPLORE
set, new ones.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "reflectkit",
    deadline=None,
    derandomize="EXPLORE" not in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("reflectkit")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell starts what it puts into the background with interrupts ignored, and the tests of
    Ctrl-C would wait for ever; so would the commands that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
