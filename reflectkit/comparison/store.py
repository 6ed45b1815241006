"""Where records are kept: a file of JSON lines, one for each answer, or memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ..errors import ConfigurationError
from .records import Part, Phase, Record, Tokens

__all__ = ["Store", "read_records", "record_of"]

#: The first line of a file says what it is.
_FORMAT: Final = {"reflectkit": "comparison", "version": 1}
_NAMES: Final = frozenset(f.name for f in fields(Record))


class Store:
    """Records by problem, arm and repeat, each with the fingerprint of what was asked.

    ``path``: None keeps them in memory. A line is written whole as soon as its answer is there, so
    that a run that is killed loses nothing but what was under way; a last line that was cut off is
    taken away when the file is opened again. One process at a time may have it open.

    Raises ``ConfigurationError`` for a file that is something else, or is in use.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else None
        self._file = -1
        self._records: dict[tuple[str, str, int], tuple[str, Record]] = {}

    def __enter__(self) -> Store:
        if self.path is not None:
            self._open(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def get(self, key: tuple[str, str, int], of: str) -> Record | None:
        """The answer that is there already. Raises ``ConfigurationError`` if it is one to another
        question, or of another arm by that name."""
        found = self._records.get(key)
        if found is None:
            return None
        if found[0] != of:
            raise ConfigurationError(
                f"{self.path or 'The store'} has an answer of arm {key[1]!r} to problem "
                f"{key[0]!r}, and that arm or that problem has changed since.",
                hint="Name another store, or call the changed arm something else.",
            )
        return found[1]

    def add(self, record: Record, of: str) -> None:
        """Keep an answer; it takes the place of an earlier one with its key."""
        self._records[record.key] = (of, record)
        if self._file >= 0:
            line = {"of": of, **_plain(record)}
            _write(self._file, json.dumps(line, ensure_ascii=False, separators=(",", ":")))

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(self._file, path)
            whole = _whole_lines(self._file, path)
            self._records.update(_loaded(whole, path))
            if not whole:
                _write(self._file, json.dumps(_FORMAT))
        except BaseException:
            os.close(self._file)
            self._file = -1
            raise


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """The records of a file that no process has to let go of. Raises ``ConfigurationError``."""
    where = Path(path)
    try:
        text = where.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{where}: {error.strerror}.") from error
    lines = text[: text.rfind(b"\n") + 1].splitlines()
    return [record for _, record in _loaded(lines, where).values()]


def record_of(line: Mapping[str, Any]) -> Record:
    """A record from its JSON. Fields that a newer version added are left out."""
    known = {name: value for name, value in line.items() if name in _NAMES}
    known["parts"] = tuple(Part(**part) for part in known.get("parts", ()))
    known["phases"] = tuple(Phase(**phase) for phase in known.get("phases", ()))
    known["tokens"] = Tokens(**known.get("tokens", {}))
    return Record(**known)


def _plain(record: Record) -> dict[str, Any]:
    """Without what has its default: most records are short."""
    defaults = {f.name: f.default for f in fields(Record)}
    return {k: v for k, v in asdict(record).items() if v != defaults[k] or k in ("problem", "arm")}


def _loaded(lines: Iterable[bytes], path: Path) -> dict[tuple[str, str, int], tuple[str, Record]]:
    found: dict[tuple[str, str, int], tuple[str, Record]] = {}
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
            if number == 1:
                _check(value, path)
                continue
            record = record_of(value)
            found[record.key] = (str(value["of"]), record)
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"{path}, line {number}, is no record of a comparison.",
                hint="Name a file that a comparison has written, or one that is not there yet.",
            ) from error
    return found


def _check(first: Any, path: Path) -> None:
    if not isinstance(first, dict) or first.get("reflectkit") != "comparison":
        raise ValueError("another kind of file")
    if first.get("version") != _FORMAT["version"]:
        raise ConfigurationError(
            f"{path} was written by another version of reflectkit.", hint="Name another store."
        )


def _whole_lines(file: int, path: Path) -> list[bytes]:
    """The lines of the file; one at the end that was cut off is taken away, if the file is ours."""
    size = os.lseek(file, 0, os.SEEK_END)
    os.lseek(file, 0, os.SEEK_SET)
    text = b"".join(iter(lambda: os.read(file, 1 << 20), b""))
    head = json.dumps(_FORMAT)[: len('{"reflectkit"')].encode()
    if not text.startswith(head[: len(text)]):
        raise ConfigurationError(
            f"{path} is no record of a comparison.", hint="Name a file that is not there yet."
        )
    whole = text.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(file, whole)
    return text[:whole].splitlines()


def _write(file: int, line: str) -> None:
    data = memoryview(line.encode("utf-8", "surrogatepass") + b"\n")
    while data:
        data = data[os.write(file, data) :]


def _lock(file: int, path: Path) -> None:
    """Not on systems without advisory locks."""
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"{path} is being written by another comparison.", hint="Name another store."
            ) from error
