"""Names come late, and only those that are public; what is needed is declared."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import langchain_reflectkit

HERE = Path(__file__).parents[2]
OLDEST = HERE / "oldest.txt"


def test_the_public_names() -> None:
    assert set(langchain_reflectkit.__all__) == {
        "ChatReflectKit",
        "LangChainBackend",
        "OutputOnlyParser",
        "ReflectionMiddleware",
        "ReflectionOutputParser",
        "SelfCorrecting",
        "TokenBudgetMiddleware",
        "__version__",
        "with_reflection",
    }


def test_importing_the_package_loads_no_langchain() -> None:
    code = "import sys, langchain_reflectkit as l; assert 'langchain_core' not in sys.modules; "
    code += "l.ChatReflectKit; assert 'langchain_core' in sys.modules; "
    code += "assert not {'langchain', 'langgraph', 'reflectkit.client'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_oldest_releases_that_are_tested_are_those_that_are_declared() -> None:
    """``oldest.txt`` has what ``pyproject.toml`` says it needs at least."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))
    needs = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["agents"],
    ]
    declared = dict(re.findall(r"^(langchain[a-z-]*)>=([\d.]+)", "\n".join(needs), re.MULTILINE))
    tested = dict(re.findall(r"^([a-z-]+)==([\d.]+)", OLDEST.read_text("utf-8"), re.MULTILINE))
    assert declared
    assert declared.items() <= tested.items()
