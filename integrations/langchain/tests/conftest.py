"""Where the tests find what they share."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

# the house's own environment has no LangChain: there, none of this is collected
if find_spec("langchain_tests") is None:
    collect_ignore_glob = ["unit_tests/*", "integration_tests/*", "test_notebooks.py"]


def pytest_report_header() -> str:
    """Two sets of releases are tested; the log says which this is."""
    try:
        return "LangChain: " + ", ".join(
            f"{n} {version(n)}" for n in ("langchain-core", "langchain")
        )
    except PackageNotFoundError:
        return "LangChain: not installed"
