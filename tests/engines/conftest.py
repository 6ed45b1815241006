"""The recipes' own client is imported as it is read: from its folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cookbook" / "serving"))
