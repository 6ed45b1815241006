"""Text filters for a streaming answer: pure, bounded, the same for every chunking."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["PrefixFilter", "StopFilter"]


class StopFilter:
    """Ends a text before the first stop string that completes in it.

    "First" is the stop string whose last character comes first; of those that end together, the
    longest. That is what a server does token by token, and it does not depend on the chunking.
    At most ``longest stop string - 1`` characters are held back. Empty stop strings are ignored.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(s for s in stops if s)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.hit = ""

    @property
    def held(self) -> str:
        """Text that may be the beginning of a stop string."""
        return self._held

    def feed(self, text: str) -> str:
        """The text that is safe to pass on. After a hit: always empty."""
        if self.hit or not self._stops:
            return "" if self.hit else text
        text = self._held + text
        if found := self._first(text):
            self._held, self.hit = "", found[1]
            return text[: found[0]]
        keep = self._open_suffix(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back: the text is over, so no stop string will complete."""
        held, self._held = self._held, ""
        return held

    def _first(self, text: str) -> tuple[int, str] | None:
        found = [(at + len(s), at, s) for s in self._stops if (at := text.find(s)) >= 0]
        return min(found)[1:] if found else None

    def _open_suffix(self, text: str) -> int:
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[-size:]
            if any(s.startswith(tail) for s in self._stops):
                return size
        return 0


class PrefixFilter:
    """Removes one exact prefix that a server repeats before it goes on from it.

    A text that does not begin with the prefix passes unchanged.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen = 0

    def feed(self, text: str) -> str:
        """The text without the prefix; held back while it may still be the prefix."""
        prefix, seen = self._prefix, self._seen
        if not prefix:
            return text
        size = min(len(prefix) - seen, len(text))
        if text[:size] != prefix[seen : seen + size]:
            self._prefix = ""
            return prefix[:seen] + text
        self._seen += size
        if self._seen == len(prefix):
            self._prefix = ""
        return text[size:]

    def flush(self) -> str:
        """What was held back, if the text ended inside the prefix."""
        held = self._prefix[: self._seen]
        if held:
            self._prefix = ""
        return held
