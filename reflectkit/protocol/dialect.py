"""A dialect: how a model marks its sections, as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from ..errors import ConfigurationError
from .scanner import MAX_TAG, Lexicon, compile_lexicon

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..events import Kind

__all__ = ["Delimiters", "Dialect", "Match"]

Match = Literal["literal", "xml", "channels"]

_KINDS: Final = ("thinking", "reflection", "output")
_TAG: Final = re.compile(r"</?([^\s<>/]+)>|([^\s<>/]+)")


class Delimiters(NamedTuple):
    """The spellings that open a section and those that close it."""

    open: tuple[str, ...]
    close: tuple[str, ...]


@dataclass(frozen=True)
class Dialect:
    """How a model marks its sections.

    ``sections`` maps ``"thinking"``, ``"reflection"`` and ``"output"`` (one is enough) to
    ``{"open": [...], "close": [...]}``, each with one or more spellings. With ``match="literal"``
    a spelling is found exactly as it is written; with ``match="xml"`` it is a tag
    (``"<thought>"``, ``"</thought>"``) found in any case and with attributes.
    ``required`` names the sections whose absence is an issue.

    Raises ``ConfigurationError`` for a dialect that cannot be told apart from text or from itself.
    """

    name: str
    sections: Mapping[Kind, Delimiters]
    match: Match = "literal"
    required: frozenset[Kind] = field(default=frozenset(), kw_only=True)

    def __init__(
        self,
        name: str,
        sections: Mapping[str, Any],
        match: Match = "literal",
        *,
        required: Iterable[str] = (),
    ) -> None:
        _check_name(name, match)
        read = {
            kind: _delimiters(name, kind, sections[kind], match) for kind in _kinds(name, sections)
        }
        missing = [kind for kind in required if kind not in read]
        if missing:
            raise _wrong(name, f"requires {missing[0]!r}, which it does not mark")
        _check_distinct(name, read)
        set_field = object.__setattr__
        set_field(self, "name", name)
        set_field(self, "sections", MappingProxyType(read))
        set_field(self, "match", match)
        set_field(self, "required", frozenset(required))

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.sections.items()), self.match, self.required))

    @property
    def outside(self) -> Kind:
        """The kind of text outside all sections: the answer itself if no section is for answers."""
        return "outside" if "output" in self.sections else "output"

    @cached_property
    def lexicon(self) -> Lexicon:
        """The compiled patterns, made when first needed."""
        return compile_lexicon(self.sections, self.match)


def _wrong(name: object, what: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError(f"Dialect {name!r} {what}.", hint=hint)


def _check_name(name: object, match: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigurationError("A dialect needs a name.", hint="Give a non-empty string.")
    if match not in get_args(Match):
        raise _wrong(name, f"has match={match!r}", 'Use "literal" or "xml".')


def _kinds(name: str, sections: object) -> list[Kind]:
    if not isinstance(sections, Mapping) or not sections:
        raise _wrong(name, "marks no section", 'Give {"thinking": {"open": […], "close": […]}}.')
    unknown = [kind for kind in sections if kind not in _KINDS]
    if unknown:
        raise _wrong(name, f"has the section {unknown[0]!r}", f"Known: {', '.join(_KINDS)}.")
    return list(sections)


def _delimiters(name: str, kind: str, given: object, match: Match) -> Delimiters:
    if isinstance(given, Delimiters):
        given = given._asdict()
    if not isinstance(given, Mapping) or set(given) != {"open", "close"}:
        raise _wrong(name, f"needs 'open' and 'close' for {kind}")
    sides = {side: _spellings(name, f"{kind}.{side}", given[side], match) for side in given}
    return Delimiters(sides["open"], sides["close"])


def _spellings(name: str, where: str, given: object, match: Match) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, (list, tuple)) or not listed:
        raise _wrong(name, f"has no spelling for {where}", "Give a list of strings.")
    return tuple(dict.fromkeys(_spelling(name, where, one, match) for one in listed))


def _spelling(name: str, where: str, one: object, match: Match) -> str:
    if not isinstance(one, str) or not one.strip():
        raise _wrong(name, f"has a blank spelling for {where}")
    if match == "xml":
        return _tag_name(name, where, one)
    if len(one) > MAX_TAG:
        raise _wrong(
            name, f"has a spelling of {len(one)} characters for {where}", f"At most {MAX_TAG}."
        )
    return one


def _tag_name(name: str, where: str, one: str) -> str:
    found = _TAG.fullmatch(one.strip())
    if found is None or len(one) > MAX_TAG // 2:
        raise _wrong(
            name, f"has {one!r} for {where}, which is no tag", 'Write "<name>" or "</name>".'
        )
    return (found[1] or found[2]).lower()


def _check_distinct(name: str, sections: Mapping[Kind, Delimiters]) -> None:
    seen: dict[str, str] = {}
    for kind, delimiters in sections.items():
        for one in delimiters.open:
            if one in seen:
                raise _wrong(name, f"opens both {seen[one]} and {kind} with {one!r}")
            seen[one] = kind
