"""Record what a backend answers, and play it back: tests against real answers, without a server.

A tape is a JSONL file with one answer a line: the request, its chunks, and the error if it ended in
one. Keys, headers and addresses are no part of a request, so they are not on the tape.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from .. import errors
from ..backends.base import Backend, Capabilities, capabilities_of
from ..errors import BackendError, ConfigurationError, ReflectKitError
from ..messages import Chunk, Request, ToolCall, Usage

__all__ = ["Recorder", "ReplayBackend"]

_ERROR_FACTS: Final = ("message", "hint", "status", "retryable", "retry_after", "capability")


class Recorder:
    """Passes a backend's answers on and appends each to ``tape`` when it ends.

    An answer that its reader closed early is recorded as far as it came, and marked ``cut``; it is
    not played back.
    """

    def __init__(self, backend: Backend, tape: str | Path) -> None:
        self._backend = backend
        self._tape = Path(tape)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend."""
        return capabilities_of(self._backend)

    @property
    def model(self) -> str:
        """The backend's model."""
        return str(getattr(self._backend, "model", ""))

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the backend's chunks, then write them down."""
        chunks: list[Chunk] = []
        ending: dict[str, Any] = {"cut": True}
        answer = self._backend.stream(request)
        try:
            async for chunk in answer:
                chunks.append(chunk)
                yield chunk
            ending = {}
        except ReflectKitError as error:
            ending = {"error": _error_to_json(error)}
            raise
        finally:
            await _close(answer)
            self._write({"request": _plain(request), "chunks": _plain(chunks), **ending})

    async def aclose(self) -> None:
        """Close the backend."""
        await _close(self._backend)

    def _write(self, entry: Mapping[str, Any]) -> None:
        try:
            line = json.dumps(entry, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The request cannot be recorded as JSON: {error}.") from None
        with self._tape.open("a", encoding="utf-8") as tape:
            tape.write(line + "\n")


class ReplayBackend:
    """Answers from a tape. The same request asked again gets its next recording, then the last.

    A request that is not on the tape raises ``ConfigurationError``, which says in which fields the
    nearest recorded one differs. A tape that cannot be read does so at construction.
    """

    def __init__(
        self,
        tape: str | Path,
        *,
        model: str = "replay",
        capabilities: Capabilities | None = None,
    ) -> None:
        self._tape = Path(tape)
        self._entries: dict[str, list[dict[str, Any]]] = {}
        self._played: dict[str, int] = {}
        self.model = model
        self.capabilities = capabilities or Capabilities()
        for entry in _load(self._tape):
            self._entries.setdefault(_key(entry["request"]), []).append(entry)

    def __repr__(self) -> str:
        return f"ReplayBackend({str(self._tape)!r}, {len(self._entries)} requests)"

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the recorded chunks, then raise the recorded error if there is one."""
        entry = self._find(_jsonable(request))
        for chunk in entry["chunks"]:
            yield _chunk_from_json(chunk)
        if fault := entry.get("error"):
            raise _error_from_json(fault)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _find(self, request: dict[str, Any]) -> dict[str, Any]:
        key = _key(request)
        takes = self._entries.get(key)
        if not takes:
            raise ConfigurationError(
                f"This request is not on the tape {self._tape}{self._difference(request)}.",
                hint="Record it with Recorder, or ask what was recorded.",
            )
        number = self._played.get(key, 0)
        self._played[key] = number + 1
        return takes[min(number, len(takes) - 1)]

    def _difference(self, request: dict[str, Any]) -> str:
        recorded = [takes[0]["request"] for takes in self._entries.values()]
        if not recorded:
            return ", which is empty"
        nearest = min((_differing(request, other) for other in recorded), key=len)
        return f"; the nearest one differs in {', '.join(nearest)}"


def _load(tape: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    try:
        lines = tape.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The tape {tape} cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        entry = _entry(line) if line.strip() else None
        if line.strip() and entry is None:
            raise ConfigurationError(
                f"Line {number} of the tape {tape} is no recorded answer.",
                hint="Take the line out, or record again.",
            )
        if entry is not None and not entry.get("cut"):
            entries.append(entry)
    return entries


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        for chunk in entry["chunks"]:
            _chunk_from_json(chunk)
        return entry if isinstance(entry["request"], dict) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))


def _key(request: Mapping[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


def _jsonable(request: Request) -> dict[str, Any]:
    """The request as it would be on a tape."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(_plain(request)))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The request is no JSON: {error}.") from None
    return plain


def _plain(value: Any) -> Any:
    """Dataclasses as dicts without what is empty; tuples as lists; the rest as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {k: _plain(v) for k, v in pairs if v not in ("", None, (), {})}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _chunk_from_json(data: Mapping[str, Any]) -> Chunk:
    made = dict(data)
    if "usage" in made:
        made["usage"] = Usage(**made["usage"])
    if "tool_calls" in made:
        made["tool_calls"] = tuple(ToolCall(**call) for call in made["tool_calls"])
    if "logprobs" in made:
        made["logprobs"] = tuple(made["logprobs"])
    return Chunk(**made)


def _error_to_json(error: ReflectKitError) -> dict[str, Any]:
    facts = {name: getattr(error, name, None) for name in _ERROR_FACTS}
    return {"type": type(error).__name__, **{k: v for k, v in facts.items() if v is not None}}


def _error_from_json(data: Mapping[str, Any]) -> ReflectKitError:
    made = dict(data)
    kind = getattr(errors, str(made.pop("type")), BackendError)
    message = made.pop("message", "")
    known = kind if issubclass(kind, ReflectKitError) else BackendError
    try:
        error = known(message, **made)
    except TypeError:
        error = BackendError(message)
    assert isinstance(error, ReflectKitError)
    return error


async def _close(thing: object) -> None:
    if close := getattr(thing, "aclose", None):
        await close()
