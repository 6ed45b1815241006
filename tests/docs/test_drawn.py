"""What the pages draw from the code is what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

import drawn
from reflectkit.cli import _options

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_drawn_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    assert drawn.drawn(text) == text, "run: make drawn"


def test_every_part_has_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert {match["name"] for match in drawn.PART.finditer(text)} == set(drawn.PARTS)


def test_an_old_part_is_found() -> None:
    old = "<!-- drawn: exits -->\n\n| 0 | who knows |\n\n<!-- end -->"
    assert drawn.drawn(old) != old
    assert drawn.drawn(drawn.drawn(old)) == drawn.drawn(old)


def test_every_option_is_on_the_page() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    commands = _options.build()._subparsers._group_actions[0].choices  # type: ignore[union-attr]  # argparse tells of it nowhere else
    options = {
        flag
        for command in commands.values()  # type: ignore[union-attr]  # subcommands are here
        for action in command._actions
        for flag in action.option_strings
        if flag.startswith("--")
    }
    assert {flag for flag in options - {"--help"} if f"`{flag}" not in page} == set()
