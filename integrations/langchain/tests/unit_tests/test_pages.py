"""The blocks of the README and of the page on LangChain run here, with the embedded model.

The house's own test of pages has no LangChain, so the page marks its blocks as run here. Blocks
that need a server with tools are left out; they say so.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[2]
PAGE = HERE.parents[1] / "docs" / "langchain.md"
MARK = "<!-- runs: no (needs LangChain; runs with the integration's own tests) -->\n"
BLOCK = r"```python\n(.*?)^```$"
FLAGS = re.MULTILINE | re.DOTALL


async def run(blocks: list[str]) -> None:
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks:
        code = compile(block, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)
        if inspect.isawaitable(result):
            await result


async def test_the_readme_runs() -> None:
    blocks = re.findall(BLOCK, (HERE / "README.md").read_text("utf-8"), FLAGS)
    assert blocks
    await run(blocks)


async def test_the_page_runs() -> None:
    if not PAGE.exists():
        pytest.skip("the page stands in the repository, not in this package")
    blocks = re.findall(re.escape(MARK) + BLOCK, PAGE.read_text("utf-8"), FLAGS)
    assert len(blocks) == 4
    await run(blocks)
