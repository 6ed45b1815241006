"""Reads JSON as models write it, piece by piece, and mends what can have one meaning only.

No I/O and no recursion: a stack of open containers, and a state that reads one token. Every
character is looked at a bounded number of times, so the cost is linear however the text is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Fault", "Machine", "Repair", "Rest"]

DEEPEST: Final = 128
#: No prose has so many brackets before a word.
_PROSE_DEPTH: Final = 3
LONGEST_WORD: Final = 4300

_SPACE: Final = re.compile(r"[\s\ufeff]+")
_WORD: Final = re.compile(r"[^\s,:{}\[\]\"'/#]+")
_PLAIN: Final = {'"': re.compile(r'[^"\\\n]+'), "'": re.compile(r"[^'\\\n]+")}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_LOOSE_NUMBER: Final = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_REST: Final = re.compile(r'["\\{}\[\]]')
_KEY: Final = re.compile(r"[^\W\d][\w$-]*|\$[\w$-]*|\d+")
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_LITERALS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_PYTHON: Final[dict[str, Any]] = {"True": True, "False": False, "None": None}
_NOT_FINITE: Final[dict[str, float]] = {
    "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the text stops being JSON: what was expected there, and what stands there."""

    at: int
    expected: str
    found: str = ""

    def __str__(self) -> str:
        return f"expected {self.expected}" + (f", found {self.found}" if self.found else "")


@dataclass(frozen=True, slots=True)
class Repair:
    """What was mended, and where."""

    at: int
    what: str


class Machine:
    """One value, fed in pieces. ``value`` grows in place: it is the best that is known so far.

    ``spans``, if asked for, has the place of every value by its path.
    """

    def __init__(self, *, at: int = 0, spans: bool = False) -> None:
        self.value: Any = None
        self.begun = False
        self.done = False
        self.fault: Fault | None = None
        self.repairs: list[Repair] = []
        self.spans: dict[tuple[str | int, ...], tuple[int, int]] | None = {} if spans else None
        self.end = at
        self._base = at  # the position of the piece's first character
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str | int] = []
        self._starts: list[int] = []
        self._state: _State = self._want_value
        self._after_comma = False
        self._text = ""
        self._escape = ""
        self._quote = ""
        self._shown = False
        self._is_key = False
        self._start = at
        self._word = ""
        self._comment = ""
        self._resume: _State = self._want_value

    @property
    def open(self) -> list[dict[str, Any] | list[Any]]:
        """The containers that are not closed yet, from the outermost in."""
        return self._stack

    @property
    def meant(self) -> bool:
        """It was meant as JSON, and is not prose in braces: something of it could be read."""
        return len(self._stack) > _PROSE_DEPTH or any(self._stack)

    def feed(self, piece: str, at: int = 0) -> int:
        """Read the piece from ``at``. Where it stopped: at its end, unless the value ended."""
        self._base = self.end - at
        while at < len(piece) and not self.done and self.fault is None:
            at = self._state(piece, at)
        self.end = self._base + at
        if self._state == self._in_string and not self._is_key and self.fault is None:
            self._show()
        return at

    def finish(self) -> None:
        """The text is over: a value that is still open has been cut off."""
        if not self.done and self.fault is None and self._state == self._in_word:
            self._base = self.end
            self._state(" ", 0)
        if not self.done and self.fault is None:
            self.fault = Fault(self.end, self._missing(), "the end of the text")

    def _missing(self) -> str:
        if self._state == self._in_string:
            return f"the closing {self._quote}"
        if not self._stack:
            return "a JSON value"
        return "the closing " + ("}" if isinstance(self._stack[-1], dict) else "]")

    # Each state reads from ``at`` and returns where it stopped.

    def _skip(self, piece: str, at: int) -> int:
        """Blanks and comments; the same position if there were none."""
        if space := _SPACE.match(piece, at):
            return space.end()
        if piece[at] in "/#":
            self._comment, self._resume = piece[at], self._state
            self._state = self._in_comment
            self.repairs.append(Repair(self._base + at, "a comment"))
            return at + 1
        return at

    def _in_comment(self, piece: str, at: int) -> int:
        if self._comment == "/":
            if piece[at] not in "/*":
                return self._fail(at, "a JSON value", piece[at])
            self._comment += piece[at]
            return at + 1
        if self._comment[:2] != "/*":
            end = piece.find("\n", at)
            if end >= 0:
                self._state = self._resume
            return end if end >= 0 else len(piece)
        if self._comment == "/**" and piece[at] == "/":
            self._state = self._resume
            return at + 1
        star = piece.find("*", at)
        self._comment = "/**" if star == at else "/*"
        return at + 1 if star == at else (star if star >= 0 else len(piece))

    def _want_value(self, piece: str, at: int) -> int:
        if (after := self._skip(piece, at)) != at:
            return after
        sign = piece[at]
        self._start = self._base + at
        if sign in "{[":
            return self._push(sign, at)
        if sign in "\"'":
            return self._begin_string(sign, at, is_key=False)
        if sign == "]" and self._stack and isinstance(self._stack[-1], list):
            return self._close(sign, at)
        if sign in "}],:":
            return self._fail(at, "a value", sign)
        self._word, self._state, self._is_key = "", self._in_word, False
        return at

    def _want_key(self, piece: str, at: int) -> int:
        if (after := self._skip(piece, at)) != at:
            return after
        sign = piece[at]
        self._start = self._base + at
        if sign == "}":
            return self._close(sign, at)
        if sign in "\"'":
            return self._begin_string(sign, at, is_key=True)
        if sign in "{[],:":
            return self._fail(at, "a key in quotes", sign)
        self._word, self._state, self._is_key = "", self._in_word, True
        return at

    def _want_colon(self, piece: str, at: int) -> int:
        if (after := self._skip(piece, at)) != at:
            return after
        if piece[at] != ":":
            return self._fail(at, "a colon after the key", piece[at])
        self._state = self._want_value
        return at + 1

    def _want_comma(self, piece: str, at: int) -> int:
        if (after := self._skip(piece, at)) != at:
            return after
        sign, in_object = piece[at], isinstance(self._stack[-1], dict)
        if sign == ",":
            self._after_comma = True
            self._state = self._want_key if in_object else self._want_value
            return at + 1
        if sign in "}]":
            return self._close(sign, at)
        if in_object and sign == '"':
            self.repairs.append(Repair(self._base + at, "a missing comma"))
            self._state = self._want_key
            return at
        closer = "}" if in_object else "]"
        return self._fail(at, f"a comma or {closer}", sign)

    def _in_word(self, piece: str, at: int) -> int:
        if word := _WORD.match(piece, at):
            self._word += word.group()
            if len(self._word) > LONGEST_WORD:
                return self._fail(
                    word.end(), f"a word of at most {LONGEST_WORD} characters", "more"
                )
            return word.end()
        if self._is_key:
            return self._end_key_word(at)
        return self._end_value_word(at)

    def _end_key_word(self, at: int) -> int:
        if not _KEY.fullmatch(self._word):
            return self._fail_word("a key in quotes")
        self.repairs.append(Repair(self._start, "a key without quotes"))
        self._keep_key(self._word)
        return at

    def _end_value_word(self, at: int) -> int:
        word = self._word
        if word in _LITERALS:
            self._put(_LITERALS[word], self._base + at)
        elif (number := _number(word)) is not None:
            if not _NUMBER.fullmatch(word):
                self.repairs.append(Repair(self._start, f"the number {word[:20]}"))
            self._put(number, self._base + at)
        elif word in _PYTHON or word in _NOT_FINITE:
            self.repairs.append(Repair(self._start, f"the word {word}"))
            self._put(_PYTHON.get(word, _NOT_FINITE.get(word)), self._base + at)
        else:
            return self._fail_word("a JSON value")
        return at

    def _begin_string(self, quote: str, at: int, *, is_key: bool) -> int:
        if quote == "'":
            self.repairs.append(Repair(self._base + at, "single quotes"))
        self._quote, self._text, self._escape = quote, "", ""
        self._is_key, self._state = is_key, self._in_string
        return at + 1

    def _in_string(self, piece: str, at: int) -> int:
        if self._escape:
            return self._in_escape(piece, at)
        if plain := _PLAIN[self._quote].match(piece, at):
            self._append(plain.group())
            return plain.end()
        sign = piece[at]
        if sign == "\\":
            self._escape = sign
        elif sign == "\n":
            self.repairs.append(Repair(self._base + at, "a line break in a string"))
            self._append(sign)
        elif self._is_key:
            self._keep_key(self._text)
        else:
            self._put(self._text, self._base + at + 1)
        return at + 1

    def _in_escape(self, piece: str, at: int) -> int:
        """``_escape`` is what of it has been read."""
        self._escape += piece[at]
        name = self._escape[1]
        if name in _ESCAPES:
            self._append(_ESCAPES[name])
        elif name != "u":
            self.repairs.append(Repair(self._base + at - 1, "a backslash"))
            self._append(name if name == "'" else self._escape)
        elif not _is_code(self._escape):
            return self._fail(at, "four hexadecimal digits after \\u", piece[at])
        elif len(self._escape) < 6:
            return at + 1
        else:
            self._append_code(int(self._escape[2:], 16))
        self._escape = ""
        return at + 1

    def _append_code(self, code: int) -> None:
        """Two halves that follow each other become one character, as in ``json.loads``."""
        last = ord(self._text[-1]) if self._text else 0
        if 0xDC00 <= code < 0xE000 and 0xD800 <= last < 0xDC00:
            self._text = self._text[:-1]
            code = 0x10000 + ((last - 0xD800) << 10) + code - 0xDC00
        self._append(chr(code))

    def _append(self, text: str) -> None:
        # While nobody else holds the string it grows in place; ``_show`` lends it to the container.
        if self._stack and not self._is_key and self._shown:
            self._hide()
        own = self._text
        self._text = ""
        own += text
        self._text = own

    def _show(self) -> None:
        half = "\ud800" <= self._text[-1:] < "\udc00"  # of a character whose rest is to come
        text = self._text[:-1] if half else self._text
        if self._stack:
            self._set(text)
        else:
            self.value = text
        self._shown = True

    def _hide(self) -> None:
        if self._stack:
            self._set(None)
        self._shown = False

    # What is known goes into the container that is open.

    def _set(self, value: Any) -> None:
        top, key = self._stack[-1], self._keys[-1]
        if isinstance(top, dict):
            top[str(key)] = value
        elif len(top) > int(key):
            top[int(key)] = value
        else:
            top.append(value)

    def _keep_key(self, key: str) -> None:
        top = self._stack[-1]
        if key in top:
            self.repairs.append(Repair(self._start, f"the key {key[:40]!r} twice: the last counts"))
        self._keys[-1] = key
        self._after_comma = False
        self._state = self._want_colon

    def _push(self, sign: str, at: int) -> int:
        if len(self._stack) == DEEPEST:
            return self._fail(at, f"at most {DEEPEST} levels", "a deeper one")
        container: dict[str, Any] | list[Any] = {} if sign == "{" else []
        if self._stack:
            self._set(container)
        else:
            self.value = container
        self.begun = True
        self._stack.append(container)
        self._starts.append(self._base + at)
        self._keys.append(0)
        self._after_comma = False
        self._state = self._want_key if sign == "{" else self._want_value
        return at + 1

    def _close(self, sign: str, at: int) -> int:
        top = self._stack[-1]
        if sign != ("}" if isinstance(top, dict) else "]"):
            return self._fail(at, "the closing " + ("}" if isinstance(top, dict) else "]"), sign)
        if self._after_comma:
            self.repairs.append(Repair(self._base + at, "a comma too many"))
            self._after_comma = False
        self._stack.pop()
        self._keys.pop()
        self._start = self._starts.pop()
        self._ended(self._base + at + 1)
        return at + 1

    def _put(self, value: Any, end: int) -> None:
        if self._stack:
            self._set(value)
        else:
            self.value = value
        self.begun = True
        self._shown = False
        self._ended(end)

    def _ended(self, end: int) -> None:
        """A value is complete."""
        if self.spans is not None:
            self.spans[tuple(self._keys)] = (self._start, end)
        self._after_comma = False
        if not self._stack:
            self.done = True
            return
        if isinstance(self._stack[-1], list):
            self._keys[-1] = int(self._keys[-1]) + 1
        self._state = self._want_comma

    def _fail(self, at: int, expected: str, found: str) -> int:
        self.fault = Fault(self._base + at, expected, repr(found) if len(found) == 1 else found)
        return at

    def _fail_word(self, expected: str) -> int:
        word = self._word if len(self._word) <= 40 else f"{self._word[:40]}..."
        self.fault = Fault(self._start, expected, word)
        return max(0, self._start - self._base)


class Rest:
    """What is left of JSON that broke: passed over up to where its brackets are closed, so that no
    part of it is taken for the whole."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._quoted = False
        self._escaped = False

    @property
    def over(self) -> bool:
        return self._depth <= 0

    def feed(self, piece: str, at: int = 0) -> int:
        """Pass over the piece from ``at``; where it stopped."""
        while at < len(piece) and not self.over:
            if self._escaped:
                self._escaped = False
                at += 1
            elif found := _REST.search(piece, at):
                at = found.end()
                self._take(found.group())
            else:
                return len(piece)
        return at

    def _take(self, sign: str) -> None:
        if sign == "\\":
            self._escaped = self._quoted
        elif sign == '"':
            self._quoted = not self._quoted
        elif not self._quoted:
            self._depth += 1 if sign in "{[" else -1


_State = Callable[[str, int], int]


def _is_code(escape: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in escape[2:])


def _number(word: str) -> int | float | None:
    if not _LOOSE_NUMBER.fullmatch(word) or not any(c.isdigit() for c in word):
        return None
    try:
        return int(word) if not any(c in ".eE" for c in word) else float(word)
    except ValueError:
        return None
