"""Names come late, and only those that are public."""

from __future__ import annotations

import subprocess
import sys

import langchain_reflectkit


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
