"""The modules of the package stand in one order: each imports only what stands before it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import langchain_reflectkit

PACKAGE = Path(langchain_reflectkit.__file__).parent

#: From the ground up. What is private to one room follows it.
ROOMS = (
    # what stands alone: errors, counts, messages, blocks, a portal
    *("_errors", "_errors_of_models", "_counting", "_identity", "_sync", "_wrapped"),
    *("_messages", "_blocks", "_pieces"),
    # what is made of them
    *("_transcripts", "_records", "_usage", "_verifiers", "_calling", "_structured"),
    *("_clients", "_running"),
    # what users name
    *("chat_models", "backend", "output_parsers", "correcting"),
    *(
        "middleware.history",
        "middleware._hooks",
        "middleware._room",
        "middleware._accounts",
        "middleware._wrapup",
    ),
    *("middleware.budget", "middleware.reflection", "middleware"),
)


def imports(package: Path) -> set[tuple[str, str]]:
    """Module and what it imports of the package, late imports too, those for types left out."""
    found = set()
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(p for p in parts if p != "__init__")
        tree = ast.parse(path.read_text("utf-8"))
        typing = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level and id(node) not in typing:
                base = parts[: len(parts) - node.level]
                targets = [node.module] if node.module else [a.name for a in node.names]
                found |= {(name, ".".join([*base, str(t)])) for t in targets}
    return {(name, target) for name, target in found if name and target != "__version__"}


def complaints(package: Path) -> list[str]:
    ranks = {name: rank for rank, name in enumerate(ROOMS)}
    return sorted(
        f"{name} imports {target}"
        for name, target in imports(package)
        if ranks.get(name, -1) <= ranks.get(target, len(ROOMS))
    )


def test_each_imports_what_stands_before_it() -> None:
    assert complaints(PACKAGE) == []
    assert ("_transcripts", "_pieces") in imports(PACKAGE)  # the reader is not blind


def test_every_module_has_its_place() -> None:
    files = (p.relative_to(PACKAGE).with_suffix("").parts for p in PACKAGE.rglob("*.py"))
    names = {".".join(p for p in parts if p != "__init__") for parts in files}
    assert names - {""} == set(ROOMS)


@pytest.mark.parametrize(
    "line", ["from ._transcripts import x", "def f():\n    from . import backend"]
)
def test_a_planted_import_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "_messages.py").write_text(line, "utf-8")
    assert len(complaints(tmp_path)) == 1
