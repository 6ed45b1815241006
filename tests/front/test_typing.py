"""Users' code type-checks against the public face, and wrong code does not."""

from __future__ import annotations

from pathlib import Path

import pytest

SNIPPETS = Path(__file__).parents[1] / "typing"


@pytest.mark.parametrize("path", sorted(SNIPPETS.glob("*.py")), ids=lambda p: p.stem)
def test_snippets_type_check(path: Path) -> None:
    api = pytest.importorskip("mypy.api")  # the lint group
    told, faults, status = api.run(["--strict", "--no-incremental", str(path)])
    assert (status, faults) == (0, ""), told
