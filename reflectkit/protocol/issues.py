"""The issues that can be read off the finished sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reply import Issue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..events import Kind
    from ..reply import IssueKind, Section
    from .dialect import Dialect

__all__ = ["derive_issues", "in_order"]

_UNCLOSED: dict[Kind, IssueKind] = {
    "thinking": "unclosed_thinking",
    "reflection": "unclosed_reflection",
    "output": "unclosed_output",
}


def derive_issues(
    sections: Sequence[Section], length: int, dialect: Dialect, *, fields: bool = False
) -> list[Issue]:
    """What departs from the grammar in these sections of a text of ``length`` characters.

    With ``fields`` the server separated the reasoning: then its order and number are its own.
    """
    found = [*_unclosed(sections), *_missing(sections, length, dialect)]
    if not fields:
        found += [*_misplaced(sections), *_repeated(sections, dialect), *_stray_text(sections)]
    return found


def in_order(issues: list[Issue]) -> tuple[Issue, ...]:
    """The issues by position."""
    return tuple(sorted(issues, key=lambda issue: issue.position))


def _unclosed(sections: Sequence[Section]) -> Iterator[Issue]:
    for section in sections:
        if not section.closed:
            yield Issue(_UNCLOSED[section.kind], section.end, "no closing tag of its own")


def _missing(sections: Sequence[Section], length: int, dialect: Dialect) -> Iterator[Issue]:
    kinds = {section.kind for section in sections}
    if "thinking" in dialect.required and "thinking" not in kinds:
        yield Issue("missing_thinking", 0, "no thinking section")
    if "output" in dialect.required:
        if "output" not in kinds:
            yield Issue("missing_output", length, "no output section")
    elif not _visible(sections):
        yield Issue("missing_output", length, "no visible text")


def _visible(sections: Sequence[Section]) -> bool:
    """Whether the output view is not empty."""
    outputs = [s for s in sections if s.kind == "output"]
    shown = outputs or [s for s in sections if s.kind == "outside"]
    return any(s.text.strip() for s in shown)


def _misplaced(sections: Sequence[Section]) -> Iterator[Issue]:
    for section in sections:
        if section.kind == "reflection" and section.parent is None:
            yield Issue("misplaced_reflection", section.start, "outside thinking")


def _repeated(sections: Sequence[Section], dialect: Dialect) -> Iterator[Issue]:
    thinking = [s for s in sections if s.kind == "thinking"]
    outputs = [s for s in sections if s.kind == "output" and dialect.outside != "output"]
    if len(thinking) > 1:
        yield Issue("multiple_thinking", thinking[1].start, f"{len(thinking)} thinking sections")
    if len(outputs) > 1:
        yield Issue("multiple_outputs", outputs[1].start, f"{len(outputs)} output sections")
    for section in thinking:
        if outputs and section.start > outputs[0].start:
            yield Issue("out_of_order", section.start, "thinking after output")


def _stray_text(sections: Sequence[Section]) -> Iterator[Issue]:
    if not any(s.kind == "output" for s in sections):
        return
    runs = [s for s in sections if s.kind == "outside" and s.text.strip()]
    if runs:
        yield Issue("text_outside", runs[0].start, f"{len(runs)} runs of text outside")
