"""Reports as files."""

from __future__ import annotations

import os
from pathlib import Path

from .data import Report
from .page import as_html
from .plots import plots
from .tables import as_markdown

__all__ = ["pictures", "write"]


def write(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """``report.json``, ``report.md`` and ``report.html``; their paths."""
    texts = {
        "report.json": report.to_json() + "\n",
        "report.md": as_markdown(report),
        "report.html": as_html(report),
    }
    return _written(Path(folder), texts)


def pictures(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Each picture as an SVG file of its own; their paths."""
    return _written(Path(folder), {f"{n}.svg": svg + "\n" for n, svg in plots(report).items()})


def _written(folder: Path, texts: dict[str, str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8", errors="replace")
    return [folder / name for name in texts]
