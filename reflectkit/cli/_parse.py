"""``reflectkit parse``: a finished answer, taken apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ._printer import Printer, wants_colour
from ._stdin import read_file, read_stdin
from ._values import event_value, place, transcript_value, write

if TYPE_CHECKING:
    from argparse import Namespace

    from ..events import ProtocolEvent
    from ..reply import Section, Transcript

__all__ = ["parse"]


def parse(options: Namespace) -> int:
    """Show sections and issues; 1 when ``--strict`` and there are issues."""
    text = read_stdin() if options.file == "-" else read_file(Path(options.file))
    events, transcript = _read(text, options)
    if options.events:
        for event in events:
            write(event_value(event), sys.stdout)
    if options.json:
        write(transcript_value(transcript), sys.stdout)
    elif not options.events:
        _show(events, transcript)
    return int(options.strict and not transcript.well_formed)


def _read(text: str, options: Namespace) -> tuple[list[ProtocolEvent], Transcript]:
    from .. import protocol

    parser = protocol.Parser(options.dialect, prefilled=options.prefilled)
    events = [*parser.feed(text), *parser.finish()]
    if options.recover:
        found = protocol.recover(text)
        if any(issue.kind == "recovered" for issue in found.issues):
            return [], found
    return events, parser.transcript


def _show(events: list[ProtocolEvent], transcript: Transcript) -> None:
    printer = Printer(sys.stdout, colour=wants_colour(sys.stdout))
    for event in events:
        printer.show(event)
    if not events:
        _show_sections(printer, transcript)
    printer.end()
    _show_issues(transcript)


def _show_issues(transcript: Transcript) -> None:
    if transcript.issues:
        print("\n[issues]" if transcript.source.strip() else "[issues]")
    for issue in transcript.issues:
        line, column = place(transcript.source, issue.position)
        print(f"{line}:{column} {issue.kind}{f': {issue.detail}' if issue.detail else ''}")


def _show_sections(printer: Printer, transcript: Transcript) -> None:
    """Recovered sections have no markup, so a parent's text is what its children leave."""
    for number, section in enumerate(transcript.sections):
        if section.parent is None:
            _show_section(printer, transcript, number, section)


def _show_section(printer: Printer, transcript: Transcript, number: int, section: Section) -> None:
    at = section.start
    for index, child in enumerate(transcript.sections):
        if child.parent == number:
            printer.text(section.kind, transcript.source[at : child.start])
            _show_section(printer, transcript, index, child)
            at = child.end
    printer.text(section.kind, transcript.source[at : section.end])
