"""Every Python block of the README and the pages runs, offline, in the order of its page.

A page is one program: its blocks share a namespace and an event loop, so a later block may use what
an earlier one made. Top-level ``await`` works as in a notebook. Before a block, a comment can say
``<!-- runs: no (reason) -->`` for code that needs what the tests have not; the reason is required.
A shell block preceded by ``<!-- runs: yes -->`` is run too, line by line.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- runs: (?P<runs>yes|no \([^)]+\)) -->\n+)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, and the line of its page on which its code begins."""

    page: Path
    line: int
    language: str
    code: str
    runs: str = ""


def blocks(page: Path, text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield Block(page, line, match["language"], match["code"], match["runs"] or "")


def python_blocks(page: Path, text: str) -> list[Block]:
    found = (b for b in blocks(page, text) if b.language in ("python", "py"))
    return [b for b in found if not b.runs.startswith("no")]


def shell_lines(page: Path, text: str) -> list[str]:
    marked = (b for b in blocks(page, text) if b.language == "console" or b.language == "sh")
    lines = [line for b in marked if b.runs == "yes" for line in b.code.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.strip()]


def compiled(block: Block) -> CodeType:
    """The block with its own file and line numbers, so that a traceback points into the page."""
    code = "\n" * block.line + block.code
    made: CodeType = compile(code, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return made


async def run_page(found: list[Block]) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for block in found:
        result = eval(compiled(block), namespace)
        if inspect.isawaitable(result):
            await result
    return namespace


def identity(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(asyncio.wait_for(run_page(python_blocks(page, page.read_text("utf-8"))), 120))


COMMANDS = [(p, line) for p in PAGES for line in shell_lines(p, p.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("page", "line"), COMMANDS, ids=lambda v: v if isinstance(v, str) else identity(v)
)
def test_shell_lines_run(page: Path, line: str, tmp_path: Path) -> None:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": tools},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert result.returncode == 0, f"{shlex.quote(line)}: {result.stderr}"


def test_pages_have_blocks() -> None:
    assert len(PAGES) >= 4
    assert sum(len(python_blocks(p, p.read_text("utf-8"))) for p in PAGES) >= 3
    assert len(COMMANDS) >= 3


PLANTED = """\
# A page

```python
answer = await later()
```

<!-- runs: no (needs a server) -->
```python
1 / 0
```

<!-- runs: yes -->
```sh
true
$ echo hello
```

```python
assert answer == 28, "seen"
```
"""


def test_blocks_are_found_with_their_marks() -> None:
    page = ROOT / "planted.md"
    assert [b.line for b in python_blocks(page, PLANTED)] == [3, 18]
    assert shell_lines(page, PLANTED) == ["true", "echo hello"]


@pytest.mark.parametrize(("value", "fails"), [(28, False), (27, True)])
def test_a_wrong_block_is_found(value: int, fails: bool) -> None:
    first, last = python_blocks(ROOT / "planted.md", PLANTED)
    head = Block(first.page, 0, "python", f"async def later():\n    return {value}\n")
    page = run_page([head, first, last])
    if not fails:
        assert asyncio.run(page)["answer"] == value
        return
    with pytest.raises(AssertionError, match="seen") as caught:
        asyncio.run(page)
    assert caught.traceback[-1].lineno == 18
