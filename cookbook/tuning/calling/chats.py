"""Conversations about tools: what is asked, which calls are right, and what is answered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from reflectkit.comparison.heldout.problems import held_out

from . import words
from .format import OPEN
from .layout import Turn
from .questions import Call, call, draw, opener, question, quoted, values
from .tools import Parameter, Tool, offered, styled, tool

NONE = "I have no tool for that."
GREETINGS = (
    ("Hello", "Hello! How can I help you?"), ("Hi", "Hello! How can I help you?"),
    ("Hey", "Hello! How can I help you?"), ("Good morning", "Hello! How can I help you?"),
    ("Good evening", "Hello! How can I help you?"),
    ("How are you", "I am fine. How can I help you?"),
    ("How are you doing", "I am fine. How can I help you?"), ("Thanks", "You are welcome."),
    ("Thank you", "You are welcome."), ("Thank you very much", "You are welcome."),
    ("Bye", "Goodbye."), ("Goodbye", "Goodbye."), ("OK", "You are welcome."),
)  # fmt: skip
ABOUT = (
    "Tell me a story about {}.", "Write a poem about {}.", "What do you think of {}?", "Who is {}?",
    "Tell me something funny about {}.", "Who wrote {}?", "Explain {} to me.", "What is {}?",
    "Give me an idea for {}.", "Write a short text on {}.", "Why is {} so famous?",
    "Sing a song about {}", "Make up a riddle about {}.", "Give me a fact about {}, in full.",
)  # fmt: skip
NO_MORE = (
    "Do not call any more tools. Answer with what you know.", "No more tool calls, please answer.",
    "You may not use any further tools. Give your answer now.", "Stop calling tools and answer.",
    "You have used up your tool calls. Answer the question with what you have.",
    "Give your final answer now, without calling a tool.",
)  # fmt: skip
SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant with access to tools.",
    "Use the tools where they help.", "Be brief.", "You are an agent. Work step by step.",
    "Answer in one sentence.", "Today is {}.", "The user's name is {}.", "You work for {}.",
)  # fmt: skip
HINT = 0.1


@dataclass
class Chat:
    """A conversation under way; `known` are sentences with the latest results."""

    rng: random.Random
    tools: list[Tool]
    held: bool = False
    turns: list[Turn] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    family: str = ""

    def user(self, text: str) -> None:
        self.turns.append(Turn("user", text))

    def answer(self, text: str) -> None:
        self.turns.append(Turn("assistant", text))

    def calls(self, *calls: Call) -> None:
        self.turns.append(Turn("assistant", calls=calls))

    def results(self, calls: Sequence[Call]) -> None:
        """What the tools gave, one message for each call."""
        found = [result(self.rng) for _ in calls]
        self.turns += [Turn("tool", text) for text, _ in found]
        self.known = [sentence for _, sentence in found]


# --- results -------------------------------------------------------------------------------------


def scalar(rng: random.Random) -> object:
    """A number, a flag or a few words."""
    kinds: tuple[Callable[[], object], ...] = (
        lambda: json.loads(words.whole(rng)), lambda: json.loads(words.decimal(rng)),
        lambda: words.phrase(rng), lambda: words.code(rng), lambda: words.name(rng),
        lambda: words.foreign(rng), lambda: words.date(rng), lambda: rng.random() < 0.5,
    )  # fmt: skip
    return rng.choice(kinds)()


def shown(value: object) -> str:
    """A value of JSON as it is said."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def result(rng: random.Random) -> tuple[str, str]:
    """What a tool gave, and the sentence that says so."""
    kind = rng.random()
    if kind < 0.3:
        text = rng.choice((words.sentence, _measured))(rng)
        return text, text
    if kind < 0.6:
        text = shown(scalar(rng)).removesuffix(".")
        return text, f"The result is {text}."
    if kind < 0.87:
        keys = list(
            {rng.choice(("result", words.word(rng))) for _ in range(rng.choice((1, 1, 2, 3)))}
        )
        found = {key: scalar(rng) for key in keys}
        said = [f"the {key} is {shown(value)}" for key, value in found.items()]
        text = ", ".join(said)
        return json.dumps(found, ensure_ascii=False), f"T{text[1:]}."
    fault = words.sentence(rng, 2, 6)
    if rng.random() < 0.6:
        return f"{rng.choice(('Error', 'error', 'Failed'))}: {fault}", f"That did not work: {fault}"
    return json.dumps({"error": fault}, ensure_ascii=False), f"That did not work: {fault}"


def _measured(rng: random.Random) -> str:
    """A sentence with a figure and a name in it."""
    n, a = rng.choice(words.NOUNS), rng.choice(words.ADJECTIVES)
    return rng.choice((
        f"It's {a} in {words.name(rng)}.", f"The {n} is {shown(scalar(rng))}.", f"It is {a}.",
        f"{words.name(rng)}: {shown(scalar(rng))} {n}s, {a}.", f"{shown(scalar(rng))} {n}s found.",
    ))  # fmt: skip


# --- turns ---------------------------------------------------------------------------------------


def one(chat: Chat) -> None:
    """A question for one tool."""
    chosen = chat.rng.choice(chat.tools)
    given = values(chosen, chat.rng)
    chat.user(question(chosen, given, chat.rng))
    chat.calls(call(chosen, given))


MATHS = (
    ("add", "+"), ("multiply", "*"), ("subtract", "-"), ("divide", "/"), ("sum", "+"),
    ("plus", "+"), ("times", "*"),
)  # fmt: skip


def maths(chat: Chat) -> None:
    """Numbers and what to do with them; a tool knows how."""
    if chat.rng.random() < 0.3:
        return expression(chat)
    rng = chat.rng
    verb, sign = rng.choice(MATHS)
    kind = rng.choice(("integer", "integer", "number"))
    maker = "whole" if kind == "integer" else "decimal"
    names = rng.choice((("a", "b"), ("x", "y"), ("first", "second"), ("left", "right")))
    parameters = tuple(Parameter(name, kind, maker) for name in names)
    about = rng.choice(("", f"{verb.capitalize()} two numbers.", f"{verb.capitalize()} {kind}s."))
    name = title(chat, lambda: (verb, rng.choice(("numbers", "tool", words.invented(rng)))))
    chosen = Tool(name, verb, "numbers", about, parameters)
    bring(chat, chosen)
    given = [draw(p, rng) for p in parameters]
    one_, two = (g.text for g in given)
    chat.user(rng.choice((
        f"What is {one_} {sign} {two}?", f"What is {one_} {sign} {two}", f"{one_} {sign} {two}",
        f"{verb.capitalize()} {one_} and {two}.", f"{verb} {one_} and {two}", f"{one_}{sign}{two}?",
        f"How much is {one_} {sign} {two}?", f"{verb.capitalize()} {one_} by {two}, please.",
        f"What is the {verb} of {one_} and {two}?", f"{one_} {verb} {two}",
    )))  # fmt: skip
    chat.calls(call(chosen, given))
    return None


def title(chat: Chat, parts: Callable[[], tuple[str, ...]]) -> str:
    """A tool's name that is held out, or not, as the chat is."""
    while True:
        found = styled(parts(), chat.rng)
        if held_out(found) == chat.held:
            return found


def bring(chat: Chat, chosen: Tool) -> None:
    """Offer this tool too, in place of another."""
    chat.tools[:] = [t for t in chat.tools if t.name != chosen.name] or [chosen]
    chat.tools[chat.rng.randrange(len(chat.tools))] = chosen


def expression(chat: Chat) -> None:
    """The same for a tool that takes a formula."""
    rng = chat.rng
    size = rng.choice((2, 2, 3))
    text = words.whole(rng)
    for _ in range(size - 1):
        sign = rng.choice((" + ", " - ", " * ", " / ", "+", "*"))
        text = rng.choice((f"{text}{sign}{words.whole(rng)}", f"({text}){sign}{words.whole(rng)}"))
    name = rng.choice(("expression", "formula", "input", "expr"))
    p = Parameter(name, "string", description=rng.choice(("", "What to compute")))
    called = title(chat, lambda: rng.choice((
        ("calculator",), ("calculate", words.invented(rng)), ("compute",), ("evaluate", "math"),
        ("math", words.invented(rng)),
    )))  # fmt: skip
    about = rng.choice(("Calculate a formula.", "Compute an expression.", "Do arithmetic."))
    bring(chat, Tool(called, "calculate", "formula", about, (p,)))
    asked = rng.choice(("What is {}?", "Compute {}", "{}", "How much is {}?", "Calculate {}."))
    chat.user(asked.format(text))
    chat.calls(Call(called, {name: text}))


def search(chat: Chat) -> None:
    """A question for a tool that looks anything up."""
    rng, about = chat.rng, topic(chat.rng)
    name = rng.choice(("query", "question", "q", "term", "input", "topic"))
    called = title(chat, lambda: rng.choice((
        ("search",), ("web", "search"), ("search", "web"), ("look", "up"),
        ("search", words.invented(rng)), ("wiki", words.invented(rng)),
    )))  # fmt: skip
    said = rng.choice(("Search the web.", "Look up anything.", "Search for information.",
                       "Answers questions about the world.",
                       f"Search {words.word(rng)}."))  # fmt: skip
    bring(chat, Tool(called, "search", "web", said, (Parameter(name, "string"),)))
    forms = (*ABOUT[2:6], "Search for {}", "Find out about {}.", "Look up {}.",
             "What do you know about {}?")  # fmt: skip
    chat.user(rng.choice(forms).format(quoted(about, rng)))
    chat.calls(Call(called, {name: about}))


def missing(chat: Chat) -> None:
    """A question for a tool without the value that it needs."""
    rng = chat.rng
    able = [t for t in chat.tools if sum(p.required for p in t.parameters) == 1]
    if not able:
        return one(chat)
    chosen = rng.choice(able)
    start, ends = opener(chosen, rng)
    chat.user(start + rng.choice(ends))
    wanted = next(p for p in chosen.parameters if p.required)
    chat.answer(f"Please tell me the {wanted.spoken}.")
    return None


def parallel(chat: Chat) -> None:
    """One tool for several values, or two tools in one question."""
    rng = chat.rng
    single = [t for t in chat.tools if _one_value(t)]
    if single and (len(chat.tools) == 1 or rng.random() < 0.7):
        _several_values(chat, rng.choice(single))
    elif len(chat.tools) > 1:
        first, second = rng.sample(chat.tools, 2)
        given = [values(t, rng) for t in (first, second)]
        asked = [question(t, g, rng) for t, g in zip((first, second), given, strict=True)]
        chat.user(rng.choice((" ", " Also, ", " And then ", "\n")).join(asked))
        chat.calls(*(call(t, g) for t, g in zip((first, second), given, strict=True)))
    else:
        one(chat)


def _one_value(candidate: Tool) -> bool:
    wanted = [p for p in candidate.parameters if p.required]
    return (
        len(wanted) == 1 and wanted[0].kind in ("string", "integer") and wanted[0].maker != "text"
    )


def _several_values(chat: Chat, chosen: Tool) -> None:
    rng = chat.rng
    wanted = next(p for p in chosen.parameters if p.required)
    given = []
    while len(given) < rng.choice((2, 2, 3)):
        drawn = draw(wanted, rng)
        if "," not in drawn.text and " and " not in drawn.text:
            given.append(drawn)
    *rest, last = [g.text for g in given]
    pre = rng.choice(wanted.cues or ("for", "of", "in"))
    first = ", ".join(rest)
    forms = (f"{first} and {last}", f"{first} and {pre} {last}",
             f"{first}, and also {pre} {last}", f"each of {first}, {last}")  # fmt: skip
    verb = chosen.verb.replace("_", " ").capitalize()
    start = rng.choice(("What is the", f"{verb} the", "Compare the", "I need the"))
    end = rng.choice(("?", ".", ""))
    chat.user(f"{start} {chosen.noun} {pre} {rng.choice(forms)}{end}")
    chat.calls(*(call(chosen, [g]) for g in given))


def chain(chat: Chat) -> None:
    """A call whose result is an argument of the next call."""
    rng = chat.rng
    named = styled((rng.choice(words.NOUNS), rng.choice(("id", "code", "key"))), rng)
    key = Parameter(named, "string", "code", description=rng.choice(("", "the one to use")))
    first, second = tool(rng, chat.held), tool(rng, chat.held)
    asked = first.parameters[0] if first.parameters else Parameter("name", "string", "name")
    maker = asked.maker.replace("text", "phrase")  # no full stop in the middle
    wanted = replace(first, parameters=(replace(asked, required=True, maker=maker),))
    second = replace(second, parameters=(key,))
    if wanted.name == second.name:
        return one(chat)
    chat.tools[:] = [*chat.tools[:1], wanted, second][-rng.choice((2, 3)) :]
    rng.shuffle(chat.tools)
    given, code = draw(wanted.parameters[0], rng), words.code(rng)
    verb = second.verb.replace("_", " ")
    text = question(wanted, [given], rng).rstrip(".?! ")
    tail = rng.choice((" with it", "", f" for that {key.spoken}", f" of that {key.spoken}"))
    chat.user(f"{text}, then {verb} the {second.noun}{tail}.")
    chat.calls(call(wanted, [given]))
    chat.turns.append(Turn("tool", rng.choice((code, json.dumps({key.name: code})))))
    chat.calls(Call(second.name, {key.name: code}))
    return None


def topic(rng: random.Random) -> str:
    return rng.choice((words.phrase, words.name, words.phrase, words.foreign))(rng)


def nothing(chat: Chat) -> None:
    """A greeting, or a question that no tool is for."""
    rng, kind = chat.rng, chat.rng.random()
    if kind < 0.35:
        said, reply = rng.choice(GREETINGS)
        said = said if rng.random() < 0.8 else said.lower()
        chat.user(said + rng.choice(("?",) if "are" in said else (".", "!", "", "!")))
        chat.answer(reply)
    elif kind < 0.75:
        chat.user(rng.choice(ABOUT).format(quoted(topic(rng), rng)))
        chat.answer(NONE)
    else:
        other = _unlike(chat)
        chat.user(question(other, values(other, rng), rng))
        chat.answer(NONE)


def _unlike(chat: Chat) -> Tool:
    """A tool that is not offered, and shares no noun with those that are."""
    while True:
        other = tool(chat.rng, chat.held)
        said = " ".join(f"{t.name} {t.description}" for t in chat.tools).lower()
        if other.noun.lower() not in said and other.name.lower() not in said:
            return other


def no_more(chat: Chat) -> None:
    """The user ends the calling; what is known is the answer."""
    chat.user(chat.rng.choice(NO_MORE))
    chat.answer(" ".join(chat.known))


def forced(chat: Chat) -> None:
    """A call that had to be, whatever was asked: short arguments out of the question."""
    rng = chat.rng
    if rng.random() < 0.25:
        return reported(chat)
    greet = rng.random() < 0.35
    said, reply = rng.choice(GREETINGS) if greet else ("", NONE)
    about = said or topic(rng)
    chat.user(said + rng.choice((".", "!", "")) if greet else
              rng.choice(ABOUT).format(quoted(about, rng)))  # fmt: skip
    chosen = rng.choice(chat.tools)
    made = Call(chosen.name, {p.name: unknown(p, about) for p in chosen.parameters if p.required})
    must(chat, made, reply if rng.random() < 0.6 else "")
    return None


def must(chat: Chat, made: Call, text: str) -> None:
    """A call after a text that would have been the answer, or in place of one."""
    silent = len(text or f'{OPEN}\n{{"name": "{made.name}"')
    chat.turns.append(Turn("assistant", text, (made,), silent, HINT if text else 1.0))


def reported(chat: Chat) -> None:
    """A result that has to be handed on by a call, its values under their own names."""
    rng = chat.rng
    one(chat)
    keys = list({rng.choice(words.NOUNS) for _ in range(rng.choice((1, 2, 2, 3)))})
    found = {key: scalar(rng) for key in keys}
    chat.turns.append(Turn("tool", json.dumps(found, ensure_ascii=False)))
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
    taken = tuple(Parameter(key, kinds[type(value)]) for key, value in found.items())
    called = title(chat, lambda: rng.choice((
        ("report", words.invented(rng)), ("Answer",), ("Response",), (words.proper(rng),),
    )))  # fmt: skip
    chat.tools.append(Tool(called, "report", "answer", rng.choice(("", "The answer.")), taken))
    said = ", ".join(f"the {key} is {shown(value)}" for key, value in found.items())
    must(chat, Call(called, found), f"T{said[1:]}." if rng.random() < 0.6 else "")


def unknown(p: Parameter, about: str) -> object:
    """What a parameter gets that nobody gave a value."""
    known = {"integer": 0, "number": 0, "boolean": False, "array": [about]}
    return p.choices[0] if p.kind == "enum" else known.get(p.kind, about)


# --- whole conversations -------------------------------------------------------------------------


def system(rng: random.Random) -> str:
    """What stands before a conversation."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(SYSTEMS).format(words.name(rng))
    size = rng.choice((1, 1, 2, 4))
    lines = [rng.choice((words.sentence, words.filler))(rng) for _ in range(size)]
    return f"{rng.choice(SYSTEMS).format(words.name(rng))} {' '.join(lines)}"


Make = Callable[[Chat], None]
FAMILIES: dict[str, tuple[Make, float]] = {
    "one": (one, 0.6), "parallel": (parallel, 0.1), "chain": (chain, 0.06), "maths": (maths, 0.05),
    "search": (search, 0.03), "missing": (missing, 0.03), "nothing": (nothing, 0.17),
    "forced": (forced, 0.05),
}  # fmt: skip


OWN = ("chain", "maths", "search")


def start(rng: random.Random, held: bool, most: int) -> Chat:
    """The tools and perhaps a system text."""
    chat = Chat(rng, offered(rng, held, most), held)
    if rng.random() < 0.45:
        chat.turns.append(Turn("system", system(rng)))
    return chat


def follow(chat: Chat, last: bool) -> None:
    """After calls: their results and the answer. At the end of a chat that is often left out."""
    made = chat.turns[-1].calls
    if not made:
        return None
    if last and chat.rng.random() < 0.35:
        return None
    chat.results(made)
    if chat.rng.random() < 0.1:
        return no_more(chat)
    chat.answer(" ".join(chat.known))
    return None


def conversation(rng: random.Random, held: bool = False, most: int = 5, turns: int = 3) -> Chat:
    """A chat of one to three questions, each of some family."""
    chat = start(rng, held, most)
    names, shares = list(FAMILIES), [share for _, share in FAMILIES.values()]
    count = rng.randint(1, turns)
    for index in range(count):
        name = rng.choices(names, shares)[0]
        fixed = index > 0 and name in OWN  # the listing was settled by the first question
        FAMILIES["one" if fixed else name][0](chat)
        chat.family = name
        if name == "forced":
            break
        follow(chat, index == count - 1)
    return chat
