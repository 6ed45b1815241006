"""The page of the recipes: its tables are drawn, every recipe has a mark, every figure adds up."""

from __future__ import annotations

import re
import tomllib

import pytest

import tables
from recipes import SERVING
from reflectkit.models import profile_for

PAGE = (SERVING / "README.md").read_text("utf-8")
ROWS = tomllib.loads((SERVING / "checked.toml").read_text("utf-8"))["recipe"]
MARKS = {"run", "read", "schema"}
#: what explains or draws, and is no recipe
BESIDE = {"README.md", "checked.toml", "tables.py"}
ROOT = SERVING.parents[1]


def files() -> set[str]:
    found = (p for p in SERVING.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(SERVING).as_posix() for p in found} - BESIDE


def test_the_tables_are_drawn() -> None:
    assert tables.drawn(PAGE) == PAGE, "run: python cookbook/serving/tables.py"
    assert {m["name"] for m in tables.PART.finditer(PAGE)} == set(tables.PARTS)


def test_an_old_table_is_found() -> None:
    assert tables.drawn(PAGE.replace("**run**", "**read**")) != PAGE.replace("**run**", "**read**")


def test_every_recipe_says_how_far_it_was_checked() -> None:
    assert [r["file"] for r in ROWS] == list(dict.fromkeys(r["file"] for r in ROWS))
    assert {r["file"] for r in ROWS} == files()
    assert {r["mark"] for r in ROWS} <= MARKS
    assert all(r["how"] and r["by"] for r in ROWS)


def test_the_tests_that_are_named_exist() -> None:
    named = {name for r in ROWS for name in r["by"].split(", ") if name != "by hand"}
    lost = {
        name
        for name in named
        if not any(
            (ROOT / folder / name).exists() for folder in ("", "tests/serving", "tests/engines")
        )
    }
    assert lost == set()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE)
    assert len(links) > 10
    assert [link for link in links if not (SERVING / link).exists()] == []


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (tables.ROUNDED + tables.REST, 70.6e9),
        (2.0 * (tables.ROUNDED + tables.REST), 141e9),
        (tables.FORMS["fp8"][0], 73e9),
        (tables.TOKEN, 320 * 1024),
        (8192 * tables.TOKEN, 2.5 * tables.GIB),
        (131072 * tables.TOKEN, 40 * tables.GIB),
    ],
)
def test_the_memory_adds_up(found: float, known: float) -> None:
    assert found == pytest.approx(known, rel=0.005)


def test_every_client_is_known_as_the_model() -> None:
    """By the name that each recipe gives it, the model's profile is found, and trained."""
    from clients import BACKENDS, KEEP

    for name, make in BACKENDS.items():
        profile = profile_for(make().model)
        assert profile.name.startswith("reflection-70b"), name
        assert profile.trained
    assert profile_for("glaiveai/Reflection-Llama-3.1-70B").extra == KEEP
