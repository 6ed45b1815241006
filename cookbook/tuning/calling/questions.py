"""Questions that want a tool, with the call that is right for them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import words
from .tools import Parameter, Tool

QUOTES = ("''", '""', "''", "``", "“”", "‘’", "「」")
AND = (" and ", ", ", " and ", ", and ", "; ")


@dataclass(frozen=True)
class Call:
    """A tool with its arguments, in the order of its parameters."""

    name: str
    arguments: dict[str, Any]

    @property
    def text(self) -> str:
        """The arguments as JSON."""
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True)
class Given:
    """A parameter with the value that a question gives it, and how it is written there."""

    parameter: Parameter
    value: Any
    text: str


def quoted(text: str, rng: random.Random, share: float = 0.25) -> str:
    """The text, in quotation marks or not."""
    marks = rng.choice(QUOTES)
    bare = rng.random() >= share or marks[0] in text or marks[1] in text
    return text if bare else f"{marks[0]}{text}{marks[1]}"


def draw(p: Parameter, rng: random.Random) -> Given:
    """A value for a parameter."""
    if p.kind == "enum":
        value = rng.choice(p.choices)
        return Given(p, value, value if rng.random() < 0.8 else value.capitalize())
    if p.kind == "boolean":
        yes = rng.random() < 0.5
        return Given(p, yes, rng.choice(("true", "yes", "on") if yes else ("false", "no", "off")))
    if p.kind == "array":
        return _several(p, rng)
    if p.kind in ("integer", "number"):
        text = words.whole(rng) if p.kind == "integer" else words.decimal(rng)
        return Given(p, json.loads(text), text)
    text = words.MAKERS[p.maker](rng)
    if p.maker == "text" and rng.random() < 0.05:
        text = f'{text} "{words.word(rng)}"'
    return Given(p, text, quoted(text, rng, 0.97 if p.maker == "text" else 0.22))


def _several(p: Parameter, rng: random.Random) -> Given:
    found = [words.MAKERS[p.maker](rng) for _ in range(rng.randint(1, 4))]
    found = [one for one in found if "," not in one and " and " not in one] or [words.proper(rng)]
    marks = rng.random() < 0.35
    shown = [f"'{one}'" if marks and "'" not in one else one for one in found]
    joint = rng.choice((" and ", ", ", ", and "))
    return Given(p, found, joint.join(filter(None, (", ".join(shown[:-1]), shown[-1]))))


def values(tool: Tool, rng: random.Random) -> list[Given]:
    """Values for what is required and for some of the rest."""
    return [draw(p, rng) for p in tool.parameters if p.required or rng.random() < 0.45]


def call(tool: Tool, given: Sequence[Given]) -> Call:
    """The call that these values make."""
    said = {g.parameter.name: g.value for g in given}
    return Call(tool.name, {p.name: said[p.name] for p in tool.parameters if p.name in said})


# --- how it is asked -----------------------------------------------------------------------------


def question(tool: Tool, given: Sequence[Given], rng: random.Random) -> str:
    """One way to ask for this call."""
    kind = rng.random()
    if kind < 0.1 and all(g.parameter.kind not in ("array", "boolean") for g in given):
        text = _in_code(tool, given, rng)
    elif kind < 0.22:
        text = _by_name(tool, given, rng)
    else:
        text = _in_words(tool, given, rng)
    if rng.random() < 0.08:
        text = f"{words.filler(rng)} {text}"
    return text


def _in_code(tool: Tool, given: Sequence[Given], rng: random.Random) -> str:
    """`fn(12, 'x')`, the values in order or by name."""
    named = rng.random() < 0.3 or len(given) < len(tool.parameters)
    parts = []
    for g in given:
        mark = rng.choice(("'", '"'))
        text = str(g.value) if isinstance(g.value, str) else json.dumps(g.value)
        bare = not isinstance(g.value, str) or mark in text or rng.random() < 0.3
        text = text if bare else f"{mark}{text}{mark}"
        parts.append(f"{g.parameter.name}={text}" if named else text)
    code = f"{tool.name}({', '.join(parts)})"
    return rng.choice((
        "What is {}?", "What does {} give?", "Compute {}.", "Run {}", "Tell me {}, please.",
        "Give me the result of {}. Use the tool you have.", "Call {}", "Please call {}.",
        "What is the value of {}?", "What's {}? Call the tool.", "I want to know {}.", "{}",
        "Evaluate {} with the tool.",
    )).format(code)  # fmt: skip


def _by_name(tool: Tool, given: Sequence[Given], rng: random.Random) -> str:
    """`Use get_x with p = v and q = v.`"""
    sign = rng.choice((" = ", "=", " ", ": ", " set to "))
    name = rng.choice((tool.name, tool.name, f"`{tool.name}`", f"the {tool.name} tool"))
    do = rng.choice(
        ("Call", "Use", "Run", "Please call", "Please use", "I want you to use", "call")
    )
    shown = [f"{_label(g.parameter, rng)}{sign}{g.text}" for g in _shuffled(given, rng)]
    tail = rng.choice(AND).join(shown) if rng.random() < 0.5 else _listed(shown)
    return f"{do} {name}{' with ' + tail if given else ''}{rng.choice(('', '.', ', please.'))}"


def _label(p: Parameter, rng: random.Random) -> str:
    return p.name if rng.random() < 0.5 else p.spoken


def _shuffled(given: Sequence[Given], rng: random.Random) -> list[Given]:
    found = list(given)
    if rng.random() < 0.4:
        rng.shuffle(found)
    return found


def _listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def opener(tool: Tool, rng: random.Random) -> tuple[str, str]:
    """How a question begins, and how it may end."""
    verb, noun = tool.verb.replace("_", " "), tool.noun
    ask, tell = (
        ("?", "?", "? Use the tool.", ""),
        (".", "", "!", ", please.", " please", ". Thanks."),
    )
    if tool.verb in words.READ and rng.random() < 0.75:
        return rng.choice((
            (f"What is the {noun}", ask), (f"What's the {noun}", ask), (f"what is the {noun}", ask),
            (f"Tell me the {noun}", tell), (f"Show me the {noun}", tell),
            (f"Give me the {noun}", tell),
            (f"I need the {noun}", tell), (f"How is the {noun}", ask), (f"{noun}", ask),
            (f"Can you tell me the {noun}", ask), (f"I would like to know the {noun}", tell),
            (f"Which {noun} is there", ask), (f"Do you know the {noun}", ask),
        ))  # fmt: skip
    article = rng.choice(("the", "a", "my", "the", "that"))
    return rng.choice((
        (f"{verb.capitalize()} {article} {noun}", tell), (f"{verb} {article} {noun}", tell),
        (f"Please {verb} {article} {noun}", tell), (f"Can you {verb} {article} {noun}", ask),
        (f"I want to {verb} {article} {noun}", tell), (f"Could you {verb} {article} {noun}", ask),
        (f"Using the tool, {verb} {article} {noun}", tell),
        (f"You have to {verb} {article} {noun}", tell),
        (f"I'd like you to {verb} {article} {noun}", tell),
        (f"Help me {verb} {article} {noun}", tell),
    ))  # fmt: skip


def _in_words(tool: Tool, given: Sequence[Given], rng: random.Random) -> str:
    start, ends = opener(tool, rng)
    alone = len(given) == 1 and _only(tool, given[0])
    if alone and (short := _positional(tool, given[0], rng)):
        return short + rng.choice((".", "", "?", ", please."))
    shown = sorted(_shuffled(given, rng), key=lambda g: "," in g.text)  # a list goes last
    clauses = [_clause(g, rng, alone, _own_cues(tool, g.parameter)) for g in shown]
    return f"{start}{_joined(clauses, rng)}{_aside(shown, rng)}{rng.choice(ends)}"


def _only(tool: Tool, g: Given) -> bool:
    """Nothing else of the tool could be meant by this value."""
    others = [p for p in tool.parameters if p is not g.parameter]
    return not any(p.required or p.kind == g.parameter.kind for p in others)


def _own_cues(tool: Tool, p: Parameter) -> tuple[str, ...]:
    """The words that lead to this parameter and to no other of the tool."""
    taken = {cue for other in tool.parameters if other is not p for cue in other.cues}
    return tuple(cue for cue in p.cues if cue not in taken)


def _positional(tool: Tool, g: Given, rng: random.Random) -> str:
    """The one value in a place of its own; "" where that is not to be."""
    single = isinstance(g.value, str) and " " not in g.value
    if g.parameter.kind in ("array", "boolean") or rng.random() > 0.2:
        return ""
    verb, noun = tool.verb.replace("_", " "), tool.noun
    forms = [
        f"{noun} {g.text}",
        f"{g.text} {noun}",
        f"{g.text}: {noun}",
        f"{verb.capitalize()} {g.text} {noun}",
    ]
    if single:
        forms += [f"{verb.capitalize()} a {g.text} {noun}",
                  f"Using the tool, {verb} the {g.text} {noun}",
                  f"Please {verb} {g.text}'s {noun}", f"I want a {g.text} {noun}"]  # fmt: skip
    return rng.choice(forms)


def _clause(g: Given, rng: random.Random, alone: bool, cues: tuple[str, ...]) -> str:
    """What leads to a value, and the value."""
    p = g.parameter
    if p.kind == "boolean":
        return _flag(g, rng)
    label = _label(p, rng)
    if cues and rng.random() < 0.6:
        return f"{rng.choice(cues)} {g.text}"
    if alone and rng.random() < 0.5:
        return f"{rng.choice(('for', 'of', 'in', 'with', 'by', 'on', 'called', 'about'))} {g.text}"
    if p.kind in ("integer", "number") and rng.random() < 0.15:
        return f"for {g.text} {label}"
    return rng.choice((
        f"with {label} {g.text}", f"with {label} {g.text}", f"with the {label} {g.text}",
        f"where {label} is {g.text}", f"{label} {g.text}", f"{label}: {g.text}",
        f"with {label}={g.text}", f"whose {label} is {g.text}", f"using {label} {g.text}",
        f"with {g.text} as {label}", f"with {g.text} as the {label}",
    ))  # fmt: skip


def _flag(g: Given, rng: random.Random) -> str:
    label = _label(g.parameter, rng)
    if rng.random() < 0.6:
        return f"{'with' if g.value else 'without'} {label}"
    return f"with {label} {g.text}"


def _joined(clauses: Sequence[str], rng: random.Random) -> str:
    if not clauses:
        return ""
    first, *rest = clauses
    joint = rng.choice((" ", " ", " and ", ", "))
    return f" {first}" + "".join(f"{joint}{clause}" for clause in rest)


def _aside(shown: Sequence[Given], rng: random.Random) -> str:
    """Words after the last value that belong to nothing, when that value has an end of its own."""
    last = shown[-1].text if shown else ""
    if not last or last[-1] not in "'\"`”’」" or rng.random() > 0.4:
        return ""
    n, a = rng.choice(words.NOUNS), rng.choice(words.ADJECTIVES)
    return rng.choice((
        f" ({words.name(rng)})", f" ({words.name(rng)}) - a {a} {n}", f", it is a {a} {n}",
        f" - {words.phrase(rng)}", " now", f" for my {n}", f" ({words.phrase(rng)}), a {n}",
    ))  # fmt: skip
