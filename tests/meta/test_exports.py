"""The public face: a table of late imports, its mirror for type checkers, and nothing else."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reflectkit
import rooms

FACE = Path(reflectkit.__file__)
ROOT = Path(__file__).parents[2]
TREE = ast.parse(FACE.read_text("utf-8"))


def late_table(tree: ast.Module) -> dict[str, str]:
    """Name -> module, read from the one dictionary literal that holds nothing but those."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and node.keys:
            try:
                return _by_name(ast.literal_eval(node))
            except (TypeError, ValueError):
                continue
    return {}


def _by_name(table: dict[str, Any]) -> dict[str, str]:
    """The table may be written as name -> module or as module -> names."""
    if all(isinstance(value, str) for value in table.values()):
        return {name: _dotted(module) for name, module in table.items()}
    return {name: _dotted(module) for module, names in table.items() for name in names}


def _dotted(module: str) -> str:
    return "." + module.removeprefix("reflectkit.").lstrip(".")


def mirror(tree: ast.Module) -> dict[str, str]:
    """Name -> module, as the block for type checkers imports them."""
    blocks = rooms.typing_blocks(tree)
    lines = [n for b in blocks for n in ast.walk(b) if isinstance(n, ast.ImportFrom) and n.level]
    return {
        alias.asname or alias.name: _dotted(node.module or alias.name)
        for node in lines
        for alias in node.names
    }


@pytest.mark.parametrize("name", getattr(reflectkit, "__all__", []))
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(reflectkit, name)
    assert getattr(reflectkit, name) is value


def test_the_late_table_and_its_mirror_agree() -> None:
    assert len(late_table(TREE)) > 10
    assert late_table(TREE) == mirror(TREE)


def test_what_is_public_is_what_is_listed() -> None:
    public = {name for name in dir(reflectkit) if not name.startswith("_")}
    listed = set(reflectkit.__all__)
    assert len(listed) == len(reflectkit.__all__)
    assert public == {name for name in listed if not name.startswith("_")}
    assert set(late_table(TREE)) <= listed


def test_a_fresh_interpreter_lists_the_same_before_anything_is_used() -> None:
    code = "import reflectkit; print(*sorted(dir(reflectkit)))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert set(reflectkit.__all__) <= set(listed.stdout.decode().split())


def test_a_star_import_brings_all() -> None:
    code = (
        "from reflectkit import *; import reflectkit; print(set(reflectkit.__all__) - set(dir()))"
    )
    missing = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert missing.stdout.decode().strip() == "set()"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        _ = reflectkit.Cleint  # type: ignore[attr-defined]  # wrong on purpose


def test_every_public_name_has_a_docstring() -> None:
    values = {name: getattr(reflectkit, name) for name in reflectkit.__all__}
    documented = {n: inspect.getdoc(v) for n, v in values.items() if inspect.isclass(v)}
    assert [name for name, text in documented.items() if not text] == []


@pytest.mark.checkout
def test_the_pages_speak_of_every_public_name() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    words = set(re.findall(r"\w+", text))
    public = {name for name in reflectkit.__all__ if not name.startswith("_")}
    assert sorted(public - words) == []


PLANTED = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .client import Client
    from .reply import Reply as Reply
    from . import errors
TABLE = {"Client": ".client", "Reply": ".reply", "errors": ".errors"}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    from .client import Client\n", ""),
        ('"Client": ".client", ', ""),
        ('"Client": ".client"', '"Client": ".clients"'),
        ("import Reply as Reply", "import Reply as Replies"),
    ],
)
def test_a_difference_is_found(old: str, new: str) -> None:
    same, changed = ast.parse(PLANTED), ast.parse(PLANTED.replace(old, new))
    assert late_table(same) == mirror(same)
    assert late_table(changed) != mirror(changed)


def test_both_ways_of_writing_the_table_are_read() -> None:
    grouped = ast.parse('T = {"reflectkit.client": ("Client",), ".reply": ["Reply"]}')
    assert late_table(grouped) == {"Client": ".client", "Reply": ".reply"}
