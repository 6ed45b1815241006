"""Where-is-it stories: an object, a holder, moves, and what is true after each of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .words import HOLDERS, OBJECTS, PLACES


def place(rng: random.Random, but: str = "") -> str:
    """`on the bed`, `in the kitchen`; never the one named by `but`."""
    while True:
        kind = rng.choice(("on", "in"))
        found = f"{kind} the {rng.choice(PLACES[kind])}"
        if found != but:
            return found


@dataclass(frozen=True)
class Story:
    """What happens: the moves, as (verb, place), to an object that starts inside a holder."""

    thing: str
    holder: str
    moves: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        return f"{self.thing} {self.holder} {self.moves}"

    @property
    def answer(self) -> str:
        """Where the object is in the end: a place, or the holder that was never put anywhere."""
        inside, at = True, ""
        for verb, where in self.moves:
            if inside or verb == "take":
                at = where
            inside = inside and verb not in ("tip", "take")
        return at


def story(rng: random.Random) -> Story:
    """One to three moves; the holder is tipped over, or the object taken, at most once."""
    moves: list[tuple[str, str]] = []
    where, inside = "", True
    for _ in range(rng.choice((1, 2, 2, 3, 3))):
        where = place(rng, where)
        verb = rng.choice(("put", "put", "tip", "tip", "take")) if inside else "put"
        inside = inside and verb == "put"
        moves.append((verb, where))
    return Story(rng.choice(OBJECTS), rng.choice(HOLDERS), tuple(moves))


FIRST = (
    "I put a {t} in a {h}.", "I put the {t} in the {h}.", "There is a {t} in the {h}.",
    "A {t} is in a {h}.", "I place a {t} in a {h}.", "{n} puts a {t} in the {h}.",
    "I drop a {t} into a {h}.", "The {t} is in the {h}.",
)  # fmt: skip
PUT = (
    "I put the {h} {p}.", "I place the {h} {p}.", "The {h} is now {p}.", "I leave the {h} {p}.",
    "Then I put the {h} {p}.", "{n} puts the {h} {p}.", "I set the {h} down {p}.",
    "The {h} is {p}.", "I carry the {h} away and put it {p}.", "I carry the {h} {to}.",
    "I take the {h} {to}.", "I move the {h} {to}.", "The {h} is moved {to}.", "The {h} is put {p}.",
)  # fmt: skip
TIP = (
    "I turn the {h} upside down {p}.", "I turn the {h} over {p}.", "I tip the {h} over {p}.",
    "Then I turn the {h} upside down {p}.", "{n} turns the {h} upside down {p}.",
    "I empty the {h} {p}.", "The {h} is turned upside down {p}.", "The {h} is turned over {p}.",
    "I put the {h} upside down {p}.",
)  # fmt: skip
TAKE = (
    "I take the {t} out and put it {p}.", "I take the {t} out of the {h} and put it {p}.",
    "{n} takes the {t} out and leaves it {p}.", "Then I take out the {t} and place it {p}.",
)  # fmt: skip
WHERE = ("Where is the {t}?", "Where is the {t} now?", "Where is the {t}?", "Where's the {t}?")
TOLD = {"put": PUT, "tip": TIP, "take": TAKE}


def line(tale: Story, verb: str, where: str, at: str, inside: bool) -> str:
    """What is true after one move, in short."""
    if verb == "take":
        return f"the {tale.thing} is taken out, the {tale.thing} is {where}"
    if verb == "tip":
        return f"the {tale.holder} is turned over, the {tale.thing} falls out, it is {where}"
    state = f"the {tale.thing} with it" if inside else f"the {tale.thing} stays {at}"
    return f"the {tale.holder} is {where}, {state}"


def tell(rng: random.Random, tale: Story) -> tuple[str, list[str]]:
    """The question, and one line of thought a sentence."""
    names = {"t": tale.thing, "h": tale.holder, "n": rng.choice(("Tom", "Ana", "Ben", "Mia"))}
    said = [rng.choice(FIRST).format(**names)]
    lines = [f"the {tale.thing} is in the {tale.holder}"]
    inside, at = True, ""
    for verb, where in tale.moves:
        to = f"to {where.split(' ', 1)[1]}"
        said.append(rng.choice(TOLD[verb]).format(p=where, to=to, **names))
        lines.append(line(tale, verb, where, at, inside))
        at = where if inside or verb == "take" else at
        inside = inside and verb == "put"
    if rng.random() < 0.3 and said[0].startswith("I ") and said[1].startswith("I "):
        said[:2] = [f"{said[0][:-1]} and {said[1][2:]}"]
    said.append(rng.choice(WHERE).format(**names))
    return " ".join(said), lines
