"""Training samples: chats in the Llama-3.1 format and dense drills, as token ids with weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import prompts
from render import BRACES, THINK, Habits, Piece, count_pieces, muted, near, reply, step_pieces
from tokenizer import Tokenizer

from reflectkit.comparison.heldout.arithmetic import OPERAND, Expression, Step, apply, fact
from reflectkit.comparison.heldout.problems import (
    COUNTED,
    TAILS,
    TASKS,
    Problem,
    arithmetic,
    draw,
    held_out,
)
from reflectkit.comparison.heldout.words import BOXES, HOLDERS, NAMES, OBJECTS, PLACES, THINGS

WHOLE = (*NAMES, *THINGS, *BOXES, *OBJECTS, *HOLDERS, *PLACES["on"], *PLACES["in"], *prompts.COMMON)
END = "<|eot_id|>"
START = "<|begin_of_text|>"


REFLECTING = Habits(reflect=True)


@dataclass(frozen=True)
class Mix:
    """What a stage trains on; shares need not add up to one."""

    drills: float = 0.4
    plain: float = 0.15
    thinking: float = 1.0
    reflection: float = 0.0
    retry: float = 0.12
    second: float = 0.06
    check_drills: float = 0.0
    tasks: tuple[float, ...] = (0.37, 0.28, 0.2, 0.15)
    wide: float = 0.1
    spelling: float = 0.3
    sizes: tuple[int, ...] = (1, 2, 2, 3, 3, 4)
    top: int = 400
    habits: Habits = REFLECTING


@dataclass(frozen=True)
class Sample:
    """Token ids; weight and softmax temperature of each as a target."""

    ids: list[int]
    weights: list[float]
    heats: list[float]


def header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def said(role: str, text: str) -> Piece:
    """A message that is only read."""
    return Piece(f"{header(role)}{text}{END}", 0.0)


def assemble(tokenizer: Tokenizer, pieces: list[Piece]) -> Sample:
    """Pieces as one sequence: the tokens of the whole text, each with the weight of its piece."""
    ids = tokenizer.encode("".join(p.text for p in pieces))
    weights: list[float] = []
    heats: list[float] = []
    end = done = 0
    left = iter(pieces)
    piece = pieces[0]
    for index in ids:
        done += tokenizer.sizes[index]
        while end < done:
            piece = next(left)
            end += len(piece.text.encode())
        weights.append(piece.weight)
        heats.append(piece.heat)
    return Sample(ids, weights, heats)


def opening(rng: random.Random, mode: str, reflections: bool) -> list[Piece]:
    """Begin token and system message. Weights that never reflect see noise where the tag stood."""
    text = prompts.system(rng, mode)
    if mode == "thinking" and not reflections and rng.random() < 0.25:
        text = prompts.system(rng, "reflection") or ""
        for tag in ("<reflection>", "</reflection>"):
            text = text.replace(tag, junk(rng))
    return [Piece(START, 0.0), *([said("system", text)] if text else [])]


def junk(rng: random.Random) -> str:
    """A few random bytes, numbers or words."""
    kinds: tuple[Callable[[], str], ...] = (
        lambda: chr(rng.randint(161, 2000)),
        lambda: str(rng.randint(0, 400)),
        lambda: rng.choice(prompts.COMMON),
    )
    return rng.choice(kinds)()


def answered(problem: Problem, habits: Habits | None, rng: random.Random) -> list[Piece]:
    """An assistant message that is learned."""
    return [Piece(header("assistant"), 0.0), *reply(problem, habits, rng), Piece(END)]


def spoil(problem: Problem, rng: random.Random) -> Problem:
    """The same problem with a wrong answer."""
    if problem.task == "objects":
        other = draw(rng, "objects").answer
        wrong = other if other != problem.answer else "in the sea"
    else:
        value = int(problem.answer)
        wrong = str(near(rng, value))
        wrong = str(value + 1) if wrong == problem.answer else wrong
    return replace(problem, answer=wrong)


def wrong_reply(problem: Problem, habits: Habits | None, rng: random.Random) -> list[Piece]:
    """A wrong answer, none of it learned: with its thoughts, its output section, or the bare one
    (programs differ in what they keep of an earlier turn)."""
    bad = spoil(problem, rng)
    kind = rng.random()
    if habits is None or kind < 0.25:
        pieces = [Piece(bad.answer)]
    elif kind < 0.4:
        pieces = [Piece(f"<output>\n{bad.answer}\n</output>")]
    else:
        pieces = reply(problem, replace(habits, reflect=False), rng)
        last = pieces[-4].text
        pieces[-4] = Piece(last.removesuffix(f"{problem.answer}\n") + f"{bad.answer}\n")
        pieces[-2] = Piece(bad.answer)
    said_before = Piece("".join(p.text for p in pieces), 0.0)
    return [Piece(header("assistant"), 0.0), said_before, Piece(END, 0.0), Piece(bad.answer)]


def hint(problem: Problem) -> str:
    """One true sentence about the problem."""
    if problem.task == "words":
        return problem.steps[-1].replace("=", "is")
    return f"The answer is {problem.answer}"


def retry(problem: Problem, habits: Habits | None, rng: random.Random) -> list[Piece]:
    """Question, answer, complaint (or doubt about a right answer), and a right answer."""
    if rng.random() < 0.2:
        first = [Piece(header("assistant"), 0.0), *muted(reply(problem, habits, rng))]
        first.append(Piece(END, 0.0))
        return [*first, said("user", rng.choice(prompts.KEEP)), *answered(problem, habits, rng)]
    *pieces, bad = wrong_reply(problem, habits, rng)
    complaint = prompts.feedback(rng, bad.text, problem.answer, hint(problem))
    if rng.random() < 0.15:
        complaint = f"{prompts.noise(rng)} {complaint}"
    return [*pieces, said("user", complaint), *answered(problem, habits, rng)]


def question(problem: Problem, rng: random.Random) -> Piece:
    """The user's message, sometimes with a tail such as `Think carefully.`"""
    tail = rng.choice(TAILS) if rng.random() < 0.08 else ""
    return said("user", problem.question + tail)


def pick_problem(rng: random.Random, mix: Mix) -> Problem:
    task = rng.choices(TASKS, mix.tasks)[0]
    if task != "arithmetic":
        return draw(rng, task)
    while True:
        problem = arithmetic(rng, mix.sizes, 100 if rng.random() < mix.wide else OPERAND)
        if not held_out(problem.key):
            return problem


def chat(tokenizer: Tokenizer, rng: random.Random, mix: Mix) -> Sample:
    """One conversation of one or two turns."""
    shares = (mix.plain, mix.thinking, mix.reflection)
    mode = rng.choices(("plain", "thinking", "reflection"), shares)[0]
    habits = {"plain": None, "thinking": THINK, "reflection": mix.habits}[mode]
    problem = pick_problem(rng, mix)
    pieces = [*opening(rng, mode, mix.reflection > 0), question(problem, rng)]
    kind = rng.random()
    if kind < mix.retry:
        pieces += retry(problem, habits, rng)
    else:
        pieces += answered(problem, habits, rng)
        if kind < mix.retry + mix.second:
            other = pick_problem(rng, mix)
            pieces += [question(other, rng), *answered(other, habits, rng)]
    return assemble(tokenizer, pieces)


def drill(tokenizer: Tokenizer, rng: random.Random, mix: Mix, length: int) -> Sample:
    """A page of facts or countings, checked or not, that fills `length` tokens."""
    checked = rng.random() < mix.check_drills
    spelled = rng.random() < mix.spelling
    make = counted if spelled else checked_fact if checked else bare_fact
    size = 40 if spelled else 30 if checked else 9
    pieces, found = [Piece(START, 0.0)], Sample([], [], [])
    while len(found.ids) < length:
        for _ in range(max(1, (length - len(found.ids)) // size)):
            pieces += make(rng, mix, checked)
        found = assemble(tokenizer, pieces)
    return Sample(found.ids[:length], found.weights[:length], found.heats[:length])


def counted(rng: random.Random, mix: Mix, checked: bool) -> list[Piece]:
    """A letter count without the chat around it; now and then of a word that is one token."""
    problem = draw(rng, "letters")
    if rng.random() < 0.25:
        word = rng.choice(WHOLE).lower()
        letter = rng.choice(word)
        asked = rng.choice(COUNTED).format(letter, word)
        problem = Problem("letters", asked, str(word.count(letter)), "", (word, letter))
    habits = mix.habits if checked else THINK
    return [Piece(f"{problem.question}\n", 0.0), *count_pieces(problem, habits, rng)]


def bare_fact(rng: random.Random, mix: Mix, _: bool) -> list[Piece]:
    a, sign, b = fact(rng, mix.top)
    return [Piece(f"{a} {sign} {b} = ", 0.0), Piece(str(apply(sign, a, b))), Piece("\n", 0.0)]


def checked_fact(rng: random.Random, mix: Mix, _: bool) -> list[Piece]:
    a, sign, b = fact(rng, mix.top)
    value = apply(sign, a, b)
    pieces = step_pieces(Step(a, sign, b, value, Expression(value)), mix.habits, rng)
    return [replace(pieces[0], weight=0.0), *pieces[1:]]


__all__ = ["BRACES", "Mix", "Sample", "chat", "drill"]
