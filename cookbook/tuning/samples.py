"""Training samples: chats in the Llama-3.1 format and dense drills, as token ids with weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import prompts
from arithmetic import Expression, Step, apply, fact
from problems import TAILS, TASKS, Problem, draw
from render import BRACES, THINK, Habits, Piece, muted, near, reply, step_pieces
from tokenizer import Tokenizer

END = "<|eot_id|>"
START = "<|begin_of_text|>"


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
    tasks: tuple[float, ...] = (0.4, 0.25, 0.2, 0.15)
    sizes: tuple[int, ...] = (1, 2, 2, 3, 3, 4)
    top: int = 400
    habits: Habits = Habits(reflect=True)


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
    """An answer whose last line and output are wrong; nothing of it is learned."""
    bad = spoil(problem, rng)
    pieces = reply(problem, replace(habits, reflect=False) if habits else None, rng)
    if habits is None:
        pieces = [Piece(bad.answer)]
    else:
        last = pieces[-4].text.rstrip("\n")
        if last.endswith(problem.answer) and problem.task in ("arithmetic", "words"):
            last = last[: -len(problem.answer)] + bad.answer
            pieces[-4] = Piece(last + "\n")
        pieces[-2] = Piece(bad.answer)
    return [Piece(header("assistant"), 0.0), *muted(pieces), Piece(END, 0.0)]


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
    pieces = wrong_reply(problem, habits, rng)
    bad = pieces[1].text if habits is None else pieces[-3].text
    complaint = prompts.feedback(rng, bad, problem.answer, hint(problem))
    return [*pieces, said("user", complaint), *answered(problem, habits, rng)]


def question(problem: Problem, rng: random.Random) -> Piece:
    """The user's message, sometimes with a tail such as `Think carefully.`"""
    tail = rng.choice(TAILS) if rng.random() < 0.08 else ""
    return said("user", problem.question + tail)


def pick_problem(rng: random.Random, mix: Mix) -> Problem:
    task = rng.choices(TASKS, mix.tasks)[0]
    if task != "arithmetic":
        return draw(rng, task)
    from problems import arithmetic, held_out

    while True:
        problem = arithmetic(rng, mix.sizes)
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
    """A page of facts (or of checked facts) that fills `length` tokens; only results are learned."""
    checked = rng.random() < mix.check_drills
    sample = Sample([], [], [])
    pieces = [Piece(START, 0.0)]
    while len(sample.ids) < length:
        for _ in range(max(1, (length - len(sample.ids)) // (30 if checked else 9))):
            pieces += checked_fact(rng, mix) if checked else bare_fact(rng, mix)
        sample = assemble(tokenizer, pieces)
    return Sample(sample.ids[:length], sample.weights[:length], sample.heats[:length])


def bare_fact(rng: random.Random, mix: Mix) -> list[Piece]:
    a, sign, b = fact(rng, mix.top)
    return [Piece(f"{a} {sign} {b} = ", 0.0), Piece(str(apply(sign, a, b))), Piece("\n", 0.0)]


def checked_fact(rng: random.Random, mix: Mix) -> list[Piece]:
    a, sign, b = fact(rng, mix.top)
    value = apply(sign, a, b)
    pieces = step_pieces(Step(a, sign, b, value, Expression(value)), mix.habits, rng)
    return [replace(pieces[0], weight=0.0), *pieces[1:]]


__all__ = ["BRACES", "Mix", "Sample", "chat", "drill"]
