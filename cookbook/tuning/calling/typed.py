"""JSON as text: an object that fits a schema, or that has certain keys."""

from __future__ import annotations

import random
from typing import Any

from reflectkit.conversation import at_the_end
from reflectkit.correcting import instructions
from reflectkit.messages import Message
from reflectkit.options import Settings

from . import words
from .chats import ABOUT, Chat, scalar, shown, topic, unknown
from .layout import Turn
from .questions import Given, draw, quoted
from .tools import Parameter, parameter

WITH_KEYS = (
    "Return JSON with {} keys.", "Return the result as JSON with {} keys.",
    "Answer in JSON with {}.",
    "Give me a JSON object with the keys {}.", "Reply with JSON that has the keys {}.",
    "Return nothing but JSON with {} keys.", "As JSON, with {} as keys. No other text.",
    "Give it as a JSON object with {} keys.", "I want a JSON with {} keys.",
)  # fmt: skip
TAILS = ("", "", " Nothing else.", " Return only JSON.", " No other text, please.")


def schema(rng: random.Random, parameters: list[Parameter], nullable: set[str]) -> dict[str, Any]:
    """A JSON schema, as pydantic or a human writes it."""
    titled = rng.random() < 0.7
    properties = {}
    for p in parameters:
        inner = p.schema()
        about = {"description": inner.pop("description")} if p.description else {}
        if p.name in nullable:
            inner = {"anyOf": [inner, {"type": "null"}], "default": None}
        title = {"title": p.spoken.title()} if titled else {}
        properties[p.name] = (
            {**inner, **about, **title} if rng.random() < 0.3 else about | inner | title
        )
    found: dict[str, Any] = {
        "properties": properties,
        "required": [p.name for p in parameters if p.name not in nullable],
        "title": words.proper(rng), "type": "object",
    }  # fmt: skip
    if rng.random() < 0.4:
        found["description"] = words.sentence(rng, 2, 5)
    keys = (
        sorted(found)
        if rng.random() < 0.6
        else ["title", "description", "type", "properties", "required"]
    )
    return {key: found[key] for key in keys if key in found}


def told(rng: random.Random, given: list[Given]) -> str:
    """A sentence that holds the values."""
    n = words.word(rng)
    parts = [rng.choice((f"{g.parameter.spoken} {g.text}", f"{g.parameter.name}: {g.text}",
                         f"the {g.parameter.spoken} is {g.text}", f"{g.parameter.name} = {g.text}"))
             for g in given]  # fmt: skip
    joint = rng.choice((", ", " and ", "; "))
    start = rng.choice((f"A {n}", f"Extract the {n}:", f"There is a {n} with", f"Make a {n} with",
                        f"Describe this {n}:", f"My {n} has"))  # fmt: skip
    return f"{start} {joint.join(parts)}{rng.choice(('.', '', '.'))}"


def fitting(chat: Chat) -> None:
    """reflectkit's own prompt for typed answers, values given in the question or not at all."""
    rng = chat.rng
    taken: set[str] = set()
    parameters = [parameter(rng, taken) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    nullable = {p.name for p in parameters if rng.random() < 0.2}
    if rng.random() < 0.3:
        about = topic(rng)
        asked = rng.choice(ABOUT).format(quoted(about, rng))
        answer = {p.name: None if p.name in nullable else unknown(p, about) for p in parameters}
    else:
        given = [draw(p, rng) for p in parameters if p.name not in nullable or rng.random() < 0.5]
        said: dict[str, Any] = {g.parameter.name: g.value for g in given}
        answer = {p.name: said.get(p.name) for p in parameters}
        rng.shuffle(given)
        asked = told(rng, given)
    ask(chat, asked, schema(rng, parameters, nullable))
    chat.answer(shown(answer))


def ask(chat: Chat, asked: str, wanted: dict[str, Any]) -> None:
    """A question as a client with an output type asks it."""
    question = Message("user", asked)
    chat.user(at_the_end((question,), instructions(Settings(output_type=wanted)))[-1].text)


def keyed(chat: Chat) -> None:
    """An object with certain keys, values given in the question or not at all."""
    rng = chat.rng
    keys = list({words.word(rng) for _ in range(rng.choice((1, 2, 2, 3)))})
    mark = rng.choice(("'", '"', "`", "'"))
    listed = [f"{mark}{key}{mark}" for key in keys]
    names = " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))
    if rng.random() < 0.6:
        about = topic(rng)
        asked = rng.choice(ABOUT).format(quoted(about, rng))
        answer: dict[str, object] = dict.fromkeys(keys, about)
    else:
        answer = {key: scalar(rng) for key in keys}
        said = [f"the {key} is {shown(value)}" for key, value in answer.items()]
        asked = f"T{', '.join(said)[1:]}."
    chat.user(f"{asked} {rng.choice(WITH_KEYS).format(names)}{rng.choice(TAILS)}")
    chat.answer(shown(answer))


def conversation(rng: random.Random, held: bool = False) -> Chat:
    """A chat without tools that ends in JSON."""
    chat = Chat(rng, [], held)
    if rng.random() < 0.2:
        chat.turns.append(Turn("system", rng.choice(("Be brief.", words.sentence(rng)))))
    chat.family = rng.choice(("fitting", "fitting", "keyed"))
    (fitting if chat.family == "fitting" else keyed)(chat)
    return chat
