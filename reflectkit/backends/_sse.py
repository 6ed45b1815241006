"""Server-sent events and lines of JSON: bytes in any pieces in, the data of whole events out. Pure.

After the HTML standard's event-stream grammar: lines end in LF, CR or CRLF; a line that begins with
a colon is a comment; the data lines of an event are joined by LF; an empty line ends the event.
Two departures, so that nothing is lost: an event that the end of the stream leaves open counts, and
the field ``error``, in which older llama.cpp servers put a fault, is read like ``data``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SSE", "EventTooLarge", "JSONLines"]

#: bytes that one event may take before it is refused
LARGEST_EVENT: Final = 16 * 1024 * 1024
_FIELDS: Final = (b"data", b"error")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event is larger than the bound: not a chat stream, or not one to hold in memory."""


class SSE:
    """``feed`` bytes as they come, then ``finish``; both give the data of completed events.

    Lines are split as bytes and decoded whole, so a character that is cut over two pieces is never
    damaged; bytes that are not UTF-8 become U+FFFD. Raises ``EventTooLarge``.
    """

    def __init__(self, *, largest: int = LARGEST_EVENT) -> None:
        self._largest = largest
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True

    def feed(self, data: bytes) -> list[str]:
        """The data of every event that these bytes complete."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if (whole := self._whole(data)) is not None:
            return whole
        events: list[str] = []
        for piece in data.splitlines(keepends=True):
            line = piece.rstrip(b"\r\n")
            self._grow(len(line))
            self._line += line
            if len(line) < len(piece):
                events += self._end_line()
        self._after_cr = data.endswith(b"\r")
        return events

    def finish(self) -> list[str]:
        """The event that the end of the stream left open, if there is one."""
        return [*self._end_line(), *self._end_event()]

    def _whole(self, data: bytes) -> list[str] | None:
        """The same at once for what nearly all servers send: whole events, each of one line of
        data that ends in LF. None: these bytes are to be taken apart line by line."""
        if not data.endswith(b"\n\n") or self._line or self._data or self._first or b"\r" in data:
            return None
        events = []
        for event in data[:-2].split(b"\n\n"):
            if b"\n" in event or not event.startswith(b"data: ") or len(event) > self._largest:
                return None
            events.append(event[6:].decode("utf-8", "replace"))
        return events

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._largest:
            raise EventTooLarge(f"One event is larger than {self._largest} bytes.")

    def _end_line(self) -> list[str]:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if not line:
            return self._end_event()
        name, _, value = line.partition(b":")
        if name in _FIELDS:
            self._data.append(value.removeprefix(b" "))
        else:
            self._size -= len(line)
        return []

    def _end_event(self) -> list[str]:
        data, self._data, self._size = self._data, [], 0
        return [b"\n".join(data).decode("utf-8", "replace")] if data else []


class JSONLines:
    """One event a line; blank lines are passed over. Otherwise like ``SSE``."""

    def __init__(self, *, largest: int = LARGEST_EVENT) -> None:
        self._largest = largest
        self._line = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Every line that these bytes complete."""
        *whole, rest = data.split(b"\n")
        events: list[str] = []
        for line in whole:
            self._grow(line)
            events += self.finish()
        self._grow(rest)
        return events

    def finish(self) -> list[str]:
        """The line that the end of the stream left open, if it holds anything."""
        line = bytes(self._line).removeprefix(_BOM).strip()
        self._line.clear()
        return [line.decode("utf-8", "replace")] if line else []

    def _grow(self, line: bytes) -> None:
        self._line += line
        if len(self._line) > self._largest:
            raise EventTooLarge(f"One line is larger than {self._largest} bytes.")
