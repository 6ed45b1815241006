"""Modules and functions stay small enough to be read."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import reflectkit
import rooms

PACKAGE = Path(reflectkit.__file__).parent
LONGEST_MODULE = 500
LONGEST_FUNCTION = 60
MEDIAN_FUNCTION = 10


def function_lengths(source: str) -> dict[str, int]:
    """Lines of each function, its docstring left out."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [n for n in ast.walk(ast.parse(source)) if isinstance(n, functions)]
    return {f"{n.name}:{n.lineno}": _length(n) for n in found}


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is None:
        return whole
    doc = node.body[0]
    return whole - ((doc.end_lineno or doc.lineno) - doc.lineno + 1)


def lengths_of_package() -> dict[str, int]:
    return {
        f"{name}.{function}": lines
        for name, path in rooms.modules(PACKAGE)
        for function, lines in function_lengths(path.read_text("utf-8")).items()
    }


def test_modules_stay_readable() -> None:
    lines = {
        name: len(path.read_text("utf-8").splitlines()) for name, path in rooms.modules(PACKAGE)
    }
    assert {name: n for name, n in lines.items() if n > LONGEST_MODULE} == {}


def test_functions_stay_short() -> None:
    lengths = lengths_of_package()
    assert statistics.median(lengths.values()) < MEDIAN_FUNCTION
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def test_lengths_are_counted() -> None:
    source = 'def f():\n    """One\n    two."""\n    a = 1\n    return a\n'
    assert function_lengths(source) == {"f:1": 3}
