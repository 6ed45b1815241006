"""What an import loads, seen from a fresh interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reflectkit

PACKAGE = Path(reflectkit.__file__).parent

HEAVY = {"httpx", "pydantic", "tiktoken", "structlog", "asyncio", "langchain_core", "numpy"}
HEAVY_OR_NATIVE = HEAVY | {"xllamacpp", "httpx2", "anyio", "openai"}

PROBE = "import json, sys\n{}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"


def loaded(statement: str, home: Path, elsewhere: Path) -> set[str]:
    """Top-level modules of a new interpreter after ``statement``, with the package at ``home``."""
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement)],
        capture_output=True,
        check=True,
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(home)},
    )
    return set(json.loads(result.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import reflectkit",
        "import reflectkit; dir(reflectkit)",
        "import reflectkit.errors, reflectkit.messages, reflectkit.events, reflectkit.reply",
        "import reflectkit.protocol",
        "from reflectkit.protocol import parse; parse('<thinking>a</thinking><output>b</output>')",
        "import reflectkit.models",
        "import reflectkit.backends",
        "import reflectkit.ledgers",
        "import reflectkit.budget.ledger",
        "import reflectkit.testing",
        "import reflectkit.verify",
        "import reflectkit.cli",
    ],
)
def test_nothing_heavy_is_loaded(statement: str, tmp_path: Path) -> None:
    assert loaded(statement, PACKAGE.parent, tmp_path) & HEAVY_OR_NATIVE == set()


@pytest.mark.parametrize("planted", sorted({"asyncio", "pydantic", "httpx"}))
def test_a_planted_import_is_found(planted: str, tmp_path: Path) -> None:
    copy = tmp_path / "reflectkit"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.gguf"))
    with (copy / "__init__.py").open("a", encoding="utf-8") as face:
        face.write(f"\nimport {planted}\n")
    assert planted in loaded("import reflectkit", tmp_path, tmp_path)
