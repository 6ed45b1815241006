"""What is known about models: dialect, prompts, sampling, limits and faults, as data."""

from __future__ import annotations

from .profile import Profile
from .profiles import GENERIC, PROFILES, profile_for

__all__ = ["GENERIC", "PROFILES", "Profile", "profile_for"]
