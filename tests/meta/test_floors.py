"""Imports flow one way: a room sees the floors above it, never those below."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import reflectkit
import rooms

PACKAGE = Path(reflectkit.__file__).parent


def test_no_room_reaches_down() -> None:
    assert rooms.complaints(PACKAGE) == []


def test_every_import_is_seen() -> None:
    """The reader of imports is not blind: it finds the ground floor's known ones."""
    seen = {(i.module, i.target) for i in rooms.imports(PACKAGE)}
    assert ("reflectkit.events", "reflectkit.messages") in seen
    assert ("reflectkit.backends.base", "reflectkit.messages") in seen


ALREADY = rooms.complaints(PACKAGE)
PLANTED = {
    "ground reads a backend": ("errors.py", "from .backends import base", "reaches down"),
    "ground reads a machine": ("events.py", "import reflectkit.protocol", "reaches down"),
    "a late import counts too": ("errors.py", "def f():\n    from . import cli", "reaches down"),
    "types may not reach down either": (
        "errors.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cli import main",
        "reaches down",
    ),
    "protocol reads the front": ("protocol/x.py", "from .. import client", "reaches down"),
    "protocol reads the clock": ("protocol/x.py", "import time", "no clock"),
    "protocol reads the loop": ("protocol/x.py", "from asyncio import Queue", "no clock"),
    "protocol reads a package": ("protocol/x.py", "import httpx", "standard library only"),
    "ground reads the system": ("messages.py", "import os.path", "no clock"),
    "the engine knows a backend": (
        "engine.py",
        "def f():\n    from .backends.openai import OpenAIBackend",
        "backends.base alone",
    ),
    "a room nobody planned": ("attic/x.py", "", "in no room"),
}


@pytest.mark.parametrize(("where", "line", "why"), PLANTED.values(), ids=PLANTED)
def test_a_planted_import_is_found(where: str, line: str, why: str, tmp_path: Path) -> None:
    copy = tmp_path / "reflectkit"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.gguf"))
    target = copy / where
    target.parent.mkdir(exist_ok=True)
    before = target.read_text("utf-8") if target.exists() else ""
    target.write_text(f"{before}\n{line}\n", "utf-8")
    found = [complaint for complaint in rooms.complaints(copy) if complaint not in ALREADY]
    assert len(found) == 1
    assert why in found[0]


def test_every_room_stands_on_one_floor_once() -> None:
    standing = [room for floor in rooms.FLOORS for room in floor.rooms]
    assert len(standing) == len(set(standing))
