"""The parser: text in, events out. No I/O, no clock; streams and whole texts are read alike.

Most pieces of a stream hold no mark that matters in the current state: they become one event at
once. Any other piece goes through ``_read``, which takes the text apart delimiter by delimiter and
asks the table in ``states`` what each one means.

Two readings depend on later text: whether nested thinking balances, and whether a code span or
fence is ever closed. The parser goes on with the likelier reading and remembers the place (a
``Doubt``, at most one at a time). If the other one proves true it reads again from there, once:
what it learnt (which openers never balance, which code marks never close) is kept, so that no text
is read more than a fixed number of times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import ConfigurationError
from ..events import SectionDelta
from ..reply import Issue, Transcript
from .code import (
    FENCE_LINE,
    LINE_MARKS,
    Code,
    FenceEnds,
    closes_fence,
    dead_runs,
    starts_line,
)
from .dialects import find_dialect
from .issues import derive_issues, in_order
from .ledger import Ledger, Save
from .scanner import MAX_TAG
from .states import CALL, OUTPUT, OUTSIDE, Action, choose

if TYPE_CHECKING:
    import re

    from ..events import Kind, ProtocolEvent
    from .dialect import Dialect
    from .scanner import Scan

__all__ = ["MAX_HELD", "Parser", "parse"]

#: The most text (characters) that a parser holds back: less than one tag of the longest size.
MAX_HELD: Final = MAX_TAG

_KIND: Final[dict[str, Kind]] = {"T": "thinking", "R": "reflection", "O": "output"}
_ALWAYS: Final = ("",)  # the empty string is in every piece
_SHORTEST_TRUNCATED: Final = 3
_FINISHED: Final = "Text came after finish()."
_ONE_EACH: Final = "Use one Parser per response."


class Doubt(NamedTuple):
    """A place to read again from: the state there, and the part of the text that it is in."""

    save: Save
    state: str
    reflections: int
    reflection_level: int
    part: int


class Parser:
    """Reads one response of a model, in pieces of any size.

    ``dialect`` is a known dialect's name or a ``Dialect``; ``prefilled`` says that the prompt ended
    with the opening tag of thinking, so that the text begins inside. Any chunking of a text gives
    the same events (but for where texts are cut) and the same transcript. Every string is
    accepted; ``ConfigurationError`` is raised for misuse alone: an unknown dialect, something
    that is not text, or text after ``finish``.
    """

    def __init__(self, dialect: str | Dialect = "reflection", prefilled: bool = False) -> None:
        self._dialect = find_dialect(dialect)
        if prefilled and "thinking" not in self._dialect.sections:
            raise ConfigurationError(
                f"Dialect {self._dialect.name!r} has no thinking section to begin inside.",
                hint="Leave out prefilled.",
            )
        self._prefilled = prefilled
        self._lexicon = self._dialect.lexicon
        self._ledger = Ledger(self._dialect.outside)
        self._transcript: Transcript | None = None
        # The text: what was read, the length of the counted parts, and what is being read.
        self._parts: list[str] = []
        self._counted = 0
        self._base = 0
        self._buffer = ""
        self._at = 0
        # The state: open sections, openers of nested thinking, levels of reflection.
        self._state = OUTSIDE
        self._openers: list[int] = []
        self._single = False
        self._reflections = 0
        self._reflections_around = 0
        self._reflection_level = 0
        self._answer_start = 0
        self._given: Kind | None = None
        self._given_from: list[tuple[int, Kind]] = []
        # Late evidence.
        self._code: Code | None = None
        self._doubt: Doubt | None = None
        self._unbalanced: set[int] = set()
        self._dead: set[int] = set()
        self._no_fence: set[int] = set()
        self._fence_ends: FenceEnds | None = None
        self._fragment: int | None = None
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
    def unsettled(self) -> int | None:
        """Where text begins whose kind later text may still change; None if there is none.

        Text told of so far and standing before this position stays what its events said.
        """
        if self._transcript is not None:
            return None
        if not self._ledger.marked and "thinking" in self._dialect.sections:
            return 0  # a closer without an opener would make all of it thinking
        return self._doubt.save.position if self._doubt else None

    # --- reading

    def _consider(self, piece: str) -> list[ProtocolEvent]:
        """The piece holds the mark that is looked out for; or there are several such marks."""
        if any(mark in piece for mark in self._marks):
            return self._read(piece)
        if not piece:
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

    def _load(self, piece: str) -> None:
        """Take in the next piece, and what went by on the fast path since the last one."""
        passed = self._parts[self._counted :]
        self._ledger.passed(sum(map(len, passed)), self._base)
        if passed and self._answering and not self._given:
            del self._parts[self._counted :]  # its code marks matter now
            self._buffer = "".join(passed)
        else:
            self._base += sum(map(len, passed))
            self._counted = len(self._parts)
        self._buffer += piece

    def _store(self) -> None:
        if self._at:
            self._parts.append(self._buffer[: self._at])
            self._buffer = self._buffer[self._at :]
            self._base += self._at
            self._counted = len(self._parts)
            self._at = 0

    def _take_events(self) -> list[ProtocolEvent]:
        events, self._ledger.events = self._ledger.events, []
        return events

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

    @property
    def _scan(self) -> Scan:
        if self._state == OUTPUT:
            return self._lexicon.output
        return self._lexicon.call if self._state == CALL else self._lexicon.anywhere

    @property
    def _answering(self) -> bool:
        """Whether text goes to the answer, where code spans and fences protect tags."""
        return self._state in (OUTSIDE, OUTPUT)

    def _step(self, *, final: bool) -> bool:
        """Read up to and over the next mark; False when the text so far is used up."""
        if self._code is None:
            return self._step_tags(final)
        return self._step_fence(final) if self._code.inside else self._step_line(final)

    def _step_tags(self, final: bool) -> bool:
        scan, text, at = self._scan, self._buffer, self._at
        found = (scan.answer if self._answering else scan.tags).search(text, at)
        if found is None or found.end() > len(text) - MAX_TAG:
            limit = len(text) if final else scan.hold(text, at)
            if found is None or found.start() >= limit:
                if final:
                    self._note_fragment()
                self._text_to(limit)
                return False
        if self._answering and found["code"]:
            return self._code_mark(found, final)
        self._text_to(found.start())
        return self._tag(found)

    def _text_to(self, place: int) -> None:
        """The text up to ``place`` in the buffer has no marks."""
        at = self._at
        if place <= at:
            return
        text = self._buffer[at:place]
        tell = self._ledger.markup if self._state == CALL else self._ledger.text
        tell(self._base + at, self._base + place, text)
        self._at = place

    def _note_fragment(self) -> None:
        """At the end of the text: is there the beginning of a tag that could count here?"""
        scan = self._lexicon.closing if self._state == OUTPUT else self._scan
        place = scan.hold(self._buffer, self._at)
        long_enough = len(self._buffer) - place >= _SHORTEST_TRUNCATED
        self._fragment = self._base + place if long_enough else None

    # --- tags

    def _tag(self, found: re.Match[str]) -> bool:
        action, signal = choose(self._state, self._scan.signals(found))
        if self._ends_thinking(action, signal) and self._reread_unbalanced():
            return True
        place = found.end()
        start, end, source = self._base + self._at, self._base + place, found[0]
        getattr(self, f"_do_{action}")(signal[-1], start, end, source)
        self._at = place
        return True

    def _ends_thinking(self, action: Action, signal: str) -> bool:
        """Whether this ends thinking in another way than by its own closer."""
        through = action == "close" and signal == "-R" and self._reflections == 1
        return action == "switch" or (through and self._state == "RT")

    def _enter(self, letter: str, start: int, end: int, source: str = "") -> None:
        if letter == CALL:
            self._ledger.close_run(start)
            self._ledger.markup(start, end, source)
            self._ledger.calls.append((source, end, end))
        else:
            self._ledger.open(_KIND[letter], start, end, source)
        if letter == "T":
            self._openers = [start]
            self._single = start in self._unbalanced
            self._reflections_around = self._reflections
        elif letter == "R":
            self._reflections = 1
            self._reflection_level = len(self._openers)
        self._state += letter
        self._answer_start = end

    def _leave(self, start: int, end: int, source: str = "", *, closed: bool = True) -> None:
        letter, self._state = self._state[-1], self._state[:-1]
        if letter == CALL:
            self._ledger.markup(start, end, source)
        else:
            self._ledger.close(start, end, source, closed=closed)
        if letter == "T":
            self._openers = []
            self._doubt = None
            self._reflections = min(self._reflections, self._reflections_around)
        elif letter == "R":
            self._reflections = 0
        self._answer_start = end

    def _leave_all(self, position: int) -> None:
        while self._state:
            if self._state == CALL:
                self._end_call(position)
                self._state = OUTSIDE
            else:
                self._leave(position, position, closed=False)

    def _end_call(self, position: int) -> None:
        header, start, _ = self._ledger.calls.pop()
        self._ledger.calls.append((header, start, position))

    def _do_open(self, letter: str, start: int, end: int, source: str) -> None:
        self._enter(letter, start, end, source)

    def _do_switch(self, letter: str, start: int, end: int, source: str) -> None:
        self._leave_all(start)
        self._enter(letter, start, end, source)

    def _do_nest(self, letter: str, start: int, end: int, source: str) -> None:
        if letter == "T":
            self._openers.append(start)
            self._ledger.issue("nested_thinking", start, "thinking inside thinking")
        else:
            self._reflections += 1
            self._ledger.issue("nested_reflection", start, "a reflection inside a reflection")
        self._ledger.markup(start, end, source)

    def _do_close(self, letter: str, start: int, end: int, source: str) -> None:
        if letter == CALL:
            self._end_call(start)
        elif letter == "T" and len(self._openers) > 1 and not self._single:
            self._unnest_thinking(start, end, source)
            return
        elif letter == "R" and self._reflections > 1:
            self._reflections -= 1
            self._ledger.markup(start, end, source)
            return
        while self._state[-1] != letter:
            self._leave(start, start, closed=False)
        self._leave(start, end, source)

    def _unnest_thinking(self, start: int, end: int, source: str) -> None:
        """One level less. Whether the nesting balances at all is seen later."""
        if self._doubt is None:
            self._doubt = self._here()
        self._openers.pop()
        if self._state == "TR" and self._reflection_level > len(self._openers):
            self._leave(start, start, closed=False)
        self._ledger.markup(start, end, source)

    def _do_claim(self, letter: str, start: int, end: int, source: str) -> None:
        if self._ledger.marked:
            self._do_stray(letter, start, end, source)
            return
        self._ledger.issue("missing_open", start, "the opening tag never came")
        self._ledger.claim(start, end, source)
        self._answer_start = end

    def _do_stray(self, letter: str, start: int, end: int, source: str) -> None:
        self._ledger.issue("stray_close", start, "closes nothing")
        self._ledger.markup(start, end, source)

    def _do_echo(self, letter: str, start: int, end: int, source: str) -> None:
        self._ledger.issue("nested_output", start, "an output opener inside output")
        self._do_text(letter, start, end, source)

    def _do_text(self, letter: str, start: int, end: int, source: str) -> None:
        self._text_to(end - self._base)

    # --- code in the answer

    def _code_mark(self, found: re.Match[str], final: bool) -> bool:
        start, end = found.span()
        self._text_to(start)
        if end == len(self._buffer) and end - start < MAX_TAG and not final:
            return False
        position, run = self._base + start, found[0]
        fence = len(run) > 2 and position not in self._no_fence and starts_line(self._before(start))
        span = run[0] == "`" and position not in self._dead
        if (span or fence) and not self._overlong(start, run):
            self._code = Code(run[0], len(run), position, fence)
            self._doubt = self._here()
        self._text_to(end)
        return True

    def _overlong(self, start: int, run: str) -> bool:
        """A run too long to be held is text, and so is what follows of it."""
        return len(run) >= MAX_TAG or self._before(start)[-1:] == run[0]

    def _before(self, place: int) -> str:
        """The last characters of the answer before ``place`` (up to four)."""
        wanted = min(4, self._base + place - self._answer_start)
        text, part = self._buffer[max(0, place - wanted) : place], len(self._parts)
        while len(text) < wanted and part:
            part -= 1
            text = self._parts[part][-4:] + text
        return text[-wanted:] if wanted else ""

    def _step_line(self, final: bool) -> bool:
        code = self._code
        assert code is not None
        text = self._buffer
        found = LINE_MARKS[code.mark].search(text, self._at)
        if found is None:
            self._text_to(len(text))
            return final and self._code_died()
        self._text_to(found.start())
        if found[0] == "\n":
            return self._line_ended(code, found.end())
        if found.end() == len(text) and len(found[0]) < MAX_TAG and not final:
            return False
        if len(found[0]) == code.length and not self._overlong(found.start(), found[0]):
            self._code = self._doubt = None
        code.fence = False
        self._text_to(found.end())
        return True

    def _line_ended(self, code: Code, after: int) -> bool:
        known = self._fence_ends
        if not code.fence or (known and not known.close(code)):
            return self._code_died()
        code.inside = code.fresh = True
        self._text_to(after)
        return True

    def _step_fence(self, final: bool) -> bool:
        code, text, at = self._code, self._buffer, self._at
        assert code is not None
        if not code.fresh:
            place = text.find("\n", at) + 1
            self._text_to(place or len(text))
            code.fresh = place > 0
            return place > 0 or (final and self._fence_died())
        found = FENCE_LINE.match(text, at)
        assert found is not None
        if found.end() == len(text) and len(text) - at < MAX_TAG and not final:
            return False
        code.fresh = False
        ended = text[found.end() : found.end() + 1] in ("", "\n")
        if ended and closes_fence(code, found[1], found[0]):
            self._code = self._doubt = None
            self._text_to(found.end())
        return True

    def _code_died(self) -> bool:
        """The line ends here and its span is still open: it was none."""
        region = self._go_back()
        dead, no_fences = dead_runs(region, self._base + self._at)
        self._dead |= dead
        self._no_fence |= no_fences
        return self._reread_code(region)

    def _fence_died(self) -> bool:
        """The text ends here and its fence is still open: it was none."""
        region = self._go_back()
        if self._fence_ends is None:
            self._fence_ends = FenceEnds(region, self._base + self._at)
        return self._reread_code(region)

    def _reread_code(self, region: str) -> bool:
        doubt, code = self._doubt, self._code
        assert doubt is not None
        assert code is not None
        self._dead.add(code.position)
        if code.fence:
            self._no_fence.add(code.position)
        self._code = self._doubt = None
        if any(mark in region for mark in self._scan.starts):
            self._ledger.restore(doubt.save)
        else:
            self._at += len(region)
        return True

    # --- reading again

    def _here(self) -> Doubt:
        return Doubt(
            self._ledger.save(self._base + self._at),
            self._state,
            self._reflections,
            self._reflection_level,
            len(self._parts),
        )

    def _go_back(self) -> str:
        """Move to the place in doubt; the text from there to where reading had come."""
        doubt = self._doubt
        assert doubt is not None
        now = self._base + self._at
        earlier = "".join(self._parts[doubt.part :])
        del self._parts[doubt.part :]
        self._counted = len(self._parts)
        self._buffer = earlier + self._buffer if earlier else self._buffer
        self._base -= len(earlier)
        self._at = doubt.save.position - self._base
        return self._buffer[self._at : now - self._base]

    def _reread_unbalanced(self) -> bool:
        """Thinking ends and its nesting did not balance: its first closer counts."""
        doubt = self._doubt
        if doubt is None:
            return False
        self._go_back()
        self._ledger.restore(doubt.save)
        self._unbalanced.update(self._openers)
        del self._openers[1:]
        self._single = True
        self._state, self._reflections, self._reflection_level = doubt[1:4]
        self._doubt = None
        return True

    # --- the end

    def _scan_to_end(self) -> None:
        while self._step(final=True) or self._reread_unbalanced():
            pass
        self._ledger.catch_up()

    def _end_sections(self) -> None:
        end = self._base + self._at
        if self._given:
            self._ledger.close(end, end, "")
        self._leave_all(end)
        self._ledger.close_run(end)

    def _result(self) -> Transcript:
        source = "".join(self._parts)
        sections = self._ledger.sections(source)
        issues = list(self._ledger.issues)
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
        return self._take_events()

    def _turn(self, kind: Kind, start: int) -> None:
        if self._given:
            self._ledger.close(start, start, "")
        self._ledger.open(kind, start, start, "")
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


def parse(text: str, dialect: str | Dialect = "reflection", prefilled: bool = False) -> Transcript:
    """The transcript of a whole text; see ``Parser``. Raises ``ConfigurationError`` for misuse."""
    parser = Parser(dialect, prefilled)
    parser.feed(text)
    parser.finish()
    return parser.transcript
