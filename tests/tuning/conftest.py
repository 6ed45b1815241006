"""The recipe is a folder of scripts: its modules are found by path, and what tests share too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cookbook" / "tuning"))
sys.path.insert(0, str(Path(__file__).parent))
