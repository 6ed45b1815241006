"""Problems with gold answers, and the split into training and held-out by hash of the problem.

`heldout(task, n, seed)` and `train(seed)` can never share a problem: a key hashes to one side.
The recipe that trains the embedded weights (`cookbook/tuning`) draws from here too.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .arithmetic import OPERAND, Expression, expression
from .objects import Story, story, tell
from .stories import fill
from .words import ENDS, MIDDLES, SPELLED, STARTS

TASKS = ("arithmetic", "letters", "words", "objects")
HELD_OUT = 10  # one in ten keys is held out


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer; `key` is the same for all phrasings of one problem."""

    task: str
    question: str
    answer: str
    key: str
    steps: tuple[str, ...] = ()
    tree: Expression | None = field(default=None, compare=False, repr=False)


def held_out(key: str) -> bool:
    """Whether a problem is reserved for evaluation: a property of its key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % HELD_OUT == 0


ASKED = (
    "What is {}?", "What is {}?", "What is {}?", "Calculate {}.", "Calculate {}", "Compute {}.",
    "{}", "{}", "{} =", "{} = ?", "{}?", "What's {}?", "what is {}?", "How much is {}?", "Solve {}",
    "Please calculate {}.", "Evaluate {}.", "Work out {}.", "Can you compute {}?", "Tell me {}.",
    "What is the value of {}?", "What does {} equal?", "Find {}.", "What is the result of {}?",
    "What is {} ?", "Calculate: {}", "Question: {}", "what is {}", "What is {}",
)  # fmt: skip
TAILS = (" Think carefully.", " Think step by step.", " Show your work.", " Explain.", " Please.")


def ask_arithmetic(rng: random.Random, tree: Expression) -> str:
    """One of many ways to ask for the value of an expression."""
    text = str(tree)
    kind = rng.random()
    if kind < 0.12:
        text = text.replace(" ", "")
    elif kind < 0.17:
        text = text.replace("*", rng.choice(("x", "×", "times")))
    elif kind < 0.20 and tree.size == 1:
        for sign, word in (("+", "plus"), ("-", "minus"), ("*", "times")):
            text = text.replace(sign, word)
    return rng.choice(ASKED).format(text)


def arithmetic(
    rng: random.Random, sizes: tuple[int, ...] = (1, 2, 2, 3, 3, 4), operand: int = OPERAND
) -> Problem:
    """An expression of some operations over operands up to 20 (or another bound)."""
    tree = expression(rng, rng.choice(sizes), operand)
    question = ask_arithmetic(rng, tree)
    return Problem("arithmetic", question, str(tree.value), f"a:{tree}", tree=tree)


COUNTED = (
    "How many {0} are in {1}?", "How many {0} are in {1}?", "How many {0} are there in {1}?",
    "How many times does the letter {0} appear in {1}?", "How many letters {0} are in {1}?",
    "How many {0}'s are in {1}?", "Count the letter {0} in {1}.", "Count the {0} in {1}.",
    "How often does {0} appear in {1}?", "How many times does {0} occur in {1}?",
    "How many times is the letter {0} in the word {1}?", "How many {0} does {1} have?",
    "How many {0} are in the word {1}?", "How many {0}s are in {1}?",
)  # fmt: skip


def made_up(rng: random.Random) -> str:
    """A word that nobody has seen: syllables, or plain random letters."""
    if rng.random() < 0.3:
        letters = rng.choice(("abcdefghijklmnopqrstuvwxyz", "aberst", "eilmnop"))
        return "".join(rng.choice(letters) for _ in range(rng.randint(3, 12)))
    parts = range(rng.randint(1, 4))
    return "".join(
        rng.choice(STARTS.split()) + rng.choice(MIDDLES.split()) + rng.choice(ENDS.split(" "))
        for _ in parts
    )[:14]


def letters(rng: random.Random) -> Problem:
    """How often a letter occurs in a word; the key is the word, with whatever letter."""
    word = rng.choice(SPELLED) if rng.random() < 0.4 else made_up(rng)
    letter = rng.choice(word) if rng.random() < 0.85 else rng.choice("abcdefghijklmnopqrstuvwxyz")
    repeated = [c for c in word if word.count(c) > 1]
    if repeated and rng.random() < 0.4:
        letter = rng.choice(repeated)
    shown = rng.choice((word, word, word, word, f'"{word}"', f"'{word}'"))
    asked = rng.choice(COUNTED).format(letter, shown)
    return Problem("letters", asked, str(word.count(letter)), f"l:{word}", (word, letter))


def words(rng: random.Random) -> Problem:
    """A word problem of one or two steps."""
    name, question, steps = fill(rng)
    answer = steps[-1].rsplit(" ", 1)[1]
    return Problem("words", question, answer, f"w:{name}:{steps}", tuple(steps))


def objects(rng: random.Random) -> Problem:
    """Where is the object?"""
    tale: Story = story(rng)
    text, lines = tell(rng, tale)
    return Problem("objects", text, tale.answer, f"o:{tale.key}", tuple(lines))


MAKERS: dict[str, Callable[[random.Random], Problem]] = {
    "arithmetic": arithmetic,
    "letters": letters,
    "words": words,
    "objects": objects,
}


def draw(rng: random.Random, task: str, *, held: bool = False) -> Problem:
    """One problem of a task from the wanted side of the split."""
    while True:
        problem = MAKERS[task](rng)
        if held_out(problem.key) == held:
            return problem


def train(seed: int, tasks: tuple[str, ...] = TASKS) -> Iterator[Problem]:
    """Endless training problems."""
    rng = random.Random(f"train {seed}")
    while True:
        yield draw(rng, rng.choice(tasks))


def heldout(
    task: str, n: int, seed: int = 0, sizes: tuple[int, ...] | None = None
) -> list[Problem]:
    """`n` different held-out problems of one task (`sizes`: numbers of operations)."""
    rng = random.Random(f"held-out {task} {seed}")
    found: dict[str, Problem] = {}
    while len(found) < n:
        problem = arithmetic(rng, sizes) if sizes else draw(rng, task, held=True)
        key = f"{problem.key}:{problem.steps[1:]}"
        if held_out(problem.key) and (key not in found or len(found) >= limit(task, sizes)):
            found.setdefault(key if key not in found else f"{key}#{len(found)}", problem)
    return list(found.values())


def limit(task: str, sizes: tuple[int, ...] | None) -> int:
    """How many different held-out problems surely exist: one operation has only about 100."""
    return 90 if task == "arithmetic" and sizes == (1,) else 10**9
