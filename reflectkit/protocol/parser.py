"""The parser: text in, events out. No I/O, no clock; streams and whole texts are read alike.

Most pieces of a stream hold no mark that matters in the current state: they become one event at
once. Any other piece goes through ``Reading``, which takes the text apart delimiter by delimiter
and asks the table in ``states`` what each one means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from ..events import SectionDelta
from ..reply import Issue, Transcript
from .dialects import find_dialect
from .issues import derive_issues, in_order
from .ledger import Ledger
from .reading import Reading
from .scanner import MAX_TAG
from .states import CALL, OUTSIDE

if TYPE_CHECKING:
    from ..events import Kind, ProtocolEvent
    from .dialect import Dialect

__all__ = ["MAX_HELD", "Parser", "parse"]

#: The most text (characters) that a parser holds back: less than one tag of the longest size.
MAX_HELD: Final = MAX_TAG

_ALWAYS: Final = ("",)  # the empty string is in every piece
_BLOCK: Final = 16_384
_FINISHED: Final = "Text came after finish()."
_ONE_EACH: Final = "Use one Parser per response."


class Parser(Reading):
    """Reads one response of a model, in pieces of any size.

    ``dialect`` is a known dialect's name or a ``Dialect``; ``prefilled`` says that the prompt ended
    with the opening tag of thinking, so that the text begins inside. Any chunking of a text gives
    the same events (but for where texts are cut) and the same transcript. Every string is
    accepted; ``ConfigurationError`` is raised for misuse alone: an unknown dialect, something
    that is not text, or text after ``finish``.
    """

    def __init__(self, dialect: str | Dialect = "reflection", prefilled: bool = False) -> None:
        self._dialect = find_dialect(dialect)
        super().__init__(self._dialect)
        if prefilled and "thinking" not in self._dialect.sections:
            raise ConfigurationError(
                f"Dialect {self._dialect.name!r} has no thinking section to begin inside.",
                hint="Leave out prefilled.",
            )
        self._prefilled = prefilled
        self._transcript: Transcript | None = None
        self._given_from: list[tuple[int, Kind]] = []
        # The fast path.
        self._marks: tuple[str, ...] = _ALWAYS
        self._mark = ""
        self._number = 0
        self._kind: Kind = self._dialect.outside
        if prefilled:
            self._enter("T", 0, 0)

    # --- the public face

    def feed(self, piece: str) -> list[ProtocolEvent]:
        """Read the next piece of text; the events that are certain by now."""
        try:
            if self._mark in piece or not piece:
                return self._consider(piece)
        except TypeError:
            if isinstance(piece, str):
                raise
            raise _not_text(piece) from None
        self._parts.append(piece)
        return [SectionDelta(self._number, self._kind, piece)]

    def finish(self) -> list[ProtocolEvent]:
        """The text is complete: the last events. A second call gives none."""
        if self._transcript is not None:
            return []
        self._load("")
        self._scan_to_end()
        self._end_sections()
        self._store()
        self._transcript = self._result()
        self._look_out(_ALWAYS)
        return self._take_events()

    @property
    def transcript(self) -> Transcript:
        """The transcript; before ``finish``, what it would be if the text ended here."""
        if self._transcript is not None:
            return self._transcript
        return self._ended_here().transcript

    @property
    def held(self) -> int:
        """Characters that may become a delimiter: no event has told of them yet."""
        return len(self._buffer)

    @property
    def unsettled(self) -> int | None:
        """Where text begins whose kind later text may still change; None if there is none.

        Text told of so far and standing before this position stays what its events said.
        """
        if self._transcript is not None:
            return None
        if not self._ledger.marked and "thinking" in self._dialect.sections:
            return 0  # a closer without an opener would make all of it thinking
        if self._doubt is None and self._hidden is None:
            return None
        places = [self._hidden.doubt.save.position] if self._hidden else []
        if self._doubt is not None and not (self._code and not self._code.holds):
            places.append(self._doubt.save.position)
        return min(places, default=None)

    @property
    def rereads(self) -> int:
        """How often text that events had told of was read again, because it was read wrongly."""
        return self._ledger.rereads

    # --- reading

    def _consider(self, piece: str) -> list[ProtocolEvent]:
        """The piece holds the mark that is looked out for; or there are several such marks."""
        if self._mark:
            if not piece:
                return []
            if self._begins(piece):
                return self._read(piece)
        elif any(mark in piece for mark in self._marks):
            return self._read(piece)
        elif not piece:
            return []
        self._parts.append(piece)
        return [SectionDelta(self._number, self._kind, piece)]

    def _read(self, piece: str) -> list[ProtocolEvent]:
        if self._transcript is not None:
            if not piece:
                return []
            raise ConfigurationError(_FINISHED, hint=_ONE_EACH)
        if self._given:
            return self._give("output", piece) if piece else []
        self._load(piece)
        while self._step(final=False):
            pass
        if self._code:
            self._code.holds |= any(mark in self._buffer for mark in self._scan.starts)
        self._store()
        self._arm()
        return self._take_events()

    def _arm(self) -> None:
        """Choose what the fast path must look out for."""
        span = self._ledger.current
        if self._buffer or span is None or self._ledger.rereading or self._state == CALL:
            self._look_out(_ALWAYS)
            return
        self._number, self._kind = span.number, span.kind
        # Code marks matter only where a delimiter follows: they are looked up then. But a span
        # that holds one may turn out to be none where its line ends.
        waits = self._code is not None and self._code.holds and not self._code.inside
        self._look_out((*self._scan.starts, "\n") if waits else self._scan.starts)

    def _look_out(self, marks: tuple[str, ...]) -> None:
        self._marks = marks
        self._mark = marks[0] if len(marks) == 1 else ""
        self._begins = self._scan.begins.search

    def _result(self) -> Transcript:
        source = "".join(self._parts)
        sections = self._ledger.sections(source)
        issues = [Issue(*row) for row in self._ledger.issues]
        if self._fragment is not None:
            issues.append(Issue("truncated_tag", self._fragment, "the text ends inside a tag"))
        issues += derive_issues(sections, len(source), self._dialect, fields=bool(self._given_from))
        return Transcript(
            sections,
            in_order(issues),
            source,
            self._dialect.name,
            self._prefilled,
            tool_calls=self._ledger.tool_calls(source),
        )

    def _ended_here(self) -> Parser:
        """A parser that was fed the same and has finished."""
        twin = Parser(self._dialect, self._prefilled)
        source = "".join((*self._parts, self._buffer))
        places = [start for start, _ in self._given_from]
        twin.feed(source[: places[0] if places else None])
        for (start, kind), end in zip(self._given_from, [*places[1:], None], strict=False):
            twin._give(kind, source[start:end])
        twin.finish()
        return twin

    # --- text that the server separated

    def feed_reasoning(self, text: str) -> list[ProtocolEvent]:
        """Text that the server already separated as reasoning. It is never scanned for tags, nor
        is any text fed after it: that is the answer. The events, as from ``feed``.
        """
        if not isinstance(text, str):
            raise _not_text(text)
        if self._transcript is not None and text:
            raise ConfigurationError(_FINISHED, hint=_ONE_EACH)
        return self._give("thinking", text) if text else []

    def _give(self, kind: Kind, text: str) -> list[ProtocolEvent]:
        self._load("")
        if not self._given:
            self._stop_scanning()
        start = self._base + self._at
        if self._given != kind:
            self._turn(kind, start)
        self._ledger.text(start, start + len(text), text)
        self._parts.append(text)
        self._look_out(() if kind == "output" else _ALWAYS)
        return self._take_events()

    def _turn(self, kind: Kind, start: int) -> None:
        if self._given:
            self._ledger.close(start, start, "")
        self._ledger.open(kind, start, start, "")
        self._number = self._ledger.stack[-1].number
        self._given = self._kind = kind
        self._given_from.append((start, kind))

    def _stop_scanning(self) -> None:
        if self._prefilled and not self._parts and not self._buffer:
            self._ledger = Ledger(self._dialect.outside)
            self._state = OUTSIDE
        self._scan_to_end()
        self._end_sections()
        self._fragment = None
        self._store()
        self._load("")


def _not_text(piece: object) -> ConfigurationError:
    return ConfigurationError(
        f"A parser is fed text, not {type(piece).__name__}.",
        hint="Decode bytes incrementally first.",
    )


def parse(text: str, dialect: str | Dialect = "reflection", prefilled: bool = False) -> Transcript:
    """The transcript of a whole text; see ``Parser``. Raises ``ConfigurationError`` for misuse."""
    parser = Parser(dialect, prefilled)
    if not isinstance(text, str):
        raise _not_text(text)
    for start in range(0, len(text), _BLOCK):  # so that only one block's events are alive at once
        parser.feed(text[start : start + _BLOCK])
    parser.finish()
    return parser.transcript
