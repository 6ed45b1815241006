"""The structure rules as a table of data: what each tag means in each state.

A state is the stack of open sections, outermost first, one letter each: ``T`` thinking,
``R`` reflection, ``O`` output, ``C`` a tool call. Nesting of a kind in itself is a count, not a
state, so these are all the states there are. A signal is what a tag says: ``+`` opens, ``-``
closes, ``=`` begins a new message (channel protocols, where messages never nest).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTIONS", "CALL", "LETTERS", "OUTPUT", "OUTSIDE", "TABLE", "Action", "choose"]

OUTSIDE: Final = ""
OUTPUT: Final = "O"
CALL: Final = "C"
LETTERS: Final = {"thinking": "T", "reflection": "R", "output": "O", "call": "C"}

Action = Literal["close", "open", "switch", "nest", "claim", "echo", "text", "stray"]

#: What an action does, the strongest first: of two meanings of one spelling, the first wins.
ACTIONS: Final[Mapping[Action, str]] = {
    "close": "closes the section (or one level of its nesting), and what is open inside it",
    "open": "opens a section inside the current one",
    "switch": "closes all open sections implicitly, then opens one",
    "nest": "counts one more level of the section that is already open",
    "claim": "closes nothing; all text before it was thinking if no section occurred, else stray",
    "echo": "is text, and is reported as a nested output",
    "text": "is text",
    "stray": "is markup without effect, reported",
}
_RANK: Final = {action: rank for rank, action in enumerate(ACTIONS)}

TABLE: Final[Mapping[str, Mapping[str, Action]]] = {
    "": {
        "+T": "open", "+R": "open", "+O": "open",
        "-T": "claim", "-R": "stray", "-O": "stray", "-C": "stray",
        "=T": "open", "=O": "open", "=C": "open",
    },
    "T": {
        "+T": "nest", "+R": "open", "+O": "switch",
        "-T": "close", "-R": "stray", "-O": "stray", "-C": "stray",
        "=T": "switch", "=O": "switch", "=C": "switch",
    },
    "TR": {
        "+T": "nest", "+R": "nest", "+O": "switch",
        "-T": "close", "-R": "close", "-O": "stray", "-C": "stray",
        "=T": "switch", "=O": "switch", "=C": "switch",
    },
    "R": {
        "+T": "open", "+R": "nest", "+O": "switch",
        "-T": "stray", "-R": "close", "-O": "stray", "-C": "stray",
        "=T": "switch", "=O": "switch", "=C": "switch",
    },
    "RT": {
        "+T": "nest", "+R": "nest", "+O": "switch",
        "-T": "close", "-R": "close", "-O": "stray", "-C": "stray",
        "=T": "switch", "=O": "switch", "=C": "switch",
    },
    "O": {
        "+T": "text", "+R": "text", "+O": "echo",
        "-T": "text", "-R": "text", "-O": "close", "-C": "text",
        "=T": "text", "=O": "echo", "=C": "text",
    },
    "C": {
        "+T": "text", "+R": "text", "+O": "text",
        "-T": "text", "-R": "text", "-O": "text", "-C": "close",
        "=T": "switch", "=O": "switch", "=C": "switch",
    },
}  # fmt: skip


def choose(state: str, signals: tuple[str, ...]) -> tuple[Action, str]:
    """The action of a tag, and the signal it stands for, when its spelling has several meanings.

    The strongest action wins (see ``ACTIONS``); of two closings, that of the innermost section.
    """
    row = TABLE[state]
    if len(signals) == 1:
        return row[signals[0]], signals[0]
    best = min(signals, key=lambda s: (_RANK[row[s]], -state.find(s[-1])))
    return row[best], best
