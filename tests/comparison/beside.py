"""Where data sets that are no part of the repository lie, and the mark of tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: Beside the checkout, or the folder that REFLECTKIT_DATA names.
DATA = Path(os.environ.get("REFLECTKIT_DATA") or Path(__file__).parents[3] / "shared" / "data")
RECORDED = DATA / "aiw_reflection70b" / "responses.jsonl"

needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="the data sets are not here: set REFLECTKIT_DATA to their folder"
)
