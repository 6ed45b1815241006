"""Structured output: the JSON in an answer, mended where safe, validated, its errors located."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

from ..errors import ConfigurationError
from ..reply import Draft, Verdict
from ..values.find import Found, candidates, located
from ._adapter import adapter_of
from ._views import Part, View, checked_part, view

__all__ = ["Problem", "Schema"]

MOST_PROBLEMS: Final = 10
_SHOWN: Final = 60
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One place where a value does not fit: its path in the JSON, and what is wrong there."""

    path: Path
    message: str
    found: str = ""


class Schema:
    """The answer holds JSON that fits ``type_``; the verdict's value is the object.

    ``type_``: a pydantic model, anything that a ``TypeAdapter`` takes, or a JSON schema as a
    dictionary (needs the ``jsonschema`` package: ``pip install reflectkit[jsonschema]``; references
    to other documents are not followed). ``section``: where to look.

    The JSON may stand alone, in a fence, or between words. Damage that leaves one meaning is
    mended: single quotes, keys without quotes, comments, a comma too many, Python's words, line
    breaks in strings. JSON that is cut off is never completed. Where several values fit, the last
    counts. Feedback names each error's path, line and column, at most ten of them.

    Raises ``ConfigurationError`` for what is no type and no schema.
    """

    inline: ClassVar = True

    def __init__(self, type_: Any, *, section: Part = "output", name: str = "schema") -> None:
        self.name = name
        self._section = checked_part(section)
        self._check = _Json(type_) if isinstance(type_, Mapping) else _Typed(type_)
        self._label = getattr(type_, "__name__", "") or "the schema"

    def __repr__(self) -> str:
        return f"Schema({self._label})"

    def __call__(self, draft: Draft, /) -> Verdict:
        shown = view(draft.transcript, self._section)
        readings = candidates(shown.text)
        rejected: list[tuple[Found, list[Problem]]] = []
        for reading in readings:
            if reading.fault is not None:
                continue
            value, problems = self._check(reading.value)
            if not problems:
                return self._passed(value, reading, shown)
            rejected.append((reading, problems))
        if rejected:
            # What was meant is what comes nearest, and of equals the likeliest.
            reading, problems = min(rejected, key=lambda r: len(r[1]))
            return self._misfit(reading, problems, shown)
        plain, problems = self._check(shown.text)
        if shown.text and not problems:
            start, end = shown.span(0, len(shown.text))
            return Verdict(ok=True, by="schema", name=self.name, start=start, end=end, value=plain)
        return self._unread(readings, shown)

    def _passed(self, value: Any, found: Found, shown: View) -> Verdict:
        start, end = shown.span(found.start, found.end)
        mended = sorted({repair.what for repair in found.repairs})
        said = f"The JSON was mended: {', '.join(mended[:5])}." if mended else ""
        return Verdict(
            ok=True, feedback=said, by="schema", name=self.name, start=start, end=end, value=value
        )

    def _misfit(self, found: Found, problems: list[Problem], shown: View) -> Verdict:
        spans = located(shown.text, found)
        places = [_nearest(spans, p.path, (found.start, found.end)) for p in problems]
        lines = [
            f"- {_spelt(p.path)} ({_position(shown.text, at)}): {p.message}"
            + (f"; found {p.found}" if p.found else "")
            for p, (at, _) in zip(problems[:MOST_PROBLEMS], places, strict=False)
        ]
        more = len(problems) - MOST_PROBLEMS
        if more > 0:
            lines.append(f"- and {more} more")
        start, end = shown.span(*places[0])
        head = f"The JSON does not fit {self._label}:"
        return self._failed("\n".join([head, *lines]), start, end)

    def _unread(self, readings: list[Found], shown: View) -> Verdict:
        if not readings or readings[0].fault is None:
            return self._failed(
                f"There is no JSON in the {self._section}. Give JSON that fits {self._label}.",
                *shown.span(0, len(shown.text)),
            )
        fault = readings[0].fault
        cut = "It is cut off. " if fault.found == "the end of the text" else ""
        at = min(fault.at, max(0, len(shown.text) - 1))
        said = f"The text is not valid JSON at {_position(shown.text, fault.at)}: {fault}. {cut}"
        return self._failed(said.strip(), *shown.span(at, at + 1))

    def _failed(self, feedback: str, start: int | None, end: int | None) -> Verdict:
        return Verdict(
            ok=False, feedback=feedback, by="schema", name=self.name, start=start, end=end
        )


class _Typed:
    """Validation by pydantic."""

    def __init__(self, type_: Any) -> None:
        self._adapter = adapter_of(type_)

    def __call__(self, value: Any) -> tuple[Any, list[Problem]]:
        from pydantic import ValidationError

        # From text: in JSON, unlike in Python, a date is a string in strict types too.
        try:
            return self._adapter.validate_json(json.dumps(value)), []
        except ValidationError as error:
            return None, list(_problems(error, value))
        except Exception as error:  # noqa: BLE001  # validators are the user's own
            return None, [_broken(error)]


def _broken(error: Exception) -> Problem:
    return Problem(
        path=(), message=f"the check failed with {type(error).__name__}: {str(error)[:200]}"
    )


def _problems(error: Any, value: Any) -> Iterable[Problem]:
    """One for each place; what several members of a union say of it is joined."""
    said: dict[Path, list[str]] = {}
    shown: dict[Path, str] = {}
    for each in error.errors(include_url=False, include_context=False):
        missing = each["type"] == "missing"
        loc = each["loc"][:-1] if missing else each["loc"]
        path = _path(loc, value)
        message = f"the key {each['loc'][-1]!r} is missing" if missing else _plain(each["msg"])
        if message not in said.setdefault(path, []):
            said[path].append(message)
        if not missing:
            shown.setdefault(path, _short(each["input"]))
    for path, messages in said.items():
        yield Problem(path=path, message="; or ".join(messages[:5]), found=shown.get(path, ""))


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _path(loc: Iterable[str | int], value: Any) -> Path:
    """The steps of pydantic's location that are in the value: others name types."""
    path: list[str | int] = []
    for step in loc:
        inside = isinstance(value, dict) and step in value
        inside = inside or (isinstance(value, list) and isinstance(step, int) and step < len(value))
        if inside:
            path.append(step)
            value = value[step]
    return tuple(path)


class _Json:
    """Validation by a JSON schema. A translation into types would silently drop what it does not
    know, so this is left to the ``jsonschema`` package."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            jsonschema, referencing = import_module("jsonschema"), import_module("referencing")
        except ImportError as error:
            raise ConfigurationError(
                "A JSON schema needs the jsonschema package.",
                hint="Install reflectkit[jsonschema], or pass a pydantic model.",
            ) from error
        kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise ConfigurationError(f"This is no JSON schema: {error.message}.") from error
        self._validator = kind(schema, registry=referencing.Registry())

    def __call__(self, value: Any) -> tuple[Any, list[Problem]]:
        try:
            errors = sorted(
                self._validator.iter_errors(value), key=lambda e: list(map(str, e.path))
            )
        except Exception as error:  # noqa: BLE001  # a reference that leads nowhere, a bad pattern
            return None, [_broken(error)]
        problems = [
            Problem(
                path=tuple(e.absolute_path), message=_limited(e.message), found=_short(e.instance)
            )
            for e in errors
        ]
        return value, problems


def _limited(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _short(value: Any) -> str:
    """The value as JSON, short enough for a line."""
    if isinstance(value, (dict, list)) and value:
        return (
            f"an object of {len(value)}" if isinstance(value, dict) else f"a list of {len(value)}"
        )
    try:
        return _limited(json.dumps(value, ensure_ascii=False), _SHOWN)
    except (TypeError, ValueError):
        return _limited(repr(value), _SHOWN)


def _spelt(path: Path) -> str:
    """``$.items[2].price``"""
    steps = [
        f"[{s}]" if isinstance(s, int) else f".{s}" if s.isidentifier() else f"[{json.dumps(s)}]"
        for s in path
    ]
    return "$" + "".join(steps)


def _position(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return f"line {line}, column {column}"


def _nearest(
    spans: Mapping[Path, tuple[int, int]], path: Path, whole: tuple[int, int]
) -> tuple[int, int]:
    """The place of the value, or of the innermost one around it that has a place."""
    for length in range(len(path), 0, -1):
        if (found := spans.get(path[:length])) is not None:
            return found
    return whole
