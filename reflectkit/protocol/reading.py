"""The reading head: goes through the text delimiter by delimiter and keeps the ledger.

Three readings depend on later text: whether nested thinking balances, whether a code span or fence
is ever closed, and whether a span hid the only closer that the answer has. The head goes on with
the likelier reading and remembers the place (a ``Doubt``). If the other one proves true it reads
again from there, once: what it learnt (which openers never balance, which code marks never close)
is kept, so that no text is read more than a fixed number of times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .code import (
    FENCE_LINE,
    LINE_MARKS,
    Code,
    FenceEnds,
    closes_fence,
    dead_runs,
    starts_line,
)
from .doubt import Doubt, Hidden
from .ledger import Ledger
from .scanner import MAX_TAG
from .states import CALL, OUTPUT, OUTSIDE, Action, choose

if TYPE_CHECKING:
    import re

    from ..events import Kind, ProtocolEvent
    from .dialect import Dialect
    from .scanner import Scan

__all__ = ["Reading"]

_KIND: Final[dict[str, Kind]] = {"T": "thinking", "R": "reflection", "O": "output"}
_SHORTEST_TRUNCATED: Final = 3


class Reading:
    """One text being read: where the head is, what is open, and what later text may still change.

    ``_load`` takes text in, ``_step`` reads over one mark, ``_store`` lets go of what was read.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._lexicon = dialect.lexicon
        self._ledger = Ledger(dialect.outside)
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
        # Late evidence.
        self._code: Code | None = None
        self._doubt: Doubt | None = None
        self._unbalanced: set[int] = set()
        self._dead: set[int] = set()
        self._no_fence: set[int] = set()
        self._fence_ends: FenceEnds | None = None
        self._fragment: int | None = None
        self._hidden: Hidden | None = None
        self._hidden_read = False

    # --- the text

    def _load(self, piece: str) -> None:
        """Take in the next piece, and what went by on the fast path since the last one."""
        passed = "".join(self._parts[self._counted :])
        if passed:
            self._ledger.passed(len(passed), self._base)
        if passed and self._answering and not self._given:
            del self._parts[self._counted :]  # its code marks matter now
            self._buffer = passed + piece
            return
        self._base += len(passed)
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
        if self._answering:
            found, at = self._after_spans(scan.answer, at)
        else:
            found = scan.tags.search(text, at)
        sure = found is not None and scan.sure and text[found.start()] == "<"
        if found is None or (not sure and found.end() > len(text) - MAX_TAG):
            limit = len(text) if final else scan.hold(text, at)
            if found is None or found.start() >= limit:
                if final:
                    self._note_fragment(at)
                self._text_to(limit)
                return False
        if self._answering and not (found["ticks"] is found["tildes"] is None):
            return self._code_mark(found, final)
        self._text_to(found.start())
        return self._tag(found)

    def _after_spans(self, pattern: re.Pattern[str], at: int) -> tuple[re.Match[str] | None, int]:
        """The first mark behind code spans that are plainly whole, and where they end."""
        text = self._buffer
        found = pattern.search(text, at)
        while found is not None and found["span"]:
            start = found.start()
            goes_on = (text[start - 1 : start] or self._before(0)[-1:]) == "`"  # a run too long
            none = goes_on or (self._base + start) in self._dead
            at = start + 1 if none else found.end()
            if not none and (letter := self._closer_in(found["span"][:-1])):
                self._text_to(start)
                self._hidden = Hidden(self._here(), letter)
            found = pattern.search(text, at)
        return found, at

    def _text_to(self, place: int) -> None:
        """The text up to ``place`` in the buffer has no marks."""
        at = self._at
        if place <= at:
            return
        text = self._buffer[at:place]
        tell = self._ledger.markup if self._state == CALL else self._ledger.text
        tell(self._base + at, self._base + place, text)
        self._at = place

    def _note_fragment(self, at: int) -> None:
        """At the end of the text: is there the beginning of a tag that could count here?"""
        scan = self._lexicon.closing if self._state == OUTPUT else self._scan
        place = scan.hold(self._buffer, at)
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
        if letter == "O" and self._hidden and self._hidden.letter == "O":
            self._hidden = None
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
            self._span_closed(code, found.start())
        code.fence = False
        self._text_to(found.end())
        return True

    def _span_closed(self, code: Code, end: int) -> None:
        doubt = self._doubt
        assert doubt is not None
        if code.holds or self._base <= code.position:
            inner = self._since(doubt, end)[code.length :]
            if letter := self._closer_in(inner):
                self._hidden = Hidden(doubt, letter)
        self._code = self._doubt = None

    def _since(self, doubt: Doubt, end: int) -> str:
        """The text from a place in doubt to ``end`` in the buffer."""
        text = "".join(self._parts[doubt.part :]) + self._buffer[:end]
        return text[doubt.save.position - (self._base + end - len(text)) :]

    def _closer_in(self, span: str) -> str:
        """The letter of the section whose closer a span holds beside other text; "" if none."""
        if self._hidden is not None or self._hidden_read:
            return ""
        wanted = "O" if self._state == OUTPUT else "T"
        scan = self._lexicon.closing if wanted == "O" else self._lexicon.anywhere
        for found in scan.tags.finditer(span):
            if "-" + wanted in scan.signals(found) and found[0] != span.strip():
                return wanted
        return ""

    def _reread_hidden(self) -> bool:
        """The answer never closed (or nothing was thinking), but a code span hid a closer: the
        backtick was left open. Only the first such span is read again, once."""
        hidden = self._hidden
        if hidden is None or self._hidden_read:
            return False
        open_answer = hidden.letter == "O" and self._state == OUTPUT
        unthought = hidden.letter == "T" and self._state == OUTSIDE and not self._ledger.marked
        if not (open_answer or unthought):
            return False
        self._doubt = hidden.doubt
        self._go_back()
        self._dead.add(hidden.doubt.save.position)
        self._no_fence.add(hidden.doubt.save.position)
        self._ledger.restore(hidden.doubt.save)
        self._code = self._doubt = self._hidden = None
        self._hidden_read = True
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
        if self._hidden and self._hidden.doubt.save.position >= doubt.save.position:
            self._hidden = None
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
        while self._step(final=True) or self._reread_unbalanced() or self._reread_hidden():
            pass
        self._ledger.catch_up()

    def _end_sections(self) -> None:
        end = self._base + self._at
        if self._given:
            self._ledger.close(end, end, "")
        self._leave_all(end)
        self._ledger.close_run(end)
