"""Forty requests for the embedded model that a server may answer differently."""

from __future__ import annotations

from typing import Any

from reflectkit.messages import Message, Request, Role

THINK = "Think inside <thinking> tags, then answer inside <output> tags."
REFLECT = (
    "Think inside <thinking> tags, check each step inside <reflection> tags, "
    "then answer inside <output> tags."
)
QUESTIONS = (
    "What is (2 + 2) * 7?",
    "What is 12 + 7 * 3?",
    "How many r are in strawberry?",
    "How many times does the letter e appear in elephant?",
    "Hello, who are you? Ünïcode — “quotes” 日本語",
)
MORE = (
    "What is 9 - 4 + 6?",
    "What is 3 * (8 - 5)?",
    "How many s are in mississippi?",
    "The key is in the box. Tom takes the key and puts it on the table. Where is the key?",
    "What is 7 * 8 - 9?",
)


def asked(system: str, *turns: str, **options: Any) -> Request:
    """Turns are the user's and the assistant's, one after the other."""
    messages = [Message("system", system)] if system else []
    roles: tuple[Role, Role] = ("user", "assistant")
    messages += [Message(roles[i % 2], turn) for i, turn in enumerate(turns)]
    settings = {"max_tokens": 300, "temperature": 0.0, **options}
    return Request(messages=tuple(messages), **settings)


FIRST = "<thinking>\n2 + 2 = 4\n</thinking>\n<output>\n4\n</output>"

REQUESTS: dict[str, Request] = {
    **{f"think {i}": asked(THINK, q) for i, q in enumerate(QUESTIONS)},
    **{f"reflect {i}": asked(REFLECT, q) for i, q in enumerate(QUESTIONS)},
    **{f"more think {i}": asked(THINK, q) for i, q in enumerate(MORE)},
    **{f"more reflect {i}": asked(REFLECT, q) for i, q in enumerate(MORE)},
    "bare": asked("", QUESTIONS[0]),
    "bare letters": asked("", QUESTIONS[2]),
    "second turn": asked(THINK, "What is 2 + 2?", FIRST, "What is 5 + 3?"),
    "second turn, reflecting": asked(REFLECT, "What is 2 + 2?", FIRST, "What is 5 * 3?"),
    "told that it is wrong": asked(REFLECT, "What is 2 + 2?", FIRST, "That is wrong. Try again."),
    "stop at a tag": asked(THINK, QUESTIONS[0], stop=("</thinking>",)),
    "stop inside a tag": asked(THINK, QUESTIONS[0], stop=("</think",)),
    "stop inside a word": asked(REFLECT, QUESTIONS[0], stop=("refl",)),
    "stop across tokens": asked(THINK, QUESTIONS[0], stop=("4 * ",)),
    "stop at the first of two": asked(THINK, QUESTIONS[1], stop=("<output>", "= 21")),
    "stop that never comes": asked(THINK, QUESTIONS[0], stop=("zebra",)),
    "one token": asked(THINK, QUESTIONS[0], max_tokens=1),
    "cut in thinking": asked(THINK, QUESTIONS[0], max_tokens=9),
    "cut in a reflection": asked(REFLECT, QUESTIONS[0], max_tokens=14),
    "cut before the closer": asked(THINK, QUESTIONS[0], max_tokens=26),
    "nothing said of the system": asked(" ", QUESTIONS[0]),
    "tags in the question": asked(THINK, "What does <thinking> mean?"),
    "lines and spaces": asked(THINK, "  What is\n\n 2 + 2 ?\t"),
    "emoji": asked(THINK, "🙂 What is 2 + 2? 👩‍👩‍👧‍👦"),
    "go on after a wrong step": asked(REFLECT, QUESTIONS[0], prefix="<thinking>\n2 + 2 = 5\n"),
}
assert len(REQUESTS) == 44 - 4
