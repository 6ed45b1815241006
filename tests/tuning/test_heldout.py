"""The held-out problems are always the same: figures of different days are about one set."""

from __future__ import annotations

import hashlib

import pytest

from reflectkit.comparison.heldout.problems import heldout

SETS = {
    "arithmetic": ("6d0f4a5190183559", None),
    "letters": ("000045111aeff289", None),
    "words": ("0ee6db601e41ce1f", None),
    "objects": ("0b931995c33d23e6", None),
    "arithmetic-1-2": ("9372829209987957", (1, 2, 2, 2)),
    "arithmetic-3-4": ("842701f045b3cd8d", (3, 4)),
}


@pytest.mark.parametrize("name", SETS)
def test_they_never_change(name: str) -> None:
    expected, sizes = SETS[name]
    found = hashlib.blake2b(digest_size=8)
    for problem in heldout(name.partition("-")[0], 500, sizes=sizes):
        found.update(f"{problem.question}\n{problem.answer}\n".encode())
    assert found.hexdigest() == expected
