"""The cookbook's notebooks run top to bottom in a fresh kernel; they are stored without output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

COOKBOOK = Path(__file__).parents[2] / "cookbook"
NOTEBOOKS = sorted(p for p in COOKBOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
#: those of an integration run in its own environment, by its own tests
HERE = [p for p in NOTEBOOKS if "-langchain-" not in p.name]
EXECUTE = "from nbclient.cli import main; main()"


def run(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Execute all cells in a kernel of this very environment, from inside ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", EXECUTE, "--timeout=120", "--kernel_name=python3", str(path)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "JUPYTER_PLATFORM_DIRS": "1"},
        timeout=300,
    )


@pytest.mark.parametrize("path", HERE, ids=lambda p: p.name)
def test_notebooks_run(path: Path, tmp_path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    result = run(path, tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_are_stored_without_output(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert [c.id for c in cells if c.get("outputs") or c.get("execution_count")] == []


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_a_failing_notebook_is_found(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("assert 2 + 2 == 5, 'planted'")
    path = tmp_path / "planted.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    result = run(path, tmp_path)
    assert result.returncode != 0
    assert "planted" in result.stderr
