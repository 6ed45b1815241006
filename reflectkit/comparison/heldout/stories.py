"""Word problems: a template, its numbers, and the written steps of its solution."""

from __future__ import annotations

import random

from .arithmetic import OPERAND, TOP, apply
from .words import BOXES, NAMES, THINGS

# text; signs of the steps. {a} {b} {c} are the numbers, {n} {m} names, {t} a thing, {x} boxes.
TEMPLATES: tuple[tuple[str, str], ...] = (
    ("{n} has {a} {t} and buys {b} more. How many {t} does {n} have?", "+"),
    ("{n} has {a} {t}. {m} gives {n} {b} more. How many {t} does {n} have now?", "+"),
    ("There are {a} {t} here and {b} {t} there. How many {t} are there in all?", "+"),
    ("{n} has {a} {t} and loses {b}. How many {t} are left?", "-"),
    ("{n} had {a} {t} and gave {b} to {m}. How many {t} does {n} have now?", "-"),
    ("{n} has {a} {t}. {m} has {b} fewer. How many {t} does {m} have?", "-"),
    ("{n} has {a} {x} with {b} {t} each. How many {t} are there?", "*"),
    ("There are {a} {x}. Each has {b} {t}. How many {t} are there in all?", "*"),
    ("{n} buys {a} {t} a day for {b} days. How many {t} does {n} buy?", "*"),
    ("{n} has {a} {t}, buys {b} more and finds {c} more. How many {t} does {n} have?", "++"),
    ("{n} has {a} {t}, buys {b} more and loses {c}. How many {t} are left?", "+-"),
    ("{n} had {a} {t}, gave {b} to {m} and then bought {c}. How many {t} does {n} have now?", "-+"),
    ("{n} had {a} {t}, lost {b} and then sold {c}. How many {t} are left?", "--"),
    ("{n} has {a} {x} with {b} {t} each and finds {c} more. How many {t} does {n} have?", "*+"),
    ("There are {a} {x} with {b} {t} each. {n} takes {c} {t}. How many {t} are left?", "*-"),
    ("{n} buys {a} {t} and {m} buys {b}. Each one costs {c} coins. What do they pay?", "+*"),
    ("{n} has {a} {t} and sells {b}. The rest cost {c} coins each. "
     "What do they cost in all?", "-*"),
)  # fmt: skip


def numbers(rng: random.Random, signs: str) -> list[int]:
    """Numbers for the steps, all results in the range."""
    while True:
        found = [rng.randint(1, OPERAND) for _ in range(len(signs) + 1)]
        value, good = found[0], True
        for sign, number in zip(signs, found[1:], strict=True):
            value = apply(sign, value, number)
            good = good and 0 <= value <= TOP
        if good:
            return found


def written(signs: str, values: list[int]) -> list[str]:
    """The steps as `3 + 4 = 7`."""
    lines, value = [], values[0]
    for sign, number in zip(signs, values[1:], strict=True):
        result = apply(sign, value, number)
        lines.append(f"{value} {sign} {number} = {result}")
        value = result
    return lines


def fill(rng: random.Random) -> tuple[str, str, list[str]]:
    """A template's name, a question and its steps."""
    index = rng.randrange(len(TEMPLATES))
    text, signs = TEMPLATES[index]
    values = numbers(rng, signs)
    n, m = rng.sample(NAMES, 2)
    named = dict(zip("abc", values, strict=False))
    question = text.format(n=n, m=m, t=rng.choice(THINGS), x=rng.choice(BOXES), **named)
    return str(index), question, written(signs, values)
