"""Conversations of every shape, for all who write a prompt out of one."""

from __future__ import annotations

from calling.cases import CASES, Case, cases
from calling.layout import Turn
from calling.questions import Call
from calling.tools import Parameter, Tool

HARD = (
    Tool("book", "book", "room", "Book a room.\n\nArgs:\n    n: how many", (
        Parameter("n", "integer", description="The <number> & \"größe\""),
        Parameter("unit", "enum", choices=("c", "f"), required=False),
        Parameter("tags", "array", required=False), Parameter("é", "boolean", required=False),
    )),
    Tool("now", "get", "time"),
)  # fmt: skip
LONG = (
    Turn("system", "Be brief."), Turn("user", "Rooms in 你好 & <Rome> 'é'?"),
    Turn("assistant", calls=(Call("book", {"n": 3, "unit": "你 \"x\" <é>"}), Call("now", {}))),
    Turn("tool", "It's 你 <fine>."), Turn("tool", '{"at": "12:00"}'),
    Turn("assistant", "Fine."), Turn("user", "And?"),
    Turn("assistant", "Well.", calls=(Call("now", {}),)), Turn("tool", "13:00"),
)  # fmt: skip


SHAPES = [Case(HARD, LONG, Turn("assistant")), Case((), LONG[1:2], Turn("assistant")),
          *(case for name in CASES for case in cases(name, 3))]  # fmt: skip
