"""An examination in plain words."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .examine import Examination
    from .findings import Finding, Severity

__all__ = ["report"]

_HEADS: Final[dict[Severity, str]] = {
    "broken": "BROKEN",
    "degraded": "DEGRADED",
    "note": "note",
}


def report(examination: Examination, width: int = 88) -> str:
    """The report, as text of ``width`` columns."""
    head = (
        f"{examination.url}\n"
        f"model {examination.model}, as {examination.profile}; server {examination.kind}; "
        f"{examination.requests} requests\n"
    )
    parts = [_entry(f, width) for f in examination.findings]
    verdict = "Nothing is wrong." if examination.sound else _count(examination)
    parts += [verdict]
    if examination.undecided:
        lines = [
            textwrap.fill(f"- {w}", width, subsequent_indent="  ") for w in examination.undecided
        ]
        parts.append("Not told from here:\n" + "\n".join(lines))
    return "\n\n".join([head.rstrip(), *parts])


def _entry(finding: Finding, width: int) -> str:
    lines = [
        f"{_HEADS[finding.severity]}  {finding.id}",
        _indented(finding.meaning, width),
        _indented(f"Seen: {finding.evidence}", width),
        _indented(f"Mend: {finding.remedy}", width),
    ]
    return "\n".join(lines)


def _indented(text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ")


def _count(examination: Examination) -> str:
    counts = [f"{len(found)} {s}" for s in _HEADS if s != "note" and (found := examination.of(s))]
    return f"Found: {', '.join(counts)}."
