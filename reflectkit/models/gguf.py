"""Reads the header of a GGUF file, and says what is wrong with a file that is none.

Pure but for opening the file: nothing here loads a model. It exists because llama.cpp answers
every bad file with the same sentence, or reads past a wrong count. Layout: magic, version, two
counts, key-value pairs, tensor descriptions, padding, tensor data (the GGUF specification, v3).
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError

__all__ = ["Header", "read_header"]

_MAGIC: Final = b"GGUF"
_OLDEST: Final = 2
_SCALARS: Final[Mapping[int, struct.Struct]] = {
    code: struct.Struct("<" + kind)
    for code, kind in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
}
_STRING, _ARRAY = 8, 9
#: elements in a block -> tensor type -> bytes of a block; other types are not checked for size
_TYPES: Final[Mapping[int, Mapping[int, int]]] = {
    1: {0: 4, 1: 2, 24: 1, 25: 2, 26: 4, 27: 8, 28: 8, 30: 2},
    32: {2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 20: 18, 39: 17},
    64: {40: 36},
    256: {10: 84, 11: 110, 12: 144, 13: 176, 14: 210, 15: 292, 16: 66, 17: 74, 18: 98, 19: 50}
    | {21: 110, 22: 82, 23: 136, 29: 56, 34: 54, 35: 66},
}
_BLOCKS: Final = {
    kind: (block, size) for block, types in _TYPES.items() for kind, size in types.items()
}
_PART: Final = re.compile(r"-(\d{5})-of-(\d{5})\.gguf\Z")
_AGAIN: Final = "Download or copy it again."


@dataclass(frozen=True, slots=True)
class _Array:
    """An array that was stepped over: where its elements begin."""

    kind: int
    count: int
    at: int


class _Cursor:
    """Little-endian values from a buffer, in order. Every step is checked against its end."""

    def __init__(self, data: mmap.mmap, at: int = 0) -> None:
        self.data = data
        self.at = at

    def scalar(self, kind: int) -> Any:
        code = _SCALARS.get(kind)
        if code is None:
            raise ValueError(f"unknown value type {kind}")
        (value,) = code.unpack_from(self.data, self.at)
        self.at += code.size
        return value

    def string(self) -> bytes:
        start = self.at + 8
        self.skip_string()
        return self.data[start : self.at]

    def skip_string(self) -> None:
        size: int = self.scalar(10)
        self.skip(size)

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise EOFError

    def value(self) -> Any:
        kind = self.scalar(4)
        if kind == _ARRAY:
            return self._array()
        return self.string().decode("utf-8", "replace") if kind == _STRING else self.scalar(kind)

    def _array(self) -> _Array:
        array = _Array(self.scalar(4), self.scalar(10), self.at)
        if array.kind == _STRING:
            self._skip_strings(array.count)
        elif array.kind in _SCALARS:
            self.skip(_SCALARS[array.kind].size * array.count)
        else:
            raise ValueError(f"an array of type {array.kind}")
        return array

    def _skip_strings(self, count: int) -> None:
        data, at, size = self.data, self.at, _SCALARS[10].unpack_from
        for _ in range(count):  # hundreds of thousands in a large vocabulary
            at += 8 + size(data, at)[0]
        self.at = at
        self.skip(0)


class Header:
    """What a GGUF file says about itself. ``get`` gives scalars and strings, ``array`` lists."""

    def __init__(self, path: Path, version: int, values: Mapping[str, Any]) -> None:
        self.path = path
        self.version = version
        self._values = values

    def get(self, key: str, default: Any = None) -> Any:
        """A scalar or a string."""
        value = self._values.get(key, default)
        return default if isinstance(value, _Array) else value

    def array(self, key: str) -> list[Any]:
        """The elements of an array (strings as text); empty when there is none."""
        value = self._values.get(key)
        if not isinstance(value, _Array):
            return []
        with self.path.open("rb") as file, _mapped(file) as data:
            return list(_elements(_Cursor(data, value.at), value))

    def number(self, key: str) -> int:
        """A whole number; 0 when there is none."""
        value = self.get(key)
        return value if isinstance(value, int) else 0

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture."""
        return str(self.get("general.architecture", ""))

    @property
    def context(self) -> int:
        """The context length in tokens that the model was trained for; 0 when it does not say."""
        return self.number(f"{self.architecture}.context_length")

    @property
    def chat_template(self) -> str:
        """The chat template in Jinja; "" when there is none."""
        return str(self.get("tokenizer.chat_template", ""))


def _elements(cursor: _Cursor, array: _Array) -> Iterator[Any]:
    for _ in range(array.count):
        if array.kind == _STRING:
            yield cursor.string().decode("utf-8", "replace")
        else:
            yield cursor.scalar(array.kind)


def _mapped(file: Any) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_header(path: Path) -> Header:
    """Read and check the header of ``path``.

    Raises ``ConfigurationError`` when there is no such file, it is no GGUF, its version or byte
    order is one that llama.cpp does not read, it is cut short, or it is a later part of a model in
    several files or one whose other parts are missing.
    """
    _check_place(path)
    try:
        with path.open("rb") as file:
            _check_start(path, file.read(8))
            with _mapped(file) as data:
                header = _parse(path, data)
    except OSError as error:
        raise _no(path, f"cannot be read: {error.strerror}", "Check its permissions.") from error
    except (EOFError, OverflowError, struct.error) as error:
        raise _no(path, "is cut short", _AGAIN) from error
    except ValueError as error:
        raise _no(path, f"is damaged: it holds {error}", _AGAIN) from error
    _check_parts(path, header)
    return header


def _parse(path: Path, data: mmap.mmap) -> Header:
    cursor = _Cursor(data, 4)
    version, tensors, pairs = cursor.scalar(4), cursor.scalar(10), cursor.scalar(10)
    values = {}
    for _ in range(pairs):
        key = cursor.string().decode("utf-8", "replace")
        values[key] = cursor.value()
    ends = [_tensor_end(cursor) for _ in range(tensors)]
    align = values.get("general.alignment", 32)
    if not isinstance(align, int) or align < 1:
        raise ValueError(f"an alignment of {align}")
    start = -(-cursor.at // align) * align
    if start + max(ends, default=0) > len(data):
        raise EOFError
    return Header(path, version, values)


def _tensor_end(cursor: _Cursor) -> int:
    cursor.skip_string()
    dimensions = cursor.scalar(4)
    if dimensions > 8:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    elements = 1
    for _ in range(dimensions):
        elements *= cursor.scalar(10)
    block, size = _BLOCKS.get(cursor.scalar(4), (1, 0))
    return int(cursor.scalar(10)) + elements // block * size


def _check_place(path: Path) -> None:
    if path.is_dir():
        found = sorted(p.name for p in path.glob("*.gguf"))
        inside = f"It holds {', '.join(found[:5])}." if found else "It holds no .gguf file."
        raise _no(path, "is a directory", f"Name the .gguf file itself. {inside}")
    if not path.exists():
        raise _no(path, "does not exist", "Check the path.")
    if not path.is_file():
        raise _no(path, "is not a regular file", "Name a .gguf file.")


def _check_start(path: Path, start: bytes) -> None:
    if not start.startswith(_MAGIC):
        raise _no(path, "is no GGUF file", f"{_kind_of(start)}Convert it for llama.cpp first.")
    if len(start) < 8:
        raise EOFError
    little, big = (int.from_bytes(start[4:8], order) for order in ("little", "big"))
    if little > 0xFFFF >= big:
        raise _no(path, "is a big-endian GGUF", "Take the little-endian build of the model.")
    if not _OLDEST <= little <= 3:
        way = "Convert the model again." if little < _OLDEST else "Update reflectkit[local]."
        raise _no(path, f"is GGUF version {little}; versions 2 and 3 can be read", way)


def _kind_of(start: bytes) -> str:
    if start[:4] in (b"ggml", b"lmgg", b"tjgg", b"ggjt", b"fmgg"):
        return "It is in an older format of llama.cpp. "
    if start.startswith(b"PK"):
        return "It is a zip archive, such as a PyTorch checkpoint. "
    if start.startswith(b"version "):
        return "It is a Git LFS pointer: the file itself was not downloaded. "
    if start[:1] in (b"<", b"{"):
        return "It begins like a web page or JSON. "
    return "" if start else "It is empty. "


def _check_parts(path: Path, header: Header) -> None:
    count, number = header.number("split.count"), header.number("split.no")
    if count < 2:
        return
    name = _PART.search(path.name)
    stem = path.name[: name.start()] if name else path.stem
    parts = [path.with_name(f"{stem}-{i:05d}-of-{count:05d}.gguf") for i in range(1, count + 1)]
    if number:
        raise _no(path, f"is part {number + 1} of {count}", f"Name the first one, {parts[0].name}.")
    missing = [p.name for p in parts if not p.exists() and p != path]
    if missing:
        raise _no(path, f"lacks {len(missing)} of its {count} parts", f"Add {missing[0]}.")


def _no(path: Path, why: str, way: str) -> ConfigurationError:
    return ConfigurationError(f"The model file {path} {why}.", hint=way)
