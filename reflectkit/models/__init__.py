"""What is known about models: dialect, prompts, sampling, limits, faults and prices, as data."""

from __future__ import annotations

from .prices import FREE, Price, price_for
from .profile import Profile
from .profiles import GENERIC, PROFILES, profile_for

__all__ = ["FREE", "GENERIC", "PROFILES", "Price", "Profile", "price_for", "profile_for"]
