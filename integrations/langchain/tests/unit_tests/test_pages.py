"""The blocks of the README and of the pages on LangChain run here, with the embedded models.

The house's own test of pages has no LangChain, so the pages mark their blocks as run here.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[2]
HOUSE = HERE.parents[1]
DOCS = HOUSE / "docs"
#: page -> blocks of it that run
PAGES = {
    "README.md": 1,
    "docs/langchain.md": 6,
    "docs/langchain-chains.md": 3,
    "docs/langchain-agents.md": 4,
}
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


@pytest.mark.parametrize("name", PAGES)
async def test_the_pages_run(name: str) -> None:
    if not DOCS.exists():
        pytest.skip("the pages stand in the repository, not in this package")
    blocks = re.findall(re.escape(MARK) + BLOCK, (HOUSE / name).read_text("utf-8"), FLAGS)
    assert len(blocks) == PAGES[name]
    await run(blocks)


def test_no_page_is_forgotten() -> None:
    if DOCS.exists():
        assert {f"docs/{path.name}" for path in DOCS.glob("langchain*.md")} < PAGES.keys()
