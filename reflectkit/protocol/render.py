"""Writing a transcript back as text: the inverse of parsing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError, ProtocolError
from .dialects import DIALECTS
from .parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..events import Kind
    from ..reply import Section, Transcript
    from .dialect import Dialect

__all__ = ["marks", "render"]

_HARMONY: Final = {
    "thinking": ("<|channel|>analysis<|message|>", "<|end|>"),
    "output": ("<|channel|>final<|message|>", "<|return|>"),
}


def render(transcript: Transcript, dialect: Dialect | None = None) -> str:
    """The text of a transcript: ``parse(render(t)) == t`` for every ``t`` that was parsed.

    A transcript that was parsed is rendered as it came, byte for byte. One that was built by hand,
    changed, or read from separate fields is written in its dialect's first spellings; a section
    that says ``closed=False`` gets no closing tag. ``dialect`` is needed for a dialect of your own.

    Raises ``ConfigurationError`` for an unknown dialect, and ``ProtocolError`` when no text can say
    what the transcript says: a section's text holds its own delimiters, or two runs of text touch.
    """
    chosen = dialect or DIALECTS.get(transcript.dialect)
    if chosen is None:
        raise ConfigurationError(
            f"Unknown dialect {transcript.dialect!r}.", hint="Pass it: render(transcript, dialect)."
        )
    if transcript.source and _says(transcript.source, transcript, chosen):
        return transcript.source
    text = "".join(_top(transcript, chosen))
    if not _says(text, transcript, chosen):
        raise ProtocolError(
            f"No text in dialect {chosen.name!r} reads as these sections.",
            hint="Look for delimiters inside a section's text, or sections out of place.",
        )
    return text


def _says(text: str, transcript: Transcript, dialect: Dialect) -> bool:
    """Whether the text is read as the transcript's sections."""
    read = parse(text, dialect, transcript.prefilled)
    return _essence(read) == _essence(transcript)


def _essence(transcript: Transcript) -> list[tuple[str, str, bool, int | None]]:
    return [(s.kind, s.text, s.closed, s.parent) for s in transcript.sections]


def _top(transcript: Transcript, dialect: Dialect) -> Iterator[str]:
    children = _children(transcript.sections)
    for place in children.get(None, []):
        opened = place == 0 and transcript.prefilled
        yield from _section(transcript.sections, place, dialect, children, opened)


def _children(sections: tuple[Section, ...]) -> dict[int | None, list[int]]:
    """The places of the sections that stand directly in each one (``None``: in none)."""
    children: dict[int | None, list[int]] = {}
    for place, section in enumerate(sections):
        if section.parent is not None and not 0 <= section.parent < place:
            raise ProtocolError(f"Section {place} names {section.parent} as its parent.")
        children.setdefault(section.parent, []).append(place)
    return children


def _section(
    sections: tuple[Section, ...],
    place: int,
    dialect: Dialect,
    children: dict[int | None, list[int]],
    opened: bool = False,
) -> Iterator[str]:
    """A section with its children: their texts are found in its own, one after the other."""
    section = sections[place]
    opener, closer = marks(section.kind, dialect)
    yield "" if opened else opener
    at = 0
    for child in children.get(place, []):
        text = sections[child].text
        start = section.text.find(text, at)
        if start < 0:
            raise ProtocolError(f"Section {child} is not part of the text of section {place}.")
        yield section.text[at:start]
        yield from _section(sections, child, dialect, children)
        at = start + len(text)
    yield section.text[at:]
    yield closer if section.closed else ""


def marks(kind: Kind, dialect: Dialect) -> tuple[str, str]:
    """The first spellings of a section's opener and closer; none for text outside."""
    found = dialect.sections.get(kind)
    if found is None:
        return "", ""
    if dialect.match == "channels":
        return _HARMONY[kind]
    if dialect.match == "xml":
        return f"<{found.open[0]}>", f"</{found.close[0]}>"
    return found.open[0], found.close[0]
