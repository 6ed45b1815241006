"""Where the tests find what they share."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

# the house's own environment has no LangChain: there, none of this is collected
if find_spec("langchain_tests") is None:
    collect_ignore_glob = ["unit_tests/*", "integration_tests/*", "test_notebooks.py"]
