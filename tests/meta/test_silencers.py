"""A check that is silenced says why, beside it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
# One letter in brackets, so that this file passes its own test.
SILENCER = re.compile(r"# (?:type: ignor[e]\[[\w, -]+\]|noq[a]: [A-Z0-9, ]*[A-Z0-9])(?P<rest>.*)")
ALL = re.compile(r"# (?:type: ignor[e](?!\[)|noq[a](?!:))")
REASON = re.compile(r"\s+(?:#|-) \w.{3,}")


def unexplained(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        silenced = SILENCER.search(line)
        if ALL.search(line) or (silenced and not REASON.match(silenced["rest"])):
            found.append(line.strip())
    return found


def test_each_silenced_check_says_why() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert Path(__file__) in paths
    found = {str(p): unexplained(p.read_text("utf-8")) for p in paths if p.is_file()}
    assert {name: lines for name, lines in found.items() if lines} == {}


# The bar cuts each in two, so that this file passes its own test.
PLANTED = [
    "x = y  # type: ign|ore[arg-type]",
    "x = y  # type: ign|ore",
    "x = y  # no|qa: BLE001",
    "x = y  # no|qa",
    "x = y  # no|qa: BLE001 -",
]
HARMLESS = [
    "x = y  # type: ign|ore[arg-type]  # its stubs are older",
    "x = y  # no|qa: BLE001, PT012 - SDKs raise all kinds",
    "x = y  # what is ignored here",
]


@pytest.mark.parametrize("line", PLANTED)
def test_a_planted_one_is_found(line: str) -> None:
    assert unexplained(line.replace("|", ""))


@pytest.mark.parametrize("line", HARMLESS)
def test_an_explained_one_is_not(line: str) -> None:
    assert not unexplained(line.replace("|", ""))
