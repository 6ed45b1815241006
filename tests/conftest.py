"""What every room's tests share: Hypothesis may take as long as a busy machine needs.

The same examples are tried in every run, so that a failure belongs to its change; with EXPLORE
set, new ones.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "reflectkit",
    deadline=None,
    derandomize="EXPLORE" not in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("reflectkit")
