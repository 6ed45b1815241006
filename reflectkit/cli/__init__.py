"""The command line: ``reflectkit ask`` and ``reflectkit parse``. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` by default) and return its exit code."""
    try:
        from ._run import run

        return run(arguments)
    except KeyboardInterrupt:  # while the program itself was still being loaded
        return 130
