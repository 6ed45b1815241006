"""The one table of floors and rooms, and what follows from it.

``FLOORS`` is the single truth: the tests of this folder read it, and the drawing in
docs/architecture.md is checked against it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Floor:
    """Rooms from top to bottom: a room imports floors above it and rooms before it on its own."""

    name: str
    rooms: tuple[str, ...]
    pure: bool = False
    """Standard library only, and from it nothing that has a clock, a socket or an event loop."""


FLOORS = (
    Floor("ground", ("_late", "errors", "messages", "events", "reply"), pure=True),
    Floor(
        "machines",
        (
            "protocol",
            "values",
            "conversation",
            "budget",
            "correction",
            "reading",
            "visibility",
            "display",
        ),
        pure=True,
    ),
    Floor("edges", ("models", "counters", "backends", "ledgers", "verify")),
    Floor(
        "engine and front",
        (
            "_log",
            "_otel",
            "modes",
            "options",
            "take",
            "spending",
            "parade",
            "correcting",
            "engine",
            "stream",
            "client",
            "portal",
            "sync",
        ),
    ),
    Floor("tools", ("testing", "comparison", "tuning", "probe", "cli", "__main__")),
)

#: What a room may see of another, where that is less than all of it.
NARROW = {
    ("engine", "backends"): "reflectkit.backends.base",
    ("take", "backends"): "reflectkit.backends.base",
    ("spending", "backends"): "reflectkit.backends.base",
}

#: What users configure is checked by pydantic, on a pure floor too; nothing there imports these
#: modules when it is loaded.
CONFIGURED = {
    "reflectkit.budget.budget": {"pydantic"},
    "reflectkit.budget.limits": {"pydantic"},
}

#: From the standard library, but not for pure floors.
IMPURE = frozenset({"asyncio", "logging", "os", "random", "socket", "threading", "time"})

#: The public face: a table of late imports, which may name every room.
FACE = "__init__"


@dataclass(frozen=True, slots=True)
class Import:
    """``module`` (dotted, inside the package) imports ``target``; ``late``: inside a function."""

    module: str
    target: str
    line: int
    typing: bool = False

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def room_of(dotted: str) -> str:
    """The room of ``reflectkit.protocol.parser`` is ``protocol``; of the package itself, FACE."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else FACE


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every module of the package."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        yield ".".join(p for p in parts if p != "__init__"), path


def imports(package: Path) -> Iterator[Import]:
    """Every import statement of the package, wherever it stands."""
    known = {name for name, _ in modules(package)}
    for name, path in modules(package):
        tree = ast.parse(path.read_text("utf-8"))
        home = name if path.name == "__init__.py" else name.rpartition(".")[0]
        yield from _imports_of(tree, name, home, known)


def _imports_of(tree: ast.Module, name: str, home: str, known: set[str]) -> Iterator[Import]:
    guarded = {id(n) for block in typing_blocks(tree) for n in ast.walk(block)}
    for node in ast.walk(tree):
        for target in _targets(node, home, known):
            yield Import(name, target, node.lineno, id(node) in guarded)  # type: ignore[attr-defined]  # imports have one


def typing_blocks(tree: ast.Module) -> list[ast.If]:
    found = [n for n in ast.walk(tree) if isinstance(n, ast.If)]
    return [n for n in found if isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"]


def _targets(node: ast.AST, home: str, known: set[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        anchor = home.split(".")[: len(home.split(".")) - node.level + 1]
        base = ".".join([*anchor, base] if base else anchor)
    inner = {f"{base}.{alias.name}" for alias in node.names}
    return sorted(inner & known) or [base]


def complaints(package: Path) -> list[str]:
    """One line for each room without a place in the table and each import that reaches down."""
    found = list(imports(package))
    homeless = sorted({m for m, _ in modules(package) if _rank(room_of(m)) is None})
    return [f"{m} is in no room of the table" for m in homeless] + [
        f"{i}: {why}" for i in found if (why := _objection(i, package.name))
    ]


def _rank(room: str) -> tuple[int, int] | None:
    for number, floor in enumerate(FLOORS):
        if room in floor.rooms:
            return number, floor.rooms.index(room)
    return (len(FLOORS), 0) if room == FACE else None


def _objection(found: Import, package: str) -> str:
    own, top = _rank(room_of(found.module)), found.target.split(".")[0]
    if own is None or room_of(found.module) == FACE:
        return ""
    if top != package:
        return _foreign(found, FLOORS[own[0]])
    other = _rank(room_of(found.target))
    if other is None:
        return "no such room"
    pair = room_of(found.module), room_of(found.target)
    if not found.target.startswith(NARROW.get(pair, package)):
        return f"may see {NARROW[pair]} alone"
    typed_neighbour = found.typing and own[0] == other[0]
    return "" if other <= own or typed_neighbour else "reaches down"


def _foreign(found: Import, floor: Floor) -> str:
    top = found.target.split(".")[0]
    if not floor.pure:
        return ""
    if top in CONFIGURED.get(found.module, ()):
        return ""
    if top not in sys.stdlib_module_names:
        return f"{floor.name} uses the standard library only"
    return f"{floor.name} has no clock, loop or I/O" if top in IMPURE else ""


def drawing(package: Path) -> str:
    """The floors as docs/architecture.md shows them: the rooms that are built."""
    built = {room_of(name) for name, _ in modules(package)}
    width = max(len(floor.name) for floor in FLOORS)
    return "\n".join(
        f"{floor.name:<{width}}  |  {' · '.join(r for r in floor.rooms if r in built)}"
        + "   (pure)" * floor.pure
        for floor in FLOORS
    )
