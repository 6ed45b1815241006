"""Tables of the pages that are drawn from data say what the data says."""

from __future__ import annotations

from pathlib import Path

import rooms

from reflectkit.cli import _exits, _options

DOCS = Path(__file__).parents[2] / "docs"


def test_the_floors_are_drawn_from_the_table() -> None:
    assert rooms.drawing() in (DOCS / "architecture.md").read_text("utf-8")


def test_the_exit_codes_are_the_programs() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    missing = [e.code for e in _exits.EXITS if f"| {e.code} | {e.meaning} |" not in page]
    assert missing == []


def test_every_option_is_on_the_page() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    commands = _options.build()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    options = {
        flag
        for command in commands.values()  # type: ignore[union-attr]
        for action in command._actions
        for flag in action.option_strings
        if flag.startswith("--")
    }
    assert {flag for flag in options - {"--help"} if f"`{flag}" not in page} == set()
