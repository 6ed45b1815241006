"""Fakes and checks for tests: ours, and those of everybody who builds on reflectkit.

Nothing heavy is imported here, and no test framework.
"""

from __future__ import annotations

from .chunkings import chunkings
from .scripted import Script, ScriptedBackend, Step

__all__ = ["Script", "ScriptedBackend", "Step", "chunkings"]
