"""Every requirement has an upper bound and a line that says why it is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TEXT = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
LINE = re.compile(r'^\s*"(?P<requirement>[^"]+)",?(?P<rest>.*)$', re.MULTILINE)


def requirements(text: str) -> list[str]:
    """Every requirement string of every table of a pyproject file."""
    data = tomllib.loads(text)
    project = data.get("project", {})
    lists = [
        data.get("build-system", {}).get("requires", []),
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        *data.get("dependency-groups", {}).values(),
    ]
    return [r for entries in lists for r in entries if isinstance(r, str)]


def unbounded(text: str) -> list[str]:
    return [
        r
        for r in requirements(text)
        if not any(s.operator in ("<", "<=", "==", "~=") for s in Requirement(r).specifier)
    ]


def unexplained(text: str) -> list[str]:
    said = {m["requirement"]: m["rest"].strip() for m in LINE.finditer(text)}
    return [r for r in requirements(text) if r in said and len(said[r].lstrip("# ")) < 10]


def test_every_requirement_has_an_upper_bound() -> None:
    assert len(requirements(TEXT)) > 10
    assert unbounded(TEXT) == []


def test_every_requirement_says_why() -> None:
    assert unexplained(TEXT) == []


@pytest.mark.parametrize("table", ["dependencies = [", "optional-dependencies.x = ["])
def test_a_loose_requirement_is_found(table: str) -> None:
    planted = f'[project]\n{table}\n  "httpx>=0.27",\n]\n'
    assert unbounded(planted) == ["httpx>=0.27"]
    assert unexplained(planted) == ["httpx>=0.27"]


def test_a_loose_group_is_found() -> None:
    assert unbounded('[dependency-groups]\ntest = ["pytest"]\n') == ["pytest"]


def test_the_base_install_stays_small() -> None:
    """What every user must install. A new one has to be argued for here."""
    names = {Requirement(r).name for r in tomllib.loads(TEXT)["project"]["dependencies"]}
    assert names == {"httpx", "pydantic", "structlog", "tiktoken"}
