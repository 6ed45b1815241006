"""Loading problems: files, tables, any iterable of rows, or the hub where that is asked for."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ...errors import ConfigurationError, MissingCapability
from ..records import Problem, unique
from .formats import FORMATS, Format, Row

__all__ = ["load"]

#: What a table of your own may name, and the field of a problem that it fills.
_OWN: Final = ("id", "prompt", "gold", "grader", "task", "cluster", "choices")


def load(
    source: str | os.PathLike[str] | Iterable[Row] | None = None,
    format: str = "",
    *,
    limit: int | None = None,
    task: str = "",
    grader: str = "",
    fields: Mapping[str, str] | None = None,
    hub: bool = False,
) -> list[Problem]:
    """Problems from a file (JSON lines, JSON, CSV), a pandas frame, or any iterable of mappings,
    a ``datasets.Dataset`` for one.

    ``format``: a known benchmark's (``gsm8k``, ``math``, ``mmlu``, ``ifeval``, ``gpqa``,
    ``humaneval``); without it a table of your own, with columns ``prompt`` and ``gold`` and, if you
    like, ``id``, ``task``, ``cluster``, ``grader`` and ``choices``. ``fields`` says what they are
    called there: ``{"prompt": "question"}``. ``task``: what they are counted under. ``grader``: for
    rows that name none (default: "value"). ``limit``: the first so many.

    ``hub``: fetch the format's data set from the Hugging Face hub (needs ``reflectkit[hub]`` and a
    connection); nothing is ever fetched otherwise.

    Raises ``ConfigurationError`` that names the row for what cannot be read, ``MissingCapability``
    where a package is missing.
    """
    shape = _shape(format)
    if hub:
        source = _from_hub(shape, format)
    if source is None:
        raise ConfigurationError("There is nothing to load.", hint="Pass a file or rows.")
    name = task or (shape.name if shape else _name_of(source))
    rows = islice(_rows(source), limit)
    if shape is not None:
        found = [_known(shape, row, name, where, n) for n, (where, row) in enumerate(rows)]
    else:
        found = [
            _own(row, dict(fields or {}), name, grader, w, n) for n, (w, row) in enumerate(rows)
        ]
    if not found:
        raise ConfigurationError("There are no problems in it.")
    unique(found)
    return found


def _shape(format: str) -> Format | None:
    if format and format not in FORMATS:
        raise ConfigurationError(
            f"There is no format {format!r}.", hint=f"One of {', '.join(FORMATS)}, or none."
        )
    return FORMATS[format] if format else None


def _name_of(source: Any) -> str:
    return Path(source).stem if isinstance(source, str | os.PathLike) else "own"


# --- rows


def _rows(source: Any) -> Iterator[tuple[str, Row]]:
    """Rows, each with where it stands."""
    if isinstance(source, str | os.PathLike):
        yield from _of_file(Path(source))
        return
    if callable(getattr(source, "to_dict", None)) and hasattr(source, "columns"):
        source = source.to_dict("records")  # a pandas frame
    for number, row in enumerate(source, 1):
        if not isinstance(row, Mapping):
            raise ConfigurationError(
                f"Row {number} is a {type(row).__name__}.", hint="Rows are mappings by field."
            )
        yield f"row {number}", row


def _of_file(path: Path) -> Iterator[tuple[str, Row]]:
    readers = {".jsonl": _json_lines, ".json": _json, ".csv": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(
            f"{path} is no .jsonl, .json or .csv file.",
            hint="Read other files yourself, with pandas for one, and pass the rows.",
        )
    try:
        yield from reader(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8.") from error


def _json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{path}, line {number}", _object(line, f"{path}, line {number}")


def _object(text: str, where: str) -> Row:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{where} is no JSON: {error}.") from error
    if not isinstance(row, dict):
        raise ConfigurationError(f"{where} is no JSON object.")
    return row


def _json(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        rows = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is no JSON: {error}.") from error
    rows = (
        next((v for v in rows.values() if isinstance(v, list)), rows)
        if isinstance(rows, dict)
        else rows
    )
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(f"{path} holds no list of objects.")
    yield from ((f"{path}, row {n}", row) for n, row in enumerate(rows, 1))


def _csv(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 1):
            yield f"{path}, row {number}", row


def _from_hub(shape: Format | None, format: str) -> Iterable[Row]:
    if shape is None:
        raise ConfigurationError("hub=True needs a format.", hint=f"One of {', '.join(FORMATS)}.")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise MissingCapability(
            "Loading from the hub needs datasets.",
            capability="hub",
            hint="pip install 'reflectkit[hub]', or pass a local file.",
        ) from error
    repository, configuration, split = shape.hub
    found: Iterable[Row] = load_dataset(repository, configuration, split=split)
    return found


# --- problems


def _known(shape: Format, row: Row, task: str, where: str, number: int) -> Problem:
    missing = [name for name in shape.needs if row.get(name) is None]
    if missing:
        raise ConfigurationError(
            f"{where} has no {missing[0]!r}, as {shape.name} has.",
            hint=f"It needs {', '.join(shape.needs)}; it has {', '.join(map(str, row))}.",
        )
    try:
        made = shape.make(row, where)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{where} cannot be read as {shape.name}: {error}.") from error
    part = str(row.get(shape.part) or "") if shape.part else ""
    own = next((str(row[name]) for name in shape.id_fields if row.get(name) is not None), "")
    data = {**made.pop("data", {}), **({"part": part} if part else {})}
    return Problem(id=f"{task}-{own or number}", task=task, data=data, **made)


def _own(
    row: Row, fields: dict[str, str], task: str, grader: str, where: str, number: int
) -> Problem:
    if unknown := sorted(set(fields) - set(_OWN)):
        raise ConfigurationError(
            f"fields names {unknown[0]!r}, which problems do not have.",
            hint=f"They have {', '.join(_OWN)}.",
        )
    told = {name: row.get(fields.get(name, name)) for name in _OWN}
    if not str(told["prompt"] or "").strip():
        raise ConfigurationError(
            f"{where} has no {fields.get('prompt', 'prompt')!r}.",
            hint=f"It has {', '.join(map(str, row))}; say which: fields={{'prompt': ...}}.",
        )
    choices = told["choices"]
    if isinstance(choices, str):
        choices = [part.strip() for part in choices.split("|")]
    taken = {fields.get(name, name) for name in _OWN}
    return Problem(
        id=str(told["id"]) if told["id"] not in (None, "") else f"{task}-{number}",
        prompt=str(told["prompt"]),
        gold=told["gold"],
        grader=str(told["grader"] or grader or ("choice" if choices else "value")),
        task=str(told["task"] or task),
        cluster=str(told["cluster"] or ""),
        choices=tuple(map(str, choices or ())),
        data={str(k): v for k, v in row.items() if k not in taken},
    )
