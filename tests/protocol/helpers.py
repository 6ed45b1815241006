"""What the protocol's tests share: feeding in pieces, and reading events back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflectkit.events import Corrected, Markup, SectionDelta, SectionEnded, SectionStarted
from reflectkit.protocol import Dialect, Parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflectkit.events import ProtocolEvent
    from reflectkit.reply import Transcript


def read(
    pieces: Iterable[str], dialect: str | Dialect, prefilled: bool = False
) -> tuple[list[ProtocolEvent], Transcript]:
    """All events, and the transcript; checks on the way that little is held back."""
    parser = Parser(dialect, prefilled)
    events: list[ProtocolEvent] = []
    fed = told = 0
    for piece in pieces:
        new = parser.feed(piece)
        fed += len(piece)
        told += sum(len(event.source) for event in new)
        assert fed - told <= 256
        events += new
    events += parser.finish()
    return events, parser.transcript


def merged(events: Iterable[ProtocolEvent]) -> list[ProtocolEvent]:
    """The events with neighbouring text joined: where pieces were cut no longer shows."""
    out: list[ProtocolEvent] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, SectionDelta) and isinstance(last, SectionDelta):
            out[-1] = SectionDelta(last.index, last.kind, last.text + event.text)
        elif isinstance(event, Markup) and isinstance(last, Markup):
            out[-1] = Markup(last.source + event.source)
        else:
            out.append(event)
    return out


def brief(events: Iterable[ProtocolEvent]) -> list[str]:
    """Events as short strings, as the corpus writes them."""
    return [_brief(event) for event in merged(events)]


def _brief(event: ProtocolEvent) -> str:
    match event:
        case SectionStarted():
            return f"+{event.kind} {event.source}".rstrip(" ")
        case SectionEnded():
            return f"-{event.kind} {event.source}".rstrip(" ")
        case Markup():
            return f"markup {event.source}"
        case Corrected():
            return f"{event.was} is {event.now} {event.start}-{event.end}"
        case SectionDelta():
            return event.text


def labels_told(events: Iterable[ProtocolEvent]) -> list[str]:
    """What every character is by the events alone, corrections applied; checks their order."""
    labels: list[str] = []
    open_sections: list[tuple[int, str]] = []
    for event in events:
        kind = "markup"
        match event:
            case Corrected():
                assert set(labels[event.start : event.end]) == {event.was}
                labels[event.start : event.end] = [event.now] * (event.end - event.start)
            case SectionStarted():
                open_sections.append((event.index, event.kind))
            case SectionEnded():
                assert open_sections.pop()[0] == event.index
            case SectionDelta():
                assert open_sections[-1] == (event.index, event.kind)
                kind = event.kind
        labels += [kind] * len(event.source)
    assert not open_sections
    return labels


def agrees(labels: Sequence[str], transcript: Transcript, outside: str) -> bool:
    """Whether labels of characters say the same as the transcript's sections."""
    kinds = [outside] * len(transcript.source)
    for section in transcript.sections:
        span = range(section.start, section.end)
        kinds[section.start : section.end] = [section.kind] * len(span)
        if section.text != "".join(transcript.source[i] for i in span if labels[i] != "markup"):
            return False
    told = zip(labels, kinds, strict=True)
    return all(label in ("markup", kind) for label, kind in told)


def dialect_of(given: str | dict[str, Any]) -> str | Dialect:
    return given if isinstance(given, str) else Dialect(**given)
