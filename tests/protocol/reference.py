"""A second reader of the protocol page, for tests: whole text, slow, obvious, written apart.

It walks the text character by character, looks ahead as far as it likes, and keeps a plain list of
open tags. It shares no code with the parser but the dialect values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflectkit.protocol import Dialect

TAG = re.compile(r"<(/?)([^\s<>/]+)(\s[^<>]*|/)?>")
LONGEST = 256


@dataclass
class Open:
    kind: str
    start: int
    parent: int | None
    end: int = -1
    closed: bool = False


@dataclass
class Reference:
    """Reads one text in a literal or xml dialect whose spellings each have one meaning."""

    text: str
    dialect: Dialect
    prefilled: bool = False
    sections: list[Open] = field(default_factory=list)
    issues: list[tuple[str, int]] = field(default_factory=list)
    markup: list[tuple[int, int]] = field(default_factory=list)
    #: Open tags, outermost first: (kind, section number or None for a nested level).
    stack: list[tuple[str, int | None]] = field(default_factory=list)
    run: int | None = None
    #: Where the closer of the open thinking section stands.
    closer: int | None = None
    #: Where a backtick stands that is known to begin no code.
    dead: int | None = None
    #: Code spans with a closer and other text in them: where, and of what.
    hidden: list[tuple[int, str]] = field(default_factory=list)

    # --- what stands at a place

    def delimiter(self, at: int) -> tuple[int, str, bool] | None:
        """(length, kind, opens) of the longest delimiter at a place."""
        if self.dialect.match == "xml":
            return self.tag(at)
        best: tuple[int, str, bool] | None = None
        for kind, marks in self.dialect.sections.items():
            for opens, spellings in ((True, marks.open), (False, marks.close)):
                for spelling in spellings:
                    longer = best is None or len(spelling) > best[0]
                    if self.text.startswith(spelling, at) and longer:
                        best = (len(spelling), kind, opens)
        return best

    def tag(self, at: int) -> tuple[int, str, bool] | None:
        found = TAG.match(self.text, at, at + LONGEST)
        if not found:
            return None
        opens = not found[1]
        for kind, marks in self.dialect.sections.items():
            if found[2].lower() in (marks.open if opens else marks.close):
                return len(found[0]), kind, opens
        return None

    def code_end(self, at: int, begin: int) -> int | None:
        """Where the code span or fence ends that begins here."""
        mark = self.text[at]
        length = run_length(self.text, at)
        if length >= LONGEST:
            return None
        line_end = self.text.find("\n", at)
        line_end = len(self.text) if line_end < 0 else line_end
        rest = self.text[at + length : line_end]
        before = self.text[begin:at].rpartition("\n")[2]
        if length >= 3 and before in ("", " ", "  ", "   ") and (mark == "~" or "`" not in rest):
            return self.fence_end(line_end + 1, mark, length)
        if mark == "~":
            return None
        if at == self.dead:
            return None
        place = at + length
        while place < line_end:
            if self.text[place] == "`":
                other = run_length(self.text, place)
                if other == length:
                    self.look_inside(at, at + length, place)
                    return place + other
                place += other
            else:
                place += 1
        return None

    def look_inside(self, at: int, start: int, end: int) -> None:
        wanted = self.stack[-1][0] if self.stack else "thinking"
        place = start
        while place < end:
            found = self.delimiter(place)
            if found is None or place + found[0] > end:
                place += 1
                continue
            alone = self.text[start:end].strip() == self.text[place : place + found[0]]
            if found[1:] == (wanted, False) and not alone:
                self.hidden.append((at, wanted))
            place += found[0]

    def again(self) -> int | None:
        """Where a backtick was left open after all: the closer behind it is the only one."""
        here = self.stack[-1][0] if self.stack else None
        unthought = not self.stack and all(s.kind == self.dialect.outside for s in self.sections)
        for at, kind in self.hidden:
            if (
                here == "output"
                and kind == "output"
                and at >= self.sections[self.stack[-1][1] or 0].start
            ):
                return at
            if unthought and kind == "thinking" and len(self.sections) <= 1:
                return at
        return None

    def fence_end(self, line: int, mark: str, length: int) -> int | None:
        while line <= len(self.text):
            end = self.text.find("\n", line)
            end = len(self.text) if end < 0 else end
            content = self.text[line:end]
            bare = content.lstrip(" ").rstrip(" \t")
            indent = len(content) - len(content.lstrip(" "))
            whole = bare != "" and set(bare) == {mark} and len(bare) >= length
            if whole and indent <= 3 and len(content) < LONGEST:
                return end
            line = end + 1
        return None

    # --- thinking closes where its nesting balances, else at its first closer

    def find_closer(self, at: int, around: list[str]) -> int | None:
        depth, first, open_kinds, reflections = 1, None, list(around), around.count("reflection")
        within = bool(around)
        while at < len(self.text):
            found = self.delimiter(at)
            if found is None:
                at += 1
                continue
            length, kind, opens = found
            if kind == "output" and opens:
                return first
            if kind == "thinking":
                depth += 1 if opens else -1
                if not opens and first is None:
                    first = at
                if depth == 0:
                    return at
            if kind == "reflection" and within:
                reflections += 1 if opens else -1
                if reflections == 0:
                    return first
            at += length
        del open_kinds
        return first

    # --- reading

    def read(self) -> Reference:
        at = answer = 0
        if self.prefilled:
            self.enter("thinking", 0, 0)
        while at < len(self.text):
            kind = self.stack[-1][0] if self.stack else None
            if kind in (None, "output") and (found := self.delimiter(at)) is None:
                mark = self.text[at]
                if mark in "`~":
                    length = run_length(self.text, at)
                    end = self.code_end(at, answer)
                    end = at + length if end is None else end
                    self.say(at)
                    at = end
                    continue
            found = self.delimiter(at)
            if found is None or not self.act(at, *found):
                self.say(at)
                at += 1
                continue
            at += found[0]
            if self.stack_changed:
                answer = at
        if self.dead is None and (dead := self.again()) is not None:
            return Reference(self.text, self.dialect, self.prefilled, dead=dead).read()
        self.finish()
        return self

    stack_changed = False

    def say(self, at: int) -> None:
        if not self.stack and self.run is None:
            self.run = len(self.sections)
            self.sections.append(Open(self.dialect.outside, at, None))

    def enter(self, kind: str, start: int, end: int) -> None:
        self.end_run(start)
        around = [k for k, _ in self.stack]
        parent = next((n for _, n in reversed(self.stack) if n is not None), None)
        self.stack.append((kind, len(self.sections)))
        self.sections.append(Open(kind, start, parent))
        if end > start:
            self.markup.append((start, end))
        if kind == "thinking":
            self.closer = self.find_closer(end, around)

    def leave(self, place: int, start: int, end: int, closed: bool) -> None:
        """Close the open tag at ``place`` of the stack."""
        number = self.stack.pop(place)[1]
        if number is not None:
            self.sections[number].end = end if closed else start
            self.sections[number].closed = closed

    def end_run(self, place: int) -> None:
        if self.run is None:
            return
        while any(end == place for _, end in self.markup):
            place = next(start for start, end in self.markup if end == place)
        self.sections[self.run].end = place
        self.sections[self.run].closed = True
        self.run = None

    def act(self, at: int, length: int, kind: str, opens: bool) -> bool:
        """Whether the delimiter is markup; then it has been dealt with."""
        end = at + length
        kinds = [k for k, _ in self.stack]
        self.stack_changed = False
        if "output" in kinds:
            return self.act_in_output(at, end, kind, opens)
        self.stack_changed = True
        if opens and kind == "output":
            while self.stack:
                self.leave(-1, at, at, closed=False)
            self.enter("output", at, end)
        elif opens and kind in kinds:
            self.issues.append((f"nested_{kind}", at))
            self.markup.append((at, end))
            self.stack.append((kind, None))
        elif opens:
            self.enter(kind, at, end)
        elif kind in kinds:
            self.close(at, end, kind)
        else:
            self.stray(at, end, kind)
        return True

    def act_in_output(self, at: int, end: int, kind: str, opens: bool) -> bool:
        if kind != "output":
            return False
        if opens:
            self.issues.append(("nested_output", at))
            return False
        self.markup.append((at, end))
        self.leave(-1, at, end, closed=True)
        self.stack_changed = True
        return True

    def close(self, at: int, end: int, kind: str) -> None:
        self.markup.append((at, end))
        place = max(i for i, (k, _) in enumerate(self.stack) if k == kind)
        outer = min(i for i, (k, _) in enumerate(self.stack) if k == kind)
        if kind == "thinking" and at == self.closer:
            place = outer
            for i in reversed(range(outer + 1, len(self.stack))):
                self.leave(i, at, at, closed=False)
        elif kind == "thinking":
            # A level of thinking takes along a reflection that began inside it; the levels of
            # one that began before are only counted.
            inside = [(i, n) for i, (_, n) in enumerate(self.stack) if i > place]
            if any(number is not None for _, number in inside):
                for i, _ in reversed(inside):
                    self.leave(i, at, at, closed=False)
        elif place == 0:
            for i in reversed(range(1, len(self.stack))):
                self.leave(i, at, at, closed=False)
        self.leave(place, at, end, closed=True)

    def stray(self, at: int, end: int, kind: str) -> None:
        only_run = not self.sections or (len(self.sections) == 1 and self.run == 0)
        self.markup.append((at, end))
        if kind == "thinking" and only_run:
            self.issues.append(("missing_open", at))
            self.sections[:] = [Open("thinking", 0, None, end, True)]
            self.run = None
            return
        self.issues.append(("stray_close", at))
        self.stack_changed = False

    def finish(self) -> None:
        end = len(self.text)
        while self.stack:
            self.leave(-1, end, end, closed=False)
        self.end_run(end)

    # --- the result, in the parser's terms

    def result(self) -> list[tuple[str, str, int, int, bool, int | None]]:
        return [
            (s.kind, self.text_of(s), s.start, s.end, s.closed, s.parent) for s in self.sections
        ]

    def text_of(self, section: Open) -> str:
        hidden = {i for start, end in self.markup for i in range(start, end)}
        return "".join(self.text[i] for i in range(section.start, section.end) if i not in hidden)


def run_length(text: str, at: int) -> int:
    end = at
    while end < len(text) and text[end] == text[at]:
        end += 1
    return end - at
