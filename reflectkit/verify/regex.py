"""The answer matches a pattern, or must not; a pattern that explodes is stopped."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, ClassVar, Final

from ..errors import ConfigurationError
from ..reply import Draft, Verdict
from ._views import Part, View, checked_part, view

__all__ = ["Matches"]

_FLAGS: Final = {
    re.IGNORECASE: "IGNORECASE", re.MULTILINE: "MULTILINE", re.DOTALL: "DOTALL",
    re.VERBOSE: "VERBOSE", re.ASCII: "ASCII",
}  # fmt: skip


class Matches:
    """``pattern`` is found in the section; with ``full`` it is all of it; with ``forbid`` it is not
    there. The verdict's value is the match: its named groups if there are any, else its text.

    A pattern such as ``(a+)+$`` can take longer than the universe, and Python's own ``re`` cannot
    be stopped: it holds the interpreter, so that not even a thread helps. The ``regex`` package,
    which ``tiktoken`` brings along, looks at the clock: after ``timeout`` seconds the verdict is
    unknown. ``feedback``: what to tell the model, where the pattern itself is no help.

    Raises ``ConfigurationError`` for what is no pattern.
    """

    inline: ClassVar = True

    def __init__(
        self,
        pattern: str | re.Pattern[str],
        *,
        section: Part = "output",
        full: bool = False,
        forbid: bool = False,
        feedback: str = "",
        timeout: float = 0.25,
        name: str = "matches",
    ) -> None:
        self.name = name
        self._section = checked_part(section)
        self._pattern = _compiled(pattern)
        self._full, self._forbid, self._feedback = full, forbid, feedback
        if not timeout > 0:
            raise ConfigurationError(f"timeout is {timeout!r}.", hint="Give seconds above 0.")
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"Matches({self._pattern.pattern!r}, section={self._section!r})"

    def __call__(self, draft: Draft, /) -> Verdict:
        shown = view(draft.transcript, self._section)
        look = self._pattern.fullmatch if self._full else self._pattern.search
        try:
            match = look(shown.text, timeout=self._timeout)
        except TimeoutError:
            why = f"The pattern {self._short} took longer than {self._timeout:g} s."
            return Verdict(ok=None, name=self.name, feedback=why)
        return self._verdict(match, shown)

    def _verdict(self, match: Any, shown: View) -> Verdict:
        ok = (match is None) == self._forbid
        start, end = shown.span(*match.span()) if match else (None, None)
        return Verdict(
            ok=ok,
            name=self.name,
            feedback="" if ok else self._feedback or self._complaint(match),
            start=start,
            end=end,
            value=(match.groupdict() or match.group()) if match else None,
        )

    def _complaint(self, match: Any) -> str:
        if match:
            return f"The {self._section} must not contain {match.group()[:60]!r}."
        what = "does not match" if self._full else "contains nothing that matches"
        return f"The {self._section} {what} the pattern {self._short}."

    @property
    def _short(self) -> str:
        text = str(self._pattern.pattern)
        return text if len(text) <= 120 else f"{text[:117]}..."


def _compiled(pattern: str | re.Pattern[str]) -> Any:
    regex = import_module("regex")
    text, flags = (pattern, 0) if isinstance(pattern, str) else (pattern.pattern, pattern.flags)
    if not isinstance(text, str):
        raise ConfigurationError("The pattern is one of bytes.", hint="Pass a pattern of text.")
    chosen = 0
    for flag, name in _FLAGS.items():
        chosen |= int(getattr(regex, name)) if flags & flag else 0
    try:
        return regex.compile(text, chosen)
    except regex.error as error:
        raise ConfigurationError(f"{text!r} is no pattern: {error}.") from error
