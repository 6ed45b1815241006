"""The Python code in an answer, with its lines where they stand in the answer."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Answer", "completed", "defined", "found_in"]

_FENCE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)")
_PYTHON: Final = frozenset(["python", "py", "python3", "py3"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``code`` has the answer's own line numbers, plus ``shift``; ``before`` runs before it."""

    code: str
    before: str = ""
    shift: int = 0

    def line_in_output(self, line: int) -> int:
        """The number of a line of ``code`` in the answer; 0 for one that is not from there."""
        return max(0, line - self.shift)


@dataclass(slots=True)
class _Block:
    language: str
    first: int
    lines: list[str]

    @property
    def code(self) -> str:
        return textwrap.dedent("\n".join(self.lines))


def found_in(output: str) -> Answer:
    """The fenced blocks marked as Python, else those without a mark, else all of it.

    Of several blocks those count that are valid Python (all, if none is), and they are one
    program: every other line is left empty.
    """
    lines = output.splitlines()
    blocks = list(_blocks(lines))
    marked = [b for b in blocks if b.language in _PYTHON] or [b for b in blocks if not b.language]
    if not marked:
        return Answer(code=output)
    program = [""] * len(lines)
    for block in [b for b in marked if _valid(b.code)] or marked[-1:]:
        program[block.first : block.first + len(block.lines)] = block.code.split("\n")
    return Answer(code="\n".join(program))


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """Fenced blocks; one that is never closed goes to the end."""
    block, mark = None, ""
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if block is None and fence:
            block, mark = _Block(fence["language"].lower(), number + 1, []), fence["mark"]
        elif block is not None and fence and _closes(line, mark):
            yield block
            block = None
        elif block is not None:
            block.lines.append(line)
    if block is not None and block.lines:
        yield block


def _closes(line: str, mark: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(mark) and set(bare) == {mark[0]}


def completed(answer: Answer, prompt: str, entry_point: str) -> Answer:
    """The whole function with the prompt before it, or the prompt with what goes on from it."""
    if entry_point in defined(answer.code) or not _valid_start(prompt):
        return Answer(code=answer.code, before=prompt if _valid(prompt) else "")
    head = prompt if prompt.endswith("\n") else f"{prompt}\n"
    shift = head.count("\n")
    # An answer is stripped: the indent of its first line is lost.
    bodies = [answer.code, f"    {answer.code}", textwrap.indent(answer.code, "    ")]
    whole = [head + body for body in bodies]
    return Answer(code=next(filter(_valid, whole), whole[1]), shift=shift)


def _valid_start(prompt: str) -> bool:
    return _valid(prompt) or _valid(f"{prompt}\n    pass")


def defined(code: str) -> set[str]:
    """The functions and classes that ``code`` defines; none if it is not valid."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    body = ast.parse(code).body if _valid(code) else []
    return {node.name for node in body if isinstance(node, kinds)}


def _valid(code: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the style of the code
        try:
            compile(code, "<code>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
