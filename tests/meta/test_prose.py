"""Tracked files speak of the project alone: no machine paths, no registries, no workshop talk."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]

# Each pattern has one letter in brackets, so that this file passes its own test.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~-])/(?:[w]ork|[r]oot|[h]ome|[U]sers)/[\w.-]+",
    "a registry's host": r"(?:pyp[i]|pythonhoste[d]|npmj[s]|crate[s]|debia[n])\.(?:org|io|com)\b",
    "a numbered ticket": r"\b[i]ssue (?:#|no\.? ?|number )?\d",
    "talk of the workshop": r"(?i)\b(?:colleag[u]es?|sub-?agent[s]?|worktre[e]s?|the ce[o])\b",
    "an unfinished thought": r"\b(?:TOD[O]|FIXM[E]|XX[X])\b",
}
BINARY = {".gguf", ".png", ".npz", ".safetensors", ".gz", ".bin"}


def offences(text: str) -> list[str]:
    return [
        f"{what}: {match.group()}"
        for what, pattern in FORBIDDEN.items()
        for match in re.finditer(pattern, text)
    ]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [p for p in paths if p.is_file() and p.suffix not in BINARY and p.name != "LICENSE"]


def test_tracked_files_speak_of_the_project_alone() -> None:
    files = tracked()
    assert ROOT / "pyproject.toml" in files
    found = {str(p.relative_to(ROOT)): offences(p.read_text("utf-8")) for p in files}
    assert {name: what for name, what in found.items() if what} == {}


# The bar cuts what would offend in two, so that this file passes its own test.
PLANTED = [
    "see /ho|me/someone/file",
    "index-url = pypi|.org",
    "as issue| 12 asks",
    "a colleag|ue builds it",
    "# TO|DO later",
]
#: Close to an offence, and none: relative paths, addresses, ordinary words.
HARMLESS = [
    "~/wo|rk/x", "./ro|ot/x", "docs/ho|me/x", "a-b/Use|rs/x", "/v1/models", "wo|rk/x",
    "transcript.issues", "issue kinds", "worked", "To|do",
]  # fmt: skip


def whole(text: str) -> str:
    return text.replace("|", "")


@pytest.mark.parametrize("text", PLANTED)
def test_an_offence_is_found(text: str) -> None:
    assert len(offences(whole(text))) == 1


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_pass(text: str) -> None:
    assert offences(whole(text)) == []
