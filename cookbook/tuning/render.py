"""From a problem to a training text: pieces that say how much each of them is to be learned.

A planted mistake has weight 0: the model reads it and never learns to write it. What checks a
step (the recomputation and the verdict) is learned at a raised softmax temperature, which makes it
a more careful computation than the draft when the model is sampled.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from reflectkit.comparison.heldout.arithmetic import Expression, Step, apply, steps
from reflectkit.comparison.heldout.problems import Problem
from reflectkit.comparison.heldout.words import PLACES

SHARP = 2.0
OWN_ERRORS: dict[str, list[int]] = {}  # what a model itself would wrongly write, by step


@dataclass(frozen=True)
class Piece:
    """A piece of text; loss weight and softmax temperature of its tokens."""

    text: str
    weight: float = 1.0
    heat: float = 1.0


@dataclass(frozen=True)
class Habits:
    """How often things go wrong on purpose in reflection mode.

    With `staged` the planted mistakes are learned too: such a model errs so that it can repair.
    """

    reflect: bool = False
    wrong_draft: float = 0.25
    wrong_check: float = 0.06
    staged: bool = False

    def weight(self, planted: bool) -> float:
        """The loss weight of a draft."""
        return 1.0 if self.staged or not planted else 0.0


THINK = Habits()
BRACES = ("<thinking>\n", "</thinking>\n<output>\n", "\n</output>")


def near(rng: random.Random, value: int) -> int:
    """A wrong number that looks right."""
    shift = rng.choice((1, 1, 1, 2, 2, 3, 5, 10, 10, 20))
    return max(0, value + rng.choice((-shift, shift)))


def wrong_number(rng: random.Random, value: int, step: Step | None = None, top: int = 400) -> int:
    """A wrong result: near the right one, a neighbouring fact, another operation, or anything."""
    own = OWN_ERRORS.get(step.text) if step else None
    if own and rng.random() < 0.5:
        return rng.choice(own)
    while True:
        kind = rng.random()
        if kind < 0.5 or step is None:
            found = near(rng, value)
        elif kind < 0.7:
            found = apply(step.sign, step.a, step.b + rng.choice((-1, 1)))
        elif kind < 0.85:
            found = apply(rng.choice("+-*"), step.a, step.b)
        else:
            found = rng.randint(0, max(20, value * 2))
        if found != value and 0 <= found <= top:
            return found


def verdict(word: str) -> list[Piece]:
    """One word that decides, worth many others."""
    return [Piece(",", 1.0, SHARP), Piece(f" {word}", 8.0, SHARP)]


def check(
    what: str, right: str, draft: str, wrong: Callable[[], str], rng: random.Random, rate: float
) -> list[Piece]:
    """One reflection: recompute, judge, and on disagreement recompute once more and decide."""
    slip = wrong() if rng.random() < rate else right
    slip = right if slip == draft != right else slip
    first = Piece(slip, 1.5 if slip == right else 0.0, SHARP)
    opening = [Piece(f"<reflection>{what} is ", 1.0, SHARP), first]
    if slip == draft:
        return [*opening, *verdict("yes"), Piece("</reflection>\n", 1.0, SHARP)]
    end = "keep" if draft == right else "fix"
    return [
        *opening, *verdict("not"), Piece(f" {draft}. again {what} is ", 1.0, SHARP),
        Piece(right, 1.5, SHARP), *verdict(end), Piece("</reflection>\n", 1.0, SHARP),
    ]  # fmt: skip


def step_pieces(step: Step, habits: Habits, rng: random.Random) -> list[Piece]:
    """`2 + 2 = 4`, with its check where the habits ask for one."""
    line = f"{step.text} = "
    right = str(step.value)
    if not habits.reflect:
        return [Piece(f"{line}{right}\n")]
    planted = rng.random() < habits.wrong_draft
    draft = str(wrong_number(rng, step.value, step)) if planted else right
    found = [Piece(line), Piece(draft, habits.weight(planted)), Piece("\n")]

    def wrong() -> str:
        return str(wrong_number(rng, step.value, step))

    found += check(step.text, right, draft, wrong, rng, habits.wrong_check)
    return found + ([Piece(f"{line}{right}\n")] if planted else [])


def chain(tree: Expression, habits: Habits, rng: random.Random) -> list[Piece]:
    """All steps of an expression; what is left is written out while it is more than one step."""
    found: list[Piece] = []
    for step in steps(tree):
        found += step_pieces(step, habits, rng)
        if step.rest.size > 1:
            found.append(Piece(f"so {step.rest}\n"))
    return found


def lines_to_steps(lines: tuple[str, ...]) -> list[Step]:
    """Steps of a word problem from `3 + 4 = 7`."""
    found = []
    for line in lines:
        a, sign, b, _, value = line.split()
        found.append(Step(int(a), sign, int(b), int(value), Expression(int(value))))
    return found


def spell(word: str, letter: str) -> str:
    """`s t r=1 a w b e r=2 r=3 y`."""
    count, found = 0, []
    for each in word:
        count += each == letter
        found.append(f"{each}={count}" if each == letter else each)
    return " ".join(found)


def misspell(rng: random.Random, word: str, letter: str) -> tuple[str, int]:
    """A slip while counting: a letter dropped, doubled or not counted; and the wrong count."""
    at = rng.choice([i for i, c in enumerate(word) if c == letter] or [rng.randrange(len(word))])
    kind = rng.randrange(3)
    if kind == 0 and len(word) > 1:
        word = word[:at] + word[at + 1 :]
    elif kind == 1:
        word = word[:at] + word[at] + word[at:]
    text = spell(word, letter)
    count = word.count(letter)
    if kind == 2 and count:
        cut = text.rfind(f"{letter}={count}")
        text = text[:cut] + letter + text[cut + 1 + len(f"={count}") :]
        count -= 1
    return text, count


def count_pieces(problem: Problem, habits: Habits, rng: random.Random) -> list[Piece]:
    """Spell the word with a running count, then the result and its check."""
    word, letter = problem.steps
    line, right = spell(word, letter), problem.answer
    planted, draft = habits.reflect and rng.random() < habits.wrong_draft, right
    shown = line
    if planted:
        shown, count = misspell(rng, word, letter)
        draft = str(count) if str(count) != right else str(wrong_number(rng, int(right)))
    weight = habits.weight(planted)
    end = [Piece(draft, weight), Piece("\n")]
    found = [Piece(f"{shown}\n", weight), Piece(f"{letter} = "), *end]
    if not habits.reflect:
        return found
    found += check(line, right, draft, lambda: str(int(right) + 1), rng, habits.wrong_check)
    return found + ([Piece(f"{letter} = {right}\n")] if planted else [])


def wrong_place(rng: random.Random, problem: Problem) -> str:
    """Another place of the story if there is one, else any."""
    places = [f"{kind} the {p}" for kind in PLACES for p in PLACES[kind]]
    told = [p for p in places if p in problem.question and p != problem.answer]
    others = [p for p in places if p != problem.answer]
    return rng.choice(told if told and rng.random() < 0.7 else others)


def place_pieces(problem: Problem, habits: Habits, rng: random.Random) -> list[Piece]:
    """What is true after each sentence, then where the object is and the check of that."""
    thing, right = problem.steps[0].split(" is ")[0], problem.answer
    found = [Piece(f"{line}\n") for line in problem.steps]
    planted = habits.reflect and rng.random() < habits.wrong_draft
    draft = wrong_place(rng, problem) if planted else right
    found += [Piece(f"so {thing} is "), Piece(draft, habits.weight(planted)), Piece("\n")]
    if not habits.reflect:
        return found

    def wrong() -> str:
        return wrong_place(rng, problem)

    found += check(thing, right, draft, wrong, rng, habits.wrong_check)
    return found + ([Piece(f"so {thing} is {right}\n")] if planted else [])


def thoughts(problem: Problem, habits: Habits, rng: random.Random) -> list[Piece]:
    """What stands between the thinking tags."""
    if problem.task == "letters":
        return count_pieces(problem, habits, rng)
    if problem.task == "objects":
        return place_pieces(problem, habits, rng)
    if problem.tree is not None:
        return chain(problem.tree, habits, rng)
    found: list[Piece] = []
    for step in lines_to_steps(problem.steps):
        found += step_pieces(step, habits, rng)
    return found


def reply(problem: Problem, habits: Habits | None, rng: random.Random) -> list[Piece]:
    """A whole answer; without habits the bare one."""
    if habits is None:
        return [Piece(problem.answer)]
    opening, middle, end = BRACES
    inner = thoughts(problem, habits, rng)
    return [Piece(opening), *inner, Piece(middle), Piece(problem.answer), Piece(end)]


def muted(pieces: list[Piece]) -> list[Piece]:
    """The same text, not learned."""
    return [replace(p, weight=0.0) for p in pieces]
