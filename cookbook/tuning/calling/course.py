"""Training samples: conversations, and dense pages on which looking up and copying is learned."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from render import Piece
from samples import END, START, Sample, assemble, header, said
from tokenizer import Tokenizer

from . import chats, typed, words
from .format import OPEN
from .layout import DECISION, listing, pieces, turn_pieces
from .questions import opener
from .tools import Tool, tool


@dataclass(frozen=True)
class Mix:
    """What a stage trains on: shares of pages, among them those of picking, and of JSON as text;
    how much a chat holds."""

    drills: float = 0.1
    picks: float = 0.5
    typed: float = 0.14
    most: int = 5
    turns: int = 3
    longest: int = 1200


def chat(tokenizer: Tokenizer, rng: random.Random, mix: Mix) -> Sample:
    """One conversation that is not too long, and holds nothing that is held out."""
    while True:
        if rng.random() < mix.typed:
            found = typed.conversation(rng)
        else:
            found = chats.conversation(rng, False, mix.most, mix.turns)
        parts = pieces(found.tools, found.turns)
        text = "".join(p.text for p in parts)
        if len(text) < 2 * mix.longest and not any(held in text for held in words.HELD):
            sample = assemble(tokenizer, parts)
            if len(sample.ids) < mix.longest:
                return sample


def drill(tokenizer: Tokenizer, rng: random.Random, mix: Mix, length: int) -> Sample:
    """A page of some `length` tokens."""
    found = Sample([], [], [])
    parts = [Piece(START, 0.0)]
    picking = rng.random() < mix.picks
    while len(found.ids) < length:
        parts += picks(rng) if picking else rng.choice((again, table))(rng)
        found = assemble(tokenizer, parts)
    return Sample(found.ids[:length], found.weights[:length], found.heats[:length])


def picks(rng: random.Random) -> list[Piece]:
    """A list of tools, and questions for them."""
    tools = tuple(several(rng))
    found = [Piece(listing(tools), 0.0)]
    for _ in range(rng.randint(2, 5)):
        found += pick(rng, tools)
    return found


def several(rng: random.Random) -> list[Tool]:
    """Two to four tools with little about them: the page is about their names."""
    found: list[Tool] = []
    count = rng.choice((2, 3, 4))
    while len(found) < count:
        one = tool(rng, False, rng.choice(found) if found and rng.random() < 0.3 else None)
        if one.noun in one.name and all(one.noun != t.noun for t in found):
            bare = rng.random() < 0.6
            found.append(replace(one, parameters=(), description="" if bare else one.description))
    return found


def pick(rng: random.Random, tools: tuple[Tool, ...]) -> list[Piece]:
    """A question, and the name of the tool for it, or that there is none."""
    chat = chats.Chat(rng, list(tools))
    if rng.random() < 0.15:
        chats.nothing(chat)
        return turn_pieces(chat.turns[0]) + turn_pieces(chat.turns[1])
    chosen = rng.choice(tools)
    start, ends = opener(chosen, rng)
    tail = (
        f" {rng.choice(('in', 'for', 'of', 'with'))} {anything(rng)}" if rng.random() < 0.3 else ""
    )
    return [
        said("user", start + tail + rng.choice(ends)), Piece(header("assistant"), 0.0),
        Piece(OPEN, DECISION), Piece('\n{"name": "', 0.0), Piece(f'{chosen.name}"', DECISION),
        Piece(END, 0.0),
    ]  # fmt: skip


def anything(rng: random.Random) -> str:
    """A value of any kind."""
    makers: list[Callable[[random.Random], str]] = [*words.MAKERS.values(), words.whole]
    return rng.choice(makers)(rng)


def again(rng: random.Random) -> list[Piece]:
    """A text, and the same a few times more."""
    text = " ".join(anything(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    times = rng.randint(1, 4) if len(text) < 25 else 1
    return [Piece(f"{text}\n", 0.0), Piece(f"{text}\n" * times)]


def table(rng: random.Random) -> list[Piece]:
    """Keys with values, and the values of some of them asked for."""
    keys = list({words.word(rng) for _ in range(rng.randint(2, 6))})
    values = {key: anything(rng) for key in keys}
    rows = "".join(f"{key}{rng.choice((' is ', ': ', ' = '))}{values[key]}\n" for key in keys)
    rng.shuffle(keys)
    found = [Piece(rows, 0.0)]
    for key in keys:
        found += [Piece(f'"{key}": "', 0.0), Piece(f'{values[key]}"'), Piece("\n", 0.0)]
    return found
