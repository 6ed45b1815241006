"""The cookbook's LangChain notebooks run in this environment; the main one has no LangChain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="reads the notebooks")
pytest.importorskip("nbclient", reason="runs them")

COOKBOOK = Path(__file__).parents[3] / "cookbook"
NOTEBOOKS = sorted(COOKBOOK.glob("*-langchain-*.ipynb"))
EXECUTE = "from nbclient.cli import main; main()"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_run(path: Path, tmp_path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    result = subprocess.run(
        [sys.executable, "-c", EXECUTE, "--timeout=120", "--kernel_name=python3", str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "JUPYTER_PLATFORM_DIRS": "1"},
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_there_are_notebooks() -> None:
    if COOKBOOK.exists():
        assert len(NOTEBOOKS) == 4
