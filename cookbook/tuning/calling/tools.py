"""Tools: names, descriptions and parameters, and how one speaks of them."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reflectkit.comparison.heldout.problems import held_out

from . import words

#: parameter names that say what kind of value they take, and the words that lead to one
ROLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("location city place country region town address area", "place", ("in", "at", "for", "near")),
    ("origin source start departure from_city from_place", "place", ("from",)),
    ("destination target arrival to_city to_place goal", "place", ("to",)),
    ("name full_name user_name title label nickname person client_name company", "name",
     ("named", "called", "with the name", "for")),
    ("query search_term topic subject keyword term question", "phrase", ("about", "for", "on")),
    ("text message content body", "text",
     ("saying", "that says", "with the text", "with the message")),
    ("description note comment details", "text", ("-", "- it is", "noting", "with the note")),
    ("date day deadline due", "date", ("on", "for")),
    ("time hour start_time at", "clock", ("at", "for")),
    ("email recipient to", "email", ("to", "for")),
    ("url link page", "url", ("at", "from", "for")),
    ("user_id order_id code ticket id key reference path file", "code",
     ("for", "of", "with the id", "number")),
    ("item product thing object word ingredient style kind", "phrase", ("of", "for")),
)  # fmt: skip
CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unit", ("celsius", "fahrenheit", "kelvin")), ("unit", ("metric", "imperial")),
    ("priority", ("low", "medium", "high")), ("color", ("red", "green", "blue", "yellow")),
    ("size", ("small", "medium", "large")), ("format", ("json", "xml", "csv", "text")),
    ("mode", ("fast", "slow", "auto")), ("order", ("asc", "desc")), ("status", ("open", "closed")),
    ("language", ("english", "german", "french", "spanish")), ("level", ("info", "debug", "error")),
)  # fmt: skip
AMOUNTS = words.LISTS["amounts"].split()
FLAGS = words.LISTS["flags"].split()
KINDS = ("string",) * 14 + ("integer",) * 6 + ("number",) * 2 + ("boolean", "enum", "array")


@dataclass(frozen=True)
class Parameter:
    """`maker` names what draws its values; `cues` are words that lead to a value in a question."""

    name: str
    kind: str
    maker: str = "phrase"
    cues: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    required: bool = True
    description: str = ""

    @property
    def spoken(self) -> str:
        """The name as one says it."""
        return spoken(self.name)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        found: dict[str, Any] = {"type": "string" if self.kind == "enum" else self.kind}
        if self.kind == "enum":
            found = {"enum": list(self.choices), "type": "string"}
        if self.kind == "array":
            found["items"] = {"type": "string"}
        return found | ({"description": self.description} if self.description else {})


@dataclass(frozen=True)
class Tool:
    """`verb` and `noun` are the words of a question for it."""

    name: str
    verb: str
    noun: str
    description: str = ""
    parameters: tuple[Parameter, ...] = field(default=())

    def wire(self) -> dict[str, Any]:
        """The tool as the OpenAI API has it."""
        properties = {p.name: p.schema() for p in self.parameters}
        required = [p.name for p in self.parameters if p.required]
        schema = {"type": "object", "properties": properties, "required": required}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


def spoken(identifier: str) -> str:
    """`userName` and `user_name` as one says them."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", identifier).replace("_", " ").lower()


def styled(parts: Sequence[str], rng: random.Random) -> str:
    """Words as one identifier; snake_case most of the time."""
    small = "_".join(parts)
    if rng.random() < 0.85:
        return small
    first, *rest = small.split("_")
    return first + "".join(part.capitalize() for part in rest)


def parameter(rng: random.Random, taken: set[str]) -> Parameter:
    """A parameter whose name is not taken."""
    while True:
        found = _parameter(rng, rng.choice(KINDS))
        if found.name not in taken:
            taken.add(found.name)
            return found


def _parameter(rng: random.Random, kind: str) -> Parameter:
    made = words.invented(rng, 2) if rng.random() < 0.3 else ""
    if kind == "string":
        names, maker, cues = rng.choice(ROLES)
        name = made or rng.choice(names.split())
        maker = rng.choice(list(words.MAKERS)) if made else maker
        maker = maker if rng.random() < 0.85 else rng.choice(("name", "phrase", "code", "foreign"))
        found = Parameter(name, kind, maker, () if made else cues)
    elif kind == "enum":
        name, choices = rng.choice(CHOICES)
        if made:
            name, choices = made, tuple({words.word(rng) for _ in range(rng.randint(2, 5))})
        found = Parameter(
            name, kind, "", ("in", "as") if name in ("unit", "language") else (), choices
        )
    elif kind == "boolean":
        found = Parameter(made or rng.choice(FLAGS), kind)
    elif kind == "array":
        found = Parameter(
            (made or rng.choice(words.NOUNS)) + "s", kind, rng.choice(("name", "phrase", "code"))
        )
    else:
        found = Parameter(
            made or rng.choice(AMOUNTS), kind, "whole" if kind == "integer" else "decimal"
        )
    return _described(found, rng)


def _described(p: Parameter, rng: random.Random) -> Parameter:
    """With a description or none, required or not, its name in some style."""
    about = "" if rng.random() < 0.7 else rng.choice((
        f"The {p.spoken}.", f"the {p.spoken} to use", f"{p.spoken} of the {words.word(rng)}",
        f"{p.spoken.capitalize()}, e.g. {words.word(rng)}", words.sentence(rng),
        words.sentence(rng),
    ))  # fmt: skip
    name = styled(p.name.split("_"), rng)
    return Parameter(name, p.kind, p.maker, p.cues, p.choices, rng.random() < 0.7, about)


def described(rng: random.Random, verb: str, noun: str, parameters: Sequence[Parameter]) -> str:
    """What a tool says about itself."""
    do, of = verb.replace("_", " ").capitalize(), parameters[0].spoken if parameters else "user"
    text = rng.choice((
        f"{do} the {noun}.", f"{do} a {noun}", f"{do} the {noun} of a {of}.",
        f"{do} {noun} by {of}.", f"{do} the {noun} for a given {of}.",
        f"{do} the {noun} at a {of}.",
        f"Use this tool to {do.lower()} a {noun}.", f"A tool that can {do.lower()} the {noun}.",
        f"{do} the {rng.choice(words.ADJECTIVES)} {noun} and return it. {words.sentence(rng)}",
    ))  # fmt: skip
    if parameters and rng.random() < 0.05:
        lines = (f"    {p.name}: {p.description or p.spoken}" for p in parameters)
        text += "\n\nArgs:\n" + "\n".join(lines)
    return text


def identifier(rng: random.Random, verb: str, noun: str) -> str:
    """A tool's name from its words."""
    forms = ((verb, noun),) * 18 + ((noun, verb), (noun, "lookup"), (noun,), (noun, "info"),
             (verb, noun, "tool"), (noun, verb + "er"))  # fmt: skip
    return styled(rng.choice(forms), rng)


def tool(rng: random.Random, held: bool, near: Tool | None = None) -> Tool:
    """A tool whose name is held out, or not. `near` shares its verb or its noun."""
    while True:
        found = _tool(rng, near)
        if held_out(found.name) == held:
            return found


def _tool(rng: random.Random, near: Tool | None) -> Tool:
    read = "get" if rng.random() < 0.7 else rng.choice(words.READ)
    verb = read if rng.random() < 0.5 else rng.choice(words.ACT)
    noun = words.word(rng)
    if near is not None and rng.random() < 0.4:
        verb, noun = rng.choice(((near.verb, noun), (verb, near.noun)))
    taken: set[str] = set()
    count = rng.choice((0, 1, 1, 1, 1, 1, 1, 2, 2, 3))
    parameters = tuple(parameter(rng, taken) for _ in range(count))
    name, about = identifier(rng, verb, noun), described(rng, verb, noun, parameters)
    kind = rng.random()
    if kind < 0.1:
        name = styled((words.invented(rng), words.invented(rng)), rng)
    elif kind < 0.2 and noun in spoken(name):
        about = rng.choice(("", words.sentence(rng)))
    return Tool(name, verb, noun, about, parameters)


def offered(rng: random.Random, held: bool, most: int) -> list[Tool]:
    """Some tools, all of different names and nouns; some of them near to one another."""
    found: list[Tool] = []
    count = min(most, rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 4, 5)))
    while len(found) < count:
        near = rng.choice(found) if found else None
        one = tool(rng, held, near)
        if all(one.name != t.name and (one.verb, one.noun) != (t.verb, t.noun) for t in found):
            found.append(one)
    return found
