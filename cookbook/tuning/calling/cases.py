"""Held-out conversations to answer: what came before, and the turn that would be right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import chats, typed, words
from .chats import Chat
from .layout import Turn
from .questions import call, question, values
from .tools import Tool, tool


@dataclass(frozen=True)
class Case:
    """`wanted` is the right next turn after `turns`."""

    tools: tuple[Tool, ...]
    turns: tuple[Turn, ...]
    wanted: Turn


def last(chat: Chat) -> Case:
    """Everything but the last turn of an assistant, and that turn."""
    at = max(i for i, turn in enumerate(chat.turns) if turn.role == "assistant")
    return Case(tuple(chat.tools), tuple(chat.turns[:at]), chat.turns[at])


def _first(make: chats.Make, most: int = 5) -> Callable[[random.Random], Case]:
    """The first question of a chat, of one family."""

    def draw(rng: random.Random) -> Case:
        chat = chats.start(rng, True, most)
        make(chat)
        return last(chat)

    return draw


def _one_value(maker: str = "") -> Callable[[random.Random], Case]:
    """One tool and one string, of its own kind or of a certain one."""

    def draw(rng: random.Random) -> Case:
        while True:
            chosen = tool(rng, True)
            wanted = [p for p in chosen.parameters if p.required]
            if len(wanted) == 1 and wanted[0].kind == "string":
                break
        only = replace(wanted[0], maker=maker or wanted[0].maker)
        chosen = replace(chosen, parameters=(only,))
        given = values(chosen, rng)
        asked = Turn("user", question(chosen, given, rng))
        return Case((chosen,), (asked,), Turn("assistant", calls=(call(chosen, given),)))

    return draw


def _several(rng: random.Random) -> Case:
    """Three to five tools, of which one is right."""
    while True:
        chat = chats.start(rng, True, 5)
        if len(chat.tools) >= 3:
            chats.one(chat)
            return last(chat)


def _parallel(rng: random.Random) -> Case:
    while True:
        found = _first(chats.parallel)(rng)
        if len(found.wanted.calls) > 1:
            return found


def _second(rng: random.Random) -> Case:
    """A question after one that was called for and answered."""
    chat = chats.start(rng, True, 3)
    chats.one(chat)
    chats.follow(chat, False)
    chats.one(chat)
    return last(chat)


def _answer(errors: bool) -> Callable[[random.Random], Case]:
    """What is said to the results of one or more calls."""

    def draw(rng: random.Random) -> Case:
        while True:
            chat = chats.start(rng, True, 4)
            rng.choice((chats.one, chats.one, chats.parallel))(chat)
            chat.results(chat.turns[-1].calls)
            if any(s.startswith("That did not work") for s in chat.known) == errors:
                chat.answer(" ".join(chat.known))
                return last(chat)

    return draw


def _no_more(rng: random.Random) -> Case:
    chat = chats.start(rng, True, 4)
    chats.one(chat)
    chat.results(chat.turns[-1].calls)
    chats.no_more(chat)
    return last(chat)


def _typed(make: Callable[[Chat], None]) -> Callable[[random.Random], Case]:
    def draw(rng: random.Random) -> Case:
        chat = Chat(rng, [], True)
        make(chat)
        return last(chat)

    return draw


CASES: dict[str, Callable[[random.Random], Case]] = {
    "one tool, one string": _one_value(),
    "the same, other scripts": _one_value("foreign"),
    "one tool": _first(chats.one, 1),
    "three to five tools": _several,
    "several calls at once": _parallel,
    "second of two calls": _first(chats.chain),
    "arithmetic handed on": _first(chats.maths),
    "search": _first(chats.search),
    "second question": _second,
    "no tool fits": _first(chats.nothing),
    "value is missing": _first(chats.missing),
    "answer with results": _answer(False),
    "answer to an error": _answer(True),
    "no more calls": _no_more,
    "JSON for a schema": _typed(typed.fitting),
    "JSON with keys": _typed(typed.keyed),
}
CALLS = tuple(CASES)[:9]


def cases(name: str, count: int, seed: int = 0) -> list[Case]:
    """Some held-out cases of a family; short enough to fit, and free of what is never drawn."""
    rng, found = random.Random(f"{seed} {name}"), []
    while len(found) < count:
        case = CASES[name](rng)
        text = f"{case}"
        if len(text) < 6000 and not any(held in text for held in words.HELD):
            found.append(case)
    return found
